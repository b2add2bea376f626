/** Instances and bindings that exist only as records: for whatever must not depend on how many there are. */
import { randomUUID } from 'node:crypto'
import * as v from 'valibot'
import { turns } from '../../sandbox/machine/turns.ts'
import { newNonce, userName } from '../../shared/kubedb/bindings/passwords.ts'
import { AppBinding } from '../../shared/kubedb/cluster/object.ts'
import { BindingInfo } from '../../shared/kubedb/records/binding-record.ts'
import { draftInstanceRecord, parseInstanceRecord } from '../../shared/kubedb/records/instance-record.ts'
import { annotations, bindingRecordName, instanceRecordName } from '../../shared/kubedb/records/names.ts'
import type { JsonObject } from '../../shared/values/json.ts'
import { at, type TestCluster, textAt } from './cluster.ts'

/** The API server takes more than one after the other, and not more than this. */
const busy = turns(8)

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
  await post(
    cluster,
    ids.map((id) =>
      draftInstanceRecord(cluster.namespaces.broker, { ...info, instanceId: id }, operation, database),
    ),
  )
  return ids
}

/**
 * @param bindingId of a binding that is there
 * @param change in what the copies differ from it, beside their ids
 * @returns the names of the users that the copies are about
 */
export async function copyBindingRecord(
  cluster: TestCluster,
  instanceId: string,
  bindingId: string,
  count: number,
  change: Partial<Pick<BindingInfo, 'state' | 'request'>> = {},
): Promise<string[]> {
  const path = `${cluster.recordsPath()}/${bindingRecordName(instanceId, bindingId)}`
  const { body } = await cluster.admin('GET', path)
  const known = JSON.parse(textAt(body, 'metadata', 'annotations', annotations.binding))
  const infos = Array.from({ length: count }, () => {
    const [id, nonce] = [randomUUID(), newNonce()]
    return v.parse(BindingInfo, { ...known, ...change, bindingId: id, nonce, user: userName(id, nonce) })
  })
  await post(
    cluster,
    infos.map((info) => ({
      apiVersion: at(body, 'apiVersion') ?? '',
      kind: at(body, 'kind') ?? '',
      metadata: {
        name: bindingRecordName(instanceId, info.bindingId),
        labels: at(body, 'metadata', 'labels') ?? {},
        annotations: { [annotations.binding]: JSON.stringify(info) },
      },
      spec: at(body, 'spec') ?? {},
    })),
  )
  return infos.map(({ user }) => user)
}

async function post(cluster: TestCluster, drafts: readonly JsonObject[]): Promise<void> {
  await Promise.all(
    drafts.map((draft) =>
      busy(async () => {
        const { status, text } = await cluster.admin('POST', cluster.recordsPath(), draft)
        if (status !== 201) throw new Error(`a record is refused: ${text}`)
      }),
    ),
  )
}
