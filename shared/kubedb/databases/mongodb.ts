/** MongoDB as KubeDB runs it: a server on its own, a replica set, or a sharded cluster of replica sets. */
import { isObject, type Json, type JsonObject } from '../../values/json.ts'
import type { Setting } from '../../values/nouns.ts'
import type { Change, Database, Dimension, Place, Reach, Wanted } from './database.ts'
import { addresses, common, encoded, loginOf, pods } from './parts/address.ts'
import {
  below,
  type Component,
  type Layout,
  throughout,
  withResources,
  withStorage,
} from './parts/components.ts'
import {
  beforeServers,
  changed,
  impossible,
  object,
  reconfigured,
  section,
  servers,
  tls,
  version,
} from './parts/dimensions.ts'
import { begin, finish, hold, sizable, templateFor, withFile, withTls } from './parts/draft.ts'
import { certificates, sameAs, url } from './parts/library-keys.ts'
import { parametersWith } from './parts/parameters.ts'
import { at, put } from './parts/spec.ts'
import { userDatabase } from './users/mongodb/user-database.ts'

const container = 'mongodb'
const configFile = 'mongod.conf'

const shard: Component = { name: 'shard', path: 'shardTopology.shard', disk: true }
const configServer: Component = { name: 'configServer', path: 'shardTopology.configServer', disk: true }
const mongos: Component = { name: 'mongos', path: 'shardTopology.mongos', disk: false }

type Topology = 'standalone' | 'replicaSet' | 'sharded'

function topologyOf(spec: JsonObject): Topology {
  if (isObject(spec.shardTopology)) return 'sharded'
  return isObject(spec.replicaSet) ? 'replicaSet' : 'standalone'
}

const layout: Layout = {
  container,
  paths: ['', shard.path, configServer.path, mongos.path],
  components(spec) {
    const topology = topologyOf(spec)
    return topology === 'sharded' ? [shard, configServer, mongos] : [{ name: topology, path: '', disk: true }]
  },
}

/**
 * Settings that neither run code, read or write files nor change who may log in, by their paths in mongod.conf. They
 * are those of the servers that hold data; routers know only the first.
 */
const settings: { [name: string]: Setting } = {
  'net.maxIncomingConnections': { type: 'integer', min: 100, max: 100000 },
  'operationProfiling.mode': { type: 'string', pattern: '^(off|slowOp|all)$' },
  'operationProfiling.slowOpThresholdMs': { type: 'integer', min: 0, max: 3600000 },
  'operationProfiling.slowOpSampleRate': { type: 'number', min: 0, max: 1 },
  'replication.oplogSizeMB': { type: 'integer', min: 990, max: 1000000 },
  'setParameter.cursorTimeoutMillis': { type: 'integer', min: 1000, max: 86400000 },
  'setParameter.maxTransactionLockRequestTimeoutMillis': { type: 'integer', min: 0, max: 60000 },
  'setParameter.transactionLifetimeLimitSeconds': { type: 'integer', min: 1, max: 3600 },
  'setParameter.ttlMonitorSleepSecs': { type: 'integer', min: 1, max: 86400 },
  'storage.journal.commitIntervalMs': { type: 'integer', min: 1, max: 500 },
  'storage.wiredTiger.collectionConfig.blockCompressor': {
    type: 'string',
    pattern: '^(none|snappy|zlib|zstd)$',
  },
  'storage.wiredTiger.engineConfig.cacheSizeGB': { type: 'number', min: 0.25, max: 10000 },
}

/** Clients log in with a password; without this, a server that has a CA demands a certificate of each. */
const withoutCertificates = 'net.tls.allowConnectionsWithoutCertificates'

/** @returns the file of a component, in the order of names: equal settings give equal files */
function configurationFile(
  component: Component,
  wanted: Wanted['configuration'],
  encrypted: boolean,
): string {
  const own = Object.entries(wanted ?? {}).filter(
    ([name]) =>
      component.name !== 'configServer' &&
      (component.name !== 'mongos' || name === 'net.maxIncomingConnections'),
  )
  const all = [...own, ...(encrypted ? [[withoutCertificates, true] as const] : [])]
  const tree = all
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .reduce<JsonObject>((result, [name, value]) => put(result, name, value), {})
  return yaml(tree, '')
}

/** Values are numbers, booleans and words of the settings' patterns: none needs quotes but `off`, which YAML reads as false. */
function yaml(tree: JsonObject, indent: string): string {
  return Object.entries(tree)
    .map(([key, value]) =>
      isObject(value)
        ? `${indent}${key}:\n${yaml(value, `${indent}  `)}`
        : `${indent}${key}: ${JSON.stringify(value)}\n`,
    )
    .join('')
}

/** KubeDB's rules; what is not said yet is filled in by `complete`. */
function mistakes(spec: JsonObject): string[] {
  const found: string[] = []
  const topology = topologyOf(spec)
  if (topology === 'sharded') {
    for (const key of ['replicas', 'replicaSet', 'storage', 'podTemplate', 'configuration']) {
      if (spec[key] !== undefined) {
        found.push(`${key}: stands below the parts of shardTopology in a sharded cluster; move it there`)
      }
    }
  } else if (topology === 'standalone' && Number(spec.replicas ?? 1) > 1) {
    found.push(
      'replicas: a server on its own has no copies; only a replica set has (replicaSet.name, from the first day on)',
    )
  }
  for (const key of ['sslMode', 'clusterAuthMode']) {
    if (spec[key] !== undefined) found.push(`${key}: follows from tls; leave it out`)
  }
  for (const path of throughout(layout, 'configuration')) {
    if (at(spec, `${path}.inline`) !== null) {
      found.push(
        `${path}.inline: the broker writes ${configFile} itself; offer the parameter configuration instead`,
      )
    }
  }
  return found
}

/** @returns the spec with what KubeDB's webhook would fill in */
function complete(spec: JsonObject): JsonObject {
  const sslMode = isObject(spec.tls) ? 'requireSSL' : 'disabled'
  const clusterAuthMode = isObject(spec.tls) ? 'x509' : 'keyFile'
  switch (topologyOf(spec)) {
    case 'standalone':
      return { replicas: 1, ...spec, sslMode }
    case 'replicaSet': {
      const replicaSet = { name: 'rs0', ...object(spec.replicaSet) }
      return { replicas: 3, ...spec, replicaSet, sslMode, clusterAuthMode }
    }
    case 'sharded': {
      const given = object(spec.shardTopology)
      const shardTopology = {
        ...given,
        shard: { shards: 2, replicas: 3, ...section(given, 'shard') },
        configServer: { replicas: 3, ...section(given, 'configServer') },
        mongos: { replicas: 2, ...section(given, 'mongos') },
      }
      return { ...spec, shardTopology, sslMode, clusterAuthMode }
    }
  }
}

/** Counts that the user asks for are those of the shards, where there are shards. */
function withCounts(spec: JsonObject, { replicas, shards }: Wanted): JsonObject {
  const [main = shard] = layout.components(spec)
  let result = spec
  if (replicas !== undefined) result = put(result, below(main.path, 'replicas'), replicas)
  if (shards !== undefined) result = put(result, below(main.path, 'shards'), shards)
  return result
}

const topology: Dimension = {
  name: 'topology',
  defining: true,
  paths: ['replicaSet.name'],
  read: (spec) => ({ topology: topologyOf(spec), replicaSet: at(spec, 'replicaSet.name') }),
  reached: (live, wanted) => JSON.stringify(live) === JSON.stringify(wanted),
  change(now, wanted): Change {
    const kinds: { [name: string]: string } = {
      standalone: 'a server on its own',
      replicaSet: 'a replica set',
      sharded: 'a sharded cluster',
    }
    const [from, to] = [String(object(now).topology), String(object(wanted).topology)]
    return impossible(
      from === to
        ? 'replicaSet.name: the name of a replica set is given once; keep it'
        : `topology: ${kinds[from]} cannot become ${kinds[to]}; make a new instance in a plan of that kind and copy the data`,
    )
  },
}

/** Files by component: each has a block of its own in the OpsRequest. */
const configuration: Dimension = {
  name: 'configuration',
  paths: throughout(layout, 'configuration.inline'),
  read: (spec) =>
    Object.fromEntries(
      layout
        .components(spec)
        .map(({ name, path }) => [name, object(at(spec, below(path, 'configuration.inline')))] as const),
    ),
  reached: (live, wanted) => Object.keys(changed(live, wanted)).length === 0,
  change: (now, wanted) => ({
    by: 'opsRequest',
    type: 'Reconfigure',
    apply: 'Always',
    timeout: '30m',
    body: {
      configuration: Object.fromEntries(
        Object.entries(changed(now, wanted)).map(([name, files]) => [name, reconfigured(files)]),
      ),
    },
  }),
}

const encrypting = tls({ paths: ['sslMode', 'clusterAuthMode'] })

/** @returns how many servers each part of a sharded cluster has, or the replica set */
function counts(spec: JsonObject): JsonObject {
  switch (topologyOf(spec)) {
    case 'standalone':
      return {}
    case 'replicaSet':
      return { replicas: spec.replicas ?? 3 }
    case 'sharded':
      return {
        shard: { shards: at(spec, `${shard.path}.shards`), replicas: at(spec, `${shard.path}.replicas`) },
        configServer: { replicas: at(spec, `${configServer.path}.replicas`) },
        mongos: { replicas: at(spec, `${mongos.path}.replicas`) },
      }
  }
}

const count = (spec: JsonObject, path: string): number => Number(at(spec, path) ?? 1)

function serversOf(place: Place): string[] {
  const { name, spec } = place
  switch (topologyOf(spec)) {
    case 'standalone':
      return []
    case 'replicaSet':
      return pods(place, name, name, count(spec, 'replicas'))
    case 'sharded':
      return pods(place, `${name}-mongos`, `${name}-mongos`, count(spec, `${mongos.path}.replicas`))
  }
}

/** @returns options of the URI; a client outside the cluster can only talk to the one server it is led to */
function options({ spec, external }: Reach): string {
  const replicaSet = at(spec, 'replicaSet.name')
  return new URLSearchParams({
    authSource: userDatabase,
    ...(typeof replicaSet !== 'string' ? {} : external ? { directConnection: 'true' } : { replicaSet }),
    ...(isObject(spec.tls) ? { tls: 'true' } : {}),
    // The certificate is made out to names inside the cluster.
    ...(isObject(spec.tls) && external ? { tlsAllowInvalidHostnames: 'true' } : {}),
  }).toString()
}

export const mongodb: Database = {
  kind: 'MongoDB',
  apiVersion: 'kubedb.com/v1',
  plural: 'mongodbs',
  opsKind: 'MongoDBOpsRequest',
  opsPlural: 'mongodbopsrequests',
  versionsPlural: 'mongodbversions',
  maxNameLength: 40,

  parameters: parametersWith('shards', 'tls', 'database'),
  settings,
  spec: [
    'replicas',
    'replicaSet.name=rs0|rs1|replicaset',
    'storageType=Durable|Ephemeral',
    ...sizable('', container),
    `${shard.path}.shards`,
    `${shard.path}.replicas`,
    ...sizable(shard.path, container),
    `${configServer.path}.replicas`,
    ...sizable(configServer.path, container),
    `${mongos.path}.replicas`,
    ...sizable(mongos.path, container, { disk: false }),
    'deletionPolicy=Halt|Delete|WipeOut',
  ],
  main: (spec) => layout.components(spec)[0]?.path ?? '',
  mistakes,
  container,
  databaseName: {
    default: 'app',
    pattern: '^[a-z_][a-z0-9_-]*$',
    maxLength: 63,
    reserved: ['admin', 'local', 'config', 'kubedb-system'],
  },
  roles: ['owner', 'readWrite', 'readOnly'],

  build(template, wanted, circumstances) {
    const base = templateFor(template, wanted, 'shardTopology')
    let spec = begin(base, wanted)
    if (wanted.shards !== undefined && topologyOf(spec) !== 'sharded') {
      hold(['shards: this database has none; choose a sharded plan'], wanted)
    }
    spec = withCounts(spec, wanted)
    hold(mistakes(spec), wanted)
    spec = complete(withTls(spec, wanted.issuer))
    const fallback: Json = base === template ? null : (template.storage ?? null)
    spec = withStorage(withResources(spec, layout, wanted), layout, wanted, fallback)
    const encrypted = isObject(spec.tls)
    for (const component of layout.components(spec)) {
      const text = configurationFile(component, wanted.configuration, encrypted)
      spec = withFile(spec, configFile, text, below(component.path, 'configuration'))
    }
    return finish(spec, wanted, circumstances)
  },

  dimensions: [
    ...beforeServers(layout, 'each', [topology], 'move'),
    servers({
      paths: [
        'replicas',
        `${shard.path}.shards`,
        ...[shard, configServer, mongos].map(({ path }) => `${path}.replicas`),
      ],
      read: counts,
    }),
    // What the file says about certificates stands there only while there are any: a server without does not start.
    { ...encrypting, reached: (live, wanted) => wanted === null || encrypting.reached(live, wanted) },
    configuration,
    { ...encrypting, reached: (live, wanted) => wanted !== null || live === null },
    version(),
  ],

  members: serversOf,

  hosts: (place) => (topologyOf(place.spec) === 'replicaSet' ? serversOf(place) : undefined),

  credentials(reach, user) {
    return {
      ...common(reach, user, 'mongodb', 'mongodb'),
      database: reach.database,
      uri: `mongodb://${loginOf(user)}${addresses(reach)}/${encoded(reach.database)}?${options(reach)}`,
      authSource: userDatabase,
      ...(isObject(reach.spec.tls) ? { tls: true } : {}),
    }
  },

  libraryKeys: [
    url,
    sameAs('authentication-database', 'authSource', 'spring-cloud-bindings'),
    { name: 'options', readBy: 'Quarkus', value: (_, reach) => options(reach) },
    certificates,
  ],

  accounts: {
    by: 'connection',
    async connect(admin) {
      const users = await import('./users/mongodb.ts')
      return users.connect(admin)
    },
  },
}
