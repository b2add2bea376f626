/**
 * THE route map: which operation of Open Service Broker 2.17 is which method and path, which function serves it,
 * and what that function may do in the cluster. Guards, gateways, Knative Services, ServiceAccounts, Roles and the
 * docs are derived from this table; nothing of it is written a second time.
 */

/** What a permission is about. The generator turns each into API group, resources and namespace. */
export type Target =
  /** the broker's own AppBindings (instance and binding records), in the broker's namespace */
  | 'records'
  /** KubeDB's database kinds, in the namespaces of databases */
  | 'databases'
  /** KubeDB's OpsRequests, in the namespaces of databases */
  | 'opsRequests'
  /** the AppBindings that KubeDB makes, in the namespaces of databases */
  | 'appBindings'
  | 'secrets'
  | 'services'
  | 'pods'
  | 'persistentVolumeClaims'
  | 'events'
  /** KubeDB's *Version objects, which are of the whole cluster */
  | 'versions'

export type Verb = 'get' | 'list' | 'create' | 'update' | 'patch' | 'delete'

export type Permissions = { readonly [T in Target]?: readonly Verb[] }

/** What a function reads from a file beside the users, which all read. Keys go only where passwords are derived. */
export type Mount = 'catalog' | 'keys' | 'dashboard'

export type Method = 'GET' | 'PUT' | 'PATCH' | 'DELETE' | 'POST'

export interface Route {
  /** the section of the specification */
  readonly operation: string
  /** file in functions/, Knative Service, ServiceAccount */
  readonly function: string
  readonly method: Method
  /** `:name` stands for exactly one path segment */
  readonly path: string
  readonly permissions: Permissions
  readonly mounts: readonly Mount[]
}

const instance = '/v2/service_instances/:instance_id'
const binding = `${instance}/service_bindings/:binding_id`

export const routes = [
  {
    operation: 'Catalog Management',
    function: 'catalog',
    mounts: ['catalog'],
    method: 'GET',
    path: '/v2/catalog',
    permissions: {},
  },
  {
    operation: 'Provisioning',
    function: 'provision',
    mounts: ['catalog'],
    method: 'PUT',
    path: instance,
    permissions: {
      records: ['get', 'create', 'update', 'delete'],
      databases: ['get', 'create', 'delete'],
      appBindings: ['get'],
      services: ['get'],
      persistentVolumeClaims: ['list'],
      versions: ['get'],
    },
  },
  {
    operation: 'Fetching a Service Instance',
    function: 'fetch-instance',
    mounts: [],
    method: 'GET',
    path: instance,
    permissions: { records: ['get'] },
  },
  {
    operation: 'Updating a Service Instance',
    function: 'update',
    mounts: ['catalog'],
    method: 'PATCH',
    path: instance,
    permissions: {
      records: ['get', 'update'],
      databases: ['get', 'patch'],
      opsRequests: ['get', 'create', 'delete'],
      versions: ['list'],
    },
  },
  {
    operation: 'Deprovisioning',
    function: 'deprovision',
    mounts: [],
    method: 'DELETE',
    path: instance,
    permissions: {
      records: ['get', 'list', 'update', 'delete'],
      databases: ['get', 'patch', 'delete'],
      opsRequests: ['list', 'delete'],
      secrets: ['get'],
      pods: ['list'],
      persistentVolumeClaims: ['list'],
    },
  },
  {
    operation: 'Polling Last Operation for Service Instances',
    function: 'last-operation',
    mounts: [],
    method: 'GET',
    path: `${instance}/last_operation`,
    permissions: {
      records: ['get', 'list', 'update', 'delete'],
      databases: ['get', 'patch', 'delete'],
      opsRequests: ['get', 'list', 'create', 'delete'],
      appBindings: ['get'],
      secrets: ['get'],
      services: ['get'],
      pods: ['list'],
      persistentVolumeClaims: ['list'],
      events: ['list'],
    },
  },
  {
    operation: 'Binding',
    function: 'bind',
    mounts: ['catalog', 'keys'],
    method: 'PUT',
    path: binding,
    permissions: {
      records: ['get', 'list', 'create', 'update', 'delete'],
      databases: ['get'],
      opsRequests: ['list', 'create', 'delete'],
      appBindings: ['get'],
      secrets: ['get', 'create', 'patch'],
      services: ['get'],
    },
  },
  {
    operation: 'Fetching a Service Binding',
    function: 'fetch-binding',
    mounts: ['keys'],
    method: 'GET',
    path: binding,
    permissions: { records: ['get'], appBindings: ['get'], secrets: ['get'], services: ['get'] },
  },
  {
    operation: 'Unbinding',
    function: 'unbind',
    mounts: [],
    method: 'DELETE',
    path: binding,
    permissions: {
      records: ['get', 'list', 'update', 'delete'],
      databases: ['get'],
      opsRequests: ['list', 'create', 'delete'],
      appBindings: ['get'],
      secrets: ['get'],
    },
  },
  {
    operation: 'Polling Last Operation for Service Bindings',
    function: 'last-binding-operation',
    mounts: ['keys'],
    method: 'GET',
    path: `${binding}/last_operation`,
    permissions: {
      records: ['get', 'list', 'update', 'delete'],
      databases: ['get'],
      opsRequests: ['list', 'create', 'delete'],
      appBindings: ['get'],
      secrets: ['get', 'create', 'patch'],
      services: ['get'],
    },
  },
] as const satisfies readonly Route[]

const dashboard = {
  operation: 'Dashboard',
  function: 'dashboard',
  mounts: ['catalog', 'dashboard'],
  permissions: {
    records: ['get', 'list'],
    databases: ['get'],
    opsRequests: ['list'],
    appBindings: ['get'],
    services: ['get'],
    pods: ['list'],
    events: ['list'],
  },
} as const

/**
 * The dashboard, which is no operation of the specification: pages for people, about one instance each, which
 * `dashboard_url` names. It is there only where it is switched on, and so is not among the others. It reads, and no
 * Secrets.
 */
export const dashboardRoutes = [
  { ...dashboard, method: 'GET', path: '/dashboard/instances/:instance_id' },
  /** signing out */
  { ...dashboard, method: 'POST', path: '/dashboard/instances/:instance_id' },
  /** where the provider sends people back to, the style sheet, the script */
  { ...dashboard, method: 'GET', path: '/dashboard/:page' },
] as const satisfies readonly Route[]

/**
 * What every function may do besides, in the whole cluster, where bearer tokens are let in (AUTHENTICATION): ask whose
 * a token is, and what its owner may do. Nothing else in the broker concerns the whole cluster.
 */
export const reviews = {
  tokenReviews: ['create'],
  subjectAccessReviews: ['create'],
} as const satisfies { readonly [target: string]: readonly Verb[] }

/** The router before the functions, where no gateway can tell their operations apart: bundle, argument of the image. */
export const edgeRouter = 'edge-router'

export type FunctionName = (typeof routes)[number]['function']

/** A function, or the dashboard. */
export type ProgramName = FunctionName | typeof dashboard.function

/**
 * @param name a function of the route map
 * @returns its row
 */
export function routeOf(name: FunctionName): Route {
  const route = routes.find((row) => row.function === name)
  if (!route) throw new Error(`no function ${name} in the route map`)
  return route
}
