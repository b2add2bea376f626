/** The record of an instance: found, read, written, with what a user may be told where that fails. */
import type { Caller } from '../../values/nouns.ts'
import { ApiError, translate } from '../cluster/api-error.ts'
import { type Broker, Overtaken, writeFailed } from './broker.ts'
import {
  type InstanceInfo,
  type InstanceOperation,
  type InstanceRecord,
  readInstanceRecord,
  refuseUnreadable,
  writeInstanceRecord,
} from './instance-record.ts'

/**
 * The record of an instance, as far as the caller may know of it: an instance belongs to the platform that made it.
 *
 * @throws {BrokerError}
 */
export async function findInstance(
  broker: Broker,
  instanceId: string,
  caller: Caller,
): Promise<InstanceRecord | undefined> {
  const record = await readRecord(broker, instanceId)
  return record && record.info.platform === caller.platform ? record : undefined
}

/**
 * The record of an instance, whoever it belongs to.
 *
 * @throws {BrokerError}
 */
export async function readRecord(broker: Broker, instanceId: string): Promise<InstanceRecord | undefined> {
  return readInstanceRecord(broker.cluster, broker.namespace, instanceId).catch((error: unknown) =>
    refuseUnreadable(error instanceof ApiError ? translate(error, 'reading the service instance') : error),
  )
}

/**
 * @returns the record as it is now
 * @throws {Overtaken} where it has changed since it was read
 */
export async function writeRecord(
  broker: Broker,
  record: InstanceRecord,
  change: { info?: InstanceInfo; operation: InstanceOperation },
): Promise<InstanceRecord> {
  return writeInstanceRecord(broker.cluster, broker.namespace, record, change).catch((error: unknown) => {
    throw writeFailed(error, 'writing the instance record')
  })
}

/**
 * Writes how an operation has ended. Where another request was first, what that one wrote holds.
 *
 * @throws {Overtaken} when the instance is gone meanwhile
 */
export async function writeVerdict(
  broker: Broker,
  record: InstanceRecord,
  change: { info?: InstanceInfo; operation: InstanceOperation },
): Promise<InstanceRecord> {
  try {
    return await writeRecord(broker, record, change)
  } catch (error) {
    const now = error instanceof Overtaken ? await readRecord(broker, record.info.instanceId) : undefined
    if (now) return now
    throw error
  }
}
