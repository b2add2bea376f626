import test from 'ava'
import { complaints, userSettings } from '../../sandbox/engines/opensearch/settings.ts'
import { pluginRole } from '../../sandbox/engines/opensearch/xpack/privileges.ts'
import { Unreachable } from '../../shared/kubedb/databases/database.ts'
import { isRight as isRightOpenSearch } from '../../shared/kubedb/databases/users/elasticsearch/open-search.ts'
import { openSearchRole, xPackRole } from '../../shared/kubedb/databases/users/elasticsearch/roles.ts'
import { isRight as isRightXPack } from '../../shared/kubedb/databases/users/elasticsearch/x-pack.ts'
import { failure as failureOf, Refusal } from '../../shared/kubedb/databases/users/http-client/failure.ts'

const failure = (error: unknown, doing: string) => failureOf('the search server', error, doing)

/** A role as Elasticsearch shows it, in an order of its own. */
const shown = {
  ...xPackRole('readOnly'),
  indices: [
    {
      names: ['/[^.].*/'],
      privileges: ['monitor', 'view_index_metadata', 'read'],
      allow_restricted_indices: false,
    },
  ],
  applications: [],
  run_as: [],
  metadata: {},
  transient_metadata: { enabled: true },
}

test("Elasticsearch's role is right whatever its order, and wrong with anything beside it", (t) => {
  t.true(isRightXPack(shown, 'readOnly'))
  const [index] = shown.indices
  const wrong: object[] = [
    { ...shown, cluster: ['all'] },
    { ...shown, cluster: [] },
    { ...shown, run_as: ['elastic'] },
    { ...shown, applications: [{ application: 'kibana', privileges: ['all'], resources: ['*'] }] },
    { ...shown, remote_indices: [{ names: ['*'], privileges: ['read'], clusters: ['*'] }] },
    { ...shown, indices: [] },
    { ...shown, indices: [index, index] },
    { ...shown, indices: [{ ...index, names: ['*'] }] },
    { ...shown, indices: [{ ...index, privileges: ['read'] }] },
    { ...shown, indices: [{ ...index, allow_restricted_indices: true }] },
    { ...shown, indices: [{ ...index, query: '{"match_none":{}}' }] },
    { ...shown, indices: [{ ...index, field_security: { grant: ['a'] } }] },
  ]
  for (const role of wrong) t.false(isRightXPack(role, 'readOnly'), JSON.stringify(role))
  t.false(isRightXPack(shown, 'readWrite'))
  t.false(isRightXPack(undefined, 'readOnly'))
})

test("OpenSearch's role is right, and wrong with conditions, tenants or other permissions", (t) => {
  const state = {
    cluster_permissions: [
      ...['cluster_monitor', 'cluster_composite_ops_ro', 'indices:data/read/scroll/clear'],
    ].reverse(),
    index_permissions: [
      {
        index_patterns: ['/[^.].*/'],
        allowed_actions: [
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
        fls: [],
        masked_fields: [],
        dls: '',
      },
    ],
    tenant_permissions: [],
  }
  t.true(isRightOpenSearch(state, 'readOnly'))
  const [permission] = state.index_permissions
  if (permission === undefined) return t.fail()
  t.false(isRightOpenSearch({ ...state, cluster_permissions: ['*'] }, 'readOnly'))
  t.false(isRightOpenSearch({ ...state, tenant_permissions: [{}] }, 'readOnly'))
  t.false(isRightOpenSearch({ ...state, index_permissions: [] }, 'readOnly'))
  for (const change of [
    { dls: '{}' },
    { fls: ['~a'] },
    { masked_fields: ['a'] },
    { index_patterns: ['*'] },
    { allowed_actions: ['*'] },
  ])
    t.false(isRightOpenSearch({ ...state, index_permissions: [{ ...permission, ...change }] }, 'readOnly'))
  t.false(isRightOpenSearch(state, 'owner'))
  t.deepEqual(Object.keys(openSearchRole('owner')), [
    'cluster_permissions',
    'index_permissions',
    'tenant_permissions',
  ])
})

test('what may pass is told apart from what a person has to look at', (t) => {
  for (const status of [401, 408, 409, 429, 500, 503]) {
    t.true(
      failure(new Refusal(status, 'OpenSearch Security not initialized.'), 'list users') instanceof
        Unreachable,
    )
  }
  const refused = failure(
    new Refusal(403, { error: { reason: 'action [x] is unauthorized' } }),
    'drop the user',
  )
  t.false(refused instanceof Unreachable)
  t.like(refused, {
    message: 'the search server refused to drop the user: action [x] is unauthorized (HTTP 403)',
  })
  t.like(failure(new Refusal(400, { status: 'error', reason: 'Weak password' }), 'create the user'), {
    message: 'the search server refused to create the user: Weak password (HTTP 400)',
  })
  t.like(failure(new Refusal(404, {}), 'list users'), {
    message: 'the search server refused to list users: no reason given (HTTP 404)',
  })
})

test("the sandbox's server gets the user's settings flat, and without those that only X-Pack has", (t) => {
  const config = 'indices:\n  queries.cache.size: 5%\nxpack.ml.enabled: false\n'
  t.deepEqual(userSettings(config, 'opensearch'), {
    'indices.queries.cache.size': '5%',
    'xpack.ml.enabled': false,
  })
  t.deepEqual(userSettings(config, 'xpack'), { 'indices.queries.cache.size': '5%' })
  t.throws(() => userSettings('a: b: c', 'xpack'))
  const log =
    'uncaught exception in thread [main]\njava.lang.IllegalStateException: failed to bind /data/x/node.lock\n\tat a.b.c\n'
  t.is(complaints(log), 'failed to bind node.lock')
  t.is(complaints('all is well'), '')
})

test("X-Pack's privileges become actions, and unknown ones are refused", (t) => {
  const role = { cluster: ['monitor'], indices: [], applications: [], run_as: [], metadata: {} }
  const read = { names: ['a'], privileges: ['read'], allow_restricted_indices: false }
  t.like(pluginRole({ ...role, indices: [read] }), {
    index_permissions: [
      { index_patterns: ['a'], allowed_actions: ['indices:data/read/*', 'indices:admin/resolve/index'] },
    ],
  })
  t.throws(() => pluginRole({ ...role, cluster: ['fly'] }), { message: /unknown cluster privilege \[fly\]/ })
  t.throws(() => pluginRole({ ...role, indices: [{ ...read, privileges: ['toString'] }] }), {
    message: /\[toString\]/,
  })
})
