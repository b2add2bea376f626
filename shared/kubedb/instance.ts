/** A service instance as it is: its record, its database, and what is written of them. */
import type { Caller } from '../nouns.ts'
import { ApiError, translate } from './api-error.ts'
import { type Broker, Overtaken, writeFailed } from './broker.ts'
import { kindOf } from './databases/kinds.ts'
import {
  databases,
  type InstanceInfo,
  type InstanceOperation,
  type InstanceRecord,
  readInstanceRecord,
  records,
  refuseUnreadable,
  writeInstanceRecord,
} from './instance-record.ts'
import { hash26, instanceLabel } from './names.ts'
import { AppBinding, Resource } from './object.ts'
import { outsideAddress, readPrimaryService } from './outside-address.ts'
import { operationToken } from './token.ts'

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

export function tokenOf(record: InstanceRecord, uid: string): string {
  const { kind, namespace } = record.database
  return operationToken({ type: record.operation.type, id: record.operation.id, kind, namespace, uid })
}

/** What the cluster has of an instance. */
export interface State {
  database: Resource | undefined
  /** why applications have no address of it yet; undefined when they have one */
  noAddress: string | undefined
}

/** @returns the instance's database; one of that name without our label is not ours, and is never touched */
export async function readDatabase(
  broker: Broker,
  record: Pick<InstanceRecord, 'database' | 'info'>,
): Promise<Resource | undefined> {
  const { kind, namespace, name } = record.database
  try {
    const found = await broker.cluster.get(Resource, databases(kindOf(kind), namespace), name)
    return found?.metadata.labels[instanceLabel] === hash26(record.info.instanceId) ? found : undefined
  } catch (error) {
    throw translate(error, 'reading the database')
  }
}

/**
 * @returns why applications have no address of a database yet; undefined when they have one
 * @throws {ApiError}
 */
export async function missingAddress(
  broker: Broker,
  at: { namespace: string; name: string },
): Promise<string | undefined> {
  const [binding, service] = await Promise.all([
    broker.cluster.get(AppBinding, records(at.namespace), at.name),
    readPrimaryService(broker, at),
  ])
  const inside = binding?.spec.clientConfig.service
  if (!inside) return 'KubeDB has not published its address yet'
  if (broker.settings.addresses === 'cluster') return undefined
  const address = outsideAddress(broker.settings, service, inside.port)
  return 'pending' in address ? address.pending : undefined
}

/** Database and AppBinding, side by side. */
export async function readState(
  broker: Broker,
  record: Pick<InstanceRecord, 'database' | 'info'>,
): Promise<State> {
  const [database, noAddress] = await Promise.all([
    readDatabase(broker, record),
    missingAddress(broker, record.database),
  ]).catch((error: unknown) => {
    throw translate(error, "reading the database's address")
  })
  return { database, noAddress }
}
