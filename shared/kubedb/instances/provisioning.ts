/** Making a service instance: record first, then database; every later request carries on where one was cut off. */
import { BrokerError } from '../../values/errors.ts'
import { canonical, type JsonObject } from '../../values/json.ts'
import type { Caller, Outcome } from '../../values/nouns.ts'
import { ApiError, translate } from '../cluster/api-error.ts'
import { Anything, AppBinding, Resource } from '../cluster/object.ts'
import type { Database } from '../databases/database.ts'
import { kindOf } from '../databases/kinds.ts'
import { readDatabase, readState } from '../observed/database.ts'
import { age, type Broker, newOperationId, Overtaken, timestamp } from '../records/broker.ts'
import { instanceState, provisioning } from '../records/decide.ts'
import {
  databaseOf,
  databases,
  draftInstanceRecord,
  type InstanceInfo,
  type InstanceRecord,
  parseInstanceRecord,
  records,
  type Target,
} from '../records/instance-record.ts'
import { readRecord, writeRecord } from '../records/instance-store.ts'
import { keptContext } from '../records/kept-context.ts'
import { annotations, instanceRecordName } from '../records/names.ts'
import { fitsRecord } from '../records/record-size.ts'
import { type Attributes, requestHash, sameRequest } from '../records/same-request.ts'
import { tokenOf } from '../records/token.ts'
import { draftDatabase } from './database-draft.ts'
import { settleProvision } from './provision-outcome.ts'
import { notGranted, refused } from './refused-database.ts'
import { notServed, versionIsOffered } from './versions.ts'

export interface ProvisionRequest extends Attributes {
  instanceId: string
  context: JsonObject
  caller: Caller
  /** who asked, as far as the platform says */
  by: string
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
      return underWay(record, uid)
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

  const [made, kept, offered] = await Promise.allSettled([
    broker.cluster.create(AppBinding, records(broker.namespace), draft),
    keptDisks(broker, at, databaseOf(kind, at, request.instanceId).name),
    versionIsOffered(broker, kind, versionOf(info)),
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
  const obstacle =
    kept.status === 'rejected'
      ? kept.reason
      : kept.value.length > 0
        ? keptOnPurpose(at, kept.value)
        : offered.status === 'rejected'
          ? offered.reason
          : undefined
  if (obstacle !== undefined) {
    await removeRecord(broker, record)
    throw obstacle
  }
  const database = await createDatabase(broker, record, 'made just now')
  return underWay(record, database.metadata.uid)
}

function underWay(record: InstanceRecord, uid: string): Outcome<InstanceRecord> {
  return { state: 'under way', operation: tokenOf(record, uid), dashboardUrl: record.info.dashboardUrl }
}

/** @returns name of the *Version object that an instance is made of */
const versionOf = (info: InstanceInfo) => String(info.resolved.spec.version)

function keptOnPurpose(namespace: string, disks: readonly string[]): BrokerError {
  return new BrokerError(
    'Conflict',
    `disks of an earlier instance with this id were kept on purpose (${disks.join(', ')} in namespace ${namespace}); delete them, or use another instance id`,
  )
}

/** Makes the database of a record whose maker has not come to it, dead or only slower than this request. */
async function carryOn(broker: Broker, found: InstanceRecord): Promise<Resource> {
  const { namespace, name } = found.database
  const [kept, offered] = await Promise.all([
    keptDisks(broker, namespace, name),
    versionIsOffered(broker, kindOf(found.database.kind), versionOf(found.info)).catch((error: unknown) => ({
      error,
    })),
  ])
  if (kept.length > 0) {
    // They may be those of the database that its maker has made meanwhile.
    const database = await readDatabase(broker, found)
    if (database) return database
    throw keptOnPurpose(namespace, kept)
  }
  if (offered) {
    const database = await readDatabase(broker, found)
    if (database) return database
    const isAbsent = offered.error instanceof BrokerError && offered.error.problem === 'BadRequest'
    if (isAbsent) await abandon(broker, found, 'found')
    throw offered.error
  }
  // A provision that was called failed begins once more, under its old id; whoever removes the record sees it changed.
  const record =
    found.operation.state === 'failed'
      ? await writeRecord(broker, found, {
          operation: { ...found.operation, state: 'in progress', started: timestamp(), description: '' },
        })
      : found
  return createDatabase(broker, record, 'found')
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
  const record = await writeRecord(
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
  return underWay(record, made.metadata.uid)
}

/** A POST that took this long (milliseconds) may have been overtaken by a deprovision that saw no database. */
const longPost = 1_000

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
  const database = await readDatabase(broker, record).catch((error: unknown) => {
    // Of a kind that the cluster does not serve there is nothing.
    if (error instanceof BrokerError && notServed(error.cause)) return undefined
    throw error
  })
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
