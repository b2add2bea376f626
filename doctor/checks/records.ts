import * as v from 'valibot'
import type { AppBinding } from '../../shared/kubedb/cluster/object.ts'
import { Anything } from '../../shared/kubedb/cluster/object.ts'
import { kinds } from '../../shared/kubedb/databases/kinds.ts'
import { parseBindingRecord, UnreadableBinding } from '../../shared/kubedb/records/binding-record.ts'
import {
  type InstanceRecord,
  parseInstanceRecord,
  UnreadableRecord,
} from '../../shared/kubedb/records/instance-record.ts'
import { annotations, instanceRecordName } from '../../shared/kubedb/records/names.ts'
import { broken, type Check, doubtful, type Finding } from '../examination.ts'
import { find } from '../kube.ts'
import { bindingRecordsOf, instanceRecordsOf } from '../records.ts'

export const records: Check = {
  title: 'every record can be read, and has its database',
  async examine(examination) {
    const { ask, broker } = examination
    const objects = await instanceRecordsOf(examination)
    // That there are no AppBindings at all is said elsewhere.
    if (!objects) return []
    const findings: Finding[] = []
    const known = new Set<string>()
    for (const object of objects) {
      const read = readable(object)
      if (typeof read === 'string') {
        findings.push(
          broken(
            read,
            `restore the AppBinding from a backup; where there is none, deprovision the instance, which still works, or compare its database's annotation ${annotations.instance}`,
          ),
        )
        continue
      }
      known.add(read.info.instanceId)
      const { kind, namespace, name } = read.database
      const database = kinds.get(kind)
      if (!database) {
        findings.push(
          broken(
            `instance ${read.info.instanceId} is a ${kind}, which this broker does not know`,
            'run the version of the broker that made it, or a newer one',
          ),
        )
        continue
      }
      const under = read.operation.type !== 'update' && read.operation.state !== 'succeeded'
      const path = `/apis/${database.apiVersion}/namespaces/${namespace}/${database.plural}/${name}`
      if (!under && !(await find(ask, Anything, path))) {
        findings.push(
          broken(
            `the database of instance ${read.info.instanceId} is gone: there is no ${kind} ${namespace}/${name}`,
            'deprovision the instance, or restore the database with its name, labels and annotations',
          ),
        )
      }
    }
    for (const object of (await bindingRecordsOf(examination)) ?? []) {
      try {
        const { info } = parseBindingRecord(object)
        if (
          known.has(info.instanceId) ||
          objects.some((one) => one.metadata.name === instanceRecordName(info.instanceId))
        )
          continue
        findings.push(
          doubtful(
            `binding ${info.bindingId} is of instance ${info.instanceId}, of which there is no record`,
            `run with --repair if its database is there; else \`kubectl delete appbinding ${object.metadata.name} -n ${broker}\``,
          ),
        )
      } catch (error) {
        if (!(error instanceof UnreadableBinding)) throw error
        findings.push(
          broken(
            error.message,
            `restore the AppBinding from a backup; its instance can be used and deprovisioned, this binding cannot`,
          ),
        )
      }
    }
    return findings
  },
}

const Id = v.object({ instanceId: v.string() })

/** @returns the record, or the sentence why it cannot be read */
function readable(object: AppBinding): InstanceRecord | string {
  try {
    return parseInstanceRecord(object, idIn(object))
  } catch (error) {
    if (error instanceof UnreadableRecord) return error.message
    throw error
  }
}

/** A record's name is made from the id in it: another id is another's record. */
function idIn(object: AppBinding): string {
  let content: unknown
  try {
    content = JSON.parse(object.metadata.annotations[annotations.instance] ?? '')
  } catch {
    return ''
  }
  const found = v.safeParse(Id, content)
  const id = found.success ? found.output.instanceId : ''
  return instanceRecordName(id) === object.metadata.name ? id : ''
}
