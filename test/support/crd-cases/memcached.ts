import { badOfEveryKind, badOpsOfEveryKind, goodOfEveryKind, goodOpsOfEveryKind } from './common.ts'
import { type CrdCases, claim, databaseRef, podOf, size } from './kind.ts'

const version = '1.6.40'

export const memcached: CrdCases = {
  kind: 'Memcached',
  plural: 'memcacheds',
  databases: {
    good: {
      ...goodOfEveryKind(version),
      'three nodes': { version, replicas: 3, podTemplate: podOf('memcached'), deletionPolicy: 'WipeOut' },
      'one with settings': { version, configuration: { inline: { 'memcached.conf': '--conn-limit=500\n' } } },
      'one without passwords': { version, disableAuth: true },
    },
    bad: {
      ...badOfEveryKind(version),
      'a kind of storage': [{ version, storageType: 'Ephemeral' }, /unknown field \\"spec.storageType\\"/],
      'a volume': [{ version, storage: claim }, /unknown field \\"spec.storage\\"/],
      'a script to start with': [{ version, init: {} }, /unknown field \\"spec.init\\"/],
    },
  },
  opsRequests: {
    good: {
      ...goodOpsOfEveryKind('1.6.40'),
      HorizontalScaling: { horizontalScaling: { replicas: 5 } },
      VerticalScaling: { verticalScaling: { memcached: { resources: size }, exporter: {} } },
      VolumeExpansion: { volumeExpansion: {} },
      Reconfigure: { configuration: { applyConfig: { 'memcached.conf': '--conn-limit=500\n' } } },
      'Reconfigure to nothing': { configuration: { removeCustomConfig: true } },
    },
    bad: {
      ...badOpsOfEveryKind,
      'another StorageClass': [{ databaseRef, type: 'StorageMigration' }, /spec.type: Unsupported value/],
      'a bigger volume': [
        { databaseRef, type: 'VolumeExpansion', volumeExpansion: { memcached: '2Gi' } },
        /unknown field \\"spec.volumeExpansion.memcached\\"/,
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
