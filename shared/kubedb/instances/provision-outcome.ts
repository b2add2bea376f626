/** How a provision ends: looked for at every poll, written down once. */
import type { LastOperation } from '../../values/nouns.ts'
import { ApiError } from '../cluster/api-error.ts'
import { Event } from '../cluster/object.ts'
import type { State } from '../observed/database.ts'
import { patience, progress, provisioned, slow } from '../observed/readiness.ts'
import { age, type Broker } from '../records/broker.ts'
import { type InstanceRecord, userFacing } from '../records/instance-record.ts'
import { writeVerdict } from '../records/instance-store.ts'

/** Pure: how a provision stands. */
export function provisionVerdict(
  record: InstanceRecord,
  { database, noAddress }: State,
  now: { age: number; abandonedAfter: number; existed: boolean },
): { state: 'succeeded' | 'in progress' } | { state: 'failed'; description: string } {
  if (database && !database.metadata.deletionTimestamp && provisioned(database) && noAddress === undefined) {
    return { state: 'succeeded' }
  }
  if (!database && (now.existed || now.age > now.abandonedAfter)) {
    return {
      state: 'failed',
      description: now.existed
        ? 'the database was removed while it was being made; deprovision the instance and provision it again'
        : 'the request that should have made the database was cut off; send it again, or deprovision the instance',
    }
  }
  if (database?.metadata.deletionTimestamp) {
    return {
      state: 'failed',
      description: 'the database is being deleted; deprovision the instance and provision it again',
    }
  }
  if (now.age > patience(record.info.maximumPollingDuration)) {
    const minutes = Math.round(patience(record.info.maximumPollingDuration) / 60_000)
    return {
      state: 'failed',
      description: `not ready after ${minutes} minutes: ${database ? progress(database, [], noAddress) : 'there is no database'}`,
    }
  }
  return { state: 'in progress' }
}

/**
 * Writes down how a provision has ended, once. Readiness wins, also over an earlier failure.
 *
 * @param existed the database is known to have been there before
 */
export async function settleProvision(
  broker: Broker,
  record: InstanceRecord,
  state: State,
  existed = false,
): Promise<InstanceRecord> {
  const verdict = provisionVerdict(record, state, {
    age: age(record.operation.started),
    abandonedAfter: broker.abandonedAfter,
    existed,
  })
  if (verdict.state === 'in progress' || verdict.state === record.operation.state) return record
  return writeVerdict(broker, record, {
    operation: {
      ...record.operation,
      state: verdict.state,
      description: verdict.state === 'failed' ? userFacing(verdict.description) : '',
    },
  })
}

/**
 * One poll of a provision.
 *
 * @param uid of the database, when the poller knows it
 */
export async function pollProvision(
  broker: Broker,
  record: InstanceRecord,
  state: State,
  uid: string,
): Promise<LastOperation> {
  const settled =
    record.operation.state === 'in progress'
      ? await settleProvision(broker, record, state, uid !== '')
      : record
  const { operation } = settled
  switch (operation.state) {
    case 'succeeded':
      return { state: 'succeeded', description: 'the database is ready' }
    case 'failed':
      return { state: 'failed', description: operation.description || 'the database did not become ready' }
    case 'in progress': {
      if (!state.database) return { state: 'in progress', description: 'the database is about to be made' }
      const events = age(operation.started) > slow ? await newestEvents(broker, record.database) : []
      return {
        state: 'in progress',
        description: userFacing(progress(state.database, events, state.noAddress)),
      }
    }
  }
}

/** Events only explain: a cluster that does not hand them out does not fail the poll. */
async function newestEvents(
  broker: Broker,
  { kind, namespace, name }: InstanceRecord['database'],
): Promise<Event[]> {
  // The Service of the same name has events of its own.
  const about = encodeURIComponent(`involvedObject.kind=${kind},involvedObject.name=${name}`)
  try {
    return await broker.cluster.list(
      Event,
      { api: '/api/v1', namespace, plural: 'events' },
      `limit=100&fieldSelector=${about}`,
    )
  } catch (error) {
    if (error instanceof ApiError) return []
    throw error
  }
}
