/** Removing a service instance: the database, all that belongs to it, the binding records, and last the record. */
import * as v from 'valibot'
import { BrokerError } from '../../values/errors.ts'
import type { Json, JsonObject } from '../../values/json.ts'
import type { Caller, LastOperation, Outcome } from '../../values/nouns.ts'
import { ApiError, refusal, translate } from '../cluster/api-error.ts'
import type { Collection } from '../cluster/cluster.ts'
import { Anything, type AppBinding, Resource } from '../cluster/object.ts'
import { kindOf } from '../databases/kinds.ts'
import { readDatabase } from '../observed/database.ts'
import { patience } from '../observed/readiness.ts'
import { age, type Broker, newOperationId, timestamp, writeFailed } from '../records/broker.ts'
import { deprovisioning, instanceState } from '../records/decide.ts'
import {
  databases,
  type InstanceInfo,
  type InstanceOperation,
  type InstanceRecord,
  readInstanceRecord,
  records,
  UnreadableRecord,
  userFacing,
  writeInstanceRecord,
} from '../records/instance-record.ts'
import { writeVerdict } from '../records/instance-store.ts'
import { annotations, hash26, instanceLabel, instanceRecordName } from '../records/names.ts'
import { operationToken } from '../records/token.ts'
import { withdrawOpsRequests } from '../steps/steps.ts'
import { verdictOf } from './updating.ts'

type DeprovisionOperation = Extract<InstanceOperation, { type: 'deprovision' }>

/**
 * OSB "Deprovisioning": accepted in every state, as often as it is sent.
 *
 * @returns `done` when the instance was gone, or is gone now
 * @throws {BrokerError} Gone when there is none; BadRequest when it is another service's; AsyncRequired
 * @throws {Overtaken}
 */
export async function deprovision(
  broker: Broker,
  instanceId: string,
  serviceId: string,
  caller: Caller,
  asynchronous: boolean,
): Promise<Outcome<null>> {
  const record = await findDoomed(broker, instanceId, caller)
  if (!record) throw new BrokerError('Gone', 'there is no such service instance')
  if (record.info.serviceId !== '' && record.info.serviceId !== serviceId) {
    throw new BrokerError(
      'BadRequest',
      'service_id: this instance is of another service; send the id it was provisioned with',
    )
  }
  if (!asynchronous) {
    throw new BrokerError('AsyncRequired', 'removing a database takes a while: send accepts_incomplete=true')
  }
  switch (deprovisioning[instanceState(record)]) {
    case 'gone':
      throw new BrokerError('Gone', 'there is no such service instance')
    case 'delete':
      return begin(broker, record)
    case 'under way': {
      const { operation } = record
      if (operation.type !== 'deprovision')
        throw new Error('a record that is deprovisioning without saying so')
      if (operation.state === 'failed') return begin(broker, record)
      const progress = await advance(broker, record, operation, await readDatabase(broker, record))
      if (progress.state === 'gone') throw new BrokerError('Gone', 'the service instance is removed')
      return { state: 'under way', operation: token(record, operation) }
    }
  }
}

/** The record, also where it cannot be read: what names the database is enough to remove it. */
async function findDoomed(
  broker: Broker,
  instanceId: string,
  caller: Caller,
): Promise<InstanceRecord | undefined> {
  try {
    const record = await readInstanceRecord(broker.cluster, broker.namespace, instanceId)
    return record?.info.platform === caller.platform ? record : undefined
  } catch (error) {
    if (!(error instanceof UnreadableRecord)) throw translate(error, 'reading the service instance')
    const owner = platformOf(error.object)
    if (owner !== undefined && owner !== caller.platform) return undefined
    const at = error.object.spec.appRef
    if (!at?.kind || !at.namespace) {
      throw new BrokerError(
        'Misconfigured',
        'the broker cannot read what it wrote about this instance, not even which database it is; its operator has to look at the record',
        { cause: error },
      )
    }
    const { uid, resourceVersion } = error.object.metadata
    return {
      info: blank(instanceId, caller.platform),
      operation: { v: 1, type: 'provision', id: '', state: 'failed', started: '', description: '' },
      database: { kind: at.kind, namespace: at.namespace, name: at.name },
      uid,
      resourceVersion,
    }
  }
}

/** @returns the platform that owns an instance, as far as its unreadable record still says so */
function platformOf({ metadata }: AppBinding): string | undefined {
  try {
    return v.parse(
      v.object({ platform: v.string() }),
      JSON.parse(metadata.annotations[annotations.instance] ?? ''),
    ).platform
  } catch {
    return undefined
  }
}

/** What is known of an instance whose record cannot be read. Its spec is not, so the database keeps its deletionPolicy. */
function blank(instanceId: string, platform: string): InstanceInfo {
  return {
    v: 1,
    instanceId,
    serviceId: '',
    planId: '',
    organizationGuid: '',
    spaceGuid: '',
    context: {},
    request: '',
    created: timestamp(),
    platform,
    createdBy: '',
    parameters: {},
    resolved: { spec: {}, database: '', labels: {}, annotations: {} },
    maintenance: '',
  }
}

async function begin(broker: Broker, record: InstanceRecord): Promise<Outcome<null>> {
  const database = await readDatabase(broker, record)
  const operation: DeprovisionOperation = {
    v: 1,
    type: 'deprovision',
    id: newOperationId(),
    state: 'in progress',
    started: timestamp(),
    description: '',
    uid: database?.metadata.uid ?? '',
    cancelled: database === undefined && instanceState(record) === 'provisioning',
    ...(record.operation.id === '' ? {} : { previous: verdictOf(record.operation) }),
  }
  const written = await writeInstanceRecord(broker.cluster, broker.namespace, record, { operation }).catch(
    (error: unknown) => {
      throw writeFailed(error, 'writing the instance record')
    },
  )
  await advance(broker, written, operation, database)
  return { state: 'under way', operation: token(written, operation) }
}

function token(record: InstanceRecord, operation: DeprovisionOperation): string {
  const { kind, namespace } = record.database
  return operationToken({ type: 'deprovision', id: operation.id, kind, namespace, uid: operation.uid })
}

type Progress =
  | { state: 'gone' }
  | { state: 'in progress'; description: string }
  | { state: 'failed'; description: string }

/** Carries a removal as far as it goes now. Calling it again does no harm. */
async function advance(
  broker: Broker,
  record: InstanceRecord,
  operation: DeprovisionOperation,
  database: Resource | undefined,
): Promise<Progress> {
  try {
    if (database && !database.metadata.deletionTimestamp) return await remove(broker, record, database)
    if (database) return waiting(record, database)
    // Whoever was provisioning may still be about to make the database: the record waits for it.
    if (operation.cancelled && age(operation.started) < broker.abandonedAfter) {
      return { state: 'in progress', description: 'waiting for the cancelled provision to end' }
    }
    const left = await leftovers(broker, record)
    if (left.length > 0) {
      const description = userFacing(`waiting for ${left.join(', ')} to be removed`)
      return age(operation.started) > patience(record.info.maximumPollingDuration)
        ? { state: 'failed', description }
        : { state: 'in progress', description }
    }
    await forget(broker, record)
    return { state: 'gone' }
  } catch (error) {
    if (error instanceof ApiError && error.absent) {
      return { state: 'in progress', description: 'the database is being removed' }
    }
    throw translate(error, 'removing the database')
  }
}

/** @returns what is patched into a database's spec before it is deleted: it is resumed, and its policy put back */
export const beforeRemoval = (deletionPolicy: Json): JsonObject => ({ halted: false, deletionPolicy })

async function remove(broker: Broker, record: InstanceRecord, database: Resource): Promise<Progress> {
  const kind = kindOf(record.database.kind)
  const collection = databases(kind, record.database.namespace)
  const { name, uid } = database.metadata
  await withdrawOpsRequests(broker, kind, record)

  const wanted = record.info.resolved.spec.deletionPolicy ?? database.spec.deletionPolicy ?? 'WipeOut'
  let note = ''
  if (database.spec.halted === true || database.spec.deletionPolicy !== wanted) {
    const patch: JsonObject = { metadata: { uid }, spec: beforeRemoval(wanted) }
    try {
      const patched = await broker.cluster.patch(Resource, collection, name, patch)
      // While it is halted, KubeDB's webhook may put Halt back.
      if (patched.spec.deletionPolicy !== wanted)
        note = `; its deletionPolicy stayed ${String(patched.spec.deletionPolicy)}`
    } catch (error) {
      const why = error instanceof ApiError ? refusal(error) : undefined
      if (why === undefined) throw error
      note = `; its deletionPolicy could not be set to ${String(wanted)}: ${why}`
    }
  }
  try {
    await broker.cluster.remove(collection, name, { uid })
  } catch (error) {
    const why = error instanceof ApiError ? refusal(error) : undefined
    if (why === undefined) throw error
    return { state: 'failed', description: userFacing(`the database cannot be removed: ${why}${note}`) }
  }
  return { state: 'in progress', description: userFacing(`the database is being removed${note}`) }
}

function waiting(record: InstanceRecord, database: Resource): Progress {
  const { deletionTimestamp = '', finalizers } = database.metadata
  if (age(deletionTimestamp) > patience(record.info.maximumPollingDuration)) {
    const unmet = database.status.conditions.findLast((one) => one.status !== 'True' && one.message !== '')
    return {
      state: 'failed',
      description: userFacing(
        `the database is still there, held by ${finalizers.join(', ') || 'nothing known'}${unmet ? `: ${unmet.message}` : ''}; deprovision again, or ask the cluster's operator`,
      ),
    }
  }
  return { state: 'in progress', description: 'the database is being removed' }
}

/** What goes only after the database, by what its deletionPolicy keeps. A new database of that name would adopt it. */
async function leftovers(broker: Broker, record: InstanceRecord): Promise<string[]> {
  const { namespace, name } = record.database
  const core = (plural: string): Collection => ({ api: '/api/v1', namespace, plural })
  const ofDatabase = `limit=10&labelSelector=${encodeURIComponent(
    `app.kubernetes.io/instance=${name},app.kubernetes.io/managed-by=kubedb.com`,
  )}`
  const policy = record.info.resolved.spec.deletionPolicy
  const keepsDisk = policy !== 'Delete' && policy !== 'WipeOut'
  const keepsSecret = policy !== 'WipeOut'
  const [pods, claims, secret] = await Promise.all([
    broker.cluster.list(Anything, core('pods'), ofDatabase),
    keepsDisk ? [] : broker.cluster.list(Anything, core('persistentvolumeclaims'), ofDatabase),
    keepsSecret ? undefined : broker.cluster.get(Anything, core('secrets'), `${name}-auth`),
  ])
  return [
    ...pods.map((one) => `pod ${one.metadata.name}`),
    ...claims.map((one) => `disk ${one.metadata.name}`),
    ...(secret ? [`secret ${secret.metadata.name}`] : []),
  ]
}

/** Bindings go with their database; the instance record goes last: its absence is the absence of the instance. */
async function forget(broker: Broker, record: InstanceRecord): Promise<void> {
  const own = records(broker.namespace)
  const labelled = await broker.cluster.list(
    Anything,
    own,
    `labelSelector=${encodeURIComponent(`${instanceLabel}=${hash26(record.info.instanceId)}`)}`,
  )
  await Promise.all(
    labelled
      .filter((one) => one.metadata.uid !== record.uid)
      .map((one) => broker.cluster.remove(own, one.metadata.name, { uid: one.metadata.uid })),
  )
  await broker.cluster.remove(own, instanceRecordName(record.info.instanceId), { uid: record.uid })
}

/** One poll of a deprovision. */
export async function pollDeprovision(
  broker: Broker,
  record: InstanceRecord,
  operation: DeprovisionOperation,
  database: Resource | undefined,
): Promise<LastOperation> {
  if (operation.state === 'failed') {
    return { state: 'failed', description: operation.description || 'the database could not be removed' }
  }
  const progress = await advance(broker, record, operation, database)
  if (progress.state !== 'failed') return progress
  await writeVerdict(broker, record, {
    operation: { ...operation, state: 'failed', description: progress.description },
  })
  return progress
}
