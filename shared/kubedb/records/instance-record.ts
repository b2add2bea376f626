/**
 * The instance record: everything the broker knows of a service instance, as annotations of an AppBinding in its own
 * namespace. Format version 1 is only ever extended; fields unknown to a reader are tolerated.
 */
import * as v from 'valibot'
import { BrokerError } from '../../values/errors.ts'
import { canonical, JsonObject } from '../../values/json.ts'
import type { Cluster, Collection, Draft } from '../cluster/cluster.ts'
import { AppBinding } from '../cluster/object.ts'
import type { Database } from '../databases/database.ts'
import { annotations, databaseName, hash26, instanceLabel, instanceRecordName, recordTypes } from './names.ts'

const Names = v.optional(v.record(v.string(), v.string()), {})

/** What is really asked of KubeDB, version included. */
export const Resolved = v.object({
  spec: JsonObject,
  /** the application's database inside the server; '' where the engine has none */
  database: v.optional(v.string(), ''),
  labels: Names,
  annotations: Names,
})
export type Resolved = v.InferOutput<typeof Resolved>

/** Everything that an update may change about an instance. */
export const Target = v.object({
  planId: v.string(),
  /** as sent by the user, or as merged by updates */
  parameters: v.optional(JsonObject, {}),
  resolved: Resolved,
  /** maintenance_info.version in force */
  maintenance: v.string(),
  /** seconds that the platform will poll for */
  maximumPollingDuration: v.optional(v.number()),
  /** address of a page about the instance, where its plan has one */
  dashboardUrl: v.optional(v.string()),
})
export type Target = v.InferOutput<typeof Target>

export const InstanceInfo = v.object({
  v: v.literal(1),
  instanceId: v.pipe(v.string(), v.nonEmpty()),
  serviceId: v.string(),
  organizationGuid: v.string(),
  spaceGuid: v.string(),
  context: v.optional(JsonObject, {}),
  /** sha256 of the request that made the instance */
  request: v.string(),
  created: v.string(),
  /** the platform that owns the instance */
  platform: v.string(),
  /** who asked, as far as the platform says */
  createdBy: v.optional(v.string(), ''),
  ...Target.entries,
})
export type InstanceInfo = v.InferOutput<typeof InstanceInfo>

export const Step = v.object({
  dimension: v.string(),
  change: v.variant('by', [
    v.object({
      by: v.literal('opsRequest'),
      type: v.string(),
      apply: v.picklist(['Always', 'IfReady']),
      timeout: v.string(),
      body: JsonObject,
    }),
    v.object({ by: v.literal('patch'), spec: JsonObject }),
  ]),
  /** a metadata patch that goes with a patch step */
  labels: v.optional(v.record(v.string(), v.nullable(v.string()))),
  annotations: v.optional(v.record(v.string(), v.nullable(v.string()))),
  /** name of the OpsRequest; '' for a patch */
  name: v.optional(v.string(), ''),
  state: v.picklist(['waiting', 'started', 'done']),
  /** when the step was begun */
  started: v.optional(v.string()),
})
export type Step = v.InferOutput<typeof Step>

const State = v.picklist(['in progress', 'succeeded', 'failed'])

const common = {
  v: v.literal(1),
  id: v.string(),
  state: State,
  started: v.string(),
  /** of a failure: what went wrong, for the platform's user */
  description: v.optional(v.string(), ''),
  /** how the operation before this one ended: its poller may still ask */
  previous: v.optional(v.object({ id: v.string(), state: State, description: v.optional(v.string(), '') })),
}

/** The latest operation. Kept after its end, so that a poll may ask again. */
export const InstanceOperation = v.variant('type', [
  v.object({
    ...common,
    type: v.literal('provision'),
  }),
  v.object({
    ...common,
    type: v.literal('update'),
    /** sha256 of the request */
    request: v.string(),
    target: Target,
    steps: v.array(Step),
    /** targets of the updates that failed before this one: what they touched may still be as they wanted it */
    unfinished: v.optional(v.array(Resolved)),
  }),
  v.object({
    ...common,
    type: v.literal('deprovision'),
    /** UID of the database when the delete was asked for; '' when there was none */
    uid: v.optional(v.string(), ''),
    /** there was no database yet: the function that provisions may still be about to make it */
    cancelled: v.optional(v.boolean(), false),
  }),
])
export type InstanceOperation = v.InferOutput<typeof InstanceOperation>
export type UpdateOperation = Extract<InstanceOperation, { type: 'update' }>

/** An instance record as read: with what is needed to write it back. */
export interface InstanceRecord {
  info: InstanceInfo
  operation: InstanceOperation
  /** where the database is */
  database: { kind: string; namespace: string; name: string }
  uid: string
  resourceVersion: string
}

/** The record is there but cannot be read: only deprovision may still touch the instance. */
export class UnreadableRecord extends Error {
  readonly object: AppBinding

  constructor(object: AppBinding, why: string) {
    super(`the instance record ${object.metadata.namespace}/${object.metadata.name} cannot be read: ${why}`)
    this.name = 'UnreadableRecord'
    this.object = object
  }
}

export const records = (namespace: string): Collection => ({
  api: '/apis/appcatalog.appscode.com/v1alpha1',
  namespace,
  plural: 'appbindings',
})

/**
 * One GET by the instance id alone.
 *
 * @returns undefined when the instance does not exist
 * @throws {UnreadableRecord}
 */
export async function readInstanceRecord(
  cluster: Cluster,
  namespace: string,
  instanceId: string,
): Promise<InstanceRecord | undefined> {
  const found = await cluster.get(AppBinding, records(namespace), instanceRecordName(instanceId))
  return found === undefined ? undefined : parseInstanceRecord(found, instanceId)
}

/** @throws {UnreadableRecord} */
export function parseInstanceRecord(object: AppBinding, instanceId: string): InstanceRecord {
  const read = <T>(schema: v.GenericSchema<unknown, T>, annotation: string): T => {
    const text = object.metadata.annotations[annotation]
    if (text === undefined) throw new UnreadableRecord(object, `annotation ${annotation} is missing`)
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch {
      throw new UnreadableRecord(object, `annotation ${annotation} is not JSON`)
    }
    const result = v.safeParse(schema, value)
    if (!result.success) {
      const [issue] = result.issues
      throw new UnreadableRecord(
        object,
        `annotation ${annotation}, ${v.getDotPath(issue) ?? 'value'}: ${issue.message}`,
      )
    }
    return result.output
  }
  const info = read(InstanceInfo, annotations.instance)
  if (info.instanceId !== instanceId)
    throw new UnreadableRecord(object, 'it is the record of another instance')
  const at = object.spec.appRef
  if (!at?.kind || !at.namespace) throw new UnreadableRecord(object, 'spec.appRef does not name the database')
  return {
    info,
    operation: read(InstanceOperation, annotations.operation),
    database: { kind: at.kind, namespace: at.namespace, name: at.name },
    uid: object.metadata.uid,
    resourceVersion: object.metadata.resourceVersion,
  }
}

/** @returns the AppBinding that holds the record */
export function draftInstanceRecord(
  namespace: string,
  info: InstanceInfo,
  operation: InstanceOperation,
  database: { kind: string; namespace: string; name: string },
): Draft {
  return {
    apiVersion: 'appcatalog.appscode.com/v1alpha1',
    kind: 'AppBinding',
    metadata: {
      name: instanceRecordName(info.instanceId),
      namespace,
      labels: { [instanceLabel]: hash26(info.instanceId) },
      annotations: {
        [annotations.instance]: canonical(info),
        [annotations.operation]: canonical(operation),
      },
    },
    spec: {
      type: recordTypes.instance,
      appRef: { apiGroup: 'kubedb.com', ...database },
      clientConfig: {},
    },
  }
}

/**
 * Writes a record back, under the resourceVersion it was read with.
 *
 * @returns the record as it is now
 * @throws {ApiError} `conflict` when somebody else has written it meanwhile
 */
export async function writeInstanceRecord(
  cluster: Cluster,
  namespace: string,
  record: InstanceRecord,
  change: { info?: InstanceInfo; operation?: InstanceOperation },
): Promise<InstanceRecord> {
  const info = change.info ?? record.info
  const operation = change.operation ?? record.operation
  const stored = await cluster.replace(
    AppBinding,
    records(namespace),
    draftInstanceRecord(namespace, info, operation, record.database),
    record.resourceVersion,
  )
  return { ...record, info, operation, resourceVersion: stored.metadata.resourceVersion }
}

/** @returns where the databases of a kind are found */
export function databases(kind: Database, namespace: string): Collection {
  return { api: `/apis/${kind.apiVersion}`, namespace, plural: kind.plural }
}

/** @returns what the instance's database is called */
export function databaseOf(kind: Database, namespace: string, instanceId: string) {
  return { kind: kind.kind, namespace, name: databaseName(instanceId, kind.maxNameLength) }
}

/** @returns the text cut to what a user should read, without control characters */
export function userFacing(text: string): string {
  const plain = text.replace(/\p{Cc}+/gu, ' ').trim()
  return plain.length > 1000 ? `${plain.slice(0, 999)}…` : plain
}

/** @throws {BrokerError} with what a user can be told about an unreadable record */
export function refuseUnreadable(error: unknown): never {
  if (error instanceof UnreadableRecord) {
    throw new BrokerError(
      'Misconfigured',
      'the broker cannot read what it wrote about this instance; deprovisioning it still works',
      { cause: error },
    )
  }
  throw error
}
