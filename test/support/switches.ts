import { switchesName } from '../../sandbox/operator/cluster/switches.ts'
import type { TestCluster } from './cluster.ts'

/**
 * Makes the sandbox's operator misbehave in a test's own namespace; see sandbox/operator/README.md.
 *
 * @param data the switches that are on from now, such as `{ 'never-ready': 'no node has room' }`; `{}` ends all
 */
export async function setSwitches(cluster: TestCluster, data: { [name: string]: string }): Promise<void> {
  const path = cluster.databasesPath('configmaps')
  await cluster.admin('DELETE', `${path}/${switchesName}`)
  const { status, text } = await cluster.admin('POST', path, { metadata: { name: switchesName }, data })
  if (status !== 201) throw new Error(`the switches could not be set: ${status} ${text}`)
}
