/** Making a service instance: record first, then database; every later request carries on where one was cut off. */
import { createHash } from 'node:crypto'
import { BrokerError } from '../errors.ts'
import { canonical, type JsonObject } from '../json.ts'
import type { Caller, LastOperation, Outcome } from '../nouns.ts'
import { ApiError, refusal, translate } from './api-error.ts'
import { age, type Broker, newOperationId, Overtaken, timestamp, writeFailed } from './broker.ts'
import type { Draft } from './cluster.ts'
import type { Database } from './databases/database.ts'
import { kindOf } from './databases/kinds.ts'
import { instanceState, provisioning } from './decide.ts'
import {
  databaseOf,
  databases,
  draftInstanceRecord,
  type InstanceInfo,
  type InstanceOperation,
  type InstanceRecord,
  parseInstanceRecord,
  readInstanceRecord,
  records,
  refuseUnreadable,
  type Target,
  userFacing,
  writeInstanceRecord,
} from './instance-record.ts'
import { annotations, hash26, instanceLabel, instanceRecordName, labelValue } from './names.ts'
import { Anything, AppBinding, Event, Resource } from './object.ts'
import { patience, progress, provisioned, slow } from './readiness.ts'
import { fitsRecord } from './record-size.ts'
import { operationToken } from './token.ts'

/** The request as far as it decides whether two are the same. */
export interface Attributes {
  serviceId: string
  planId: string
  organizationGuid: string
  spaceGuid: string
  /** `{}` where none were sent */
  parameters: JsonObject
}

export interface ProvisionRequest extends Attributes {
  instanceId: string
  context: JsonObject
  caller: Caller
  /** who asked, as far as the platform says */
  by: string
}

/** @returns sha256 of what two requests must share to be the same (P-8): not context, not maintenance_info */
export function requestHash(request: Attributes): string {
  const { serviceId, planId, organizationGuid, spaceGuid, parameters } = request
  return createHash('sha256')
    .update(canonical({ serviceId, planId, organizationGuid, spaceGuid, parameters }))
    .digest('hex')
}

/** @returns whether the request is the one that made the instance, or describes it as it is now (P-13) */
export function sameRequest(info: InstanceInfo, request: Attributes): boolean {
  const asked = requestHash(request)
  return asked === info.request || asked === requestHash(info)
}

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
 * Answers a PUT for an instance that exists (OSB "Provisioning", idempotency table).
 *
 * @param asynchronous whether the platform allows an answer of 202
 * @throws {BrokerError} Conflict, ConcurrencyError, AsyncRequired
 * @throws {Overtaken}
 */
export async function provisionAgain(
  broker: Broker,
  record: InstanceRecord,
  request: ProvisionRequest,
  asynchronous: boolean,
): Promise<Outcome<InstanceRecord>> {
  if (record.info.platform !== request.caller.platform) {
    throw new BrokerError('Conflict', 'the instance id is in use')
  }
  const decision = provisioning[instanceState(record)]
  switch (sameRequest(record.info, request) ? decision.same : decision.other) {
    case 'identical':
      return { state: 'done', created: false, value: record }
    case 'conflict':
      throw new BrokerError(
        'Conflict',
        'the instance id is in use with other attributes (service, plan, organization, space or parameters)',
      )
    case 'busy':
      throw new BrokerError(
        'ConcurrencyError',
        instanceState(record) === 'updating'
          ? 'the service instance is being updated; wait for its last operation'
          : 'the service instance is being deprovisioned; wait for its last operation, then provision again',
      )
    case 'create':
    case 'settle': {
      const state = await readState(broker, record)
      const settled = state.database ? await settleProvision(broker, record, state) : record
      if (settled.operation.state === 'succeeded') return { state: 'done', created: false, value: settled }
      if (!asynchronous) throw asyncRequired()
      const { uid } = (state.database ?? (await carryOn(broker, record))).metadata
      return { state: 'under way', operation: tokenOf(record, uid) }
    }
  }
}

/** @returns what a platform is told that does not let an instance take its time */
export function asyncRequired(): BrokerError {
  return new BrokerError('AsyncRequired', 'making a database takes a while: send accepts_incomplete=true')
}

/**
 * Makes a new instance. The record's name lets the API server choose one winner among racing requests.
 *
 * @param target what is asked of KubeDB
 * @param at namespace of the database
 * @returns always `under way`, unless another request was first
 * @throws {BrokerError} BadRequest when KubeDB refuses the database: nothing is left then
 * @throws {Overtaken}
 */
export async function provision(
  broker: Broker,
  request: ProvisionRequest,
  target: Target,
  kind: Database,
  at: string,
): Promise<Outcome<InstanceRecord>> {
  const context = keptContext(request.context)
  fitsRecord('organization_guid', request.organizationGuid, 'id')
  fitsRecord('space_guid', request.spaceGuid, 'id')
  const info: InstanceInfo = {
    v: 1,
    instanceId: request.instanceId,
    serviceId: request.serviceId,
    organizationGuid: request.organizationGuid,
    spaceGuid: request.spaceGuid,
    context,
    request: requestHash(request),
    created: timestamp(),
    platform: request.caller.platform,
    createdBy: request.by,
    ...target,
  }
  const operation = {
    v: 1,
    type: 'provision',
    id: newOperationId(),
    state: 'in progress',
    started: info.created,
    description: '',
  } as const
  const draft = draftInstanceRecord(
    broker.namespace,
    info,
    operation,
    databaseOf(kind, at, request.instanceId),
  )

  const [made, kept] = await Promise.allSettled([
    broker.cluster.create(AppBinding, records(broker.namespace), draft),
    keptDisks(broker, at, databaseOf(kind, at, request.instanceId).name),
  ])
  if (made.status === 'rejected') {
    if (made.reason instanceof ApiError && made.reason.conflict) {
      const existing = await readRecord(broker, request.instanceId)
      if (existing) return takeOver(broker, existing, request, info, kind, at)
      throw new Overtaken({ cause: made.reason })
    }
    throw translate(made.reason, 'writing the instance record')
  }
  const record = parseInstanceRecord(made.value, request.instanceId)
  if (kept.status === 'rejected' || kept.value.length > 0) {
    await removeRecord(broker, record)
    throw kept.status === 'rejected' ? kept.reason : keptOnPurpose(at, kept.value)
  }
  const database = await createDatabase(broker, record, 'made just now')
  return { state: 'under way', operation: tokenOf(record, database.metadata.uid) }
}

function keptOnPurpose(namespace: string, disks: readonly string[]): BrokerError {
  return new BrokerError(
    'Conflict',
    `disks of an earlier instance with this id were kept on purpose (${disks.join(', ')} in namespace ${namespace}); delete them, or use another instance id`,
  )
}

/** Makes the database of a record whose maker has not come to it, dead or only slower than this request. */
async function carryOn(broker: Broker, found: InstanceRecord): Promise<Resource> {
  const { namespace, name } = found.database
  const kept = await keptDisks(broker, namespace, name)
  if (kept.length > 0) {
    // They may be those of the database that its maker has made meanwhile.
    const database = await readDatabase(broker, found)
    if (database) return database
    throw keptOnPurpose(namespace, kept)
  }
  // A provision that was called failed begins once more, under its old id; whoever removes the record sees it changed.
  const record =
    found.operation.state === 'failed'
      ? await write(broker, found, {
          operation: { ...found.operation, state: 'in progress', started: timestamp(), description: '' },
        })
      : found
  return createDatabase(broker, record, 'found')
}

async function write(
  broker: Broker,
  record: InstanceRecord,
  change: { info?: InstanceInfo; operation: InstanceOperation },
): Promise<InstanceRecord> {
  return writeInstanceRecord(broker.cluster, broker.namespace, record, change).catch((error: unknown) => {
    throw writeFailed(error, 'writing the instance record')
  })
}

/** A record whose database was never made, and whose maker is surely dead, gives way to another request. */
async function takeOver(
  broker: Broker,
  existing: InstanceRecord,
  request: ProvisionRequest,
  info: InstanceInfo,
  kind: Database,
  at: string,
): Promise<Outcome<InstanceRecord>> {
  const other =
    instanceState(existing) === 'provisioning' &&
    existing.info.platform === request.caller.platform &&
    !sameRequest(existing.info, request)
  if (!other || age(existing.operation.started) < broker.abandonedAfter)
    return provisionAgain(broker, existing, request, true)
  if (await readDatabase(broker, existing)) return provisionAgain(broker, existing, request, true)
  const started = timestamp()
  const record = await write(
    broker,
    { ...existing, database: databaseOf(kind, at, request.instanceId) },
    {
      info: { ...info, created: started },
      operation: {
        v: 1,
        type: 'provision',
        id: newOperationId(),
        state: 'in progress',
        started,
        description: '',
      },
    },
  )
  const made = await carryOn(broker, record)
  return { state: 'under way', operation: tokenOf(record, made.metadata.uid) }
}

/** A POST that took this long (milliseconds) may have been overtaken by a deprovision that saw no database. */
const longPost = 5_000

/**
 * @param origin whether this request has made the record; its maker may be at work on a record that was found
 * @throws {BrokerError} BadRequest when the cluster refuses what was asked for; the record is removed then
 * @throws {Overtaken} when the record has gone meanwhile
 */
async function createDatabase(
  broker: Broker,
  record: InstanceRecord,
  origin: 'made just now' | 'found',
): Promise<Resource> {
  const kind = kindOf(record.database.kind)
  const collection = databases(kind, record.database.namespace)
  const begun = Date.now()
  let database: Resource
  try {
    database = await broker.cluster.create(Resource, collection, draftDatabase(kind, record))
  } catch (error) {
    if (!(error instanceof ApiError) || error.inDoubt || error.status === 429) {
      throw translate(error, 'creating the database')
    }
    // A request with the same attributes may have been first: then it may use up the quota that refuses this one.
    const there = await madeFor(broker, record)
    if (there) return there
    await abandon(broker, record, origin)
    throw refused(record, error)
  }
  if (origin === 'found' || Date.now() - begun > longPost) {
    const now = await readRecord(broker, record.info.instanceId)
    if (now?.operation.id !== record.operation.id) {
      await removeDatabase(broker, record, database)
      throw new Overtaken()
    }
  }
  return database
}

/** @returns the database that has been made for this very record, by whichever request */
async function madeFor(broker: Broker, record: InstanceRecord): Promise<Resource | undefined> {
  const database = await readDatabase(broker, record)
  const ours = database?.metadata.annotations[annotations.instance] === canonical(record.info)
  return ours ? database : undefined
}

/** Nothing may be left of a request that was refused. */
async function abandon(
  broker: Broker,
  record: InstanceRecord,
  origin: 'made just now' | 'found',
): Promise<void> {
  // The maker of a young record may be making the database just now; it removes the record where it is refused too.
  if (origin === 'found' && age(record.operation.started) < broker.abandonedAfter) return
  await removeRecord(broker, record)
  // Another request may have carried on with the record until it was gone.
  const late = await madeFor(broker, record)
  if (late) await removeDatabase(broker, record, late)
}

async function removeDatabase(broker: Broker, record: InstanceRecord, database: Resource): Promise<void> {
  const { name, uid } = database.metadata
  await broker.cluster
    .remove(databases(kindOf(record.database.kind), record.database.namespace), name, { uid })
    .catch((error: unknown) => {
      throw translate(error, 'removing the database of a request that came too late')
    })
}

/** @returns what the platform is told about a database that the cluster does not take */
function refused({ database: { kind, namespace, name } }: InstanceRecord, error: ApiError): BrokerError {
  const why = refusal(error)
  if (why !== undefined)
    return new BrokerError('BadRequest', `KubeDB refuses this database: ${userFacing(why)}`, { cause: error })
  if (error.conflict) {
    return new BrokerError(
      'Conflict',
      `a ${kind} named ${name} that is not of this request is in namespace ${namespace}; remove it, or use another instance id`,
      { cause: error },
    )
  }
  if (error.absent) {
    return new BrokerError('BadRequest', `there is no namespace ${namespace} for the database`, {
      cause: error,
    })
  }
  if (error.status === 403 && /is being terminated/.test(error.message)) {
    return new BrokerError('BadRequest', `the namespace ${namespace} is being deleted`, { cause: error })
  }
  if (error.status === 403) return notGranted(namespace, error)
  if (error.status === 404) {
    return new BrokerError(
      'Misconfigured',
      `this cluster does not offer KubeDB's ${kind}; its operator has to enable it`,
      { cause: error },
    )
  }
  return translate(error, 'creating the database')
}

function notGranted(namespace: string, cause: ApiError): BrokerError {
  return new BrokerError(
    'BadRequest',
    `this broker may not make databases in namespace ${namespace}; its owner has to grant the broker's role there`,
    { cause },
  )
}

async function removeRecord(broker: Broker, record: InstanceRecord): Promise<void> {
  await broker.cluster
    .remove(records(broker.namespace), instanceRecordName(record.info.instanceId), {
      uid: record.uid,
      resourceVersion: record.resourceVersion,
    })
    .catch((error: unknown) => {
      // Somebody has taken the record over meanwhile: it is theirs now.
      if (!(error instanceof ApiError && error.conflict))
        throw translate(error, 'removing the instance record')
    })
}

/**
 * Disks that a deletionPolicy of Halt has kept: a new database of that name would adopt and later lose them.
 *
 * @throws {BrokerError}
 */
async function keptDisks(broker: Broker, namespace: string, database: string): Promise<string[]> {
  const claims = await broker.cluster
    .list(
      Anything,
      { api: '/api/v1', namespace, plural: 'persistentvolumeclaims' },
      `limit=5&labelSelector=${encodeURIComponent(`app.kubernetes.io/instance=${database},app.kubernetes.io/managed-by=kubedb.com`)}`,
    )
    .catch((error: unknown) => {
      throw error instanceof ApiError && error.status === 403
        ? notGranted(namespace, error)
        : translate(error, 'looking for disks of an earlier instance')
    })
  return claims.map((claim) => claim.metadata.name)
}

const text = (value: unknown) => (typeof value === 'string' ? labelValue(value) : undefined)

/** @returns the KubeDB resource, complete */
function draftDatabase(kind: Database, record: InstanceRecord): Draft {
  const { info } = record
  const readable: { [key: string]: string | undefined } = {
    'osb.kubedb.com/service-id': text(info.serviceId),
    'osb.kubedb.com/plan-id': text(info.planId),
    'osb.kubedb.com/platform': text(info.context.platform) ?? text(info.platform),
    'osb.kubedb.com/instance-name': text(info.context.instance_name),
    'osb.kubedb.com/organization': text(info.context.organization_name),
    'osb.kubedb.com/space': text(info.context.space_name) ?? text(info.context.namespace),
  }
  const labels: { [key: string]: string } = {
    ...info.resolved.labels,
    [instanceLabel]: hash26(info.instanceId),
  }
  for (const [key, value] of Object.entries(readable)) if (value !== undefined) labels[key] = value
  return {
    apiVersion: kind.apiVersion,
    kind: kind.kind,
    metadata: {
      name: record.database.name,
      namespace: record.database.namespace,
      labels,
      annotations: { ...info.resolved.annotations, [annotations.instance]: canonical(info) },
    },
    spec: info.resolved.spec,
  }
}

/**
 * @returns a context as records keep it: without annotations, which may be large and matter to nobody here
 * @throws {BrokerError} BadRequest where it is too large all the same
 */
export function keptContext(context: JsonObject): JsonObject {
  const kept = Object.fromEntries(Object.entries(context).filter(([key]) => !key.endsWith('_annotations')))
  fitsRecord('context', kept, 'context')
  return kept
}

export function tokenOf(record: InstanceRecord, uid: string): string {
  const { kind, namespace } = record.database
  return operationToken({ type: record.operation.type, id: record.operation.id, kind, namespace, uid })
}

/** What the cluster has of an instance. */
export interface State {
  database: Resource | undefined
  /** KubeDB has published how to reach it */
  published: boolean
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

/** Database and AppBinding, side by side. */
export async function readState(
  broker: Broker,
  record: Pick<InstanceRecord, 'database' | 'info'>,
): Promise<State> {
  const { namespace, name } = record.database
  const [database, published] = await Promise.all([
    readDatabase(broker, record),
    broker.cluster.get(Anything, records(namespace), name),
  ]).catch((error: unknown) => {
    throw translate(error, "reading the database's address")
  })
  return { database, published: published !== undefined }
}

/** Pure: how a provision stands. */
export function provisionVerdict(
  record: InstanceRecord,
  { database, published }: State,
  now: { age: number; abandonedAfter: number; existed: boolean },
): { state: 'succeeded' | 'in progress' } | { state: 'failed'; description: string } {
  if (database && !database.metadata.deletionTimestamp && provisioned(database) && published) {
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
      description: `not ready after ${minutes} minutes: ${database ? progress(database, []) : 'there is no database'}`,
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
    return await write(broker, record, change)
  } catch (error) {
    const now = error instanceof Overtaken ? await readRecord(broker, record.info.instanceId) : undefined
    if (now) return now
    throw error
  }
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
      return { state: 'in progress', description: userFacing(progress(state.database, events)) }
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
