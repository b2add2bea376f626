/**
 * A real gateway in front, by the generated HTTPRoute or, where it is Contour, HTTPProxy. Knative's local gateway, behind
 * it, finds a function by its host name; without Knative the same gateway plays that part, with a route for each function.
 */

import { dashboardRules } from '../generate/dashboard.ts'
import { type Entrance, httpProxy, httpRoute } from '../generate/gateways.ts'
import { nameOf } from '../generate/roles.ts'
import { dashboardRoutes, routes } from '../shared/routes.ts'
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

/** Public host name in these routes; that of the edge router's is another. */
export const host = 'gateway.example.com'

/** What leads requests to the functions. */
export const forms = { HTTPRoute: httpRoute, HTTPProxy: httpProxy } as const

const labels = { 'app.kubernetes.io/part-of': 'kubedb-service-broker-e2e' }

/** Routes that are there. */
export interface Routing {
  /** @returns what the gateway has written about them */
  status(): Promise<string>
  remove(): Promise<void>
}

/**
 * @param broker namespace of the functions
 * @param local Knative's local gateway
 */
export async function routeThrough(
  form: keyof typeof forms,
  front: Front,
  broker: string,
  local: Entrance['local'],
): Promise<Routing> {
  const gateway = { name: front.name, namespace: front.namespace }
  const { rule } = dashboardRules[form]
  const more = dashboardRoutes.map((route) => rule(broker, local, route))
  const objects = forms[form](broker, { host, gateway, local, more })
  for (const object of objects) await apply(object)
  const placed = objects.map(({ kind, metadata }) => [
    kind,
    metadata.name,
    '-n',
    metadata.namespace ?? broker,
  ])
  return {
    async status() {
      const [route = []] = placed
      return kubectl(['get', ...route, '-o', 'jsonpath={.status}'])
    },
    async remove() {
      for (const object of placed) await kubectl(['delete', ...object])
    },
  }
}

/**
 * What Knative's local gateway does, done by the gateway in front: a Service that leads back into it, and a route by the
 * host name of each function.
 *
 * @param broker namespace of the functions
 */
export async function standForLocalGateway(
  { name, namespace, address, port }: Front,
  broker: string,
): Promise<{ local: Entrance['local']; remove: () => Promise<void> }> {
  const local = { name: 'osb-local-gateway', namespace }
  await apply({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: local,
    spec: { ports: [{ name: 'http', port: 80 }] },
  })
  await apply({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { ...local, labels: { 'kubernetes.io/service-name': local.name } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port, protocol: 'TCP' }],
    endpoints: [{ addresses: [address], conditions: { ready: true } }],
  })
  for (const route of [...routes, dashboardRoutes[0]]) {
    await apply({
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'HTTPRoute',
      metadata: { name: nameOf(route), namespace: broker, labels },
      spec: {
        parentRefs: [{ name, namespace }],
        hostnames: [`${nameOf(route)}.${broker}.svc.cluster.local`],
        rules: [{ backendRefs: [{ name: nameOf(route), port: 80 }] }],
      },
    })
  }
  return {
    local,
    async remove() {
      const ours = `app.kubernetes.io/part-of=${labels['app.kubernetes.io/part-of']}`
      await kubectl(['delete', 'httproutes', '-n', broker, '-l', ours])
      await kubectl(['delete', `service/${local.name}`, `endpointslice/${local.name}`, '-n', namespace])
    },
  }
}
