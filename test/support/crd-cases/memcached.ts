import { crdCases } from './common.ts'
import { claim, podOf, size } from './kind.ts'

export const memcached = crdCases({
  kind: 'Memcached',
  plural: 'memcacheds',
  version: '1.6.40',
  volumes: false,
  good: {
    'three nodes': { replicas: 3, podTemplate: podOf('memcached'), deletionPolicy: 'WipeOut' },
    'one with settings': { configuration: { inline: { 'memcached.conf': '--conn-limit=500\n' } } },
    'one without passwords': { disableAuth: true },
  },
  bad: {
    'a kind of storage': [{ storageType: 'Ephemeral' }, /unknown field \\"spec.storageType\\"/],
    'a volume': [{ storage: claim }, /unknown field \\"spec.storage\\"/],
    'a script to start with': [{ init: {} }, /unknown field \\"spec.init\\"/],
  },
  goodOps: {
    HorizontalScaling: { horizontalScaling: { replicas: 5 } },
    VerticalScaling: { verticalScaling: { memcached: { resources: size }, exporter: {} } },
    VolumeExpansion: { volumeExpansion: {} },
    Reconfigure: { configuration: { applyConfig: { 'memcached.conf': '--conn-limit=500\n' } } },
    'Reconfigure to nothing': { configuration: { removeCustomConfig: true } },
  },
  badOps: {
    'another StorageClass': [{ type: 'StorageMigration' }, /spec.type: Unsupported value/],
    'a bigger volume': [
      { type: 'VolumeExpansion', volumeExpansion: { memcached: '2Gi' } },
      /unknown field \\"spec.volumeExpansion.memcached\\"/,
    ],
  },
  badVersions: {
    'a distribution': [{ distribution: 'Official' }, /unknown field \\"spec.distribution\\"/],
  },
})
