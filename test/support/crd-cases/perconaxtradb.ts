import {
  badOfDurableKinds,
  badOfEveryKind,
  badOpsOfDurableKinds,
  badOpsOfEveryKind,
  goodOfEveryKind,
  goodOpsOfEveryKind,
} from './common.ts'
import { type CrdCases, claim, databaseRef, podOf, size } from './kind.ts'

const version = '8.4.3'

export const perconaxtradb: CrdCases = {
  kind: 'PerconaXtraDB',
  plural: 'perconaxtradbs',
  databases: {
    good: {
      ...goodOfEveryKind(version),
      'an ephemeral one': { version, storageType: 'Ephemeral' },
      'a durable one': { version, storage: { ...claim, storageClassName: 'fast' } },
      'a larger cluster': {
        version,
        replicas: 5,
        storageType: 'Durable',
        storage: claim,
        podTemplate: podOf('perconaxtradb'),
        deletionPolicy: 'WipeOut',
      },
      'one that demands TLS': { version, requireSSL: true },
      'one with settings': {
        version,
        configuration: { inline: { 'px-config.cnf': '[mysqld]\nmax_connections=200\n' } },
      },
    },
    bad: {
      ...badOfEveryKind(version),
      ...badOfDurableKinds(version),
      "another kind's topology": [
        { version, topology: { mode: 'GaleraCluster' } },
        /unknown field \\"spec.topology\\"/,
      ],
      "another kind's TLS mode": [{ version, sslMode: 'require' }, /unknown field \\"spec.sslMode\\"/],
    },
  },
  opsRequests: {
    good: {
      ...goodOpsOfEveryKind('8.4.3'),
      HorizontalScaling: { horizontalScaling: { member: 5 } },
      VerticalScaling: {
        apply: 'Always',
        verticalScaling: {
          mode: 'Restart',
          perconaxtradb: { resources: size },
          coordinator: {},
          exporter: {},
        },
      },
      VolumeExpansion: { volumeExpansion: { mode: 'Online', perconaxtradb: '20Gi' } },
      Reconfigure: {
        configuration: {
          applyConfig: { 'px-config.cnf': '[mysqld]\nmax_connections=200\n' },
          restart: 'auto',
        },
      },
      'Reconfigure to nothing': { configuration: { removeCustomConfig: true } },
      'ReconfigureTLS to be demanded': { tls: { requireSSL: true } },
      StorageMigration: { timeout: '1h', migration: { storageClassName: 'fast' } },
    },
    bad: {
      ...badOpsOfEveryKind,
      ...badOpsOfDurableKinds,
      "MySQL's change of mode": [
        { databaseRef, type: 'ReplicationModeTransformation' },
        /spec.type: Unsupported value/,
      ],
      "other kinds' replicas": [
        { databaseRef, type: 'HorizontalScaling', horizontalScaling: { replicas: 3 } },
        /unknown field \\"spec.horizontalScaling.replicas\\"/,
      ],
      'a migration to nowhere': [
        { databaseRef, type: 'StorageMigration', migration: {} },
        /spec.migration.storageClassName: Required value/,
      ],
    },
  },
  versions: {
    bad: {
      'without images': [{ version }, /spec.db: Required value/],
      'ranges that are no list': [
        { version, updateConstraints: { allowlist: {} } },
        /spec.updateConstraints.allowlist in body must be of type array/,
      ],
    },
  },
}
