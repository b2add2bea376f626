/** The objects that the steps of an update write: OpsRequests and patches. Pure. */
import type { JsonObject } from '../../values/json.ts'
import type { Draft } from '../cluster/cluster.ts'
import type { Resource } from '../cluster/object.ts'
import type { Database } from '../databases/database.ts'
import type { InstanceRecord, Step } from '../records/instance-record.ts'
import { hash26, instanceLabel } from '../records/names.ts'

/** What identifies a database object in the cluster. */
export type Identified = { metadata: Pick<Resource['metadata'], 'name' | 'uid'> }

/** @returns the OpsRequest of a step; undefined where the step is a patch */
export function draftOpsRequest(
  kind: Database,
  record: InstanceRecord,
  database: Identified,
  step: Step,
): Draft | undefined {
  if (step.change.by !== 'opsRequest') return undefined
  const { type, apply, timeout, body } = step.change
  return {
    apiVersion: 'ops.kubedb.com/v1alpha1',
    kind: kind.opsKind,
    metadata: {
      name: step.name,
      namespace: record.database.namespace,
      labels: { [instanceLabel]: hash26(record.info.instanceId) },
      annotations: { 'osb.kubedb.com/operation': record.operation.id },
      ownerReferences: [
        {
          apiVersion: kind.apiVersion,
          kind: kind.kind,
          name: database.metadata.name,
          uid: database.metadata.uid,
        },
      ],
    },
    spec: { databaseRef: { name: database.metadata.name }, type, apply, timeout, ...body },
  }
}

/** @returns the merge patch of a step; undefined where the step is an OpsRequest */
export function draftPatch(database: Identified, step: Step): JsonObject | undefined {
  if (step.change.by !== 'patch') return undefined
  const { labels, annotations } = step
  return {
    metadata: {
      uid: database.metadata.uid,
      ...(labels ? { labels } : {}),
      ...(annotations ? { annotations } : {}),
    },
    ...(Object.keys(step.change.spec).length > 0 ? { spec: step.change.spec } : {}),
  }
}
