/**
 * What X-Pack's privileges are made of. Both products name their actions alike, so a role of X-Pack becomes a role of
 * OpenSearch by the actions that X-Pack's documentation gives for each privilege. Pure.
 */
import * as v from 'valibot'
import { JsonObject } from '../../../../shared/values/json.ts'

const strings = v.optional(v.array(v.string()), [])
const oneOrMore = v.pipe(
  v.union([v.string(), v.array(v.string())]),
  v.transform((value) => (typeof value === 'string' ? [value] : value)),
)

/** The body of `PUT /_security/role/<name>`. */
export const Role = v.strictObject({
  cluster: strings,
  indices: v.optional(
    v.array(
      v.strictObject({
        names: oneOrMore,
        privileges: v.array(v.string()),
        allow_restricted_indices: v.optional(v.boolean(), false),
      }),
    ),
    [],
  ),
  applications: v.optional(v.array(JsonObject), []),
  run_as: strings,
  metadata: v.optional(JsonObject, {}),
  description: v.exactOptional(v.string()),
})
export type Role = v.InferOutput<typeof Role>

const templates = [
  'indices:admin/template/*',
  'indices:admin/index_template/*',
  'cluster:admin/component_template/*',
]
const pipelines = ['cluster:admin/ingest/pipeline/*']

const cluster: { readonly [privilege: string]: readonly string[] } = {
  none: [],
  all: ['cluster:*', ...templates],
  monitor: ['cluster:monitor/*'],
  manage: ['cluster:*', ...templates],
  manage_index_templates: templates,
  manage_ingest_pipelines: pipelines,
  manage_pipeline: pipelines,
  // what these govern is inside the front
  manage_security: [],
  manage_api_key: [],
  manage_own_api_key: [],
  grant_api_key: [],
  manage_token: [],
}

const index: { readonly [privilege: string]: readonly string[] } = {
  none: [],
  all: ['indices:*'],
  read: ['indices:data/read/*', 'indices:admin/resolve/index'],
  // The server behind asks for the latter when a document brings a new field. X-Pack would refuse it when it is asked for
  // expressly.
  write: ['indices:data/write/*', 'indices:admin/mapping/auto_put', 'indices:admin/mapping/put'],
  index: ['indices:data/write/index*', 'indices:data/write/bulk*', 'indices:data/write/update*'],
  delete: ['indices:data/write/delete*', 'indices:data/write/bulk*'],
  create_index: ['indices:admin/create', 'indices:admin/auto_create', 'indices:admin/data_stream/create'],
  delete_index: ['indices:admin/delete', 'indices:admin/data_stream/delete'],
  manage: ['indices:monitor/*', 'indices:admin/*'],
  monitor: ['indices:monitor/*'],
  maintenance: ['indices:admin/refresh*', 'indices:admin/flush*', 'indices:admin/forcemerge*'],
  view_index_metadata: [
    'indices:admin/aliases/get',
    'indices:admin/data_stream/get',
    'indices:admin/exists',
    'indices:admin/get',
    'indices:admin/mappings/fields/get*',
    'indices:admin/mappings/get',
    'indices:admin/resolve/index',
    'indices:admin/shards/search_shards',
    'indices:admin/validate/query',
    'indices:monitor/settings/get',
  ],
}

/** Requests about several indices, which OpenSearch asks for as a whole before it looks at each index. */
const compositeRead = [
  'indices:admin/aliases/get',
  'indices:data/read/mget',
  'indices:data/read/msearch',
  'indices:data/read/mtv',
  'indices:data/read/scroll',
  'indices:data/read/scroll/clear',
]
const compositeWrite = ['indices:data/write/bulk', 'indices:data/write/reindex']

/**
 * @returns the role for OpenSearch's security plugin
 * @throws {Error} with X-Pack's words for a privilege that it (or this stand-in) does not know
 */
export function pluginRole(role: Role): JsonObject {
  const unknown = (kind: string, name: string, known: object) =>
    new Error(
      `unknown ${kind} privilege [${name}]. a privilege must be either one of the predefined ${kind} privilege names ` +
        `[${Object.keys(known).join(',')}] or a pattern over one of the available ${kind} actions`,
    )
  const resolve = (kind: string, known: typeof cluster, names: readonly string[]) =>
    names.flatMap((name) => {
      const actions = Object.hasOwn(known, name) ? known[name] : undefined
      if (actions === undefined) throw unknown(kind, name, known)
      return actions
    })
  const permissions = role.indices.map(({ names, privileges }) => ({
    index_patterns: names,
    allowed_actions: resolve('index', index, privileges),
  }))
  const may = (action: string) =>
    permissions.some((one) => one.allowed_actions.some((p) => covers(p, action)))
  return {
    cluster_permissions: [
      ...resolve('cluster', cluster, role.cluster),
      ...(may('indices:data/read/get') ? compositeRead : []),
      ...(may('indices:data/write/bulk') ? compositeWrite : []),
      ...(may('indices:admin/aliases') ? ['indices:admin/aliases'] : []),
    ],
    index_permissions: permissions,
  }
}

function covers(pattern: string, action: string): boolean {
  return pattern.endsWith('*') ? action.startsWith(pattern.slice(0, -1)) : pattern === action
}
