/** Kafka as KubeDB runs it: nodes that are brokers and controllers at once, or nodes for each of the two. */
import { isObject, type Json, type JsonObject } from '../../values/json.ts'
import type { Setting } from '../../values/nouns.ts'
import type { Change, Database, Dimension, Place } from './database.ts'
import { common, pods } from './parts/address.ts'
import { below, type Layout, throughout, withResources, withStorage } from './parts/components.ts'
import { beforeServers, changed, configuration, impossible, version } from './parts/dimensions.ts'
import { begin, finish, hold, lines, sizable, templateFor, withFile } from './parts/draft.ts'
import { sameAs } from './parts/library-keys.ts'
import { parametersWith } from './parts/parameters.ts'
import { at, put } from './parts/spec.ts'

const container = 'kafka'

/** Brokers have the application's data: parameters are about them. */
const roles = ['broker', 'controller']
const dedicated = (spec: JsonObject): boolean => isObject(spec.topology)
const pathOf = (role: string): string => `topology.${role}`

const layout: Layout = {
  container,
  paths: ['', ...roles.map(pathOf)],
  components: (spec) =>
    dedicated(spec)
      ? roles.map((role) => ({ name: role, path: pathOf(role), disk: true }))
      : [{ name: 'node', path: '', disk: true }],
}

const count: Setting = { type: 'integer', min: 1, max: 1000 }
const bytes: Setting = { type: 'integer', min: 1024, max: 2147483647 }

/** Settings that neither load classes, read or write files nor change who may log in and how nodes reach each other. */
const settings: { [name: string]: Setting } = {
  'auto.create.topics.enable': { type: 'boolean' },
  'compression.type': { type: 'string', pattern: '^(producer|uncompressed|gzip|snappy|lz4|zstd)$' },
  'default.replication.factor': { type: 'integer', min: 1, max: 9 },
  'delete.topic.enable': { type: 'boolean' },
  'log.cleanup.policy': { type: 'string', pattern: '^(delete|compact|compact,delete)$' },
  /** for each partition; -1: no limit */
  'log.retention.bytes': { type: 'integer', min: -1, max: 9007199254740991 },
  /** -1: no limit */
  'log.retention.hours': { type: 'integer', min: -1, max: 876000 },
  'log.segment.bytes': { type: 'integer', min: 1048576, max: 2147483647 },
  'message.max.bytes': bytes,
  'min.insync.replicas': { type: 'integer', min: 1, max: 9 },
  'num.io.threads': count,
  'num.network.threads': count,
  'num.partitions': count,
  'offsets.retention.minutes': { type: 'integer', min: 1, max: 5256000 },
  'replica.fetch.max.bytes': bytes,
  'unclean.leader.election.enable': { type: 'boolean' },
}

/** Nodes that do both read another file than brokers. */
const configFile = (spec: JsonObject) => (dedicated(spec) ? 'broker.properties' : 'server.properties')

/** KubeDB's rules, and what the broker needs of a server. */
function mistakes(spec: JsonObject): string[] {
  const found: string[] = []
  const { disableSecurity, enableSSL, tls } = spec
  if (disableSecurity === true)
    found.push('disableSecurity: anybody in the cluster could read and write; take it away')
  if (isObject(tls) || enableSSL === true)
    found.push('tls: this broker does not offer Kafka with TLS; take away tls and enableSSL')
  if (dedicated(spec)) {
    for (const key of ['replicas', 'storage', 'podTemplate'])
      if (spec[key] !== undefined)
        found.push(`${key}: stands below the roles of topology in a cluster that has them; move it there`)
    for (const role of roles)
      if (!isObject(at(spec, pathOf(role))))
        found.push(`${pathOf(role)}: missing; a cluster with roles needs it`)
  }
  for (const { path } of layout.components(spec)) {
    const replicas = at(spec, below(path, 'replicas'))
    if (typeof replicas === 'number' && replicas < 1) found.push(`${below(path, 'replicas')}: send 1 or more`)
  }
  return found
}

const replicasAt = (spec: JsonObject, path: string): Json => at(spec, below(path, 'replicas')) ?? 1

const topology: Dimension = {
  name: 'topology',
  defining: true,
  paths: [],
  read: dedicated,
  reached: (live, wanted) => live === wanted,
  change: () =>
    impossible(
      'topology: nodes that do everything cannot be given roles of their own, nor the reverse; make a new instance in a plan of the other kind and copy the data',
    ),
}

const nodes: Dimension = {
  name: 'replicas',
  paths: throughout(layout, 'replicas'),
  read: (spec) =>
    Object.fromEntries(
      layout.components(spec).map(({ name, path }) => [name, replicasAt(spec, path)] as const),
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

/** Every broker tells clients its name; a list of all lets them begin while one is away. */
function brokers(place: Place): string[] {
  const { name, spec } = place
  const [{ path } = { path: '' }] = layout.components(spec)
  const suffix = at(spec, below(path, 'suffix')) ?? 'broker'
  return pods(place, name, dedicated(spec) ? `${name}-${suffix}` : name, Number(replicasAt(spec, path)))
}

export const kafka: Database = {
  kind: 'Kafka',
  apiVersion: 'kubedb.com/v1',
  plural: 'kafkas',
  opsKind: 'KafkaOpsRequest',
  opsPlural: 'kafkaopsrequests',
  versionsPlural: 'kafkaversions',
  maxNameLength: 40,

  parameters: parametersWith(),
  lacks: {
    shards: 'has partitions by topic, which applications choose when they create one',
    database: 'has topics and no databases',
    tls: 'is offered without TLS: KubeDB does not say whether its encrypted Kafka demands certificates of clients',
  },
  settings,
  spec: [
    'replicas',
    'storageType=Durable|Ephemeral',
    ...sizable('', container),
    ...roles.flatMap((role) => [`${pathOf(role)}.replicas`, ...sizable(pathOf(role), container)]),
    'deletionPolicy=Halt|Delete|WipeOut',
  ],
  main: (spec) => layout.components(spec)[0]?.path ?? '',
  mistakes,
  container,
  databaseName: null,
  // KubeDB knows one user, whose name and password stand in the settings of every node; it may do everything.
  roles: ['owner'],

  build(template, wanted, circumstances) {
    const base = templateFor(template, wanted, 'topology')
    let spec = begin(base, wanted)
    const main = layout.components(spec)[0]?.path ?? ''
    if (wanted.replicas !== undefined) spec = put(spec, below(main, 'replicas'), wanted.replicas)
    spec = withResources(spec, layout, wanted)
    hold(mistakes(spec), wanted)
    if (circumstances.addresses === 'external') {
      hold(
        [
          'version: brokers send their clients on by names that mean nothing outside of Kubernetes, where this broker gives its addresses; Kafka is offered inside of the cluster alone',
        ],
        wanted,
      )
    }
    for (const { path } of layout.components(spec))
      spec = put(spec, below(path, 'replicas'), replicasAt(spec, path))
    const fallback: Json = base === template ? null : (template.storage ?? null)
    spec = withStorage(spec, layout, wanted, fallback)
    spec = withFile(
      spec,
      configFile(spec),
      lines(wanted.configuration, (name, value) => `${name}=${value}`),
    )
    return finish(spec, wanted, circumstances)
  },

  dimensions: [...beforeServers(layout, 'each', [topology]), nodes, configuration(), version()],

  members: () => [],
  hosts: brokers,

  credentials(reach, user) {
    const quoted = (text: string) => `"${text.replace(/["\\]/g, '\\$&')}"`
    return {
      ...common(reach, user, 'kafka', 'kafka'),
      bootstrapServers: reach.hosts.map((host) => `${host}:${reach.port}`).join(','),
      securityProtocol: 'SASL_PLAINTEXT',
      saslMechanism: 'PLAIN',
      saslJaasConfig: `org.apache.kafka.common.security.plain.PlainLoginModule required username=${quoted(user.name)} password=${quoted(user.password)};`,
    }
  },

  libraryKeys: [
    sameAs('bootstrap-servers', 'bootstrapServers', 'spring-cloud-bindings'),
    sameAs('user', 'username', 'Quarkus, kube-service-bindings'),
  ],

  accounts: {
    by: 'sharing',
    read: ({ username, password }) =>
      username === undefined || password === undefined ? undefined : { name: username, password },
  },
}
