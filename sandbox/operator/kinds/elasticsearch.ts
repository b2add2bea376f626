import * as v from 'valibot'
import { Panic, Refusal } from '../cluster/admission.ts'
import { parseQuantity } from '../cluster/quantity.ts'
import { type Database, Part, type Spec, Version } from '../cluster/resources.ts'
import { partAt } from '../cluster/spec-path.ts'
import { basicAuth } from './parts/auth.ts'
import * as complaints from './parts/complaints.ts'
import { authSecretDefaults, emptyTemplate, initResources, podTemplateOf } from './parts/defaults.ts'
import { kept, kindOf } from './parts/description.ts'
import type { Component, OpsContext } from './parts/kind.ts'
import { resourcesOf } from './parts/kind.ts'
import { authSecretName, replicasOf, withSuffix } from './parts/offshoots.ts'
import * as rules from './parts/rules.ts'
import { mergeYaml } from './parts/settings-text.ts'
import {
  container,
  headlessService,
  members,
  nodeSections,
  portsTo,
  roleLabels,
  stashAddon,
} from './parts/shapes.ts'
import { compareVersions, parseVersion } from './parts/versions.ts'

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
  heapSizePercentage: v.exactOptional(v.number()),
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

function sectionsOf(spec: Spec) {
  const { topology } = parsed(spec)
  return nodeSections(topology && Object.keys(roles).filter((key) => topology[key] !== undefined))
}

const ports = { http: 9200, transport: 9300 }

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
const environment = rules.environment('Elasticsearch', forbiddenVariables)

export const elasticsearch = kindOf({
  kind: 'Elasticsearch',
  plural: 'elasticsearches',
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
  services: (db) => [
    headlessService(db, ports),
    {
      name: withSuffix(db.metadata.name, 'master'),
      headless: true,
      selector: roleLabels('master'),
      ports: portsTo({ transport: ports.transport }),
    },
    {
      name: db.metadata.name,
      alias: 'primary',
      selector: roleLabels('ingest'),
      ports: portsTo({ http: ports.http }),
    },
  ],
  client: (db) => ({ scheme: parsed(db.spec).enableSSL ? 'https' : 'http', parameters: stashAddon }),
  secrets: (db) =>
    Object.entries(parsed(db.spec).internalUsers ?? {})
      .filter(([user]) => !administrators.includes(user))
      .map(([username, { secretName }]) => ({
        name: secretName || credentialsName(db, username),
        type: 'kubernetes.io/basic-auth',
        data: (newPassword) => ({ username, password: newPassword() }),
      })),
  defaults: {
    traits: { plainInit: true },
    pods: (spec) => (parsed(spec).topology ? undefined : nodePods),
    own: ownDefaults,
  },
  rules: [
    (judged) => (parsed(judged.spec).topology ? undefined : rules.replicas(judged)),
    rules.storageType,
    rules.volumes([
      'data',
      'esconfig',
      'security-config',
      'secure-settings',
      'custom-config',
      'temp-config',
      'git-secret',
    ]),
    rules.each(
      (spec) => Object.values(sectionsOf(spec)).map((path) => partAt(spec, path)),
      rules.mountPaths([
        'data',
        '/usr/share/elasticsearch/config',
        '/elasticsearch/custom-config',
        '/usr/share/opensearch/config',
        '/usr/share/opensearch/plugins/opensearch-security/securityconfig',
        '/usr/share/elasticsearch/plugins/opendistro_security/securityconfig',
        '/etc/git-secret',
      ]),
    ),
    validateSecureConfig,
    (judged) => (parsed(judged.spec).topology ? validateNodes(judged) : validateCombined(judged)),
    validateUsers,
    rules.externalSecret(),
    ({ version, db: { metadata } }) => {
      if (version.spec.deprecated)
        throw new Refusal(
          `elasticsearch ${metadata.namespace}/${metadata.name} is using deprecated version ${version.metadata.name}. Skipped processing`,
        )
    },
    rules.deletionPolicy('spec.deletionPolicy', 'set'),
    ({ spec }) => {
      const { disableSecurity, enableSSL } = parsed(spec)
      if (disableSecurity && enableSSL)
        throw new Refusal("to enable 'spec.enableSSL', 'spec.disableSecurity' needs to be set to false")
    },
    rules.monitor,
    rules.healthChecker,
  ],
  fixed: ['spec.topology.*.suffix', 'spec.storageType'],
  deletionRefusal: kept('ElasticSearch'),
  ops: {
    group: 'elasticsearchopsrequests.kubedb.com',
    // KubeDB's webhook lets a request for no database pass.
    absent: () => undefined,
    complaints: {
      UpdateVersion: complaints.needs(complaints.bare, complaints.upgrade),
      Reconfigure: reconfigure,
      RotateAuth: async (context) =>
        (await openSearchTrouble(context)) ?? (await complaints.rotateAuth(context)),
      StorageMigration: complaints.migratesNodes(
        'at least one node migration spec is required in spec.migration',
        Object.keys(roles),
      ),
      VolumeExpansion: complaints.needs(complaints.bare, complaints.expandsNodes),
      VerticalScaling: complaints.needs(complaints.bare),
    },
    sections: sectionsOf,
    container: 'elasticsearch',
    migratesBySection: true,
    supports({ secureConfigSecret, removeSecureCustomConfig }) {
      if (secureConfigSecret !== undefined || removeSecureCustomConfig)
        throw new Error("the sandbox's operator keeps no keystore: leave out secureConfigSecret")
    },
    scaled({ spec }, block) {
      const { node, topology = {} } = v.parse(HorizontalScaling, block)
      if (!parsed(spec).topology) return { replicas: node }
      const known = sectionsOf(spec)
      const strange = Object.keys(topology).find((key) => !(key in known))
      if (strange !== undefined) throw new Error(`the cluster has no ${strange} nodes to scale`)
      const counts = Object.entries(topology).map(([key, replicas]) => [key, { replicas }])
      return { topology: Object.fromEntries(counts) }
    },
  },
})

function credentialsName(db: Database, user: string): string {
  return withSuffix(db.metadata.name, `${user}-cred`.replaceAll('_', '-'))
}

function components(db: Database): Component[] {
  const { topology } = parsed(db.spec)
  const nodes = members(db, {
    containers: [container('elasticsearch', ports)],
    volume: 'data',
    labels: roleLabels('master', 'data', 'ingest'),
  })
  if (!topology) return [nodes]
  return Object.entries(roles).flatMap(([key, role]) => {
    const node = topology[key]
    if (!node) return []
    return [
      {
        ...nodes,
        name: withSuffix(db.metadata.name, node.suffix || role),
        replicas: replicasOf(node),
        path: ['topology', key],
        labels: roleLabels(role),
      },
    ]
  })
}

const nodePods = {
  containers: {
    elasticsearch: { requests: { cpu: '500m', memory: '1.5Gi' }, limits: { memory: '1.5Gi' } },
  },
  initContainers: { 'config-merger': initResources },
}

function ownDefaults(db: Database, version: Version) {
  const own = parsed(db.spec)
  const available = (replicas: number, given: Node['maxUnavailable']) =>
    given === undefined && replicas > 1 ? { maxUnavailable: 1 } : {}
  const node = (given: Node, role: string) => {
    const replicas = given.replicas ?? 1
    return {
      ...given,
      suffix: given.suffix || role,
      replicas,
      ...available(replicas, given.maxUnavailable),
      podTemplate: podTemplateOf(given.podTemplate, db, version, nodePods, {
        ownAccount: false,
        plainInit: true,
      }),
    }
  }
  return {
    ...(own.topology
      ? {
          podTemplate: withServiceAccount(db),
          topology: Object.fromEntries(
            // KubeDB's defaulter goes through the roles one by one and has forgotten this one.
            Object.entries(own.topology).map(([key, given]) => [
              key,
              key === 'coordinating' ? withEmptyTemplate(given) : node(given, roleOf(key)),
            ]),
          ),
        }
      : available(db.spec.replicas ?? 1, own.maxUnavailable)),
    heapSizePercentage: own.heapSizePercentage ?? 50,
    kernelSettings: kernelDefaults(own.kernelSettings),
    ...(own.disableSecurity ? {} : { ...userDefaults(db, version), ...certificateDefaults(db, version) }),
  }
}

function withEmptyTemplate({ podTemplate, ...node }: Node) {
  return {
    ...node,
    podTemplate: { ...emptyTemplate, ...podTemplate, spec: { ...emptyTemplate.spec, ...podTemplate?.spec } },
  }
}

function withServiceAccount({ spec: { podTemplate }, metadata: { name } }: Database) {
  const serviceAccountName = podTemplate?.spec?.serviceAccountName || name
  return {
    ...emptyTemplate,
    ...podTemplate,
    spec: { ...emptyTemplate.spec, ...podTemplate?.spec, serviceAccountName },
  }
}

function roleOf(key: string): string {
  return key in roles ? roles[key as RoleKey] : key
}

function kernelDefaults(given: v.InferOutput<typeof ElasticsearchSpec>['kernelSettings']): object {
  const { disableDefaults, ...settings } = { sysctls: [], ...given }
  if (disableDefaults) return { disableDefaults, ...settings }
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

const leastMemory = 256 * 2 ** 20

/** @param of what, as the webhook calls it */
function validateMemory(part: Part, of: string): void {
  const container = rules.containersOf(part).find(({ name }) => name === 'elasticsearch')
  if (!container) throw new Panic()
  const memory = parseQuantity(container.resources?.requests?.memory ?? leastMemory)
  if (memory < leastMemory)
    throw new Refusal(`${of} cannot be less than 256Mi, given ${Math.floor(memory / 2 ** 20)}Mi`)
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

function validateSecureConfig({ spec, version }: rules.Judged): void {
  if (!parsed(spec).secureConfigSecret) return
  if (version.spec.distribution === 'OpenSearch')
    throw new Refusal('secureConfigSecret is not supported for OpenSearch')
  if (compareVersions(parseVersion(version.spec.version), [7, 9, 0]) < 0)
    throw new Refusal(
      `secureConfigSecret is not supported for ElasticsearchVersion ${version.metadata.name}, try with latest versions`,
    )
}

async function validateCombined(judged: rules.Judged): Promise<void> {
  const { spec } = judged
  await rules.storage(judged)
  validateUnavailable(parsed(spec).maxUnavailable, spec.replicas, '')
  validateMemory(spec, 'PodTemplate.Spec.Resources.Requests.memory')
  environment(judged)
}

async function validateNodes(judged: rules.Judged): Promise<void> {
  const { spec, version } = judged
  const { topology = {} } = parsed(spec)
  for (const field of ['replicas', 'storage'] as const)
    if (spec[field] !== undefined)
      throw new Refusal(`doesn't support spec.${field} when spec.topology is set`)
  const keepsData = topology.data || (topology.dataHot && topology.dataContent)
  if (version.spec.distribution === 'ElasticStack' && !keepsData)
    throw new Refusal('when data node is empty, you need to have both dataHot and dataContent nodes')
  const nodes = Object.entries(topology).map(([key, node]) => [roleOf(key), node] as const)
  if (new Set(nodes.map(([, { suffix }]) => suffix)).size < nodes.length)
    throw new Refusal('two or more node cannot have same suffix')
  for (const [role, { replicas = 0 }] of nodes)
    if (replicas <= 0) throw new Refusal(`replicas for node role ${role} must be alteast 1`)
  for (const [role, node] of nodes) {
    await rules.storageOf(judged, node.storage)
    validateMemory(node, `${role}.resources.reqeusts.memory`)
    validateUnavailable(node.maxUnavailable, node.replicas, ` in ${role} node`)
    environment({ spec: node })
  }
}

function validateUsers({ spec, version }: rules.Judged): void {
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
  if (trouble !== undefined || spec.configuration) return trouble
  return `configuration can not be empty for ${metadata.namespace}/${metadata.name}`
}
