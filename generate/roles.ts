/** What each function may do in the cluster: ServiceAccounts, Roles and RoleBindings from the route map. */
import { type Permissions, type Route, routes, type Target, type Verb } from '../shared/routes.ts'
import type { ClusterRole, ClusterRoleBinding } from './cluster-role.ts'
import type { Manifest } from './manifest.ts'

/** Where the objects of the two sides live. They must differ: databases never go into the broker's namespace. */
export interface Namespaces {
  broker: string
  databases: string
}

/** What a KubeDB kind adds to the roles. */
export interface KindResources {
  plural: string
  opsPlural: string
  versionsPlural: string
}

export interface ServiceAccount extends Manifest {
  automountServiceAccountToken?: false
}

export interface Role extends Manifest {
  rules: { apiGroups: string[]; resources: string[]; verbs: string[] }[]
}

export interface RoleBinding extends Manifest {
  roleRef: { apiGroup: string; kind: 'Role'; name: string }
  subjects: { kind: 'ServiceAccount'; name: string; namespace: string }[]
}

/** `osb-<function>`: its ServiceAccount, Roles, RoleBindings and Knative Service. */
export function nameOf(route: Pick<Route, 'function'>): string {
  return `osb-${route.function}`
}

/** @returns a ServiceAccount for each function; one that may do nothing gets no token either */
export function serviceAccounts(
  { broker }: Pick<Namespaces, 'broker'>,
  of: readonly Route[] = routes,
): ServiceAccount[] {
  return of.map((route) => ({
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: metadata(route, broker),
    ...(Object.keys(route.permissions).length === 0 && { automountServiceAccountToken: false }),
  }))
}

/** What a permission's target is to the API server, and in which of the namespaces. */
export interface Resources {
  place: 'broker' | 'databases' | 'cluster'
  group: string
  resources: readonly string[]
}

/** @returns for every target of the route map what it is to the API server, in the order in which roles name them */
export function resourcesOf(kinds: readonly KindResources[]): Readonly<Record<Target, Resources>> {
  const core = (resource: string): Resources => ({ place: 'databases', group: '', resources: [resource] })
  const appBindings = { group: 'appcatalog.appscode.com', resources: ['appbindings'] }
  return {
    records: { place: 'broker', ...appBindings },
    databases: { place: 'databases', group: 'kubedb.com', resources: kinds.map((kind) => kind.plural) },
    opsRequests: {
      place: 'databases',
      group: 'ops.kubedb.com',
      resources: kinds.map((kind) => kind.opsPlural),
    },
    appBindings: { place: 'databases', ...appBindings },
    secrets: core('secrets'),
    services: core('services'),
    pods: core('pods'),
    persistentVolumeClaims: core('persistentvolumeclaims'),
    events: core('events'),
    versions: {
      place: 'cluster',
      group: 'catalog.kubedb.com',
      resources: kinds.map((kind) => kind.versionsPlural),
    },
  }
}

/** @returns Role and RoleBinding of every function in the broker's own namespace: the records */
export function brokerRoles(
  { broker }: Pick<Namespaces, 'broker'>,
  of: readonly Route[] = routes,
): (Role | RoleBinding)[] {
  return of.flatMap((route) => grant(route, broker, broker, rules(route.permissions, 'broker', [])))
}

/** @returns Role and RoleBinding of every function in a namespace of databases: everything else */
export function databaseRoles(
  { broker, databases }: Namespaces,
  kinds: readonly KindResources[],
  of: readonly Route[] = routes,
): (Role | RoleBinding)[] {
  return of.flatMap((route) => grant(route, databases, broker, rules(route.permissions, 'databases', kinds)))
}

/**
 * @param name of ClusterRole and ClusterRoleBinding of a function; they are of the whole cluster
 * @returns both for every function that reads KubeDB's *Version objects, which have no namespace
 */
export function versionRoles(
  { broker }: Pick<Namespaces, 'broker'>,
  kinds: readonly KindResources[],
  name: (route: Route) => string = nameOf,
): (ClusterRole | ClusterRoleBinding)[] {
  return routes.flatMap((route): (ClusterRole | ClusterRoleBinding)[] => {
    const granted = rules(route.permissions, 'cluster', kinds)
    if (granted.length === 0) return []
    const { labels } = metadata(route, broker)
    return [
      {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'ClusterRole',
        metadata: { name: name(route), labels },
        rules: granted,
      },
      {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'ClusterRoleBinding',
        metadata: { name: name(route), labels },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: name(route) },
        subjects: [{ kind: 'ServiceAccount', name: nameOf(route), namespace: broker }],
      },
    ]
  })
}

function rules(
  permissions: Permissions,
  place: Resources['place'],
  kinds: readonly KindResources[],
): Role['rules'] {
  const known = new Map<string, Resources>(Object.entries(resourcesOf(kinds)))
  const verbsOf = new Map<string, readonly Verb[]>(Object.entries(permissions))
  return [...known].flatMap(([target, { place: there, group, resources }]) => {
    const verbs = verbsOf.get(target)
    return verbs && there === place
      ? [{ apiGroups: [group], resources: [...resources], verbs: [...verbs] }]
      : []
  })
}

function grant(
  route: Route,
  namespace: string,
  accountNamespace: string,
  rules: Role['rules'],
): (Role | RoleBinding)[] {
  if (rules.length === 0) return []
  const name = nameOf(route)
  return [
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'Role',
      metadata: metadata(route, namespace),
      rules,
    },
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: metadata(route, namespace),
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
      subjects: [{ kind: 'ServiceAccount', name, namespace: accountNamespace }],
    },
  ]
}

function metadata(route: Route, namespace: string) {
  return { name: nameOf(route), namespace, labels: { 'app.kubernetes.io/part-of': 'kubedb-service-broker' } }
}
