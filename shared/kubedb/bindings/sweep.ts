/** Users that no record stands for: found by listing users first and records afterwards, and dropped. */
import { ApiError, translate } from '../cluster/api-error.ts'
import type { Resource } from '../cluster/object.ts'
import { Unreachable, type Users } from '../databases/database.ts'
import { kindOf } from '../databases/kinds.ts'
import { readInside } from '../observed/reach.ts'
import { isExpired, listBindingRecords, removeBindingRecord } from '../records/binding-record.ts'
import { age, type Broker } from '../records/broker.ts'
import type { InstanceRecord } from '../records/instance-record.ts'
import { advanceUsers } from './declared-users.ts'
import { openUsers } from './engine.ts'

/**
 * Also finishes removals that waited for the database and that nobody polls for any more.
 *
 * @param before users as listed before the records are: a user made later has its record already
 */
export async function sweep(
  broker: Broker,
  instanceId: string,
  users: Users,
  before: readonly string[],
): Promise<void> {
  if (before.length === 0) return
  const { readable, unreadable } = await listBindingRecords(broker.cluster, broker.namespace, instanceId)
  // Whose user an unreadable record stands for is not known: nobody is dropped then.
  if (unreadable.length > 0) return
  // An expired binding keeps its record, so that it can be unbound, but not its user.
  const known = new Set(readable.filter(({ info }) => !isExpired(info)).map(({ info }) => info.user))
  for (const name of before) if (!known.has(name)) await users.drop(name)
  for (const record of readable) {
    const { state, overtaken, since, user } = record.info
    // Whoever was making an overtaken binding may still be about to make its user.
    if (state !== 'deleting' || (overtaken && age(since) < broker.abandonedAfter)) continue
    await users.drop(user)
    await removeBindingRecord(broker.cluster, broker.namespace, record)
  }
}

/** An expired binding keeps its record, so that it can be unbound, but not its user, where the engine lets it live on. */
export async function sweepExpired(broker: Broker, instanceId: string, users: Users): Promise<void> {
  const { readable } = await listBindingRecords(broker.cluster, broker.namespace, instanceId)
  const ended = readable.filter(({ info }) => info.state === 'ready' && isExpired(info))
  if (ended.length === 0) return
  const there = new Set(await users.list())
  for (const { info } of ended) if (there.has(info.user)) await users.drop(info.user)
}

/**
 * A resumed database is handed out only once the users that were unbound while it was stopped are gone.
 *
 * @returns what is still in the way, or undefined when nothing is
 */
export async function sweepAfterResume(
  broker: Broker,
  record: InstanceRecord,
  database: Resource,
): Promise<string | undefined> {
  try {
    const { readable } = await listBindingRecords(broker.cluster, broker.namespace, record.info.instanceId)
    const doomed = readable.filter((one) => one.info.state === 'deleting')
    if (doomed.length === 0) return undefined
    const around = await readInside(broker, record)
    if (around.state !== 'reachable') return 'users that were unbound meanwhile are about to be removed'
    const { accounts } = kindOf(record.database.kind)
    switch (accounts.by) {
      case 'sharing':
        return undefined
      case 'declaration': {
        const outcome = await advanceUsers(broker, record, accounts, 'removals')
        const left = doomed.map(({ info }) => outcome(info.user)).find(({ state }) => state !== 'removed')
        return left && 'why' in left
          ? `users that were unbound meanwhile are being removed: ${left.why}`
          : undefined
      }
      case 'connection':
    }
    const users = await openUsers(broker, record.database.kind, around.admin)
    try {
      for (const one of doomed) {
        await users.drop(one.info.user)
        await removeBindingRecord(broker.cluster, broker.namespace, one)
      }
    } finally {
      await users.close()
    }
    return undefined
  } catch (error) {
    if (error instanceof Unreachable) return `database ${database.metadata.name}: ${error.message}`
    if (error instanceof ApiError) throw translate(error, 'removing users that were unbound meanwhile')
    throw error
  }
}
