/** Making and removing service bindings: record first, then the engine's user; in every order of crashes and races. */
import { BrokerError } from '../errors.ts'
import { equal, type JsonObject } from '../json.ts'
import { errorFields, log } from '../log.ts'
import type { LastOperation, Outcome, Role } from '../nouns.ts'
import { ownAccount } from './accounts.ts'
import { ApiError, translate } from './api-error.ts'
import {
  type BindingInfo,
  type BindingRecord,
  createBindingRecord,
  isExpired,
  readBindingRecord,
  removeBindingRecord,
  UnreadableBinding,
  writeBindingRecord,
} from './binding-record.ts'
import { age, type Broker, newOperationId, Overtaken, timestamp, writeFailed } from './broker.ts'
import { type Accounts, type Reach, Unreachable, type Users } from './databases/database.ts'
import { kindOf } from './databases/kinds.ts'
import { bindable, binding, bindingState, instanceState, unbinding } from './decide.ts'
import { advanceUsers, isDeclared, type Scope } from './declared-users.ts'
import { openUsers } from './engine.ts'
import { readRecord } from './instance.ts'
import { type InstanceRecord, userFacing } from './instance-record.ts'
import { newNonce, userName } from './passwords.ts'
import {
  type Inside,
  readApplicationReach,
  readInside,
  readShared,
  readSurroundings,
  type Surroundings,
} from './reach.ts'
import { patience } from './readiness.ts'
import { fitsRecord } from './record-size.ts'
import { sweep, sweepExpired } from './sweep.ts'
import { type OperationHint, type OperationType, operationToken } from './token.ts'

export interface BindRequest {
  bindingId: string
  serviceId: string
  planId: string
  appGuid: string
  /** as sent; `{}` where none were */
  parameters: JsonObject
  role: Role
  /** of credentials that are made now */
  expiry: { expiresAt: string; renewBefore: string } | undefined
  /** id of the binding that this one is to succeed */
  predecessor: string | undefined
}

/** A binding that can be used. */
export interface Bound {
  info: BindingInfo
  credentials: JsonObject
  reach: Reach
}

/**
 * @returns the record, undefined when there is none
 * @throws {BrokerError}
 */
export async function findBinding(
  broker: Broker,
  instanceId: string,
  bindingId: string,
): Promise<BindingRecord | undefined> {
  try {
    return await readBindingRecord(broker.cluster, broker.namespace, instanceId, bindingId)
  } catch (error) {
    if (error instanceof UnreadableBinding) {
      throw new BrokerError(
        'Misconfigured',
        'the broker cannot read what it wrote about this binding; its operator has to look at the record',
        { cause: error },
      )
    }
    throw translate(error, 'reading the service binding')
  }
}

/**
 * OSB "Binding".
 *
 * @param asynchronous whether the platform allows an answer of 202
 * @throws {BrokerError} by the idempotency table
 * @throws {Overtaken}
 */
export async function bind(
  broker: Broker,
  instance: InstanceRecord,
  request: BindRequest,
  asynchronous: boolean,
): Promise<Outcome<Bound>> {
  switch (bindable[instanceState(instance)]) {
    case 'not found':
      throw new BrokerError('NotFound', 'there is no such service instance')
    case 'busy':
      throw new BrokerError(
        'ConcurrencyError',
        'the service instance is being made or removed; wait for its last operation',
      )
    case 'impossible':
      throw new BrokerError('Unprocessable', 'the service instance failed to be provisioned; deprovision it')
    case 'proceed':
  }
  const { accounts } = kindOf(instance.database.kind)
  if (accounts.by === 'declaration' && !asynchronous) {
    // Whoever cannot wait is told so before anything is written; what is there already has its own answer.
    const existing = await findBinding(broker, instance.info.instanceId, request.bindingId)
    if (!existing) throw usersTakeAWhile()
    return bindAgain(broker, instance, existing, request, asynchronous, undefined)
  }
  fitsRecord('app_guid', request.appGuid, 'id')
  const nonce = newNonce()
  const now = timestamp()
  const info: BindingInfo = {
    v: 1,
    bindingId: request.bindingId,
    instanceId: instance.info.instanceId,
    serviceId: request.serviceId,
    planId: request.planId,
    appGuid: request.appGuid,
    parameters: request.parameters,
    role: request.role,
    user: userName(request.bindingId, nonce),
    nonce,
    keyId: await broker.keys.newest(),
    scheme: 1,
    state: 'creating',
    since: now,
    created: now,
    ...request.expiry,
    ...(request.predecessor === undefined ? {} : { predecessor: request.predecessor }),
    operation: newOperationId(),
    contested: false,
    overtaken: false,
    request: 0,
    description: '',
  }
  const [made, around] = await Promise.allSettled([
    createBindingRecord(broker.cluster, broker.namespace, info),
    readSurroundings(broker, instance),
  ])
  if (made.status === 'rejected') {
    if (!(made.reason instanceof ApiError && made.reason.conflict))
      throw translate(made.reason, 'writing the binding record')
    const existing = await findBinding(broker, instance.info.instanceId, request.bindingId)
    if (!existing) throw new Overtaken({ cause: made.reason })
    return bindAgain(
      broker,
      instance,
      existing,
      request,
      asynchronous,
      around.status === 'fulfilled' ? around.value : undefined,
    )
  }
  const record = made.value
  try {
    if (around.status === 'rejected') throw around.reason
    return await complete(broker, instance, record, around.value, asynchronous, 'made just now')
  } catch (error) {
    // Nothing has been made, so nothing may be left; what failed half-way is finished by a retry or an unbind.
    const refused = error instanceof BrokerError && error.problem === 'AsyncRequired'
    if (refused || (around.status === 'fulfilled' && around.value.state === 'gone')) {
      await removeBindingRecord(broker.cluster, broker.namespace, record).catch((failure: unknown) => {
        throw writeFailed(failure, 'removing the binding record')
      })
    }
    throw error
  }
}

function usersTakeAWhile(): BrokerError {
  return new BrokerError(
    'AsyncRequired',
    'KubeDB makes and removes the users of this database, which takes a while: send accepts_incomplete=true',
  )
}

async function bindAgain(
  broker: Broker,
  instance: InstanceRecord,
  existing: BindingRecord,
  request: BindRequest,
  asynchronous: boolean,
  around: Surroundings | undefined,
): Promise<Outcome<Bound>> {
  const { info } = existing
  const same =
    info.serviceId === request.serviceId &&
    info.planId === request.planId &&
    info.appGuid === request.appGuid &&
    info.predecessor === request.predecessor &&
    equal(info.parameters, request.parameters)
  const decision = binding[bindingState(existing)]
  switch (same ? decision.same : decision.other) {
    case 'conflict':
      throw new BrokerError(
        'Conflict',
        'the binding id is in use with other attributes (service, plan, app, parameters or predecessor)',
      )
    case 'busy': {
      // A removal that waited for the database may be finished by now, without anybody polling for it.
      const now = around ?? (await readSurroundings(broker, instance))
      const { state } = await remove(broker, instance, existing, now, 'all')
      if (state === 'removed') throw new Overtaken()
      throw new BrokerError(
        'ConcurrencyError',
        'the service binding is being removed; wait for it, then bind again',
      )
    }
    case 'impossible':
      throw new BrokerError(
        'Unprocessable',
        `the service binding could not be made: ${info.description}; unbind it first`,
      )
    case 'create':
    case 'carry on':
      return complete(
        broker,
        instance,
        existing,
        around ?? (await readSurroundings(broker, instance)),
        asynchronous,
        'found',
      )
    case 'identical':
      return healed(broker, instance, existing, around, asynchronous)
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

/** @returns whether a request that was to make the binding may still be about to make its user */
function beingMade(broker: Broker, { state, contested, since }: BindingInfo): boolean {
  return (state === 'creating' || contested) && age(since) < broker.abandonedAfter
}

/** A time so long ago that nobody is at work any more. */
const longAgo = new Date(0).toISOString()

async function write(broker: Broker, record: BindingRecord, info: BindingInfo): Promise<BindingRecord> {
  try {
    return await writeBindingRecord(broker.cluster, broker.namespace, record, info)
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) throw new Overtaken({ cause: error })
    throw writeFailed(error, 'writing the binding record')
  }
}

/** From `creating` to `ready`: the user in the engine, then the record. */
async function complete(
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
      const credentials = kind.credentials(reach, { name: admin.username, password: admin.password })
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
    const credentials = kind.credentials(around.application, account)
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

/** KubeDB does not take the request that is to make the user. Sent again, the bind asks anew. */
class Refused extends BrokerError {
  constructor(why: string) {
    super('Misconfigured', why)
  }
}

/** The same where KubeDB makes the user: asked for, or done by now. */
async function declared(
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
      const credentials = kindOf(instance.database.kind).credentials(around.application, account)
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

function engineFailed(error: unknown): Error {
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

/**
 * Writes `ready`. Where an unbind was first, the user just made goes again, and with it the record, unless somebody
 * else may still be about to make the user.
 */
async function ready(
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

/**
 * Credentials of a binding that is ready. Where its user is damaged or missing (a restored database), it is made
 * again; where the database cannot be reached, the record's word is enough.
 */
async function healed(
  broker: Broker,
  instance: InstanceRecord,
  record: BindingRecord,
  surroundings: Surroundings | undefined,
  asynchronous: boolean,
): Promise<Outcome<Bound>> {
  const around = surroundings ?? (await readSurroundings(broker, instance))
  const kind = kindOf(instance.database.kind)
  // What has expired is not made to work again.
  if (around.state !== 'reachable' || isExpired(record.info) || kind.accounts.by === 'sharing') {
    return { state: 'done', created: false, value: await show(broker, instance, record) }
  }
  const account = await ownAccount(broker, record.info)
  const bound = (info: BindingInfo): Outcome<Bound> => ({
    state: 'done',
    created: false,
    value: { info, credentials: kind.credentials(around.application, account), reach: around.application },
  })
  if (kind.accounts.by === 'declaration') {
    if (await isDeclared(broker, instance, kind.accounts, record.info.user)) return bound(record.info)
    if (!asynchronous) throw usersTakeAWhile()
    const creating = await write(broker, record, {
      ...record.info,
      state: 'creating',
      since: timestamp(),
      // From which the polls count how long it may take.
      created: timestamp(),
      operation: newOperationId(),
    })
    return declared(broker, instance, kind.accounts, creating, around, asynchronous)
  }
  let users: Users
  try {
    users = await openUsers(broker, instance.database.kind, around.admin)
  } catch (error) {
    if (error instanceof Unreachable) return bound(record.info)
    throw error
  }
  try {
    if (await users.works(account)) return bound(record.info)
    // Through `creating`, so that an unbind that comes now waits for this request.
    const creating = await write(broker, record, { ...record.info, state: 'creating', since: timestamp() })
    await users.create(account)
    return bound((await ready(broker, creating, () => users.drop(account.name))).info)
  } catch (error) {
    throw engineFailed(error)
  } finally {
    await users.close()
  }
}

/**
 * OSB "Fetching a Service Binding": the credentials of a binding that is ready.
 *
 * @throws {BrokerError} Unavailable while the database has no address; Misconfigured where its key is missing
 */
export async function show(broker: Broker, instance: InstanceRecord, record: BindingRecord): Promise<Bound> {
  const kind = kindOf(instance.database.kind)
  if (kind.accounts.by === 'sharing') {
    const { account, reach } = await readShared(broker, instance)
    return { info: record.info, credentials: kind.credentials(reach, account), reach }
  }
  const [account, reach] = await Promise.all([
    ownAccount(broker, record.info),
    readApplicationReach(broker, instance),
  ])
  return { info: record.info, credentials: kind.credentials(reach, account), reach }
}

/**
 * OSB "Unbinding".
 *
 * @returns `done` when the user is gone and so is the record, or the user cannot log in until both are
 * @throws {BrokerError} Gone, AsyncRequired, ConcurrencyError, Unavailable
 * @throws {Overtaken}
 */
export async function unbind(
  broker: Broker,
  instance: InstanceRecord,
  found: BindingRecord,
  asynchronous: boolean,
): Promise<Outcome<null>> {
  const decision = unbinding[bindingState(found)]
  if (decision === 'gone') throw new BrokerError('Gone', 'there is no such service binding')
  const { accounts } = kindOf(instance.database.kind)
  if (accounts.by === 'sharing') {
    // The account is everybody's: nothing is taken away but the record.
    await removeBindingRecord(broker.cluster, broker.namespace, found).catch((error: unknown) => {
      throw writeFailed(error, 'removing the binding record')
    })
    return { state: 'done', created: false, value: null }
  }
  // Where KubeDB makes users, the number in the record tells whether one may still be made.
  const overtaken = accounts.by === 'connection' && beingMade(broker, found.info)
  if (overtaken && !asynchronous) {
    throw new BrokerError(
      'ConcurrencyError',
      'the service binding is still being made; unbind it in two minutes, or send accepts_incomplete=true',
    )
  }
  const doomed: BindingInfo = {
    ...found.info,
    state: 'deleting',
    since: timestamp(),
    operation: newOperationId(),
    overtaken,
  }
  if (accounts.by === 'declaration' && !asynchronous) {
    const { state } = await readInside(broker, instance)
    if (state !== 'gone' && state !== 'suspended') throw usersTakeAWhile()
  }
  const [intent, around] = await Promise.allSettled([
    decision === 'under way' ? Promise.resolve(found) : write(broker, found, doomed),
    readInside(broker, instance),
  ])
  if (intent.status === 'rejected') throw intent.reason
  if (around.status === 'rejected') throw around.reason
  const record = intent.value
  // Nobody can log in to a suspended database; its users are removed before it is handed out again.
  if (around.value.state === 'suspended') return { state: 'done', created: false, value: null }
  if (around.value.state === 'unreachable' && !asynchronous) {
    // Nothing has been done yet: the binding is as it was.
    if (decision !== 'under way') await write(broker, record, found.info)
    throw new BrokerError(
      'AsyncRequired',
      `the database cannot be reached just now (${around.value.why}): send accepts_incomplete=true`,
    )
  }
  let removal = await remove(broker, instance, record, around.value, 'removals')
  if (removal.state === 'failed' && decision === 'under way') {
    // Sent again, it is tried again.
    const again = await write(broker, record, doomed)
    removal = await remove(broker, instance, again, around.value, 'removals')
  }
  if (removal.state === 'removed') {
    if (decision === 'clean up') throw new BrokerError('Gone', 'the service binding was never made')
    return { state: 'done', created: false, value: null }
  }
  if (asynchronous) return { state: 'under way', operation: tokenOf('unbind', record) }
  throw new BrokerError(
    'Unavailable',
    `the user could not be removed yet (${removal.why}); send the request again`,
  )
}

/** How far a removal is; `failed` until it is asked for again, `refused` until KubeDB takes what it is asked for. */
type Removal =
  | { state: 'removed' }
  | { state: 'waiting'; why: string }
  | { state: 'failed'; why: string }
  | { state: 'refused'; why: string }

/** Removes the user, then the record: never the other way round. */
async function remove(
  broker: Broker,
  instance: InstanceRecord,
  record: BindingRecord,
  around: Surroundings | Inside,
  scope: Scope,
): Promise<Removal> {
  const { accounts } = kindOf(instance.database.kind)
  try {
    if (around.state === 'suspended') return { state: 'waiting', why: around.why }
    if (around.state !== 'gone' && accounts.by === 'declaration') {
      const outcome = (await advanceUsers(broker, instance, accounts, scope))(record.info.user)
      if (outcome.state === 'made') throw new Overtaken()
      return outcome
    }
    if (around.state === 'unreachable') return { state: 'waiting', why: around.why }
    if (around.state !== 'reachable' || accounts.by !== 'connection') return await forget(broker, record)
    const users = await openUsers(broker, instance.database.kind, around.admin)
    try {
      await users.drop(record.info.user)
      const [removal] = await Promise.all([
        forget(broker, record),
        // Other bindings' remains are no reason to fail this one; the next bind or unbind tries again.
        sweepExpired(broker, instance.info.instanceId, users).catch((error: unknown) =>
          log('warn', 'users of expired bindings could not be dropped', { error: errorFields(error) }),
        ),
      ])
      return removal
    } finally {
      await users.close()
    }
  } catch (error) {
    if (error instanceof Unreachable) return { state: 'waiting', why: error.message }
    throw error instanceof ApiError ? writeFailed(error, 'removing the binding record') : error
  }
}

/** Removes the record of a binding whose user is gone. */
async function forget(broker: Broker, record: BindingRecord): Promise<Removal> {
  // Whoever was making the binding may still be about to make the user: the record stays as long as that can be.
  if (record.info.overtaken && age(record.info.since) < broker.abandonedAfter) {
    return { state: 'waiting', why: 'the request that was making the binding may still be under way' }
  }
  await removeBindingRecord(broker.cluster, broker.namespace, record)
  return { state: 'removed' }
}

/**
 * Removes the record of a binding that was made while its instance was being removed. Its user went with the database.
 * Does nothing while the instance has a record.
 *
 * @throws {BrokerError}
 * @throws {Overtaken}
 */
export async function forgetBinding(broker: Broker, record: BindingRecord): Promise<void> {
  if (await readRecord(broker, record.info.instanceId)) return
  await removeBindingRecord(broker.cluster, broker.namespace, record).catch((error: unknown) => {
    throw writeFailed(error, 'removing the binding record')
  })
}

function tokenOf(type: OperationType, record: BindingRecord): string {
  return operationToken({ type, id: record.info.operation, kind: '', namespace: '', uid: record.uid })
}

/**
 * OSB "Polling Last Operation for Service Bindings": every poll first carries on what is under way.
 *
 * @param instance undefined when it does not exist
 * @throws {BrokerError} NotFound when there is no such binding and the hint does not say what became of it
 * @throws {Overtaken}
 */
export async function pollBinding(
  broker: Broker,
  instance: InstanceRecord | undefined,
  record: BindingRecord | undefined,
  hint: OperationHint | undefined,
): Promise<LastOperation> {
  const newer = record && hint?.type === 'unbind' && hint.uid !== '' && hint.uid !== record.uid
  if (!record || !instance || newer) {
    if (hint?.type === 'unbind') return { state: 'gone' }
    if (hint?.type === 'bind' && hint.id !== '')
      return { state: 'failed', description: 'the service binding is gone' }
    throw new BrokerError('NotFound', 'there is no such service binding')
  }
  switch (record.info.state) {
    case 'ready':
      return { state: 'succeeded', description: 'the service binding is ready' }
    case 'failed':
      return {
        state: 'failed',
        description: record.info.description || 'the service binding could not be made',
      }
    case 'creating':
      return pollCreation(broker, instance, record)
    case 'deleting': {
      const around = await readInside(broker, instance)
      const removal = await remove(broker, instance, record, around, 'all')
      if (hint?.type === 'bind') {
        return { state: 'failed', description: 'the service binding was removed while it was being made' }
      }
      if (removal.state === 'removed' || around.state === 'suspended') return { state: 'gone' }
      const description = userFacing(`the user is being removed: ${removal.why}`)
      const late = age(record.info.since) > patience(instance.info.maximumPollingDuration)
      const failed = removal.state === 'failed' || (removal.state === 'refused' && late)
      return { state: failed ? 'failed' : 'in progress', description }
    }
  }
}

async function pollCreation(
  broker: Broker,
  instance: InstanceRecord,
  record: BindingRecord,
): Promise<LastOperation> {
  const around = await readSurroundings(broker, instance)
  let why = 'why' in around ? around.why : 'the database is gone'
  if (around.state === 'reachable') {
    try {
      const outcome = await complete(broker, instance, record, around, true, 'found')
      if (outcome.state === 'done') return { state: 'succeeded', description: 'the service binding is ready' }
      why = outcome.why ?? 'the database does not take connections'
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error
      if (error.problem === 'ConcurrencyError') throw new Overtaken({ cause: error })
      if (error.problem !== 'Unavailable' && !(error instanceof Refused)) throw error
      why = error.message
    }
  }
  if (around.state === 'gone' || age(record.info.created) > patience(instance.info.maximumPollingDuration)) {
    const description = userFacing(why)
    await write(broker, record, { ...record.info, state: 'failed', description })
    return { state: 'failed', description }
  }
  return { state: 'in progress', description: userFacing(why) }
}
