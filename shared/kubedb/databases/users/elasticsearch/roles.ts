/**
 * What the roles of bindings may do, in the words of both products. They are made once per instance; a user holds
 * exactly one. Their indices are all that do not begin with a dot: those are the system's. Nobody gets security,
 * snapshots, stored scripts, cluster settings or the indices of the system; whoever may search may send a script with
 * the search, which the server runs in its own sandbox.
 *
 * - `osb_owner`: everything with indices, aliases, data streams; index templates and ingest pipelines
 * - `osb_read_write`: reads and writes documents; creates indices, but neither deletes them nor changes settings and
 *   aliases. New fields come by writing; OpenSearch does not tell that from adding them to a mapping expressly
 * - `osb_read_only`: searches, and sees mappings, settings and statistics
 */
import type { JsonObject } from '../../../../values/json.ts'
import type { Role } from '../../../../values/nouns.ts'

export const roleNames = {
  owner: 'osb_owner',
  readWrite: 'osb_read_write',
  readOnly: 'osb_read_only',
} as const satisfies Record<Role, string>

/** Both products read a name between slashes as a regular expression. */
const indices = ['/[^.].*/']

export interface OpenSearchRole {
  readonly cluster: readonly string[]
  readonly index: readonly string[]
}

const openSearchReading: OpenSearchRole = {
  cluster: ['cluster_monitor', 'cluster_composite_ops_ro', 'indices:data/read/scroll/clear'],
  index: [
    'read',
    'indices_monitor',
    'indices:admin/aliases/get*',
    'indices:admin/data_stream/get*',
    'indices:admin/exists*',
    'indices:admin/get*',
    'indices:admin/mappings/get*',
    'indices:admin/shards/search_shards*',
    'indices:admin/validate/query*',
  ],
}

/** Action groups of OpenSearch's security plugin, and actions where it has no group for them. */
export const openSearchRoles: Record<Role, OpenSearchRole> = {
  readOnly: openSearchReading,
  readWrite: {
    cluster: [...openSearchReading.cluster, 'indices:data/write/bulk', 'indices:data/write/reindex'],
    index: [
      ...openSearchReading.index,
      'indices:data/write*',
      'indices:admin/auto_create',
      'indices:admin/create',
      'indices:admin/flush*',
      'indices:admin/forcemerge*',
      'indices:admin/mapping/auto_put',
      'indices:admin/mapping/put',
      'indices:admin/refresh*',
    ],
  },
  owner: {
    cluster: [
      ...openSearchReading.cluster,
      'cluster_composite_ops',
      'cluster_manage_index_templates',
      'cluster_manage_pipelines',
    ],
    index: ['indices_all'],
  },
}

/** @returns the body of `PUT _plugins/_security/api/roles/<name>` */
export function openSearchRole(role: Role): JsonObject {
  const { cluster, index } = openSearchRoles[role]
  return {
    cluster_permissions: [...cluster],
    index_permissions: [{ index_patterns: indices, allowed_actions: [...index] }],
    tenant_permissions: [],
  }
}

const xPackReading = ['read', 'view_index_metadata', 'monitor']

const xPackRoles: Record<Role, { cluster: string[]; privileges: string[] }> = {
  readOnly: { cluster: ['monitor'], privileges: xPackReading },
  readWrite: {
    cluster: ['monitor'],
    privileges: [...xPackReading, 'write', 'create_index', 'maintenance'],
  },
  owner: {
    cluster: ['monitor', 'manage_index_templates', 'manage_ingest_pipelines'],
    privileges: ['all'],
  },
}

/** @returns the body of `PUT _security/role/<name>` */
export function xPackRole(role: Role): JsonObject {
  const { cluster, privileges } = xPackRoles[role]
  return { cluster, indices: [{ names: indices, privileges, allow_restricted_indices: false }] }
}
