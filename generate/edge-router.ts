/** The edge router as a Knative Service: the one public door where no gateway can tell operations apart. */
import { edgeRouter } from '../shared/routes.ts'
import type { Specified } from './gateways.ts'
import type { Manifest } from './manifest.ts'
import { configuration, image, securityContext } from './services.ts'

const name = `osb-${edgeRouter}`
const labels = { 'app.kubernetes.io/part-of': 'kubedb-service-broker' }

/**
 * @param broker namespace of the functions
 * @param host public host name of the broker
 * @returns ServiceAccount, Service, and the DomainMapping that gives it the host name; Knative asks for a claim of that
 *   name first, unless it is told to make them by itself (`autocreate-cluster-domain-claims`)
 */
export function edgeRouterManifests(broker: string, host: string): (Manifest | Specified)[] {
  return [
    edgeRouterAccount(broker),
    {
      apiVersion: 'serving.knative.dev/v1',
      kind: 'Service',
      metadata: { name, namespace: broker, labels },
      spec: {
        template: {
          // One is always there: or its cold start would come before that of a function.
          metadata: { annotations: { 'autoscaling.knative.dev/min-scale': '1' } },
          spec: {
            serviceAccountName: name,
            automountServiceAccountToken: false,
            containerConcurrency: 0,
            // A little more than the 58 s after which it answers by itself.
            timeoutSeconds: 60,
            enableServiceLinks: false,
            containers: [edgeRouterContainer(broker)],
          },
        },
      },
    },
    {
      apiVersion: 'networking.internal.knative.dev/v1alpha1',
      kind: 'ClusterDomainClaim',
      metadata: { name: host, labels },
      spec: { namespace: broker },
    },
    {
      apiVersion: 'serving.knative.dev/v1beta1',
      kind: 'DomainMapping',
      metadata: { name: host, namespace: broker, labels },
      spec: { ref: { apiVersion: 'serving.knative.dev/v1', kind: 'Service', name, namespace: broker } },
    },
  ]
}

/** @returns its ServiceAccount, which may do nothing and gets no token */
export function edgeRouterAccount(broker: string): Manifest & { automountServiceAccountToken: false } {
  return {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name, namespace: broker, labels },
    automountServiceAccountToken: false,
  }
}

/** @returns the container */
export function edgeRouterContainer(broker: string) {
  return {
    name: edgeRouter,
    image,
    args: [edgeRouter],
    envFrom: configuration,
    env: [{ name: 'BROKER_NAMESPACE', value: broker }],
    ports: [{ name: 'http1', containerPort: 8080 }],
    readinessProbe: { httpGet: { path: '/health/readiness' } },
    resources: { requests: { cpu: '50m', memory: '64Mi' }, limits: { memory: '128Mi' } },
    securityContext,
  }
}
