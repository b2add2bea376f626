/** The OpsRequests by which KubeDB makes and removes the users of a Redis instance. */
import { setTimeout as delay } from 'node:timers/promises'
import * as v from 'valibot'
import { Resource } from '../../shared/kubedb/cluster/object.ts'
import { hash26, instanceLabel } from '../../shared/kubedb/records/names.ts'
import { at, type TestCluster } from './cluster.ts'

/** @returns all that are there, ended or not */
export async function usersRequestsOf(cluster: TestCluster, instanceId: string): Promise<Resource[]> {
  const label = `labelSelector=${instanceLabel}%3D${hash26(instanceId)}`
  const { body } = await cluster.admin('GET', `${cluster.databasesPath('redisopsrequests')}?${label}`)
  return v.parse(v.array(Resource), at(body, 'items'))
}

/** Waits until KubeDB has carried out all of them. */
export async function usersRequestsCarriedOut(cluster: TestCluster, instanceId: string): Promise<void> {
  const left = async () =>
    (await usersRequestsOf(cluster, instanceId)).filter(({ status }) => status.phase !== 'Successful')
  while ((await left()).length > 0) await delay(50)
}
