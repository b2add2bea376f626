/** What the cluster has of a database just now: read, never remembered. */
import { translate } from '../cluster/api-error.ts'
import { AppBinding, Resource } from '../cluster/object.ts'
import { kindOf } from '../databases/kinds.ts'
import type { Broker } from '../records/broker.ts'
import { databases, type InstanceRecord, records } from '../records/instance-record.ts'
import { hash26, instanceLabel } from '../records/names.ts'
import { outsideAddress, readPrimaryService } from './outside-address.ts'

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
