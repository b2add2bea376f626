import { randomBytes } from 'node:crypto'
import * as v from 'valibot'
import { Refusal } from '../cluster/admission.ts'
import { type Database, Part, type Spec, type Version } from '../cluster/resources.ts'
import { type Path, partAt } from '../cluster/spec-path.ts'
import { basicAuth } from './parts/auth.ts'
import * as complaints from './parts/complaints.ts'
import {
  configurationOf,
  coordinatorResources,
  engineResources,
  initResources,
  podTemplateOf,
  type TemplateDefaults,
  tlsDefaults,
} from './parts/defaults.ts'
import { kindOf } from './parts/description.ts'
import type { Block, Component, OpsContext, ServiceShape } from './parts/kind.ts'
import { podNames, replicasOf, roleLabel, withSuffix } from './parts/offshoots.ts'
import * as rules from './parts/rules.ts'
import { mergeYaml } from './parts/settings-text.ts'
import {
  certificateAliases,
  commonOpsTypes,
  container,
  issuedTls,
  members,
  primaryFirst,
  type Sections,
} from './parts/shapes.ts'
import { parseVersion } from './parts/versions.ts'

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

/** Keys of the blocks about disks, with the section that each is about and what it wants of the database. */
const diskSections = [
  ['standalone', [], undefined],
  ['replicaSet', [], 'replicaSet'],
  ['configServer', configServerPath, 'shardTopology'],
  ['shard', shardPath, 'shardTopology'],
  ['hidden', ['hidden'], 'hidden'],
] as const

/** Sections of the spec with a pod template. */
function partsOf(spec: Spec): Part[] {
  return Object.values(sectionsOf(spec)).map((path) => partAt(spec, path))
}

export const mongodb = kindOf({
  kind: 'MongoDB',
  plural: 'mongodbs',
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
    if (!isClustered(db.spec)) return []
    const data = () => ({ 'key.txt': randomBytes(756).toString('base64') })
    return [{ name: withSuffix(db.metadata.name, 'key'), type: 'Opaque', data }]
  },
  defaults: {
    schemas: true,
    policy: 'deletion policy',
    certificates: () => certificateAliases,
    pods(spec, version) {
      const { shardTopology, replicaSet } = parsed(spec)
      return shardTopology ? undefined : podsOf(version, replicaSet !== undefined)
    },
    own: ownDefaults,
  },
  rules: [
    validateTopology,
    rules.each(
      (spec) => partsOf(spec).slice(0, parsed(spec).shardTopology ? 3 : 1),
      rules.environment('MongoDB', ['MONGO_INITDB_ROOT_USERNAME', 'MONGO_INITDB_ROOT_PASSWORD']),
    ),
    validateStorages,
    validateSslMode,
    rules.externalSecret(),
    rules.deletionPolicy(),
    rules.monitor,
    rules.each(
      partsOf,
      rules.volumes([
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
      ]),
      rules.mountPaths([
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
      ]),
    ),
    rules.healthChecker,
  ],
  fixed: ['spec.storageType', 'spec.replicaSet.name', 'spec.shardTopology.*.prefix'],
  ops: {
    types: [...commonOpsTypes, 'Reprovision', 'RotateAuth', 'Horizons', 'StorageMigration'],
    // KubeDB's webhook lets a request for no database pass.
    absent: () => undefined,
    complaints: {
      UpdateVersion: complaints.needs(complaints.quoted, complaints.upgrade),
      HorizontalScaling: complaints.needs('`spec.horizontalScaling` field is nil', horizontalScaling),
      VolumeExpansion: complaints.needs('`spec.volumeExpansion` field is nil', volumeExpansion),
      StorageMigration: complaints.migratesSections(
        'at least one component migration spec is required in spec.migration',
        ', ',
        diskSections.map(([key]) => key),
        migrationOf,
      ),
      Horizons: ({ db }) =>
        parsed(db.spec).replicaSet ? undefined : 'horizon opsRequest is only supported for ReplicaSet',
    },
    sections: sectionsOf,
    container: 'mongodb',
    coordinator: (spec) => (parsed(spec).replicaSet ? 'replication-mode-detector' : undefined),
    diskless: ['mongos', 'arbiter'],
    migratesBySection: true,
    configuresBySection: true,
    scaled,
    restartsWhenScaled: true,
  },
})

/** Whether its servers know each other. */
function isClustered(spec: Spec): boolean {
  const { replicaSet, shardTopology } = parsed(spec)
  return replicaSet !== undefined || shardTopology !== undefined
}

function clusterAuth(spec: Spec, mode: string): object {
  return isClustered(spec) ? { clusterAuthMode: mode } : {}
}

/** What the keys in the blocks of OpsRequests mean, as far as the database has it. */
function sectionsOf(spec: Spec): Sections {
  const { replicaSet, shardTopology, arbiter, hidden } = parsed(spec)
  return {
    ...(shardTopology
      ? { shard: shardPath, configServer: configServerPath, mongos: mongosPath }
      : { [replicaSet ? 'replicaSet' : 'standalone']: [] }),
    ...(arbiter ? { arbiter: ['arbiter'] } : {}),
    ...(hidden ? { hidden: ['hidden'] } : {}),
  }
}

const server = container('mongodb', { db: 27017 })
const detector = container('replication-mode-detector')
const typeLabel = 'mongodb.kubedb.com/node.type'

function components(db: Database): Component[] {
  const { replicaSet, shardTopology } = parsed(db.spec)
  const set = {
    containers: replicaSet || shardTopology ? [server, detector] : [server],
    ...(replicaSet || shardTopology ? { role: primaryFirst } : {}),
    volume: 'datadir',
  }
  if (!shardTopology) {
    const only = members(db, { ...set, labels: { [typeLabel]: 'replica' } })
    return replicaSet ? [only, ...extraMembers(db, only)] : [only]
  }
  const part = (name: string, path: Path, labels: Record<string, string>) => ({
    ...set,
    name,
    replicas: replicasOf(partAt(db.spec, path)),
    path,
    governing: `${name}-pods`,
    labels,
  })
  const { shard, configServer } = shardTopology
  const shards = Array.from({ length: shard.shards }, (_, index) => {
    const name = `${shard.prefix}${db.metadata.name}-shard${index}`
    return part(name, shardPath, { 'mongodb.kubedb.com/node.shard': name, [typeLabel]: 'shard' })
  })
  const configName = `${configServer.prefix}${db.metadata.name}-configsvr`
  const { role, volume, ...mongos } = part(mongosName(db), mongosPath, mongosLabel(db))
  return [
    ...shards.flatMap((component) => [component, ...extraMembers(db, component)]),
    part(configName, configServerPath, { 'mongodb.kubedb.com/node.config': configName }),
    { ...mongos, containers: [server] },
  ]
}

function mongosName(db: Database): string {
  return `${parsed(db.spec).shardTopology?.mongos.prefix ?? ''}${db.metadata.name}-mongos`
}

function mongosLabel(db: Database): Record<string, string> {
  return { 'mongodb.kubedb.com/node.mongos': mongosName(db) }
}

/** Arbiter and hidden members of one replica set. */
function extraMembers({ spec }: Database, { name, governing, labels }: Component): Component[] {
  const { arbiter, hidden } = parsed(spec)
  const extra = (type: string, replicas: number): Component => ({
    name: `${name}-${type}`,
    replicas,
    path: [type],
    governing,
    containers: [server],
    labels: { ...labels, [typeLabel]: type },
  })
  return [
    ...(arbiter ? [extra('arbiter', 1)] : []),
    ...(hidden ? [{ ...extra('hidden', replicasOf(hidden)), volume: 'datadir' }] : []),
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

/** @param detects whether there is somebody beside the server who says which one is the primary */
function podsOf(version: Version, detects: boolean): TemplateDefaults {
  return {
    containers: {
      mongodb: serverResources(version),
      ...(detects ? { [detector.name]: coordinatorResources } : {}),
    },
    initContainers: { 'copy-config': initResources },
  }
}

function ownDefaults(db: Database, version: Version) {
  const { spec } = db
  const own = parsed(spec)
  const sslMode = own.sslMode || (spec.tls ? 'requireSSL' : 'disabled')
  const keyFile = sslMode === 'disabled' || sslMode === 'allowSSL'
  const detecting = podsOf(version, true)
  const plain = podsOf(version, false)
  const arbiting = { ...plain, containers: { mongodb: arbiterResources(version) } }
  const template = (given: Part, pods: TemplateDefaults) =>
    probed(podTemplateOf(given.podTemplate, db, version, pods), probeOf(sslMode, version))
  const part = <P extends Part>(given: P, pods: TemplateDefaults) => ({
    ...given,
    ...configurationOf(given),
    podTemplate: template(given, pods),
  })
  return {
    ...(own.shardTopology
      ? {}
      : { podTemplate: template(spec, podsOf(version, own.replicaSet !== undefined)) }),
    ...subjectsOf(db),
    storageEngine: own.storageEngine || 'wiredTiger',
    sslMode,
    ...(isClustered(spec) ? { clusterAuthMode: own.clusterAuthMode || (keyFile ? 'keyFile' : 'x509') } : {}),
    ...(own.shardTopology
      ? {
          shardTopology: {
            ...own.shardTopology,
            shard: part(own.shardTopology.shard, detecting),
            configServer: part(own.shardTopology.configServer, detecting),
            mongos: part(own.shardTopology.mongos, plain),
          },
        }
      : {}),
    ...(own.arbiter ? { arbiter: part(own.arbiter, arbiting) } : {}),
    ...(own.hidden ? { hidden: part(own.hidden, plain) } : {}),
  }
}

/** How KubeDB asks a server whether it lives: by its own shell. */
function probeOf(sslMode: string, version: Version) {
  const shell = parseVersion(version.spec.version)[0] < 6 ? 'mongo' : 'mongosh'
  const tls =
    sslMode === 'requireSSL'
      ? '--tls --tlsCAFile=/var/run/mongodb/tls/ca.crt --tlsCertificateKeyFile=/var/run/mongodb/tls/client.pem'
      : ''
  const script = `set -x; if [[ $(${shell} admin --host=localhost ${tls} --quiet --eval "db.adminCommand('ping').ok" ) -eq "1" ]]; then \n          exit 0\n        fi\n        exit 1`
  return {
    exec: { command: ['bash', '-c', script] },
    failureThreshold: 3,
    periodSeconds: 10,
    successThreshold: 1,
    timeoutSeconds: 5,
  }
}

/** The template with a probe for its server, unless it has one. */
function probed(template: NonNullable<Part['podTemplate']>, probe: object): NonNullable<Part['podTemplate']> {
  const containers = (template.spec?.containers ?? []).map((one) =>
    one.name === server.name ? { livenessProbe: probe, readinessProbe: probe, ...one } : one,
  )
  return { ...template, spec: { ...template.spec, containers } }
}

/** Who the certificates are for: MongoDB tells members from clients by it. Of shards each has a server's Secret of its own. */
function subjectsOf(db: Database): Pick<Spec, 'tls'> {
  const { tls } = tlsDefaults(db, certificateAliases)
  if (!tls?.certificates) return {}
  const { shardTopology, replicaSet, arbiter } = parsed(db.spec)
  const several = shardTopology !== undefined || (replicaSet !== undefined && arbiter !== undefined)
  const certificates = tls.certificates.map(({ secretName, ...certificate }) => ({
    subject: { organizations: ['kubedb'], organizationalUnits: [certificate.alias] },
    ...certificate,
    ...(several && certificate.alias === 'server' ? {} : { secretName: secretName ?? '' }),
  }))
  return { tls: { ...tls, certificates } }
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

function validateTopology({ spec }: rules.Judged): void {
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
        throw new Refusal(`spec.${name} "${printed(name, member)}" is invalid for Standalone MongoDB. `)
  }
  if (hidden && (hidden.replicas ?? 0) <= 0)
    throw new Refusal(`spec.Hidden.Replicas ${hidden.replicas ?? 0} is invalid. Must be 1 or more`)
}

/** KubeDB prints a Go struct here, with places in its memory. */
const printed = (name: string, member: object): string =>
  name === 'arbiter' ? '{nil <nil> 0x0}' : JSON.stringify(member)

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

async function validateStorages(judged: rules.Judged): Promise<void> {
  const { spec } = judged
  const { shardTopology, hidden } = parsed(spec)
  if (shardTopology) {
    if (spec.storage) throw new Refusal("doesn't support 'spec.storage' when spec.shardTopology is set")
    await validateStorageAt(judged, shardPath)
    await validateStorageAt(judged, configServerPath)
  } else await validateStorageAt(judged, [])
  if (hidden) {
    const durable = { ...judged, spec: { ...spec, storageType: 'Durable' } }
    await rules.storageOf(durable, hidden.storage, 'spec.hidden.storage')
  }
}

async function validateStorageAt(judged: rules.Judged, path: Path): Promise<void> {
  const { spec } = judged
  const { storage, ephemeralStorage } = partAt(spec, path)
  if (spec.storageType === 'Ephemeral' && storage)
    throw new Refusal(
      "'spec.storage' is not supported for Ephemeral storage type, use 'spec.ephemeralStorage' to configure Ephemeral storage type",
    )
  if (spec.storageType === 'Durable' && ephemeralStorage)
    throw new Refusal(
      "'spec.ephemeralStorage' is not supported for Durable storage type, use 'spec.storage' to configure Durable storage type",
    )
  await rules.storageOf(judged, storage, ['spec', ...path, 'storage'].join('.'))
}

function validateSslMode({ spec }: rules.Judged): void {
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

function horizontalScaling({ db }: OpsContext, block: Block): string | undefined {
  const { replicas, shard, configServer, mongos } = v.parse(HorizontalScaling, block)
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

function volumeExpansion({ db, request }: OpsContext, block: Block): string | undefined {
  for (const [key, path, needs] of diskSections) {
    const size = complaints.sizeIn(block, key)
    if (size === undefined) continue
    if (needs && !parsed(db.spec)[needs]) return `${needs} not configured for this MongoDB`
    const wrong = complaints.expansion(partAt(db.spec, path).storage, size, request, key)
    if (wrong !== undefined) return wrong
  }
  return undefined
}

async function migrationOf(
  { kube, db }: OpsContext,
  wanted: string,
  wish: unknown,
): Promise<string | undefined> {
  const found = diskSections.find(([key]) => key === wanted)
  if (!found) return undefined
  const [key, path, needs] = found
  if (needs && needs !== 'replicaSet' && !parsed(db.spec)[needs])
    return `${needs} not configured for this MongoDB`
  const hasClass = partAt(db.spec, path).storage?.storageClassName !== undefined
  const wrong = await complaints.classTrouble(kube, wish, hasClass)
  return wrong && `${key}: ${wrong}`
}
