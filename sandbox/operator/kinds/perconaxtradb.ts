import { Refusal } from '../cluster/admission.ts'
import { forbiddenVariables, mysqlFamily } from './mysql-family.ts'
import * as complaints from './parts/complaints.ts'
import type { Kind } from './parts/kind.ts'
import { withSuffix } from './parts/offshoots.ts'
import * as rules from './parts/rules.ts'

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
    defaults: { replicas: () => leastServers },
    rules: [
      validateCluster,
      rules.environment('PerconaXtraDB', forbiddenVariables),
      rules.storageType,
      rules.storage,
      rules.externalSecret('need to provide "spec.authSecret.name"'),
      rules.deletionPolicy('spec.terminationPolicy'),
      rules.monitor,
      rules.healthChecker,
      rules.volumes([
        'data',
        'custom-config',
        'init-scripts',
        'run-script',
        'git-secret',
        'tls-server-config',
        'tls-client-config',
        'tls-metrics-exporter-config',
        'metrics-exporter-config',
      ]),
      rules.mountPaths([
        '/var/lib/mysql',
        '/etc/mysql/custom.conf.d/',
        '/scripts',
        '/run-script',
        '/etc/git-secret',
        '/etc/mysql/certs/server',
        '/etc/mysql/certs/client',
        '/etc/mysql/certs/metrics-exporter',
        '/etc/mysql/config/exporter',
      ]),
    ],
    policy: 'spec.terminationPolicy',
    ops: {
      mostServers: 9,
      timeout: ',',
      classless: 'panics',
      complaints: {
        UpdateVersion: complaints.needs(
          'spec.Upgrade & spec.UpdateVersion both nil not supported',
          complaints.upgrade,
        ),
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

function validateCluster({ db: { metadata }, spec: { replicas = 0 } }: rules.Judged): void {
  // KubeDB prints where the number is in memory, not the number.
  if (replicas < leastServers)
    throw new Refusal(
      `'spec.replicas' "${replicas}" invalid. Value must be atleast ${leastServers} for xtradb cluster`,
    )
  if (metadata.name.length > longestClusterName)
    throw new Refusal(
      `'spec.px.clusterName' "${metadata.name}" shouldn't have more than ${longestClusterName} characters'`,
    )
}
