/** Where applications outside the cluster reach a database: the load balancer or the node port of its Service. */
import { Service } from '../cluster/object.ts'
import type { Settings } from '../databases/database.ts'
import type { Broker } from '../records/broker.ts'

export type OutsideAddress = { host: string; port: number } | { pending: string }

/**
 * Pure.
 *
 * @param service the database's primary Service, as the cluster has it now
 * @param port of the engine, inside the cluster
 * @returns the address, or why there is none yet
 */
export function outsideAddress(
  { nodeHost }: Settings,
  service: Service | undefined,
  port: number,
): OutsideAddress {
  if (!service) return { pending: 'KubeDB has not made its Service yet' }
  if (nodeHost !== undefined) {
    const nodePort = service.spec.ports.find((one) => one.port === port)?.nodePort
    return nodePort === undefined
      ? { pending: 'it has no port on the nodes yet' }
      : { host: nodeHost, port: nodePort }
  }
  const [ingress] = service.status.loadBalancer.ingress
  const host = ingress?.ip ?? ingress?.hostname
  return host === undefined ? { pending: 'its load balancer has no address yet' } : { host, port }
}

/**
 * @returns the primary Service of a database, where its address is wanted
 * @throws {ApiError}
 */
export async function readPrimaryService(
  broker: Broker,
  { namespace, name }: { namespace: string; name: string },
): Promise<Service | undefined> {
  if (broker.settings.addresses === 'cluster') return undefined
  return broker.cluster.get(Service, { api: '/api/v1', namespace, plural: 'services' }, name)
}
