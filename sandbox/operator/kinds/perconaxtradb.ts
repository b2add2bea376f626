import { Refusal } from '../admission.ts'
import type { Context, Kind } from '../kind.ts'
import { withSuffix } from '../offshoots.ts'
import { updateVersion } from '../ops-complaints.ts'
import type { Database } from '../resources.ts'
import {
  validateDeletionPolicy,
  validateEnvironment,
  validateExternalSecret,
  validateHealthChecker,
  validateMonitor,
  validateMountPaths,
  validateStorage,
  validateStorageType,
  validateVolumes,
} from '../validation.ts'
import { forbiddenVariables, mysqlFamily } from './mysql-family.ts'

const leastServers = 3
const longestClusterName = 32

export const perconaxtradb: Kind = {
  ...mysqlFamily({
    kind: 'PerconaXtraDB',
    plural: 'perconaxtradbs',
    container: 'perconaxtradb',
    coordinator: { name: 'px-coordinator', ports: [] },
    initContainer: 'px-init',
    isClustered: () => true,
    hasPrimary: false,
    defaults: ({ spec }) => ({ replicas: spec.replicas ?? leastServers }),
    validate,
    fixed: ['spec.storageType'],
    policy: 'spec.terminationPolicy',
    ops: {
      mostServers: 9,
      timeout: ',',
      complaints: {
        UpdateVersion: (context) =>
          updateVersion(context, 'spec.Upgrade & spec.UpdateVersion both nil not supported'),
      },
    },
  }),
  /** Of the users by which members copy data to each other, and by which they are watched. */
  secrets: (db) =>
    ['replication', 'monitor'].map((username) => ({
      name: withSuffix(db.metadata.name, username),
      type: 'kubernetes.io/basic-auth',
      data: (newPassword) => ({ username, password: newPassword() }),
    })),
}

const reservedVolumes = [
  'data',
  'custom-config',
  'init-scripts',
  'run-script',
  'git-secret',
  'tls-server-config',
  'tls-client-config',
  'tls-metrics-exporter-config',
  'metrics-exporter-config',
]
const reservedPaths = [
  '/var/lib/mysql',
  '/etc/mysql/custom.conf.d/',
  '/scripts',
  '/run-script',
  '/etc/git-secret',
  '/etc/mysql/certs/server',
  '/etc/mysql/certs/client',
  '/etc/mysql/certs/metrics-exporter',
  '/etc/mysql/config/exporter',
]

function validate(db: Database, context: Context): void {
  const { spec, metadata } = db
  const replicas = spec.replicas ?? 0
  // KubeDB prints where the number is in memory, not the number.
  if (replicas < leastServers)
    throw new Refusal(
      `'spec.replicas' "${replicas}" invalid. Value must be atleast ${leastServers} for xtradb cluster`,
    )
  if (metadata.name.length > longestClusterName)
    throw new Refusal(
      `'spec.px.clusterName' "${metadata.name}" shouldn't have more than ${longestClusterName} characters'`,
    )
  validateEnvironment(spec, forbiddenVariables, 'PerconaXtraDB')
  validateStorageType(spec)
  validateStorage(spec, spec.storage, context)
  validateExternalSecret(
    spec,
    'for externallyManaged auth secret, user need to provide "spec.authSecret.name"',
  )
  validateDeletionPolicy(spec, {
    missing: "'spec.terminationPolicy' is missing",
    halt: "'spec.terminationPolicy: Halt' can not be used for 'Ephemeral' storage",
  })
  validateMonitor(spec)
  validateHealthChecker(spec)
  validateVolumes(spec, reservedVolumes)
  validateMountPaths(spec, reservedPaths)
}
