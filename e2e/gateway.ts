/**
 * A real gateway in front, by the generated HTTPRoute. Knative's local gateway, behind it, finds a function by its host
 * name; without Knative the same gateway plays that part, with a route for each function.
 */
import { httpRoute } from '../generate/gateways.ts'
import { nameOf } from '../generate/roles.ts'
import { routes } from '../shared/routes.ts'
import { apply, kubectl } from './kubectl.ts'

/** Where the gateway is. */
export interface Front {
  /** its Gateway object */
  name: string
  namespace: string
  /** where it listens: address and port */
  address: string
  port: number
}

/** Public host name in these routes. */
export const host = 'broker.example.com'

const local = 'osb-local-gateway'

/**
 * @param broker namespace of the functions
 * @returns takes the routes away again
 */
export async function routeThrough(front: Front, broker: string): Promise<() => Promise<void>> {
  const { namespace, address, port } = front
  const gateway = { name: front.name, namespace }
  await apply({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: local, namespace },
    spec: { ports: [{ name: 'http', port: 80 }] },
  })
  await apply({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: local, namespace, labels: { 'kubernetes.io/service-name': local } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port, protocol: 'TCP' }],
    endpoints: [{ addresses: [address], conditions: { ready: true } }],
  })
  for (const route of routes) {
    await apply({
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'HTTPRoute',
      metadata: { name: nameOf(route), namespace: broker },
      spec: {
        parentRefs: [gateway],
        hostnames: [`${nameOf(route)}.${broker}.svc.cluster.local`],
        rules: [{ backendRefs: [{ name: nameOf(route), port: 80 }] }],
      },
    })
  }
  for (const object of httpRoute(broker, { host, gateway, local: { name: local, namespace } }))
    await apply(object)
  return async function remove() {
    await kubectl(['delete', 'httproutes', '--all', '-n', broker])
    await kubectl(['delete', 'referencegrants', '--all', '-n', namespace])
    await kubectl(['delete', `service/${local}`, `endpointslice/${local}`, '-n', namespace])
  }
}
