/** Elasticsearch and OpenSearch as KubeDB runs them: nodes that do everything, or nodes with roles of their own. */
import { isObject, type Json, type JsonObject } from '../../values/json.ts'
import type { Setting } from '../../values/nouns.ts'
import { parseQuantity } from '../../values/quantity.ts'
import { distribution } from '../../values/semver.ts'
import type { Change, Database, Dimension, Reach, Wanted } from './database.ts'
import { common, inUri, loginOf } from './parts/address.ts'
import {
  below,
  type Component,
  containersKey,
  type Layout,
  resourcesOf,
  throughout,
  withResources,
  withStorage,
} from './parts/components.ts'
import {
  beforeServers,
  changed,
  compareVersions,
  configuration,
  encryption,
  impossible,
  object,
  section,
  tls,
  version,
} from './parts/dimensions.ts'
import {
  begin,
  finish,
  hold,
  lines,
  olderThan,
  sizable,
  templateFor,
  withFile,
  withTls,
} from './parts/draft.ts'
import { certificates, url } from './parts/library-keys.ts'
import { parametersWith } from './parts/parameters.ts'
import { at, put } from './parts/spec.ts'

const container = 'elasticsearch'
const configFile = 'elasticsearch.yml'

/** Those that hold the application's data first: what parameters are about is the first that there is. */
const dataRoles = ['data', 'dataContent', 'dataHot', 'dataWarm', 'dataCold', 'dataFrozen']
const roles = [...dataRoles, 'master', 'ingest', 'coordinating', 'ml', 'transform']
const offered = ['data', 'dataContent', 'dataHot', 'dataWarm', 'dataCold', 'master', 'ingest', 'coordinating']

const dedicated = (spec: JsonObject): boolean => isObject(spec.topology)
const pathOf = (role: string): string => `topology.${role}`

const layout: Layout = {
  container,
  paths: ['', ...roles.map(pathOf)],
  components(spec) {
    if (!dedicated(spec)) return [{ name: 'node', path: '', disk: true }]
    const topology = object(spec.topology)
    return roles
      .filter((role) => isObject(topology[role]))
      .map((role): Component => ({ name: role, path: pathOf(role), disk: true }))
  },
}

const percent: Setting = { type: 'string', pattern: '^([1-9]|[1-9][0-9])%$' }
const queue: Setting = { type: 'integer', min: 1, max: 100000 }

/** Settings that both engines know and that neither run code, read files, load plugins nor change who may log in. */
const settings: { [name: string]: Setting } = {
  'action.auto_create_index': { type: 'boolean' },
  'action.destructive_requires_name': { type: 'boolean' },
  'cluster.max_shards_per_node': { type: 'integer', min: 1, max: 100000 },
  'http.max_content_length': { type: 'string', pattern: '^[1-9][0-9]{0,2}mb$' },
  'indices.breaker.fielddata.limit': percent,
  'indices.breaker.request.limit': percent,
  'indices.breaker.total.limit': percent,
  'indices.fielddata.cache.size': percent,
  'indices.memory.index_buffer_size': percent,
  'indices.queries.cache.size': percent,
  'indices.recovery.max_bytes_per_sec': { type: 'string', pattern: '^[1-9][0-9]{0,3}mb$' },
  'indices.requests.cache.size': percent,
  'search.max_buckets': { type: 'integer', min: 1, max: 10000000 },
  'thread_pool.get.queue_size': queue,
  'thread_pool.search.queue_size': queue,
  'thread_pool.write.queue_size': queue,
}

/** Settings of either engine by which only clients with a certificate of theirs get in; nodes have others among them. */
const demandsCertificates =
  /^\s*["']?(xpack\.security\.http\.ssl\.client_authentication|plugins\.security\.ssl\.http\.clientauth_mode)["']?\s*:\s*["']?required?\b/im

/** KubeDB's rules; what is not said yet is filled in by `complete`. */
function mistakes(spec: JsonObject): string[] {
  const name = String(spec.version)
  const make = distribution(name)
  const found =
    make === 'opensearch'
      ? olderThan(spec, '1.3', 'KubeDB has none older')
      : olderThan(spec, '7.17', 'its users cannot be managed as those of later versions')
  if (!['xpack', 'opensearch'].includes(make)) {
    found.push(`version: ${name} is not offered; choose one that begins with xpack- or opensearch-`)
  }
  if (dedicated(spec)) {
    const topology = object(spec.topology)
    for (const key of ['replicas', 'storage', 'podTemplate']) {
      if (spec[key] !== undefined) {
        found.push(`${key}: stands below the roles of topology in a cluster that has them; move it there`)
      }
    }
    for (const role of ['master', 'ingest']) {
      if (!isObject(topology[role])) found.push(`topology.${role}: missing; a cluster with roles needs it`)
    }
    if (!['data', 'dataContent', 'dataHot'].some((role) => isObject(topology[role]))) {
      found.push('topology.data: missing; a cluster with roles needs it')
    }
  }
  if (spec.disableSecurity === true) {
    found.push('disableSecurity: bindings have users, who have to log in; take it away')
  }
  if (spec.enableSSL === false && make === 'opensearch' && compareVersions(name, '2.0') >= 0) {
    found.push('enableSSL: KubeDB cannot change an OpenSearch 2 or later that does not encrypt; make it true')
  }
  for (const [file, text] of Object.entries(section(spec.configuration ?? null, 'inline'))) {
    const demand = demandsCertificates.exec(String(text))
    if (demand) {
      found.push(
        `configuration.inline.${file}: ${demand[1]} demands a certificate of every client, and bindings have a password and no certificate; take it out`,
      )
    }
  }
  for (const { path } of layout.components(spec)) {
    const memory = at(resourcesOf(spec, container, path), 'requests.memory')
    if (typeof memory === 'string' && (parseQuantity(memory) ?? 0n) < (parseQuantity('256Mi') ?? 0n)) {
      found.push(
        `${below(path, 'podTemplate')}: ${memory} of memory are too little; a node needs at least 256Mi`,
      )
    }
  }
  return found
}

/** What KubeDB gives a node of any other role. */
const nodeResources = { requests: { cpu: '500m', memory: '1536Mi' }, limits: { memory: '1536Mi' } }

/**
 * KubeDB's webhook fills in the engine's container of every role but `coordinating`, and then fails on that role for not
 * having one.
 */
function withCoordinating(spec: JsonObject): JsonObject {
  const path = pathOf('coordinating')
  if (!isObject(at(spec, path))) return spec
  const place = below(path, containersKey)
  const found = at(spec, place)
  const containers = Array.isArray(found) ? found : []
  return containers.some((one) => isObject(one) && one.name === container)
    ? spec
    : put(spec, place, [...containers, { name: container, resources: nodeResources }])
}

/** @returns the spec with what KubeDB's webhook would fill in; certificates of KubeDB's own where no issuer is asked for */
function complete(spec: JsonObject): JsonObject {
  const result = { enableSSL: true, ...spec }
  if (!dedicated(result)) return { replicas: 1, ...result }
  return layout
    .components(result)
    .reduce<JsonObject>(
      (all, { path }) =>
        at(all, below(path, 'replicas')) === null ? put(all, below(path, 'replicas'), 1) : all,
      withCoordinating(result),
    )
}

/** The number of nodes that the user asks for is that of nodes with data. */
function withReplicas(spec: JsonObject, { replicas }: Wanted): JsonObject {
  if (replicas === undefined) return spec
  return put(spec, below(layout.components(spec)[0]?.path ?? '', 'replicas'), replicas)
}

const topology: Dimension = {
  name: 'topology',
  defining: true,
  paths: [],
  read: (spec) => (dedicated(spec) ? layout.components(spec).map(({ name }) => name) : 'node'),
  reached: (live, wanted) => JSON.stringify(live) === JSON.stringify(wanted),
  change(now, wanted): Change {
    return impossible(
      Array.isArray(now) && Array.isArray(wanted)
        ? `topology: a cluster with nodes for ${now.join(', ')} cannot get others; make a new instance and copy the data`
        : 'topology: nodes that do everything cannot be given roles of their own, nor the reverse; make a new instance in a plan of the other kind and copy the data',
    )
  },
}

const nodes: Dimension = {
  name: 'replicas',
  paths: throughout(layout, 'replicas'),
  read: (spec) =>
    Object.fromEntries(
      layout
        .components(spec)
        .map(({ name, path }) => [name, at(spec, below(path, 'replicas')) ?? 1] as const),
    ),
  reached: (live, wanted) => Object.keys(changed(live, wanted)).length === 0,
  change(now, wanted): Change {
    const { node, ...byRole } = changed(now, wanted)
    return {
      by: 'opsRequest',
      type: 'HorizontalScaling',
      apply: 'IfReady',
      timeout: '1h',
      body: { horizontalScaling: node === undefined ? { topology: byRole } : { node } },
    }
  },
}

/** Encrypted with an issuer's certificates, with KubeDB's own, or not at all. */
const encrypting: Dimension = {
  ...tls({ paths: ['enableSSL'] }),
  read: (spec): Json => ({ on: spec.enableSSL === true, with: encryption(spec) }),
  reached: (live, wanted) => JSON.stringify(live) === JSON.stringify(wanted),
  change(now, wanted): Change {
    const to = object(wanted)
    if (to.on === true && !isObject(to.with)) {
      return impossible(
        object(now).on === true
          ? "tls: certificates of an issuer cannot be exchanged for KubeDB's own; name another issuer, or keep this one"
          : "tls: KubeDB's own certificates are made with the database; name an issuer",
      )
    }
    return {
      by: 'opsRequest',
      type: 'ReconfigureTLS',
      apply: 'IfReady',
      timeout: '1h',
      body: { tls: isObject(to.with) ? to.with : { remove: true } },
    }
  },
}

const encrypted = ({ scheme, spec }: Reach): boolean => scheme === 'https' || spec.enableSSL === true

export const elasticsearch: Database = {
  kind: 'Elasticsearch',
  apiVersion: 'kubedb.com/v1',
  plural: 'elasticsearches',
  opsKind: 'ElasticsearchOpsRequest',
  opsPlural: 'elasticsearchopsrequests',
  versionsPlural: 'elasticsearchversions',
  maxNameLength: 40,

  parameters: parametersWith('tls'),
  lacks: {
    shards: 'has shards by index, which applications choose when they create one',
    database: 'has indices and no databases',
  },
  settings,
  spec: [
    'replicas',
    'enableSSL',
    'storageType=Durable|Ephemeral',
    ...sizable('', container),
    ...offered.flatMap((role) => [`${pathOf(role)}.replicas`, ...sizable(pathOf(role), container)]),
    'deletionPolicy=Halt|Delete|WipeOut',
  ],
  main: (spec) => layout.components(spec)[0]?.path ?? '',
  mistakes,
  container,
  databaseName: null,
  roles: ['owner', 'readWrite', 'readOnly'],

  build(template, wanted, circumstances) {
    const base = templateFor(template, wanted, 'topology')
    let spec = withReplicas(begin(base, wanted), wanted)
    spec = withResources(spec, layout, wanted)
    hold(mistakes(spec), wanted)
    if (wanted.issuer) spec = { ...spec, enableSSL: true }
    spec = complete(withTls(spec, wanted.issuer))
    const fallback: Json = base === template ? null : (template.storage ?? null)
    spec = withStorage(spec, layout, wanted, fallback)
    spec = withFile(
      spec,
      configFile,
      lines(wanted.configuration, (name, value) => `${name}: ${JSON.stringify(value)}`),
    )
    return finish(spec, wanted, circumstances)
  },

  dimensions: [...beforeServers(layout, 'each', [topology]), nodes, encrypting, configuration(), version()],

  // Users and sessions are the cluster's, not a node's.
  members: () => [],

  credentials(reach, user) {
    const protocol = encrypted(reach) ? 'https' : 'http'
    const type = distribution(String(reach.spec.version)) === 'opensearch' ? 'opensearch' : 'elasticsearch'
    return {
      ...common(reach, user, type, protocol),
      uri: `${protocol}://${loginOf(user)}${inUri(reach.host)}:${reach.port}`,
    }
  },

  libraryKeys: [
    url,
    {
      name: 'uris',
      readBy: 'spring-cloud-bindings',
      // The libraries have user and password by themselves.
      value: (own, { host, port }) => `${own.protocol}://${inUri(host)}:${port}`,
    },
    certificates,
  ],

  accounts: {
    by: 'connection',
    async connect(admin) {
      const users = await import('./users/elasticsearch.ts')
      return users.connect(admin, encrypted(admin))
    },
  },
}
