/** Who may talk to whom: databases let the broker in, functions let only Knative and the gateways in. */
import { routes } from '../shared/routes.ts'
import type { Specified } from './gateways.ts'
import { type Namespaces, nameOf } from './roles.ts'

const labels = { 'app.kubernetes.io/part-of': 'kubedb-service-broker' }
const nameLabel = 'kubernetes.io/metadata.name'

/** Only these functions connect to engines: bind, unbind, both polls. Who fetches a binding looks a password up. */
const connecting = routes
  .filter((route) => 'secrets' in route.permissions && route.function !== 'fetch-binding')
  .map(nameOf)

/** Namespaces of the activator, and of the gateways that take its place once a function is awake. */
export const knativeNamespaces = ['knative-serving', 'kourier-system', 'istio-system', 'contour-internal']

/** @returns one policy a side; KubeDB's own admit nobody but the database's namespace */
export function networkPolicies({ broker, databases }: Namespaces): Specified[] {
  return [
    {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: 'osb-broker', namespace: databases, labels },
      spec: {
        podSelector: { matchLabels: { 'app.kubernetes.io/managed-by': 'kubedb.com' } },
        policyTypes: ['Ingress'],
        ingress: [
          {
            from: [
              {
                namespaceSelector: { matchLabels: { [nameLabel]: broker } },
                podSelector: {
                  matchExpressions: [
                    { key: 'serving.knative.dev/service', operator: 'In', values: connecting },
                  ],
                },
              },
            ],
          },
        ],
      },
    },
    {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: 'osb-functions', namespace: broker, labels },
      spec: {
        podSelector: { matchExpressions: [{ key: 'serving.knative.dev/service', operator: 'Exists' }] },
        policyTypes: ['Ingress'],
        ingress: [
          {
            from: knativeNamespaces.map((name) => ({
              namespaceSelector: { matchLabels: { [nameLabel]: name } },
            })),
            ports: [8012, 8013, 8022, 8112, 9090].map((port) => ({ protocol: 'TCP', port })),
          },
        ],
      },
    },
  ]
}
