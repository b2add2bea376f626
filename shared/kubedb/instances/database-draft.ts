/** The KubeDB resource of an instance, as it is created. Pure. */
import { canonical } from '../../values/json.ts'
import type { Draft } from '../cluster/cluster.ts'
import type { Database } from '../databases/database.ts'
import type { InstanceRecord } from '../records/instance-record.ts'
import { annotations, hash26, instanceLabel, labelValue } from '../records/names.ts'

const text = (value: unknown) => (typeof value === 'string' ? labelValue(value) : undefined)

/** @returns the KubeDB resource, complete */
export function draftDatabase(kind: Database, record: InstanceRecord): Draft {
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
