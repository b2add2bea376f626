import * as v from 'valibot'
import type { Resource } from '../../shared/kubedb/cluster/object.ts'
import type { Database } from '../../shared/kubedb/databases/database.ts'
import { kinds } from '../../shared/kubedb/databases/kinds.ts'
import { newOperationId, timestamp } from '../../shared/kubedb/records/broker.ts'
import { databaseOf, draftInstanceRecord, InstanceInfo } from '../../shared/kubedb/records/instance-record.ts'
import { annotations, hash26, instanceLabel } from '../../shared/kubedb/records/names.ts'
import { broken, type Check, doubtful, type Examination, type Finding } from '../examination.ts'
import { granted } from '../kube.ts'
import { databasesOf, instanceRecordsOf } from '../records.ts'

/** A provision that is under way may have a database without its record for a moment; not for so long, in milliseconds. */
const settled = 10 * 60_000

export const databases: Check = {
  title: 'every database of the broker has its record',
  async examine(examination) {
    const records = await instanceRecordsOf(examination)
    if (!records) return []
    const recorded = new Set(records.map(({ metadata }) => metadata.name))
    const findings: Finding[] = []
    // Also of services that have left the catalog.
    for (const kind of kinds.values()) {
      for (const namespace of examination.databases) {
        for (const database of (await databasesOf(examination, kind, namespace)) ?? []) {
          const label = database.metadata.labels[instanceLabel] ?? ''
          if (recorded.has(`osb-i-${label}`) || database.metadata.deletionTimestamp) continue
          findings.push(withoutRecord(examination, kind, namespace, database))
        }
      }
    }
    return findings
  },
}

function withoutRecord(
  examination: Examination,
  kind: Database,
  namespace: string,
  database: Resource,
): Finding {
  const { name, creationTimestamp } = database.metadata
  const what = `${kind.kind} ${namespace}/${name} is the broker's, but has no record: to platforms its instance does not exist`
  if (examination.now - Date.parse(creationTimestamp) < settled) {
    return doubtful(
      what,
      'it is young, and may be of a request that is being answered; look again in ten minutes',
    )
  }
  const info = infoOf(kind, namespace, database)
  if (typeof info === 'string') {
    return broken(
      `${what}; its annotation ${annotations.instance} cannot be used: ${info}`,
      `restore the record from a backup (\`kubectl get appbindings -n ${examination.broker}\`), or remove the database if nobody needs it`,
    )
  }
  return {
    ...broken(
      `${what} (instance ${info.instanceId})`,
      'restore the record from a backup, or run with --repair, which makes it anew as the instance was provisioned: later updates and bindings are not in it. Restore the records of its bindings first, because the next bind drops users that no record stands for',
    ),
    repair: () => repair(examination, kind, namespace, database, info),
  }
}

/** @returns what the instance was made of, or why the annotation does not tell */
function infoOf(kind: Database, namespace: string, database: Resource): InstanceInfo | string {
  let content: unknown
  try {
    content = JSON.parse(database.metadata.annotations[annotations.instance] ?? '')
  } catch {
    return 'it is missing or not JSON'
  }
  const read = v.safeParse(InstanceInfo, content)
  if (!read.success) {
    const [issue] = read.issues
    return `${v.getDotPath(issue) ?? 'value'}: ${issue.message}`
  }
  // Whoever owns the namespace can write annotations; what they are about cannot be chosen.
  const { instanceId } = read.output
  const isIts =
    database.metadata.labels[instanceLabel] === hash26(instanceId) &&
    databaseOf(kind, namespace, instanceId).name === database.metadata.name
  return isIts ? read.output : `it is about instance ${instanceId}, which has another name`
}

async function repair(
  { ask, broker }: Examination,
  kind: Database,
  namespace: string,
  database: Resource,
  info: InstanceInfo,
): Promise<string> {
  const isProvisioned = database.status.conditions.some(
    ({ type, status }) => type === 'Provisioned' && status === 'True',
  )
  const record = draftInstanceRecord(
    broker,
    info,
    {
      v: 1,
      type: 'provision',
      id: newOperationId(),
      state: isProvisioned ? 'succeeded' : 'in progress',
      started: timestamp(),
      description: '',
    },
    databaseOf(kind, namespace, info.instanceId),
  )
  const path = `/apis/appcatalog.appscode.com/v1alpha1/namespaces/${broker}/appbindings?fieldValidation=Strict`
  const { status, body } = await ask('POST', path, record)
  granted('POST the instance record', status, body)
  return `made the record of instance ${info.instanceId} anew from ${kind.kind} ${namespace}/${database.metadata.name}`
}
