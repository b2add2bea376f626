/** The route map as three kinds of gateway read it: one public host, ten functions behind it. */
import { type Route, routes } from '../shared/routes.ts'
import type { Manifest } from './manifest.ts'
import { pathPattern } from './path-pattern.ts'
import { nameOf } from './roles.ts'

/** A manifest with a spec. */
export interface Specified extends Manifest {
  spec: object
}

/** Where requests come in, and where Knative's own gateway for the inside of the cluster listens. */
export interface Entrance {
  /** public host name of the broker */
  host: string
  /** the Gateway that serves it */
  gateway: { name: string; namespace: string }
  /** Service of Knative's local gateway, port 80; it finds the function by its host name */
  local: { name: string; namespace: string }
  /** of the route and what belongs to it; some lives in the namespace of the local gateway */
  name?: string
  /** rules after those of the route map */
  more?: readonly unknown[]
}

const labels = { 'app.kubernetes.io/part-of': 'kubedb-service-broker' }

/** Longer than a function takes, shorter than platforms wait. Gateways give up after 15 s unless told otherwise. */
const timeout = '58s'

const hostOf = (route: Route, namespace: string) => `${nameOf(route)}.${namespace}.svc.cluster.local`

/** Gateway API: an HTTPRoute, and the grant that lets it lead into the local gateway's namespace. */
export function httpRoute(
  broker: string,
  { host, gateway, local, name = 'osb', more = [] }: Entrance,
): Specified[] {
  return [
    {
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'HTTPRoute',
      metadata: { name, namespace: broker, labels },
      spec: {
        parentRefs: [gateway],
        hostnames: [host],
        rules: [...routes.map((route) => httpRouteRule(broker, local, route)), ...more],
      },
    },
    {
      apiVersion: 'gateway.networking.k8s.io/v1beta1',
      kind: 'ReferenceGrant',
      metadata: { name, namespace: local.namespace, labels },
      spec: {
        from: [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', namespace: broker }],
        to: [{ group: '', kind: 'Service', name: local.name }],
      },
    },
  ]
}

/** Istio: a VirtualService. Its expressions match whole paths. */
export function virtualService(
  broker: string,
  { host, gateway, local, name = 'osb', more = [] }: Entrance,
): Specified[] {
  return [
    {
      apiVersion: 'networking.istio.io/v1',
      kind: 'VirtualService',
      metadata: { name, namespace: broker, labels },
      spec: {
        hosts: [host],
        gateways: [`${gateway.namespace}/${gateway.name}`],
        http: [...routes.map((route) => virtualServiceRule(broker, local, route)), ...more],
      },
    },
  ]
}

/** Contour: an HTTPProxy. It leads only to Services of its own namespace, so it lives beside the local gateway. */
export function httpProxy(broker: string, { host, local, name = 'osb', more = [] }: Entrance): Specified[] {
  return [
    {
      apiVersion: 'projectcontour.io/v1',
      kind: 'HTTPProxy',
      metadata: { name, namespace: local.namespace, labels },
      spec: {
        virtualhost: { fqdn: host },
        routes: [...routes.map((route) => httpProxyRule(broker, local, route)), ...more],
      },
    },
  ]
}

/** @returns one rule of an HTTPRoute */
export function httpRouteRule(broker: string, local: Entrance['local'], route: Route): object {
  return {
    matches: [{ method: route.method, path: pathPattern(route.path) }],
    filters: [{ type: 'URLRewrite', urlRewrite: { hostname: hostOf(route, broker) } }],
    timeouts: { request: timeout },
    backendRefs: [{ ...local, port: 80 }],
  }
}

/** @returns one rule of a VirtualService */
export function virtualServiceRule(broker: string, local: Entrance['local'], route: Route): object {
  const pattern = pathPattern(route.path)
  return {
    name: route.function,
    match: [
      {
        method: { exact: route.method },
        uri: pattern.type === 'Exact' ? { exact: pattern.value } : { regex: pattern.value },
      },
    ],
    rewrite: { authority: hostOf(route, broker) },
    timeout,
    route: [
      {
        destination: {
          host: `${local.name}.${local.namespace}.svc.cluster.local`,
          port: { number: 80 },
        },
      },
    ],
  }
}

/** @returns one rule of an HTTPProxy */
export function httpProxyRule(broker: string, local: Entrance['local'], route: Route): object {
  const pattern = pathPattern(route.path)
  return {
    // The path comes last: Contour reads the kind of match from the last condition, and an `exact` before others becomes
    // a prefix.
    conditions: [
      { header: { name: ':method', exact: route.method } },
      pattern.type === 'Exact' ? { exact: pattern.value } : { regex: pattern.value },
    ],
    requestHeadersPolicy: { set: [{ name: 'Host', value: hostOf(route, broker) }] },
    timeoutPolicy: { response: timeout },
    services: [{ name: local.name, port: 80 }],
  }
}
