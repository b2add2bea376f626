/** Instances that exist only as records: for whatever must not depend on how many there are. */
import { randomUUID } from 'node:crypto'
import * as v from 'valibot'
import { draftInstanceRecord, parseInstanceRecord } from '../../shared/kubedb/instance-record.ts'
import { instanceRecordName } from '../../shared/kubedb/names.ts'
import { AppBinding } from '../../shared/kubedb/object.ts'
import type { TestCluster } from './cluster.ts'

/** at once: the API server takes more than one after the other, and not more than this */
const lanes = 8

/**
 * @param instanceId of an instance that is there
 * @returns the ids of the copies
 */
export async function copyInstanceRecord(
  cluster: TestCluster,
  instanceId: string,
  count: number,
): Promise<string[]> {
  const found = await cluster.admin('GET', `${cluster.recordsPath()}/${instanceRecordName(instanceId)}`)
  const { info, operation, database } = parseInstanceRecord(v.parse(AppBinding, found.body), instanceId)
  const ids = Array.from({ length: count }, () => randomUUID())
  const waiting = ids.values()
  const copy = async () => {
    for (const id of waiting) {
      const draft = draftInstanceRecord(
        cluster.namespaces.broker,
        { ...info, instanceId: id },
        operation,
        database,
      )
      const { status, text } = await cluster.admin('POST', cluster.recordsPath(), draft)
      if (status !== 201) throw new Error(`the record of ${id} is refused: ${text}`)
    }
  }
  await Promise.all(Array.from({ length: lanes }, copy))
  return ids
}
