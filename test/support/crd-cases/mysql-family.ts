/** Cases of OpsRequests in which the kinds of MySQL's protocol are alike. */
import { badOpsOfDurableKinds, badOpsOfEveryKind, goodOpsOfEveryKind } from './common.ts'
import { type Bad, databaseRef, type Good, size } from './kind.ts'

/**
 * @param key of the kind's own block, e.g. `mariadb`
 * @param configFile that KubeDB reads settings from
 */
export function goodOpsOfFamily(targetVersion: string, key: string, configFile: string): Good {
  return {
    ...goodOpsOfEveryKind(targetVersion),
    HorizontalScaling: { horizontalScaling: { member: 5 } },
    VerticalScaling: {
      apply: 'Always',
      verticalScaling: { mode: 'Restart', [key]: { resources: size }, coordinator: {}, exporter: {} },
    },
    VolumeExpansion: { volumeExpansion: { mode: 'Online', [key]: '20Gi' } },
    Reconfigure: {
      configuration: {
        applyConfig: { [configFile]: '[mysqld]\nmax_connections=200\n' },
        restart: 'auto',
      },
    },
    'Reconfigure to nothing': { configuration: { removeCustomConfig: true } },
    'ReconfigureTLS to be demanded': { tls: { requireSSL: true } },
    StorageMigration: { timeout: '1h', migration: { storageClassName: 'fast' } },
  }
}

export const badOpsOfFamily: Bad = {
  ...badOpsOfEveryKind,
  ...badOpsOfDurableKinds,
  "other kinds' replicas": [
    { databaseRef, type: 'HorizontalScaling', horizontalScaling: { replicas: 3 } },
    /unknown field \\"spec.horizontalScaling.replicas\\"/,
  ],
  'a migration to nowhere': [
    { databaseRef, type: 'StorageMigration', migration: {} },
    /spec.migration.storageClassName: Required value/,
  ],
}
