/** The functions without Knative: a Deployment and a Service each, behind the edge router. They never scale to zero. */
import { edgeRouter, type Route, routes } from '../shared/routes.ts'
import { edgeRouterAccount, edgeRouterContainer } from './edge-router.ts'
import type { Specified } from './gateways.ts'
import type { Manifest } from './manifest.ts'
import type { Namespaces } from './roles.ts'
import { knativeServices } from './services.ts'

const labels = { 'app.kubernetes.io/part-of': 'kubedb-service-broker' }
/** What tells the functions apart; the network policies of databases know Knative's label. */
const nameLabel = 'serving.knative.dev/service'

interface PodSpec {
  containers: readonly object[]
  [field: string]: unknown
}

/** @returns Deployments and Services of the ten functions and of the edge router, which has a node port */
export function plainManifests(namespaces: Namespaces): (Manifest | Specified)[] {
  const { broker } = namespaces
  return [
    ...functionWorkloads(namespaces),
    edgeRouterAccount(broker),
    ...workload(
      broker,
      `osb-${edgeRouter}`,
      {
        serviceAccountName: `osb-${edgeRouter}`,
        automountServiceAccountToken: false,
        enableServiceLinks: false,
        terminationGracePeriodSeconds: 60,
        containers: [edgeRouterContainer(broker)],
      },
      'NodePort',
    ),
    {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: 'osb-plain', namespace: broker, labels },
      spec: {
        podSelector: { matchExpressions: [{ key: nameLabel, operator: 'Exists' }] },
        policyTypes: ['Ingress'],
        ingress: [
          {
            from: [{ podSelector: { matchLabels: { [nameLabel]: `osb-${edgeRouter}` } } }],
            ports: [{ protocol: 'TCP', port: 8080 }],
          },
        ],
      },
    },
    {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: 'osb-edge-router', namespace: broker, labels },
      spec: {
        podSelector: { matchLabels: { [nameLabel]: `osb-${edgeRouter}` } },
        policyTypes: ['Ingress'],
        ingress: [{ ports: [{ protocol: 'TCP', port: 8080 }] }],
      },
    },
  ]
}

/** @returns Deployment and Service of each function */
export function functionWorkloads(namespaces: Namespaces, of: readonly Route[] = routes): Specified[] {
  return knativeServices(namespaces, of).flatMap(({ metadata, spec }) => {
    const { containerConcurrency: _, timeoutSeconds, ...pod } = spec.template.spec
    return workload(
      namespaces.broker,
      metadata.name,
      { ...pod, terminationGracePeriodSeconds: timeoutSeconds },
      'ClusterIP',
    )
  })
}

function workload(
  namespace: string,
  name: string,
  spec: PodSpec,
  type: 'ClusterIP' | 'NodePort',
): Specified[] {
  const selector = { [nameLabel]: name }
  return [
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name, namespace, labels },
      spec: {
        replicas: 1,
        selector: { matchLabels: selector },
        template: { metadata: { labels: { ...labels, ...selector } }, spec: inPod(spec) },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace, labels },
      spec: { type, selector, ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
    },
  ]
}

/** What Knative fills in by itself: the port of its probe. */
function inPod(spec: PodSpec): object {
  const readinessProbe = { httpGet: { path: '/health/readiness', port: 8080 }, periodSeconds: 1 }
  const containers = spec.containers.map((container) => ({ ...container, readinessProbe }))
  return { ...spec, containers }
}
