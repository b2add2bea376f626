/** Taking a user and its record away: never the record first. */
import { errorFields, log } from '../../environment/log.ts'
import { ApiError } from '../cluster/api-error.ts'
import { Unreachable } from '../databases/database.ts'
import { kindOf } from '../databases/kinds.ts'
import type { Inside, Surroundings } from '../observed/reach.ts'
import { type BindingRecord, removeBindingRecord } from '../records/binding-record.ts'
import { age, type Broker, Overtaken, writeFailed } from '../records/broker.ts'
import type { InstanceRecord } from '../records/instance-record.ts'
import { readRecord } from '../records/instance-store.ts'
import { advanceUsers, type Scope } from './declared-users.ts'
import { openUsers } from './engine.ts'
import { sweepExpired } from './sweep.ts'

/** How far a removal is; `failed` until it is asked for again, `refused` until KubeDB takes what it is asked for. */
type Removal =
  | { state: 'removed' }
  | { state: 'waiting'; why: string }
  | { state: 'failed'; why: string }
  | { state: 'refused'; why: string }

/**
 * Removes the user, then the record.
 *
 * @param scope what KubeDB is asked for along with it, where it makes users
 * @throws {Overtaken} when the user has been made again meanwhile
 */
export async function remove(
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
