import {
  badOfDurableKinds,
  badOfEveryKind,
  badOpsOfDurableKinds,
  badOpsOfEveryKind,
  goodOfEveryKind,
  goodOpsOfEveryKind,
} from './common.ts'
import { type CrdCases, claim, databaseRef, podOf, size } from './kind.ts'

const version = '4.2.0'

export const kafka: CrdCases = {
  kind: 'Kafka',
  plural: 'kafkas',
  databases: {
    good: {
      ...goodOfEveryKind(version),
      'a single ephemeral one': { version, storageType: 'Ephemeral' },
      'nodes that do everything': { version, replicas: 3, storage: claim, podTemplate: podOf('kafka') },
      'brokers and controllers': {
        version,
        storageType: 'Durable',
        topology: {
          broker: { replicas: 3, suffix: 'broker', storage: claim, podTemplate: podOf('kafka') },
          controller: { replicas: 3, storage: { ...claim, storageClassName: 'fast' } },
        },
        deletionPolicy: 'WipeOut',
      },
      'one with TLS switched on': {
        version,
        enableSSL: true,
        keystoreCredSecret: { name: 'osb-x-keystore' },
      },
      'one with settings': {
        version,
        configuration: { inline: { 'server.properties': 'num.partitions=3\n' } },
      },
    },
    bad: {
      ...badOfEveryKind(version),
      ...badOfDurableKinds(version),
      'nodes of another role': [
        { version, topology: { data: {} } },
        /unknown field \\"spec.topology.data\\"/,
      ],
      'brokers in words': [
        { version, topology: { broker: { replicas: 'three' } } },
        /spec.topology.broker.replicas in body must be of type integer/,
      ],
    },
  },
  opsRequests: {
    good: {
      ...goodOpsOfEveryKind(version),
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
    bad: {
      ...badOpsOfEveryKind,
      ...badOpsOfDurableKinds,
      "other kinds' replicas": [
        { databaseRef, type: 'HorizontalScaling', horizontalScaling: { replicas: 3 } },
        /unknown field \\"spec.horizontalScaling.replicas\\"/,
      ],
      'a migration to nowhere': [
        { databaseRef, type: 'StorageMigration', migration: { node: {} } },
        /spec.migration.node.storageClassName: Required value/,
      ],
    },
  },
  versions: {
    bad: {
      'without images': [{ version }, /spec.db: Required value/],
      'a distribution': [{ version, distribution: 'Official' }, /unknown field \\"spec.distribution\\"/],
    },
  },
}
