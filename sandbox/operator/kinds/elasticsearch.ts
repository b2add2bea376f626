import * as v from 'valibot'
import { Refusal } from '../admission.ts'
import { basicAuth } from '../auth.ts'
import {
  authSecretDefaults,
  commonDefaults,
  configurationOf,
  initResources,
  podTemplateOf,
} from '../defaults.ts'
import type { Block, Component, Context, Kind, OpsContext, Path, ServiceShape } from '../kind.ts'
import { resourcesOf } from '../kind.ts'
import { stashAddon } from '../offshoot-objects.ts'
import { authSecretName, governingServiceName, replicasOf, withSuffix } from '../offshoots.ts'
import {
  expansion,
  rotateAuth,
  storageClassNotFound,
  timeoutRequired,
  updateVersion,
} from '../ops-complaints.ts'
import { parseQuantity } from '../quantity.ts'
import {
  type Database,
  Migration,
  Part,
  Quantity,
  resources,
  type Spec,
  Unscoped,
  Version,
} from '../resources.ts'
import { mergeYaml } from '../settings-text.ts'
import { opsTypes } from '../shapes.ts'
import { partAt } from '../spec-path.ts'
import {
  containersOf,
  validateDeletionPolicy,
  validateEnvironment,
  validateExternalSecret,
  validateHealthChecker,
  validateMonitor,
  validateMountPaths,
  validateStorage,
  validateStorageType,
  validateVolumes,
} from '../validation.ts'
import { compareVersions, parseVersion } from '../versions.ts'

/** Node roles by their key in the spec, those that keep data first. */
const roles = {
  data: 'data',
  dataHot: 'data-hot',
  dataContent: 'data-content',
  dataWarm: 'data-warm',
  dataCold: 'data-cold',
  dataFrozen: 'data-frozen',
  master: 'master',
  ingest: 'ingest',
  ml: 'ml',
  transform: 'transform',
  coordinating: 'coordinating',
} as const
type RoleKey = keyof typeof roles

const Node = v.looseObject({
  ...Part.entries,
  suffix: v.optional(v.string(), ''),
  maxUnavailable: v.exactOptional(v.union([v.number(), v.string()])),
})
type Node = v.InferOutput<typeof Node>
const User = v.looseObject({
  secretName: v.optional(v.string(), ''),
  backendRoles: v.exactOptional(v.array(v.string())),
})
const Certificate = v.looseObject({
  alias: v.string(),
  secretName: v.exactOptional(v.string()),
  subject: v.exactOptional(v.looseObject({})),
})
const ElasticsearchSpec = v.looseObject({
  topology: v.exactOptional(v.record(v.string(), Node)),
  enableSSL: v.optional(v.boolean(), false),
  disableSecurity: v.optional(v.boolean(), false),
  maxUnavailable: v.exactOptional(v.union([v.number(), v.string()])),
  internalUsers: v.exactOptional(v.record(v.string(), User)),
  secureConfigSecret: v.exactOptional(v.looseObject({})),
  kernelSettings: v.exactOptional(
    v.looseObject({
      disableDefaults: v.optional(v.boolean(), false),
      sysctls: v.optional(v.array(v.looseObject({ name: v.string() })), []),
    }),
  ),
  tls: v.exactOptional(
    v.looseObject({
      issuerRef: v.exactOptional(v.looseObject({})),
      certificates: v.optional(v.array(Certificate), []),
    }),
  ),
})
const parsed = (spec: Spec) => v.parse(ElasticsearchSpec, spec)

const isXpack = (version: Version) => version.spec.authPlugin === 'X-Pack'
/** Versions of X-Pack that let their built-in users be managed. */
const managesUsers = (version: Version) => compareVersions(parseVersion(version.spec.version), [7, 8, 0]) >= 0
const administrators = ['elastic', 'admin']

/** Sections of the spec with nodes, by their key in OpsRequests. */
function sectionsOf(spec: Spec): Record<string, Path> {
  const { topology } = parsed(spec)
  if (!topology) return { node: [] }
  const keys = Object.keys(roles).filter((key) => topology[key] !== undefined)
  return Object.fromEntries(keys.map((key) => [key, ['topology', key]]))
}

export const elasticsearch: Kind = {
  kind: 'Elasticsearch',
  plural: 'elasticsearches',
  apiVersion: 'kubedb.com/v1',
  title: 'Elasticsearch',
  port: 9200,
  auth: {
    ...basicAuth('elastic', { fixed: false }),
    user: (version) => (isXpack(version) ? 'elastic' : 'admin'),
    disabled: (spec) => parsed(spec).disableSecurity,
  },
  config: { takes: (file) => file === 'elasticsearch.yml' || file === 'opensearch.yml', merge: mergeYaml },
  tls: {
    wanted: (spec) => parsed(spec).enableSSL,
    needsIssuer: false,
    // Nodes speak TLS among each other in any case.
    aliases: (spec) =>
      parsed(spec).disableSecurity ? [] : (spec.tls?.certificates ?? []).map(({ alias }) => alias),
    server: 'http',
    client: 'client',
    added: () => ({ enableSSL: true }),
    removed: () => ({ enableSSL: false }),
  },
  components,
  services,
  client: (db) => ({ scheme: parsed(db.spec).enableSSL ? 'https' : 'http', parameters: stashAddon }),
  secrets: (db) =>
    Object.entries(parsed(db.spec).internalUsers ?? {})
      .filter(([user]) => !administrators.includes(user))
      .map(([username, { secretName }]) => ({
        name: secretName || credentialsName(db, username),
        type: 'kubernetes.io/basic-auth',
        data: (newPassword) => ({ username, password: newPassword() }),
      })),
  admission: {
    defaults,
    validate,
    fixed: ['spec.topology.*.suffix', 'spec.storageType'],
    storageClasses: (spec) =>
      Object.values(sectionsOf(spec))
        .map((path) => partAt(spec, path).storage?.storageClassName)
        .filter((name) => name !== undefined),
    deletionRefusal: (namespace, name) =>
      `ElasticSearch "${namespace}/${name}" can't be terminated. To delete, change spec.deletionPolicy`,
  },
  ops: {
    types: opsTypes,
    group: 'elasticsearchopsrequests.kubedb.com',
    // KubeDB's webhook lets a request for no database pass.
    absent: () => undefined,
    complaint,
    vertical: (db) =>
      Object.fromEntries(
        Object.entries(sectionsOf(db.spec)).map(([key, path]) => [key, { path, container: 'elasticsearch' }]),
      ),
    volumes: (db) => sectionsOf(db.spec),
    migratesBySection: true,
    configured(_db, block) {
      if (block.secureConfigSecret !== undefined || block.removeSecureCustomConfig)
        throw new Error("the sandbox's operator keeps no keystore: leave out secureConfigSecret")
      return { '': [] }
    },
    scaled,
  },
}

function credentialsName(db: Database, user: string): string {
  return withSuffix(db.metadata.name, `${user}-cred`.replaceAll('_', '-'))
}

const roleLabelOf = (role: string) => `kubedb.com/role-${role}`

function components(db: Database): Component[] {
  const { topology } = parsed(db.spec)
  const { name } = db.metadata
  const nodes = {
    governing: governingServiceName(db),
    containers: [
      {
        name: 'elasticsearch',
        ports: [
          { name: 'http', containerPort: 9200 },
          { name: 'transport', containerPort: 9300 },
        ],
      },
    ],
    volume: 'data',
  }
  if (!topology) {
    const labels = Object.fromEntries(['master', 'data', 'ingest'].map((role) => [roleLabelOf(role), 'set']))
    return [{ ...nodes, name, replicas: replicasOf(db.spec), path: [], labels }]
  }
  return Object.entries(roles).flatMap(([key, role]) => {
    const node = topology[key]
    if (!node) return []
    return [
      {
        ...nodes,
        name: withSuffix(name, node.suffix || role),
        replicas: replicasOf(node),
        path: ['topology', key],
        labels: { [roleLabelOf(role)]: 'set' },
      },
    ]
  })
}

function services(db: Database): ServiceShape[] {
  const http = { name: 'http', port: 9200, targetPort: 'http' }
  const transport = { name: 'transport', port: 9300, targetPort: 'transport' }
  return [
    { name: governingServiceName(db), headless: true, ports: [http, transport] },
    {
      name: withSuffix(db.metadata.name, 'master'),
      headless: true,
      selector: { [roleLabelOf('master')]: 'set' },
      ports: [transport],
    },
    {
      name: db.metadata.name,
      alias: 'primary',
      selector: { [roleLabelOf('ingest')]: 'set' },
      ports: [http],
    },
  ]
}

const nodeResources = { requests: { cpu: '500m', memory: '1.5Gi' }, limits: { memory: '1.5Gi' } }

function defaults(db: Database, version: Version): Spec {
  const { spec } = db
  const own = parsed(spec)
  const nodeTemplate = (part: Part) =>
    podTemplateOf(part.podTemplate, db, version, {
      containers: [['elasticsearch', nodeResources]],
      initContainers: [['config-merger', initResources]],
    })
  const available = (replicas: number, given: Node['maxUnavailable']) =>
    given === undefined && replicas > 1 ? { maxUnavailable: 1 } : {}
  const node = (given: Node, role: string) => {
    const replicas = given.replicas ?? 1
    return {
      ...given,
      suffix: given.suffix || role,
      replicas,
      ...available(replicas, given.maxUnavailable),
      podTemplate: nodeTemplate(given),
    }
  }
  const replicas = spec.replicas ?? 1
  const complete: Spec = {
    ...spec,
    ...commonDefaults(spec),
    storageType: spec.storageType || 'Durable',
    ...configurationOf(spec),
    ...(own.topology
      ? {
          podTemplate: {
            ...spec.podTemplate,
            spec: {
              ...spec.podTemplate?.spec,
              serviceAccountName: spec.podTemplate?.spec?.serviceAccountName || db.metadata.name,
            },
          },
          topology: Object.fromEntries(
            Object.entries(own.topology).map(([key, given]) => [key, node(given, roleOf(key))]),
          ),
        }
      : { replicas, ...available(replicas, own.maxUnavailable), podTemplate: nodeTemplate(spec) }),
    kernelSettings: kernelDefaults(own.kernelSettings),
  }
  return own.disableSecurity
    ? complete
    : { ...complete, ...userDefaults(db, version), ...certificateDefaults(db, version) }
}

function roleOf(key: string): string {
  return key in roles ? roles[key as RoleKey] : key
}

function kernelDefaults(given: v.InferOutput<typeof ElasticsearchSpec>['kernelSettings']): object {
  const settings = { disableDefaults: false, sysctls: [], ...given }
  if (settings.disableDefaults) return settings
  const sysctls = settings.sysctls.some(({ name }: { name: string }) => name === 'vm.max_map_count')
    ? settings.sysctls
    : [...settings.sysctls, { name: 'vm.max_map_count', value: '262144' }]
  return { ...settings, privileged: true, sysctls }
}

const xpackUsers: Readonly<Record<string, object>> = {
  elastic: { backendRoles: ['superuser'] },
  kibana_system: { backendRoles: ['kibana_system'] },
  beats_system: { backendRoles: ['beats_system'] },
  apm_system: { backendRoles: ['apm_system'] },
  remote_monitoring_user: { backendRoles: ['remote_monitoring_collector', 'remote_monitoring_agent'] },
  logstash_system: { backendRoles: ['logstash_system'] },
}
const openSearchUsers: Readonly<Record<string, object>> = {
  admin: { reserved: true, backendRoles: ['admin'] },
  kibanaserver: { reserved: true },
  kibanaro: {},
  logstash: {},
  readall: {},
  snapshotrestore: {},
}

/** The built-in users, each with its Secret; the administrator's is the auth Secret. */
function userDefaults(db: Database, version: Version): object {
  const { spec } = db
  const builtIn = isXpack(version)
    ? managesUsers(version)
      ? xpackUsers
      : {}
    : version.spec.authPlugin === 'OpenSearch'
      ? openSearchUsers
      : {}
  const given = parsed(spec).internalUsers ?? {}
  const users = Object.entries({ ...builtIn, ...given }).map(([user, known]) => {
    const isAdministrator = administrators.includes(user)
    const secretName = isAdministrator
      ? authSecretName(db)
      : given[user]?.secretName || credentialsName(db, user)
    const needed = isAdministrator ? [user === 'elastic' ? 'superuser' : 'admin'] : []
    const backendRoles = [...new Set([...(given[user]?.backendRoles ?? []), ...needed])]
    return [user, { ...known, ...(backendRoles.length > 0 ? { backendRoles } : {}), secretName }] as const
  })
  const hasAdministrator = users.some(([user]) => administrators.includes(user))
  return {
    authSecret: {
      ...authSecretDefaults(spec),
      ...(hasAdministrator ? { name: authSecretName(db) } : {}),
    },
    ...(users.length > 0 ? { internalUsers: Object.fromEntries(users) } : {}),
  }
}

/** Certificates for the transport among nodes in any case, for HTTP where it is asked for. */
function certificateDefaults(db: Database, version: Version): Pick<Spec, 'tls'> {
  const { enableSSL, tls } = parsed(db.spec)
  const hasAdmin = !isXpack(version)
  const needed = [
    ...(tls?.issuerRef ? [] : ['ca']),
    'transport',
    ...(hasAdmin ? ['admin'] : []),
    ...(enableSSL ? ['http', 'client'] : []),
  ]
  const known = tls?.certificates ?? []
  const missing = needed.filter((alias) => !known.some((certificate) => certificate.alias === alias))
  const certificates = [...known, ...missing.map((alias): v.InferOutput<typeof Certificate> => ({ alias }))]
  return {
    tls: {
      ...db.spec.tls,
      certificates: certificates
        .filter(({ alias }) => alias !== 'archiver')
        .map((certificate) => ({
          subject: { organizations: ['kubedb'] },
          ...certificate,
          secretName: certificate.secretName || `${db.metadata.name}-${certificate.alias}-cert`,
          privateKey: { encoding: 'PKCS8' },
        })),
    },
  }
}

const forbiddenVariables = [
  'node.name',
  'node.ingest',
  'node.master',
  'node.data',
  'node.ml',
  'node.data_hot',
  'node.data_warm',
  'node.data_cold',
  'node.data_frozen',
  'node.data_content',
]
const reservedVolumes = [
  'data',
  'esconfig',
  'security-config',
  'secure-settings',
  'custom-config',
  'temp-config',
  'git-secret',
]
const reservedPaths = [
  'data',
  '/usr/share/elasticsearch/config',
  '/elasticsearch/custom-config',
  '/usr/share/opensearch/config',
  '/usr/share/opensearch/plugins/opensearch-security/securityconfig',
  '/usr/share/elasticsearch/plugins/opendistro_security/securityconfig',
  '/etc/git-secret',
]
const leastMemory = 256 * 2 ** 20

function validate(db: Database, context: Context): void {
  const { spec } = db
  const own = parsed(spec)
  const { version } = context
  if (!own.topology && (spec.replicas ?? 0) < 1)
    throw new Refusal(`spec.replicas "${spec.replicas ?? 0}" invalid. Value must be greater than zero`)
  validateStorageType(spec)
  validateVolumes(spec, reservedVolumes)
  for (const path of Object.values(sectionsOf(spec))) validateMountPaths(partAt(spec, path), reservedPaths)
  validateSecureConfig(spec, version)
  if (own.topology) validateNodes(spec, context)
  else {
    validateStorage(spec, spec.storage, context)
    validateUnavailable(own.maxUnavailable, spec.replicas, '')
    const memory = memoryRequest(spec)
    if (memory !== undefined && memory < leastMemory)
      throw new Refusal(
        `PodTemplate.Spec.Resources.Requests.memory cannot be less than 256Mi, given ${Math.floor(memory / 2 ** 20)}Mi`,
      )
    validateEnvironment(spec, forbiddenVariables, 'Elasticsearch')
  }
  validateUsers(spec, version)
  validateExternalSecret(
    spec,
    'for externallyManaged auth secret, user must configure "spec.authSecret.name"',
  )
  const { name, namespace } = db.metadata
  if (version.spec.deprecated)
    throw new Refusal(
      `elasticsearch ${namespace}/${name} is using deprecated version ${version.metadata.name}. Skipped processing`,
    )
  validateDeletionPolicy(spec, {
    missing: "'spec.deletionPolicy' is missing",
    halt: "'spec.deletionPolicy: Halt' can not be set for 'Ephemeral' storage",
  })
  if (own.disableSecurity && own.enableSSL)
    throw new Refusal("to enable 'spec.enableSSL', 'spec.disableSecurity' needs to be set to false")
  validateMonitor(spec)
  validateHealthChecker(spec)
}

function memoryRequest(part: Part): number | undefined {
  const container = containersOf(part).find(({ name }) => name === 'elasticsearch')
  const memory = container?.resources?.requests?.memory
  return memory === undefined ? undefined : parseQuantity(memory)
}

function validateUnavailable(
  given: Node['maxUnavailable'],
  replicas: number | undefined,
  where: string,
): void {
  // A percentage counts as nothing, as it does in KubeDB's comparison.
  if (typeof given === 'number' && given > (replicas ?? 0))
    throw new Refusal(`MaxUnavailable replicas can't be greater that number of replicas${where}`)
}

function validateSecureConfig(spec: Spec, version: Version): void {
  if (!parsed(spec).secureConfigSecret) return
  if (version.spec.distribution === 'OpenSearch')
    throw new Refusal('secureConfigSecret is not supported for OpenSearch')
  if (compareVersions(parseVersion(version.spec.version), [7, 9, 0]) < 0)
    throw new Refusal(
      `secureConfigSecret is not supported for ElasticsearchVersion ${version.metadata.name}, try with latest versions`,
    )
}

function validateNodes(spec: Spec, context: Context): void {
  const { topology = {} } = parsed(spec)
  for (const field of ['replicas', 'storage'] as const)
    if (spec[field] !== undefined)
      throw new Refusal(`doesn't support spec.${field} when spec.topology is set`)
  const { distribution } = context.version.spec
  if (distribution === 'ElasticStack' && !topology.data && !(topology.dataHot && topology.dataContent))
    throw new Refusal('when data node is empty, you need to have both dataHot and dataContent nodes')
  const nodes = Object.entries(topology)
  if (new Set(nodes.map(([, { suffix }]) => suffix)).size < nodes.length)
    throw new Refusal('two or more node cannot have same suffix')
  for (const [key, { replicas = 0 }] of nodes)
    if (replicas <= 0) throw new Refusal(`replicas for node role ${roleOf(key)} must be alteast 1`)
  for (const [key, node] of nodes) {
    validateStorage(spec, node.storage, context)
    const memory = memoryRequest(node)
    if (memory !== undefined && memory < leastMemory)
      throw new Refusal(
        `${roleOf(key)}.resources.reqeusts.memory cannot be less than 256Mi, given ${Math.floor(memory / 2 ** 20)}Mi`,
      )
    validateUnavailable(node.maxUnavailable, node.replicas, ` in ${roleOf(key)} node`)
    validateEnvironment(node, forbiddenVariables, 'Elasticsearch')
  }
}

function validateUsers(spec: Spec, version: Version): void {
  const { internalUsers } = parsed(spec)
  if (!internalUsers || !isXpack(version)) return
  if (!managesUsers(version)) throw new Refusal("'spec.internalUsers' is not unsupported for versions < 7.8")
  const strange = Object.keys(internalUsers).find((user) => !(user in xpackUsers))
  if (strange !== undefined)
    throw new Refusal(`internal user ${strange} is forbidden to use in Elasticsearch spec`)
}

const HorizontalScaling = v.looseObject({
  node: v.exactOptional(v.number()),
  topology: v.exactOptional(v.record(v.string(), v.number())),
})

function scaled({ spec }: Database, block: Block): object {
  const { node, topology = {} } = v.parse(HorizontalScaling, block)
  if (!parsed(spec).topology) return { replicas: node }
  const known = sectionsOf(spec)
  const strange = Object.keys(topology).find((key) => !(key in known))
  if (strange !== undefined) throw new Error(`the cluster has no ${strange} nodes to scale`)
  return {
    topology: Object.fromEntries(Object.entries(topology).map(([key, replicas]) => [key, { replicas }])),
  }
}

function complaint(context: OpsContext): Promise<string | undefined> | string | undefined {
  const { spec } = context.request
  switch (spec.type) {
    case 'UpdateVersion':
      return updateVersion(context, 'spec.updateVersion nil not supported in UpdateVersion type')
    case 'Reconfigure':
      return reconfigure(context)
    case 'RotateAuth':
      return rotate(context)
    case 'StorageMigration':
      return migration(context)
    case 'VolumeExpansion':
      return volumeExpansion(context)
    case 'VerticalScaling':
      return spec.verticalScaling
        ? undefined
        : 'spec.verticalScaling nil not supported in VerticalScaling type'
    default:
      return undefined
  }
}

/** OpenSearch 2 and later cannot be reconfigured by KubeDB while it speaks plain HTTP. */
async function openSearchTrouble({ kube, kind, db, request }: OpsContext): Promise<string | undefined> {
  const name = db.spec.version
  const version = await kube.get(Version, resourcesOf(kind).versions, { name })
  if (!version) return `ElasticsearchVersion.catalog.kubedb.com "${name}" not found`
  const isModern = version.spec.authPlugin === 'OpenSearch' && parseVersion(version.spec.version)[0] > 1
  const { namespace, name: own } = request.metadata
  return isModern && !parsed(db.spec).enableSSL
    ? `opsrequest ${namespace}/${own} is not compatible for version ${name}`
    : undefined
}

async function reconfigure(context: OpsContext): Promise<string | undefined> {
  const { metadata, spec } = context.request
  const trouble = await openSearchTrouble(context)
  if (trouble !== undefined) return trouble
  return spec.configuration
    ? undefined
    : `configuration can not be empty for ${metadata.namespace}/${metadata.name}`
}

async function rotate(context: OpsContext): Promise<string | undefined> {
  return (await openSearchTrouble(context)) ?? (await rotateAuth(context))
}

/** How KubeDB calls the disks of a section in its refusals. */
const titleOf = (key: string) => (key === 'node' ? 'combined Elasticsearch' : key)

function volumeExpansion({ db, request }: OpsContext): string | undefined {
  if (!request.spec.volumeExpansion) return 'spec.volumeExpansion nil not supported in VolumeExpansion type'
  const block: Block = request.spec.volumeExpansion
  for (const [key, path] of Object.entries(sectionsOf(db.spec))) {
    const size = v.parse(v.optional(Quantity), block[key])
    if (size === undefined) continue
    const wrong = expansion(partAt(db.spec, path).storage, size, request, titleOf(key))
    if (wrong !== undefined) return wrong
  }
  return undefined
}

async function migration({ kube, db, request }: OpsContext): Promise<string | undefined> {
  if (!request.spec.migration) return 'spec.migration is required for StorageMigration type'
  const block: Block = request.spec.migration
  if (!['node', ...Object.keys(roles)].some((key) => block[key] !== undefined))
    return 'at least one node migration spec is required in spec.migration'
  if (request.spec.timeout === undefined) return timeoutRequired(',')
  for (const key of Object.keys(sectionsOf(db.spec))) {
    if (block[key] === undefined) continue
    const { storageClassName: name } = v.parse(Migration, block[key])
    if (name === undefined) return 'storageClassName is required in migration spec'
    if (!(await kube.get(Unscoped, resources.storageClasses, { name }))) return storageClassNotFound(name)
  }
  return undefined
}
