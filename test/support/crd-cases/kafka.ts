import { crdCases, noReplicas } from './common.ts'
import { claim, podOf, size } from './kind.ts'

export const kafka = crdCases({
  kind: 'Kafka',
  plural: 'kafkas',
  version: '4.2.0',
  good: {
    'a single ephemeral one': { storageType: 'Ephemeral' },
    'nodes that do everything': { replicas: 3, storage: claim, podTemplate: podOf('kafka') },
    'brokers and controllers': {
      storageType: 'Durable',
      topology: {
        broker: { replicas: 3, suffix: 'broker', storage: claim, podTemplate: podOf('kafka') },
        controller: { replicas: 3, storage: { ...claim, storageClassName: 'fast' } },
      },
      deletionPolicy: 'WipeOut',
    },
    'one with TLS switched on': {
      enableSSL: true,
      keystoreCredSecret: { name: 'osb-x-keystore' },
    },
    'one with settings': {
      configuration: { inline: { 'server.properties': 'num.partitions=3\n' } },
    },
  },
  bad: {
    'nodes of another role': [{ topology: { data: {} } }, /unknown field \\"spec.topology.data\\"/],
    'brokers in words': [
      { topology: { broker: { replicas: 'three' } } },
      /spec.topology.broker.replicas in body must be of type integer/,
    ],
  },
  goodOps: {
    HorizontalScaling: { horizontalScaling: { node: 5 } },
    'HorizontalScaling by role': { horizontalScaling: { topology: { broker: 5, controller: 3 } } },
    VerticalScaling: {
      verticalScaling: {
        mode: 'Restart',
        node: { resources: size },
        broker: { resources: size },
        controller: { resources: size },
      },
    },
    VolumeExpansion: { volumeExpansion: { mode: 'Online', node: '20Gi', broker: '20Gi', controller: 1 } },
    Reconfigure: {
      configuration: { applyConfig: { 'broker.properties': 'num.partitions=3\n' }, restart: 'auto' },
    },
    'Reconfigure to nothing': { configuration: { removeCustomConfig: true } },
    StorageMigration: { timeout: '1h', migration: { broker: { storageClassName: 'fast' } } },
  },
  badOps: {
    ...noReplicas,
    'a migration to nowhere': [
      { type: 'StorageMigration', migration: { node: {} } },
      /spec.migration.node.storageClassName: Required value/,
    ],
  },
  badVersions: {
    'a distribution': [{ distribution: 'Official' }, /unknown field \\"spec.distribution\\"/],
  },
})
