/** From a record that says `creating` to a user in the engine and a record that says `ready`, in every order of crashes and races. */
import { errorFields, log } from '../../environment/log.ts'
import { BrokerError } from '../../values/errors.ts'
import type { Outcome } from '../../values/nouns.ts'
import { ApiError, translate } from '../cluster/api-error.ts'
import { type Accounts, Unreachable, type Users } from '../databases/database.ts'
import { kindOf } from '../databases/kinds.ts'
import { credentialsOf } from '../databases/parts/library-keys.ts'
import type { Surroundings } from '../observed/reach.ts'
import {
  type BindingInfo,
  type BindingRecord,
  removeBindingRecord,
  writeBindingRecord,
} from '../records/binding-record.ts'
import { age, type Broker, Overtaken, timestamp } from '../records/broker.ts'
import type { InstanceRecord } from '../records/instance-record.ts'
import { ownAccount } from './accounts.ts'
import { advanceUsers } from './declared-users.ts'
import { openUsers } from './engine.ts'
import { type Bound, findBinding } from './fetch.ts'
import { sweep } from './sweep.ts'
import { tokenOf, usersTakeAWhile, write } from './writing.ts'

/**
 * The user in the engine, then the record.
 *
 * @param asynchronous whether the platform allows an answer of 202
 * @param origin whether somebody else may be at work on the record
 * @throws {BrokerError}
 * @throws {Overtaken}
 */
export async function complete(
  broker: Broker,
  instance: InstanceRecord,
  record: BindingRecord,
  around: Surroundings,
  asynchronous: boolean,
  origin: 'made just now' | 'found',
): Promise<Outcome<Bound>> {
  const later = async (why: string): Promise<Outcome<Bound>> => {
    if (asynchronous) {
      // This request leaves it to the polls.
      if (origin === 'made just now') await write(broker, record, { ...record.info, since: longAgo })
      return { state: 'under way', operation: tokenOf('bind', record) }
    }
    throw new BrokerError(
      'AsyncRequired',
      `the database cannot be reached just now (${why}): send accepts_incomplete=true`,
    )
  }
  if (around.state === 'gone') {
    throw new BrokerError(
      'Unavailable',
      'the database of this service instance is gone; deprovision the instance',
    )
  }
  if (around.state !== 'reachable') return later(around.why)
  const kind = kindOf(instance.database.kind)
  const created = origin === 'made just now' || record.info.state === 'creating'
  switch (kind.accounts.by) {
    case 'declaration':
      return declared(broker, instance, kind.accounts, record, around, asynchronous)
    case 'sharing': {
      const { info } = await ready(broker, record, async () => undefined)
      const { application: reach, admin } = around
      const credentials = credentialsOf(kind, reach, { name: admin.username, password: admin.password })
      return { state: 'done', created, value: { info, credentials, reach } }
    }
    case 'connection':
  }
  const account = await ownAccount(broker, record.info)
  let users: Users
  try {
    users = await openUsers(broker, instance.database.kind, around.admin)
  } catch (error) {
    if (error instanceof Unreachable) return later(error.message)
    throw error
  }
  try {
    const before = await users.list()
    const mine = origin === 'found' ? await claimed(broker, record) : record
    await users.create(account)
    const [written] = await Promise.all([
      ready(broker, mine, () => users.drop(mine.info.user)),
      // Other bindings' remains are no reason to fail this one; the next bind tries again.
      sweep(broker, instance.info.instanceId, users, before).catch((error: unknown) =>
        log('warn', 'users of removed bindings could not be dropped', { error: errorFields(error) }),
      ),
    ])
    const credentials = credentialsOf(kind, around.application, account)
    return {
      state: 'done',
      created,
      value: { info: written.info, credentials, reach: around.application },
    }
  } catch (error) {
    throw engineFailed(error)
  } finally {
    await users.close()
  }
}

/**
 * Takes up work on a record that was found. Whoever removes a binding trusts that after some time nobody is at it any
 * more, so its time starts anew; its maker may be at work too, so it is contested.
 */
async function claimed(broker: Broker, record: BindingRecord): Promise<BindingRecord> {
  const elapsed = age(record.info.since)
  if (record.info.contested && elapsed < broker.abandonedAfter / 3) return record
  return write(broker, record, {
    ...record.info,
    since: timestamp(),
    contested: elapsed < broker.abandonedAfter,
  })
}

/** A time so long ago that nobody is at work any more. */
const longAgo = new Date(0).toISOString()

/**
 * The same where KubeDB makes the user: asked for, or done by now.
 *
 * @throws {BrokerError} AsyncRequired, Refused
 * @throws {Overtaken}
 */
export async function declared(
  broker: Broker,
  instance: InstanceRecord,
  accounts: Extract<Accounts, { by: 'declaration' }>,
  record: BindingRecord,
  around: Extract<Surroundings, { state: 'reachable' }>,
  asynchronous: boolean,
): Promise<Outcome<Bound>> {
  const outcome = (await advanceUsers(broker, instance, accounts, 'all'))(record.info.user)
  switch (outcome.state) {
    case 'made': {
      const account = await ownAccount(broker, record.info)
      const info: BindingInfo = { ...record.info, state: 'ready' }
      const credentials = credentialsOf(kindOf(instance.database.kind), around.application, account)
      return { state: 'done', created: true, value: { info, credentials, reach: around.application } }
    }
    case 'failed':
    case 'removed':
      throw new Overtaken()
    case 'refused':
      throw new Refused(outcome.why)
    case 'waiting':
      if (!asynchronous) throw usersTakeAWhile()
      return { state: 'under way', operation: tokenOf('bind', record), why: outcome.why }
  }
}

/** KubeDB does not take the request that is to make the user. Sent again, the bind asks anew. */
export class Refused extends BrokerError {
  constructor(why: string) {
    super('Misconfigured', why)
  }
}

/**
 * Writes `ready`. Where an unbind was first, the user just made goes again, and with it the record, unless somebody
 * else may still be about to make the user.
 *
 * @param drop removes the user
 * @throws {BrokerError} ConcurrencyError where an unbind was first
 * @throws {Overtaken}
 */
export async function ready(
  broker: Broker,
  record: BindingRecord,
  drop: () => Promise<void>,
): Promise<BindingRecord> {
  let current = record
  for (let attempt = 1; ; attempt++) {
    try {
      return await writeBindingRecord(broker.cluster, broker.namespace, current, {
        ...current.info,
        state: 'ready',
        description: '',
      })
    } catch (error) {
      if (!(error instanceof ApiError && (error.conflict || error.status === 404))) throw error
      const now = await findBinding(broker, record.info.instanceId, record.info.bindingId)
      const mine = now?.info.nonce === record.info.nonce
      if (mine && now.info.state === 'ready') return now
      if (mine && now.info.state === 'creating' && attempt < 5) {
        current = now
        continue
      }
      if (!mine || now.info.state === 'deleting') {
        await drop()
        if (mine && !now.info.contested) await removeBindingRecord(broker.cluster, broker.namespace, now)
        throw new BrokerError('ConcurrencyError', 'the service binding was removed while it was being made')
      }
      throw new Overtaken({ cause: error })
    }
  }
}

/** @returns what to throw for an error that came while the user was being made */
export function engineFailed(error: unknown): Error {
  if (error instanceof Unreachable) {
    return new BrokerError(
      'Unavailable',
      `the database went out of reach: ${error.message}; send the request again`,
      {
        cause: error,
      },
    )
  }
  return error instanceof Overtaken ? error : translate(error, 'finishing the service binding')
}
