/**
 * The binding record: everything the broker knows of a service binding, as an annotation of an AppBinding of its own.
 * It holds no password, only what a password is derived from.
 */
import * as v from 'valibot'
import { canonical, JsonObject } from '../../values/json.ts'
import type { Cluster, Draft } from '../cluster/cluster.ts'
import { AppBinding } from '../cluster/object.ts'
import { records } from './instance-record.ts'
import { annotations, bindingRecordName, hash26, instanceLabel, recordTypes } from './names.ts'

export const BindingInfo = v.object({
  v: v.literal(1),
  bindingId: v.pipe(v.string(), v.nonEmpty()),
  instanceId: v.pipe(v.string(), v.nonEmpty()),
  serviceId: v.string(),
  planId: v.string(),
  /** `app_guid` as sent */
  appGuid: v.optional(v.string(), ''),
  /** sha256 of the application and all of `bind_resource`; records of before have none */
  use: v.optional(v.string()),
  parameters: v.optional(JsonObject, {}),
  role: v.picklist(['owner', 'readWrite', 'readOnly']),
  /** user name inside the engine: its pattern is checked, it reaches statements */
  user: v.pipe(v.string(), v.regex(/^b[a-z2-7]{26}$/)),
  /** 128 random bits, base64url */
  nonce: v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{22}$/)),
  /** which of the broker's keys the password comes from */
  keyId: v.pipe(v.string(), v.nonEmpty()),
  /** how it is derived */
  scheme: v.literal(1),
  state: v.picklist(['creating', 'ready', 'failed', 'deleting']),
  /** when the work of this state began: tells whether a function may still be at it */
  since: v.string(),
  created: v.string(),
  /** when its credentials end, and from when on they should be rotated; neither where the plan sets no end */
  expiresAt: v.optional(v.string()),
  renewBefore: v.optional(v.string()),
  /** id of the binding that this one succeeds */
  predecessor: v.optional(v.string()),
  /** id of the operation under way, for its token */
  operation: v.string(),
  /** several requests have been at work on it side by side: also when it is ready, one may be about to make the user */
  contested: v.optional(v.boolean(), false),
  /** while deleting: the record was still being created, so its creator may yet make the user */
  overtaken: v.optional(v.boolean(), false),
  /**
   * where KubeDB makes users by OpsRequests: number of the request that is to make this one, noted before that request
   * is made; 0 as long as there is none
   */
  request: v.optional(v.number(), 0),
  description: v.optional(v.string(), ''),
})
export type BindingInfo = v.InferOutput<typeof BindingInfo>

/** @returns whether the credentials of a binding have come to their end */
export function isExpired({ expiresAt }: Pick<BindingInfo, 'expiresAt'>): boolean {
  return expiresAt !== undefined && Date.parse(expiresAt) <= Date.now()
}

export interface BindingRecord {
  info: BindingInfo
  name: string
  uid: string
  resourceVersion: string
}

/** The record is there but cannot be read. It blocks this binding only. */
export class UnreadableBinding extends Error {
  constructor(object: AppBinding, why: string) {
    super(`the binding record ${object.metadata.namespace}/${object.metadata.name} cannot be read: ${why}`)
    this.name = 'UnreadableBinding'
  }
}

/** @throws {UnreadableBinding} */
export function parseBindingRecord(object: AppBinding): BindingRecord {
  let value: unknown
  try {
    value = JSON.parse(object.metadata.annotations[annotations.binding] ?? '')
  } catch {
    throw new UnreadableBinding(object, `annotation ${annotations.binding} is missing or not JSON`)
  }
  const result = v.safeParse(BindingInfo, value)
  if (!result.success) {
    const [issue] = result.issues
    throw new UnreadableBinding(object, `${v.getDotPath(issue) ?? 'value'}: ${issue.message}`)
  }
  const { name, uid, resourceVersion } = object.metadata
  if (bindingRecordName(result.output.instanceId, result.output.bindingId) !== name) {
    throw new UnreadableBinding(object, 'it is the record of another binding')
  }
  return { info: result.output, name, uid, resourceVersion }
}

/** @returns undefined when there is no such binding */
export async function readBindingRecord(
  cluster: Cluster,
  namespace: string,
  instanceId: string,
  bindingId: string,
): Promise<BindingRecord | undefined> {
  const found = await cluster.get(AppBinding, records(namespace), bindingRecordName(instanceId, bindingId))
  return found === undefined ? undefined : parseBindingRecord(found)
}

/**
 * All records of an instance's bindings, unreadable ones as such: whoever sweeps users must know that they are there.
 */
export async function listBindingRecords(
  cluster: Cluster,
  namespace: string,
  instanceId: string,
): Promise<{ readable: BindingRecord[]; unreadable: string[] }> {
  const objects = await cluster.list(
    AppBinding,
    records(namespace),
    `labelSelector=${encodeURIComponent(`${instanceLabel}=${hash26(instanceId)}`)}`,
  )
  const readable: BindingRecord[] = []
  const unreadable: string[] = []
  for (const object of objects) {
    if (object.spec.type !== recordTypes.binding) continue
    try {
      readable.push(parseBindingRecord(object))
    } catch (error) {
      if (!(error instanceof UnreadableBinding)) throw error
      unreadable.push(object.metadata.name)
    }
  }
  return { readable, unreadable }
}

function draft(namespace: string, info: BindingInfo): Draft {
  return {
    apiVersion: 'appcatalog.appscode.com/v1alpha1',
    kind: 'AppBinding',
    metadata: {
      name: bindingRecordName(info.instanceId, info.bindingId),
      namespace,
      labels: { [instanceLabel]: hash26(info.instanceId) },
      annotations: { [annotations.binding]: canonical(info) },
    },
    spec: { type: recordTypes.binding, clientConfig: {} },
  }
}

/** @throws {ApiError} `conflict` when the binding exists already */
export async function createBindingRecord(
  cluster: Cluster,
  namespace: string,
  info: BindingInfo,
): Promise<BindingRecord> {
  return parseBindingRecord(await cluster.create(AppBinding, records(namespace), draft(namespace, info)))
}

/** @throws {ApiError} `conflict` when the record has changed since it was read, 404 when it is gone */
export async function writeBindingRecord(
  cluster: Cluster,
  namespace: string,
  record: BindingRecord,
  info: BindingInfo,
): Promise<BindingRecord> {
  return parseBindingRecord(
    await cluster.replace(AppBinding, records(namespace), draft(namespace, info), record.resourceVersion),
  )
}

/** @throws {ApiError} `conflict` when the record has changed since it was read */
export async function removeBindingRecord(
  cluster: Cluster,
  namespace: string,
  record: BindingRecord,
): Promise<void> {
  await cluster.remove(records(namespace), record.name, {
    uid: record.uid,
    resourceVersion: record.resourceVersion,
  })
}
