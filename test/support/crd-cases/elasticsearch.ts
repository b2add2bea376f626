import { crdCases } from './common.ts'
import { claim, podOf, size } from './kind.ts'

const podTemplate = podOf('elasticsearch')
const node = { replicas: 3, storage: claim, podTemplate }
const fast = { storageClassName: 'fast' }

/** What nodes of an Elasticsearch with dedicated nodes can be there for. */
const roles = [
  'master',
  'ingest',
  'data',
  'dataContent',
  'dataHot',
  'dataWarm',
  'dataCold',
  'dataFrozen',
  'ml',
  'transform',
  'coordinating',
]
const each = <T>(value: T): Record<string, T> => Object.fromEntries(roles.map((role) => [role, value]))

export const elasticsearch = crdCases({
  kind: 'Elasticsearch',
  plural: 'elasticsearches',
  version: 'xpack-9.2.3',
  good: {
    'a single ephemeral one': { storageType: 'Ephemeral', replicas: 1, enableSSL: true },
    'three nodes for everything': {
      replicas: 3,
      enableSSL: true,
      storageType: 'Durable',
      storage: claim,
      podTemplate,
      heapSizePercentage: 50,
      maxUnavailable: 1,
      deletionPolicy: 'WipeOut',
    },
    'dedicated nodes': {
      enableSSL: true,
      topology: {
        master: node,
        ingest: { ...node, suffix: 'client' },
        data: { ...node, maxUnavailable: '50%' },
      },
    },
    'dedicated nodes of every sort': { topology: each(node) },
    'an OpenSearch with users': {
      version: 'opensearch-3.4.0',
      internalUsers: {
        admin: { reserved: true, backendRoles: ['admin'], secretName: 'osb-x-auth' },
        b1: { opendistroSecurityRoles: ['app'], attributes: { a: 'b' }, description: 'd' },
      },
      rolesMapping: { app: { users: ['b1'], backendRoles: [], hosts: [] } },
    },
    'one without passwords': { disableSecurity: true },
    'one with settings': {
      configuration: { inline: { 'elasticsearch.yml': 'indices.query.bool.max_clause_count: 2000\n' } },
      secureConfigSecret: { name: 'keystore' },
    },
    'one with settings of the kernel': {
      kernelSettings: {
        disableDefaults: true,
        privileged: false,
        sysctls: [{ name: 'vm.max_map_count', value: '262144' }],
      },
    },
  },
  bad: {
    'dedicated nodes without a master': [
      { topology: { data: node, ingest: node } },
      /spec.topology.master: Required value/,
    ],
    "the older broker's client nodes": [
      { topology: { master: node, ingest: node, client: node } },
      /unknown field \\"spec.topology.client\\"/,
    ],
    'TLS in words': [{ enableSSL: 'on' }, /spec.enableSSL in body must be of type boolean/],
    'a user as a list': [
      { internalUsers: { b1: { backendRoles: 'admin' } } },
      /spec.internalUsers.b1.backendRoles in body must be of type array/,
    ],
    'a misspelt user': [
      { internalUsers: { b1: { role: ['admin'] } } },
      /unknown field \\"spec.internalUsers.b1.role\\"/,
    ],
  },
  goodOps: {
    HorizontalScaling: { horizontalScaling: { node: 5 } },
    'HorizontalScaling of dedicated nodes': { horizontalScaling: { topology: each(3) } },
    VerticalScaling: { verticalScaling: { node: { resources: size }, exporter: {} } },
    'VerticalScaling of dedicated nodes': { apply: 'Always', verticalScaling: each({ resources: size }) },
    VolumeExpansion: { volumeExpansion: { mode: 'Online', node: '20Gi' } },
    'VolumeExpansion of dedicated nodes': { volumeExpansion: { mode: 'Online', ...each('20Gi') } },
    Reconfigure: {
      configuration: {
        applyConfig: { 'elasticsearch.yml': 'indices.query.bool.max_clause_count: 2000\n' },
        secureConfigSecret: { name: 'keystore' },
      },
    },
    'Reconfigure to nothing': {
      configuration: { removeCustomConfig: true, removeSecureCustomConfig: true },
    },
    StorageMigration: { migration: { node: fast } },
    'StorageMigration of dedicated nodes': { timeout: '1h', migration: each(fast) },
  },
  badOps: {
    'replicas of no role': [
      { type: 'HorizontalScaling', horizontalScaling: { replicas: 3 } },
      /unknown field \\"spec.horizontalScaling.replicas\\"/,
    ],
    'a role outside the topology': [
      { type: 'HorizontalScaling', horizontalScaling: { master: 3 } },
      /unknown field \\"spec.horizontalScaling.master\\"/,
    ],
    'an expansion in words': [
      { type: 'VolumeExpansion', volumeExpansion: { mode: 'Online', data: 'two' } },
      /spec.volumeExpansion.data in body should match/,
    ],
  },
  badVersions: {
    'without images': [{ version: '9.2.3' }, /spec.db: Required value/],
    'an unknown security plugin': [
      { version: '9.2.3', authPlugin: 'Shield' },
      /spec.authPlugin: Unsupported value/,
    ],
  },
})
