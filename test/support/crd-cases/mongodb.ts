import { crdCases } from './common.ts'
import { claim, podOf, size } from './kind.ts'

const podTemplate = podOf('mongodb')
const settings = { applyConfig: { 'mongod.conf': 'net:\n  maxIncomingConnections: 100\n' } }
const fast = { storageClassName: 'fast' }

export const mongodb = crdCases({
  kind: 'MongoDB',
  plural: 'mongodbs',
  version: '8.0.17',
  good: {
    'a single ephemeral one': {
      storageType: 'Ephemeral',
      ephemeralStorage: { medium: 'Memory', sizeLimit: '1Gi' },
    },
    'a single durable one': { storage: claim, storageEngine: 'wiredTiger' },
    'a replica set': {
      replicas: 3,
      replicaSet: { name: 'rs0' },
      storageType: 'Durable',
      storage: claim,
      podTemplate,
      deletionPolicy: 'WipeOut',
    },
    'a replica set with more members': {
      replicas: 2,
      replicaSet: { name: 'rs0' },
      storage: claim,
      arbiter: { podTemplate },
      hidden: { replicas: 1, storage: claim, podTemplate },
    },
    'a sharded one': {
      shardTopology: {
        shard: { shards: 2, replicas: 3, storage: claim, podTemplate },
        configServer: { replicas: 3, storage: claim, podTemplate },
        mongos: { replicas: 2, podTemplate },
      },
      keyFileSecret: { name: 'osb-x-key' },
    },
    'one that demands TLS': { sslMode: 'requireSSL', clusterAuthMode: 'x509' },
    'one with settings': {
      configuration: { inline: { 'mongod.conf': 'net:\n  maxIncomingConnections: 100\n' } },
    },
  },
  bad: {
    'a replica set without a name': [{ replicaSet: {} }, /spec.replicaSet.name: Required value/],
    'shards alone': [
      { shardTopology: { shard: { shards: 2, replicas: 3 } } },
      /spec.shardTopology.configServer: Required value/,
    ],
    'shards without replicas': [
      {
        shardTopology: { shard: { shards: 2 }, configServer: { replicas: 1 }, mongos: { replicas: 1 } },
      },
      /spec.shardTopology.shard.replicas: Required value/,
    ],
    'volumes of a router': [
      {
        shardTopology: {
          shard: { shards: 2, replicas: 1 },
          configServer: { replicas: 1 },
          mongos: { replicas: 1, storage: claim },
        },
      },
      /unknown field \\"spec.shardTopology.mongos.storage\\"/,
    ],
    'an unknown TLS mode': [{ sslMode: 'require' }, /spec.sslMode: Unsupported value/],
    'an unknown way among members': [
      { clusterAuthMode: 'password' },
      /spec.clusterAuthMode: Unsupported value/,
    ],
  },
  goodOps: {
    HorizontalScaling: { horizontalScaling: { replicas: 5 } },
    'HorizontalScaling of a sharded one': {
      horizontalScaling: {
        shard: { shards: 3, replicas: 3 },
        configServer: { replicas: 5 },
        mongos: { replicas: 3 },
      },
    },
    'VerticalScaling of a single one': { verticalScaling: { standalone: { resources: size } } },
    'VerticalScaling of a replica set': {
      verticalScaling: { replicaSet: { resources: size }, arbiter: {}, hidden: {}, exporter: {} },
    },
    'VerticalScaling of a sharded one': {
      apply: 'Always',
      verticalScaling: {
        mode: 'InPlace',
        shard: { resources: size },
        configServer: { resources: size },
        mongos: { resources: size },
        coordinator: { resources: size },
      },
    },
    'VolumeExpansion of a single one': { volumeExpansion: { mode: 'Offline', standalone: '20Gi' } },
    'VolumeExpansion of a replica set': {
      volumeExpansion: { mode: 'Online', replicaSet: '20Gi', hidden: '20Gi' },
    },
    'VolumeExpansion of a sharded one': {
      volumeExpansion: { mode: 'Online', shard: '20Gi', configServer: '2Gi' },
    },
    'Reconfigure a single one': { configuration: { standalone: { ...settings, restart: 'true' } } },
    'Reconfigure a replica set': { configuration: { replicaSet: settings, arbiter: {}, hidden: {} } },
    'Reconfigure a sharded one': {
      configuration: {
        shard: settings,
        configServer: settings,
        mongos: { removeCustomConfig: true, configSecret: { name: 'c' } },
      },
    },
    'StorageMigration of a single one': { migration: { standalone: fast } },
    'StorageMigration of a replica set': { migration: { replicaSet: fast, hidden: fast } },
    'StorageMigration of a sharded one': {
      timeout: '1h',
      migration: { shard: { ...fast, oldPVReclaimPolicy: 'Delete' }, configServer: fast },
    },
  },
  badOps: {
    'settings of no component': [
      { type: 'Reconfigure', configuration: settings },
      /unknown field \\"spec.configuration.applyConfig\\"/,
    ],
    'shards beside their block': [
      { type: 'HorizontalScaling', horizontalScaling: { shards: 3 } },
      /unknown field \\"spec.horizontalScaling.shards\\"/,
    ],
    'a migration to nowhere': [
      { type: 'StorageMigration', migration: { replicaSet: {} } },
      /spec.migration.replicaSet.storageClassName: Required value/,
    ],
  },
  badVersions: {
    'an unknown distribution': [{ distribution: 'FerretDB' }, /spec.distribution: Unsupported value/],
  },
})
