import { edgeRouterManifests } from './edge-router.ts'
import { httpProxy, httpRoute, virtualService } from './gateways.ts'
import { type Files, yaml } from './manifest.ts'
import { networkPolicies } from './network-policies.ts'
import { plainManifests } from './plain.ts'
import { defaultNamespaces } from './rbac.ts'
import { knativeServices } from './services.ts'

/** Examples: an overlay of one's own patches them, values of the chart replace them. */
export const exampleHost = 'broker.example.com'
export const gateway = { name: 'public', namespace: 'gateways' }

/** Where Knative's own gateway for the inside of the cluster listens, by the kind of the public one. */
export const localGateways = {
  'gateway-api': { name: 'kourier-internal', namespace: 'kourier-system' },
  istio: { name: 'knative-local-gateway', namespace: 'istio-system' },
  contour: { name: 'envoy', namespace: 'contour-internal' },
} as const

/** @returns the manifests in knative/ that say what runs and how it is reached, in the order in which they are applied */
export function knativeFiles(namespaces = defaultNamespaces): Files {
  const { broker } = namespaces
  return {
    'knative/base/300-services.yaml': yaml('The ten functions.', knativeServices(namespaces)),
    'knative/base/310-network-policies.yaml': yaml('Who may talk to whom.', networkPolicies(namespaces)),
    'knative/overlays/gateway-api/400-route.yaml': yaml(
      'The route map for Gateway API: patch host name, Gateway and local gateway to yours.',
      httpRoute(broker, { host: exampleHost, gateway, local: localGateways['gateway-api'] }),
    ),
    'knative/plain/300-deployments.yaml': yaml(
      'The functions as Deployments behind the edge router, for clusters without Knative.',
      plainManifests(namespaces),
    ),
    'knative/overlays/edge-router/400-edge-router.yaml': yaml(
      'The route map as a router of its own, for gateways that cannot match methods and expressions: patch the host name to yours.',
      edgeRouterManifests(broker, exampleHost),
    ),
    'knative/overlays/istio/400-route.yaml': yaml(
      'The route map for Istio: patch host name and Gateway to yours.',
      virtualService(broker, { host: exampleHost, gateway, local: localGateways.istio }),
    ),
    'knative/overlays/contour/400-route.yaml': yaml(
      'The route map for Contour: patch the host name to yours.',
      httpProxy(broker, { host: exampleHost, gateway, local: localGateways.contour }),
    ),
  }
}
