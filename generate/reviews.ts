/** What bearer tokens need: functions that may ask the API server about them, and a role for their owners. */
import { reviews, routes } from '../shared/routes.ts'
import type { ClusterRole, ClusterRoleBinding } from './cluster-role.ts'
import { type Namespaces, nameOf } from './roles.ts'

const labels = { 'app.kubernetes.io/part-of': 'kubedb-service-broker' }
const apiVersion = 'rbac.authorization.k8s.io/v1'

const resources: { readonly [T in keyof typeof reviews]: { group: string; resource: string } } = {
  tokenReviews: { group: 'authentication.k8s.io', resource: 'tokenreviews' },
  subjectAccessReviews: { group: 'authorization.k8s.io', resource: 'subjectaccessreviews' },
}

/**
 * @param name of both; they are of the whole cluster
 * @returns ClusterRole and ClusterRoleBinding that let every function review tokens
 */
export function reviewRoles(
  { broker }: Pick<Namespaces, 'broker'>,
  name = 'osb-reviews',
): [ClusterRole, ClusterRoleBinding] {
  return [
    {
      apiVersion,
      kind: 'ClusterRole',
      metadata: { name, labels },
      rules: Object.entries(resources).map(([target, { group, resource }]) => ({
        apiGroups: [group],
        resources: [resource],
        verbs: Object.entries(reviews).flatMap(([each, verbs]) => (each === target ? [...verbs] : [])),
      })),
    },
    {
      apiVersion,
      kind: 'ClusterRoleBinding',
      metadata: { name, labels },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name },
      subjects: routes.map((route) => ({
        kind: 'ServiceAccount',
        name: nameOf(route),
        namespace: broker,
      })),
    },
  ]
}

/** @returns what the owner of a token has to be bound to: each path of the route map with its methods as verbs */
export function platformRole(name = 'osb-platform'): ClusterRole {
  const urls = new Map<string, Set<string>>()
  for (const { path, method } of routes) {
    // RBAC knows a star at the end only.
    const url = path.replace(/:.*$/s, '*')
    urls.set(url, (urls.get(url) ?? new Set()).add(method.toLowerCase()))
  }
  return {
    apiVersion,
    kind: 'ClusterRole',
    metadata: { name, labels },
    rules: [...urls].map(([url, verbs]) => ({ nonResourceURLs: [url], verbs: [...verbs] })),
  }
}
