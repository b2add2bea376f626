import { randomBytes } from 'node:crypto'
import * as v from 'valibot'
import { Refusal } from '../admission.ts'
import { basicAuth } from '../auth.ts'
import {
  authSecretDefaults,
  commonDefaults,
  configurationOf,
  coordinatorResources,
  engineResources,
  initResources,
  podTemplateOf,
  type TemplateDefaults,
  tlsDefaults,
} from '../defaults.ts'
import type { Block, Component, Context, Kind, OpsContext, Path, ServiceShape } from '../kind.ts'
import { governingServiceName, podNames, replicasOf, roleLabel, withSuffix } from '../offshoots.ts'
import { expansion, storageClassNotFound, timeoutRequired, updateVersion } from '../ops-complaints.ts'
import {
  type Database,
  Migration,
  Part,
  Quantity,
  resources,
  type Spec,
  Unscoped,
  type Version,
} from '../resources.ts'
import { mergeYaml } from '../settings-text.ts'
import { certificateAliases, commonOpsTypes, issuedTls } from '../shapes.ts'
import { partAt } from '../spec-path.ts'
import {
  validateDeletionPolicy,
  validateEnvironment,
  validateExternalSecret,
  validateHealthChecker,
  validateMonitor,
  validateMountPaths,
  validateStorage,
  validateVolumes,
} from '../validation.ts'
import { parseVersion } from '../versions.ts'

const Node = v.looseObject({
  ...Part.entries,
  prefix: v.optional(v.string(), ''),
  ephemeralStorage: v.exactOptional(v.looseObject({})),
})
const MongoDBSpec = v.looseObject({
  replicaSet: v.exactOptional(v.looseObject({ name: v.string() })),
  shardTopology: v.exactOptional(
    v.looseObject({
      shard: v.looseObject({ ...Node.entries, shards: v.optional(v.number(), 0) }),
      configServer: Node,
      mongos: Node,
    }),
  ),
  arbiter: v.exactOptional(Part),
  hidden: v.exactOptional(Part),
  ephemeralStorage: v.exactOptional(v.looseObject({})),
  storageEngine: v.exactOptional(v.string()),
  sslMode: v.exactOptional(v.string()),
  clusterAuthMode: v.exactOptional(v.string()),
})
const parsed = (spec: Spec) => v.parse(MongoDBSpec, spec)

const shardPath = ['shardTopology', 'shard']
const configServerPath = ['shardTopology', 'configServer']
const mongosPath = ['shardTopology', 'mongos']

/** Sections of the spec with a pod template. */
function templatePaths(spec: Spec): Path[] {
  const { shardTopology, arbiter, hidden } = parsed(spec)
  return [
    ...(shardTopology ? [shardPath, configServerPath, mongosPath] : [[]]),
    ...(arbiter ? [['arbiter']] : []),
    ...(hidden ? [['hidden']] : []),
  ]
}

export const mongodb: Kind = {
  kind: 'MongoDB',
  plural: 'mongodbs',
  apiVersion: 'kubedb.com/v1',
  title: 'MongoDB',
  port: 27017,
  auth: basicAuth('root', { fixed: false }),
  config: { takes: (file) => file === 'mongod.conf', merge: mergeYaml },
  tls: {
    ...issuedTls,
    wanted: (spec) => spec.tls !== undefined && parsed(spec).sslMode !== 'disabled',
    client: 'client',
    added: (spec) => ({ sslMode: 'requireSSL', ...clusterAuth(spec, 'x509') }),
    removed: (spec) => ({ sslMode: 'disabled', ...clusterAuth(spec, 'keyFile') }),
  },
  components,
  services,
  client,
  secrets(db) {
    const { replicaSet, shardTopology } = parsed(db.spec)
    if (!replicaSet && !shardTopology) return []
    const data = () => ({ 'key.txt': randomBytes(756).toString('base64') })
    return [{ name: withSuffix(db.metadata.name, 'key'), type: 'Opaque', data }]
  },
  admission: {
    defaults,
    validate,
    fixed: ['spec.storageType', 'spec.replicaSet.name', 'spec.shardTopology.*.prefix'],
    storageClasses: (spec) =>
      templatePaths(spec)
        .map((path) => partAt(spec, path).storage?.storageClassName)
        .filter((name) => name !== undefined),
    deletionRefusal: (namespace, name) =>
      `mongodb "${namespace}/${name}" can't be terminated. To delete, change spec.deletionPolicy`,
  },
  ops: {
    types: [...commonOpsTypes, 'Reprovision', 'RotateAuth', 'Horizons', 'StorageMigration'],
    group: 'MongoDBopsrequests.kubedb.com',
    // KubeDB's webhook lets a request for no database pass.
    absent: () => undefined,
    complaint,
    vertical: (db) => {
      const container = 'mongodb'
      const coordinator = 'replication-mode-detector'
      const sections = Object.entries(sectionsOf(db.spec)).map(([key, path]) => [key, { path, container }])
      return {
        ...Object.fromEntries(sections),
        ...(parsed(db.spec).replicaSet ? { coordinator: { path: [], container: coordinator } } : {}),
      }
    },
    volumes: (db) => {
      const { mongos, arbiter, ...withDisks } = sectionsOf(db.spec)
      return withDisks
    },
    migratesBySection: true,
    configured: (db) => sectionsOf(db.spec),
    scaled,
    restartsWhenScaled: true,
  },
}

function clusterAuth(spec: Spec, mode: string): object {
  const { replicaSet, shardTopology } = parsed(spec)
  return replicaSet || shardTopology ? { clusterAuthMode: mode } : {}
}

/** What the keys in the blocks of OpsRequests mean, as far as the database has it. */
function sectionsOf(spec: Spec): Record<string, Path> {
  const { replicaSet, shardTopology, arbiter, hidden } = parsed(spec)
  return {
    ...(shardTopology
      ? { shard: shardPath, configServer: configServerPath, mongos: mongosPath }
      : { [replicaSet ? 'replicaSet' : 'standalone']: [] }),
    ...(arbiter ? { arbiter: ['arbiter'] } : {}),
    ...(hidden ? { hidden: ['hidden'] } : {}),
  }
}

const serverContainer = { name: 'mongodb', ports: [{ name: 'db', containerPort: 27017 }] }
const detectorContainer = { name: 'replication-mode-detector', ports: [] }
const typeLabel = 'mongodb.kubedb.com/node.type'

function components(db: Database): Component[] {
  const { replicaSet, shardTopology } = parsed(db.spec)
  const { name } = db.metadata
  if (!shardTopology) {
    const members: Component = {
      name,
      replicas: replicasOf(db.spec),
      path: [],
      governing: governingServiceName(db),
      containers: replicaSet ? [serverContainer, detectorContainer] : [serverContainer],
      labels: { [typeLabel]: 'replica' },
      ...(replicaSet ? { role: primaryFirst } : {}),
      volume: 'datadir',
    }
    return replicaSet ? [members, ...extraMembers(db, members)] : [members]
  }
  const { shard, configServer, mongos } = shardTopology
  const shards = Array.from({ length: shard.shards }, (_, index): Component => {
    const shardName = `${shard.prefix}${name}-shard${index}`
    return {
      name: shardName,
      replicas: replicasOf(shard),
      path: shardPath,
      governing: `${shardName}-pods`,
      containers: [serverContainer, detectorContainer],
      labels: { 'mongodb.kubedb.com/node.shard': shardName, [typeLabel]: 'shard' },
      role: primaryFirst,
      volume: 'datadir',
    }
  })
  const configName = `${configServer.prefix}${name}-configsvr`
  const mongosName = `${mongos.prefix}${name}-mongos`
  return [
    ...shards.flatMap((component) => [component, ...extraMembers(db, component)]),
    {
      name: configName,
      replicas: replicasOf(configServer),
      path: configServerPath,
      governing: `${configName}-pods`,
      containers: [serverContainer, detectorContainer],
      labels: { 'mongodb.kubedb.com/node.config': configName },
      role: primaryFirst,
      volume: 'datadir',
    },
    {
      name: mongosName,
      replicas: replicasOf(mongos),
      path: mongosPath,
      governing: `${mongosName}-pods`,
      containers: [serverContainer],
      labels: mongosLabel(db),
    },
  ]
}

const primaryFirst = (ordinal: number) => (ordinal === 0 ? 'primary' : 'standby')

function mongosLabel(db: Database): Record<string, string> {
  const prefix = parsed(db.spec).shardTopology?.mongos.prefix ?? ''
  return { 'mongodb.kubedb.com/node.mongos': `${prefix}${db.metadata.name}-mongos` }
}

/** Arbiter and hidden members of one replica set. */
function extraMembers({ spec }: Database, { name, governing, labels }: Component): Component[] {
  const { arbiter, hidden } = parsed(spec)
  const extra = { governing, containers: [serverContainer] }
  return [
    ...(arbiter
      ? [
          {
            ...extra,
            name: `${name}-arbiter`,
            replicas: 1,
            path: ['arbiter'],
            labels: { ...labels, [typeLabel]: 'arbiter' },
          },
        ]
      : []),
    ...(hidden
      ? [
          {
            ...extra,
            name: `${name}-hidden`,
            replicas: replicasOf(hidden),
            path: ['hidden'],
            labels: { ...labels, [typeLabel]: 'hidden' },
            volume: 'datadir',
          },
        ]
      : []),
  ]
}

function services(db: Database): ServiceShape[] {
  const { replicaSet, shardTopology } = parsed(db.spec)
  const port = { port: 27017, targetPort: 'db' }
  const headless = new Map(components(db).map(({ governing, labels }) => [governing, labels ?? {}]))
  const selector = shardTopology ? mongosLabel(db) : replicaSet ? { [roleLabel]: 'primary' } : {}
  return [
    ...[...headless].map(
      ([name, labels]): ServiceShape => ({
        name,
        headless: true,
        ...(shardTopology ? { selector: withoutType(labels) } : {}),
        ports: [{ name: 'db', ...port }],
      }),
    ),
    { name: db.metadata.name, alias: 'primary', selector, ports: [{ name: 'primary', ...port }] },
  ]
}

/** Arbiters and hidden members of a shard are behind its Service too. */
function withoutType(labels: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).filter(([key]) => key !== typeLabel))
}

function client(db: Database) {
  const { replicaSet, shardTopology } = parsed(db.spec)
  const sets = new Map<string, string[]>()
  for (const component of components(db)) {
    const hosts = podNames(component).map(
      (pod) => `${pod}.${component.governing}.${db.metadata.namespace}.svc:27017`,
    )
    sets.set(component.governing, [...(sets.get(component.governing) ?? []), ...hosts])
  }
  const hostsOf = (suffix: RegExp) =>
    [...sets].filter(([governing]) => suffix.test(governing)).map(([, hosts]) => hosts.join(','))
  const prefix = shardTopology?.shard.prefix || 'shard'
  const replicaSets = shardTopology
    ? hostsOf(/-shard\d+-pods$/).map((hosts, index) => [`host-${index}`, `${prefix}${index}/${hosts}`])
    : replicaSet
      ? hostsOf(/-pods$/).map((hosts) => ['host-0', `${replicaSet.name}/${hosts}`])
      : []
  const configServer = shardTopology && hostsOf(/-configsvr-pods$/)[0]
  return {
    scheme: 'mongodb',
    parameters: {
      apiVersion: 'config.kubedb.com/v1alpha1',
      kind: 'MongoConfiguration',
      ...(configServer === undefined
        ? {}
        : { configServer: `${shardTopology?.configServer.prefix || 'cnfRepSet'}/${configServer}` }),
      ...(replicaSets.length === 0 ? {} : { replicaSets: Object.fromEntries(replicaSets) }),
      stash: { addon: {} },
    },
  }
}

function defaults(db: Database, version: Version): Spec {
  const { spec } = db
  const own = parsed(spec)
  const sslMode = own.sslMode || (spec.tls ? 'requireSSL' : 'disabled')
  const inCluster = own.replicaSet !== undefined || own.shardTopology !== undefined
  const keyFile = sslMode === 'disabled' || sslMode === 'allowSSL'
  const part = <P extends Part>(given: P, template: TemplateDefaults) => ({
    ...given,
    ...configurationOf(given),
    podTemplate: podTemplateOf(given.podTemplate, db, version, template),
  })
  const server = ['mongodb', serverResources(version)] as const
  const init = { initContainers: [['copy-config', initResources] as const] }
  const plain = { containers: [server], ...init }
  const detecting = {
    containers: [server, ['replication-mode-detector', coordinatorResources] as const],
    ...init,
  }
  return {
    ...spec,
    ...commonDefaults(spec, 'deletion policy'),
    storageType: spec.storageType || 'Durable',
    storageEngine: own.storageEngine || 'wiredTiger',
    authSecret: authSecretDefaults(spec),
    sslMode,
    ...(inCluster ? { clusterAuthMode: own.clusterAuthMode || (keyFile ? 'keyFile' : 'x509') } : {}),
    ...tlsDefaults(db, certificateAliases),
    ...(own.shardTopology
      ? {
          shardTopology: {
            ...own.shardTopology,
            shard: part(own.shardTopology.shard, detecting),
            configServer: part(own.shardTopology.configServer, detecting),
            mongos: part(own.shardTopology.mongos, plain),
          },
        }
      : {
          replicas: spec.replicas ?? 1,
          ...configurationOf(spec),
          podTemplate: podTemplateOf(spec.podTemplate, db, version, own.replicaSet ? detecting : plain),
        }),
    ...(own.arbiter
      ? { arbiter: part(own.arbiter, { containers: [['mongodb', arbiterResources(version)]], ...init }) }
      : {}),
    ...(own.hidden ? { hidden: part(own.hidden, plain) } : {}),
  }
}

function serverResources(version: Version) {
  const [major] = parseVersion(version.spec.version)
  if (major < 6) return engineResources
  const memory = major < 8 ? '1Gi' : '1.5Gi'
  return { requests: { cpu: '800m', memory }, limits: { memory } }
}

function arbiterResources(version: Version) {
  const memory = parseVersion(version.spec.version)[0] < 7 ? '256Mi' : '500Mi'
  return { requests: { cpu: '200m', memory }, limits: { memory } }
}

const forbiddenVariables = ['MONGO_INITDB_ROOT_USERNAME', 'MONGO_INITDB_ROOT_PASSWORD']
const reservedVolumes = [
  'datadir',
  'config',
  'init-scripts',
  '/var/run/mongodb/tls',
  'client-cert',
  'server-cert',
  'keydir',
  'configdir',
  'initial-script',
  'workdir',
]
const reservedPaths = [
  '/data/db',
  '/data/configdb',
  '/init-scripts',
  'certdir',
  '/client-cert',
  '/server-cert',
  '/keydir-readonly',
  '/configdb-readonly',
  '/docker-entrypoint-initdb.d',
  '/work-dir',
]

function validate(db: Database, context: Context): void {
  const { spec } = db
  validateTopology(spec)
  const parts = templatePaths(spec).map((path) => partAt(spec, path))
  const isSharded = parsed(spec).shardTopology !== undefined
  for (const part of isSharded ? parts.slice(0, 3) : parts.slice(0, 1))
    validateEnvironment(part, forbiddenVariables, 'MongoDB')
  validateStorages(spec, context)
  validateSslMode(spec)
  validateExternalSecret(
    spec,
    'for externallyManaged auth secret, user must configure "spec.authSecret.name"',
  )
  validateDeletionPolicy(spec)
  validateMonitor(spec)
  for (const part of parts) {
    validateVolumes(part, reservedVolumes)
    validateMountPaths(part, reservedPaths)
  }
  validateHealthChecker(spec)
}

function validateTopology(spec: Spec): void {
  const { shardTopology, replicaSet, arbiter, hidden, storageEngine } = parsed(spec)
  const inMemory = storageEngine === 'inMemory'
  if (shardTopology) validateShards(spec, inMemory)
  else {
    const replicas = spec.replicas ?? 0
    if (replicas < 1)
      throw new Refusal(`spec.replicas "${replicas}" invalid. Must be greater than zero in non-shardTopology`)
    if (!replicaSet && replicas !== 1)
      throw new Refusal(
        `spec.replicas "${replicas}" invalid for 'MongoDB Standalone' instance. Value must be one`,
      )
    if (inMemory && replicas < 3)
      throw new Refusal(
        `spec.replicas ${replicas} invalid. Must be 3 or more when storageEngine is set to inMemory`,
      )
    for (const [name, member] of Object.entries({ arbiter, hidden }))
      if (member && !replicaSet)
        throw new Refusal(`spec.${name} "${JSON.stringify(member)}" is invalid for Standalone MongoDB. `)
  }
  if (hidden && (hidden.replicas ?? 0) <= 0)
    throw new Refusal(`spec.Hidden.Replicas ${hidden.replicas ?? 0} is invalid. Must be 1 or more`)
}

function validateShards(spec: Spec, inMemory: boolean): void {
  const topology = parsed(spec).shardTopology
  if (!topology) return
  for (const field of ['replicas', 'podTemplate', 'configSecret'] as const)
    if (spec[field] !== undefined)
      throw new Refusal(`doesn't support 'spec.${field}' when spec.shardTopology is set`)
  const { shard, configServer, mongos } = topology
  const counts = [
    ['shard.shards', shard.shards],
    ['shard.replicas', shard.replicas ?? 0],
    ['configServer.replicas', configServer.replicas ?? 0],
    ['mongos.replicas', mongos.replicas ?? 0],
  ] as const
  for (const [field, count] of counts)
    if (count < 1)
      throw new Refusal(
        `spec.shardTopology.${field} ${count} invalid. Must be greater than zero when spec.shardTopology is set`,
      )
  for (const [field, count] of [counts[1], counts[2]])
    if (inMemory && count < 3)
      throw new Refusal(
        `spec.shardTopology.${field} ${count} invalid. Must be 3 or more when storageEngine is set to inMemory`,
      )
}

function validateStorages(spec: Spec, context: Context): void {
  const { shardTopology, hidden, ephemeralStorage } = parsed(spec)
  const check = (node: { storage?: Part['storage']; ephemeralStorage?: object }, section?: string) => {
    if (spec.storageType === 'Ephemeral' && node.storage)
      throw new Refusal(
        "'spec.storage' is not supported for Ephemeral storage type, use 'spec.ephemeralStorage' to configure Ephemeral storage type",
      )
    if (spec.storageType === 'Durable' && node.ephemeralStorage)
      throw new Refusal(
        "'spec.ephemeralStorage' is not supported for Durable storage type, use 'spec.storage' to configure Durable storage type",
      )
    validateStorage(spec, node.storage, context, section)
  }
  if (shardTopology) {
    if (spec.storage) throw new Refusal("doesn't support 'spec.storage' when spec.shardTopology is set")
    check(shardTopology.shard, 'spec.shardTopology.shard.storage')
    check(shardTopology.configServer, 'spec.shardTopology.configServer.storage')
  } else
    check({
      ...(spec.storage ? { storage: spec.storage } : {}),
      ...(ephemeralStorage ? { ephemeralStorage } : {}),
    })
  if (hidden)
    validateStorage({ ...spec, storageType: 'Durable' }, hidden.storage, context, 'spec.hidden.storage')
}

function validateSslMode(spec: Spec): void {
  const { sslMode = '', clusterAuthMode = '' } = parsed(spec)
  const needed = {
    x509: ['disabled', 'allowSSL'],
    sendX509: ['disabled', 'allowSSL'],
    sendKeyFile: ['disabled'],
  }
  const wrong = Object.entries(needed).some(
    ([mode, refused]) => mode === clusterAuthMode && refused.includes(sslMode),
  )
  if (wrong)
    throw new Refusal(
      `can't have ${sslMode} set to mongodb.spec.sslMode when mongodb.spec.clusterAuthMode is set to ${clusterAuthMode}`,
    )
}

const Count = v.exactOptional(v.looseObject({ replicas: v.optional(v.number(), 0) }))
const HorizontalScaling = v.looseObject({
  replicas: v.exactOptional(v.number()),
  shard: v.exactOptional(
    v.looseObject({ shards: v.optional(v.number(), 0), replicas: v.optional(v.number(), 0) }),
  ),
  configServer: Count,
  mongos: Count,
  hidden: Count,
})

function scaled(_db: Database, block: Block): object {
  const { replicas, shard, configServer, mongos, hidden } = v.parse(HorizontalScaling, block)
  const topology = {
    ...(shard ? { shard: { shards: shard.shards, replicas: shard.replicas } } : {}),
    ...(configServer ? { configServer: { replicas: configServer.replicas } } : {}),
    ...(mongos ? { mongos: { replicas: mongos.replicas } } : {}),
  }
  return {
    ...(replicas === undefined ? {} : { replicas }),
    ...(hidden ? { hidden: { replicas: hidden.replicas } } : {}),
    ...(Object.keys(topology).length > 0 ? { shardTopology: topology } : {}),
  }
}

function complaint(context: OpsContext): Promise<string | undefined> | string | undefined {
  switch (context.request.spec.type) {
    case 'UpdateVersion':
      return updateVersion(context)
    case 'HorizontalScaling':
      return horizontalScaling(context)
    case 'VolumeExpansion':
      return volumeExpansion(context)
    case 'StorageMigration':
      return migration(context)
    case 'Horizons':
      return parsed(context.db.spec).replicaSet
        ? undefined
        : 'horizon opsRequest is only supported for ReplicaSet'
    default:
      return undefined
  }
}

function horizontalScaling({ db, request }: OpsContext): string | undefined {
  if (!request.spec.horizontalScaling) return '`spec.horizontalScaling` field is nil'
  const { replicas, shard, configServer, mongos } = v.parse(HorizontalScaling, request.spec.horizontalScaling)
  const { replicaSet, shardTopology, storageEngine } = parsed(db.spec)
  const sharded = shard ?? configServer ?? mongos
  if (replicas !== undefined && sharded)
    return 'shard, configServer or mongos field can not be used when replicas field is already set'
  if (replicas !== undefined && !replicaSet) return "replicas field can't be set on a non-replica mongoDB"
  if (sharded && !shardTopology)
    return "shard, configServer or mongos field can't be set on a non-sharded mongoDB"
  if (replicas === 0) return 'replicas count can not be 0'
  if (shard && (shard.replicas === 0 || shard.shards === 0))
    return 'replicas or shard count can not be 0 in Sharded MongoDB'
  if (configServer?.replicas === 0) return 'configServer replicas count can not be 0'
  if (mongos?.replicas === 0) return 'mongos count can not be 0'
  if (storageEngine !== 'inMemory') return undefined
  const few = [
    ['shard.replicas', shard?.replicas],
    ['configServer.replicas', configServer?.replicas],
    ['replicas', replicas],
  ] as const
  const tooFew = few.find(([, count]) => count !== undefined && count < 3)
  return tooFew
    ? `\`spec.horizontalScaling.${tooFew[0]}\` field can not be less then 3 for inMemory storage engine`
    : undefined
}

/** Keys of the blocks about disks, with the section that each is about and what it wants of the database. */
const diskSections = [
  ['standalone', [], undefined],
  ['replicaSet', [], 'replicaSet'],
  ['configServer', configServerPath, 'shardTopology'],
  ['shard', shardPath, 'shardTopology'],
  ['hidden', ['hidden'], 'hidden'],
] as const

function volumeExpansion({ db, request }: OpsContext): string | undefined {
  if (!request.spec.volumeExpansion) return '`spec.volumeExpansion` field is nil'
  const block: Block = request.spec.volumeExpansion
  for (const [key, path, needs] of diskSections) {
    const size = v.parse(v.optional(Quantity), block[key])
    if (size === undefined) continue
    if (needs && !parsed(db.spec)[needs]) return `${needs} not configured for this MongoDB`
    const wrong = expansion(partAt(db.spec, path).storage, size, request, key)
    if (wrong !== undefined) return wrong
  }
  return undefined
}

async function migration({ kube, db, request }: OpsContext): Promise<string | undefined> {
  if (!request.spec.migration) return 'spec.migration is required for StorageMigration type'
  const block: Block = request.spec.migration
  const wanted = diskSections.filter(([key]) => block[key] !== undefined)
  if (wanted.length === 0) return 'at least one component migration spec is required in spec.migration'
  if (request.spec.timeout === undefined) return timeoutRequired(', ')
  for (const [key, path, needs] of wanted) {
    if (needs && needs !== 'replicaSet' && !parsed(db.spec)[needs])
      return `${needs} not configured for this MongoDB`
    const { storageClassName: name } = v.parse(Migration, block[key])
    if (name === undefined) return `${key}: storageClassName is required in migration spec`
    if (partAt(db.spec, path).storage?.storageClassName === undefined) continue
    if (!(await kube.get(Unscoped, resources.storageClasses, { name })))
      return `${key}: ${storageClassNotFound(name)}`
  }
  return undefined
}
