/** Cases of the kinds of MySQL's protocol, and those in which they are alike. */
import { crdCases, noReplicas, type OwnCases } from './common.ts'
import { type Bad, type CrdCases, claim, podOf, size } from './kind.ts'

/** A container whose name is that of the kind's block in OpsRequests, and the file that KubeDB reads settings from. */
type OfFamily = OwnCases & { container: string; configFile: string }

function familyCases({ container, configFile, ...own }: OfFamily): CrdCases {
  const settings = '[mysqld]\nmax_connections=200\n'
  return crdCases({
    ...own,
    good: { ...own.good, 'one with settings': { configuration: { inline: { [configFile]: settings } } } },
    bad: {
      ...own.bad,
      "another kind's TLS mode": [{ sslMode: 'require' }, /unknown field \\"spec.sslMode\\"/],
    },
    goodOps: {
      HorizontalScaling: { horizontalScaling: { member: 5 } },
      VerticalScaling: {
        apply: 'Always',
        verticalScaling: { mode: 'Restart', [container]: { resources: size }, coordinator: {}, exporter: {} },
      },
      VolumeExpansion: { volumeExpansion: { mode: 'Online', [container]: '20Gi' } },
      Reconfigure: { configuration: { applyConfig: { [configFile]: settings }, restart: 'auto' } },
      'Reconfigure to nothing': { configuration: { removeCustomConfig: true } },
      'ReconfigureTLS to be demanded': { tls: { requireSSL: true } },
      StorageMigration: { timeout: '1h', migration: { storageClassName: 'fast' } },
    },
    badOps: {
      ...own.badOps,
      ...noReplicas,
      'a migration to nowhere': [
        { type: 'StorageMigration', migration: {} },
        /spec.migration.storageClassName: Required value/,
      ],
    },
  })
}

/** What MySQL alone can do. */
const changeOfMode: Bad = {
  "MySQL's change of mode": [{ type: 'ReplicationModeTransformation' }, /spec.type: Unsupported value/],
}

/** MySQL's own ranges are a list for each topology. */
const rangesThatAreNoList: Bad = {
  'ranges that are no list': [
    { updateConstraints: { allowlist: {} } },
    /spec.updateConstraints.allowlist in body must be of type array/,
  ],
}

const durable = { storage: { ...claim, storageClassName: 'fast' } }

export const mysql = familyCases({
  kind: 'MySQL',
  plural: 'mysqls',
  version: '8.4.8',
  targetVersion: '9.1.0',
  container: 'mysql',
  configFile: 'my-config.cnf',
  good: {
    'a single ephemeral one': { storageType: 'Ephemeral' },
    'a single durable one': durable,
    'a replication group': {
      replicas: 3,
      topology: {
        mode: 'GroupReplication',
        group: { mode: 'Single-Primary', name: 'dc002fc3-c412-4d18-b1d4-66c1fbfbbc9b' },
      },
      storageType: 'Durable',
      storage: claim,
      podTemplate: podOf('mysql'),
      deletionPolicy: 'WipeOut',
    },
    'a group with routers': {
      replicas: 3,
      topology: { mode: 'InnoDBCluster', innoDBCluster: { router: { replicas: 1 } } },
      storage: claim,
    },
    'one with half-synchronous replicas': {
      replicas: 2,
      topology: { mode: 'SemiSync', semiSync: { sourceWaitForReplicaCount: 1, sourceTimeout: '1h' } },
      storage: claim,
    },
    'one that demands TLS': { requireSSL: true, useAddressType: 'DNS' },
  },
  bad: {
    'an unknown topology': [{ topology: { mode: 'Galera' } }, /spec.topology.mode: Unsupported value/],
    'an unknown mode of a group': [
      { topology: { group: { mode: 'single' } } },
      /spec.topology.group.mode: Unsupported value/,
    ],
    'no router at all': [
      { topology: { innoDBCluster: { router: { replicas: 0 } } } },
      /spec.topology.innoDBCluster.router.replicas in body should be greater than or equal to 1/,
    ],
  },
  badVersions: {
    'an unknown distribution': [{ distribution: 'MariaDB' }, /spec.distribution: Unsupported value/],
    'ranges for no topology': [
      { updateConstraints: { allowlist: ['>= 8.4.8'] } },
      /spec.updateConstraints.allowlist in body must be of type object/,
    ],
  },
})

export const mariadb = familyCases({
  kind: 'MariaDB',
  plural: 'mariadbs',
  version: '11.8.5',
  targetVersion: '12.1.2',
  container: 'mariadb',
  configFile: 'md-config.cnf',
  good: {
    'a single ephemeral one': { storageType: 'Ephemeral' },
    'a single durable one': durable,
    'a Galera cluster': {
      replicas: 3,
      topology: { mode: 'GaleraCluster' },
      wsrepSSTMethod: 'rsync',
      storageType: 'Durable',
      storage: claim,
      podTemplate: podOf('mariadb'),
      deletionPolicy: 'WipeOut',
    },
    'one that demands TLS': { requireSSL: true },
  },
  bad: {
    "another kind's topology": [
      { topology: { mode: 'GroupReplication' } },
      /spec.topology.mode: Unsupported value/,
    ],
    'an unknown way to copy the data': [
      { wsrepSSTMethod: 'mysqldump' },
      /spec.wsrepSSTMethod: Unsupported value/,
    ],
  },
  badOps: changeOfMode,
  badVersions: rangesThatAreNoList,
})

export const perconaxtradb = familyCases({
  kind: 'PerconaXtraDB',
  plural: 'perconaxtradbs',
  version: '8.4.3',
  container: 'perconaxtradb',
  configFile: 'px-config.cnf',
  good: {
    'an ephemeral one': { storageType: 'Ephemeral' },
    'a durable one': durable,
    'a larger cluster': {
      replicas: 5,
      storageType: 'Durable',
      storage: claim,
      podTemplate: podOf('perconaxtradb'),
      deletionPolicy: 'WipeOut',
    },
    'one that demands TLS': { requireSSL: true },
  },
  bad: {
    "another kind's topology": [{ topology: { mode: 'GaleraCluster' } }, /unknown field \\"spec.topology\\"/],
  },
  badOps: changeOfMode,
  badVersions: rangesThatAreNoList,
})
