import { networkInterfaces } from 'node:os'
import { kubectl } from './kubectl.ts'
import { check } from './steps.ts'

/**
 * @param given by who calls this
 * @returns where pods find this machine: unless given, where the API server listens, which has to be here
 * @throws when it does not
 */
export async function hostAddress(given: string | undefined): Promise<string> {
  if (given !== undefined) return given
  const view = await kubectl(['config', 'view', '--minify', '-o', 'jsonpath={.clusters[0].cluster.server}'])
  const { hostname } = new URL(view)
  const own = Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address))
  check(own.includes(hostname), `${hostname} is not this machine: --host-address says where pods find it`)
  return hostname
}
