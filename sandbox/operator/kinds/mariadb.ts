import * as v from 'valibot'
import { Refusal } from '../admission.ts'
import type { Context, Kind } from '../kind.ts'
import { replicasOf } from '../offshoots.ts'
import { updateVersion } from '../ops-complaints.ts'
import type { Database, Spec } from '../resources.ts'
import {
  validateDeletionPolicy,
  validateEnvironment,
  validateHealthChecker,
  validateMonitor,
  validateMountPaths,
  validateStorage,
  validateStorageType,
  validateVolumes,
} from '../validation.ts'
import { forbiddenVariables, mysqlFamily } from './mysql-family.ts'

const MariaDBSpec = v.looseObject({
  topology: v.exactOptional(v.looseObject({ mode: v.exactOptional(v.string()) })),
  wsrepSSTMethod: v.exactOptional(v.string()),
  init: v.exactOptional(v.looseObject({ script: v.exactOptional(v.looseObject({})) })),
})

/** KubeDB asks for nothing but more than one server. */
const isClustered = (spec: Spec) => replicasOf(spec) > 1
const modeOf = (spec: Spec) => v.parse(MariaDBSpec, spec).topology?.mode

const longestClusterName = 32

const family = mysqlFamily({
  kind: 'MariaDB',
  plural: 'mariadbs',
  container: 'mariadb',
  coordinator: { name: 'md-coordinator', ports: [] },
  initContainer: 'mariadb-init',
  isClustered,
  // All servers of a Galera cluster can be written to.
  hasPrimary: false,
  defaults,
  validate,
  fixed: ['spec.storageType', 'spec.podTemplate.spec.nodeSelector'],
  policy: 'spec.deletionPolicy',
  ops: {
    alone: (spec) =>
      isClustered(spec)
        ? undefined
        : "OpsRequest haven't pointed to a MariaDB Cluster, Horizontal scaling applicable only for MariaDB Cluster",
    mostServers: 9,
    timeout: ', ',
    complaints: {
      UpdateVersion: (context) =>
        updateVersion(context, 'spec.updateVersion nil not supported in UpdateVersion type'),
    },
  },
})

export const mariadb: Kind = {
  ...family,
  unserved: (spec) =>
    modeOf(spec) === 'MariaDBReplication'
      ? "the sandbox's operator runs no replicas of MariaDB behind MaxScale"
      : undefined,
}

function defaults({ spec }: Database) {
  const replicas = spec.replicas ?? 1
  if (replicas <= 1) return { replicas }
  const { topology, wsrepSSTMethod } = v.parse(MariaDBSpec, spec)
  return {
    replicas,
    topology: topology ?? { mode: 'GaleraCluster' },
    wsrepSSTMethod: wsrepSSTMethod ?? 'rsync',
  }
}

const reservedVolumes = [
  'data',
  'custom-config',
  'init-scripts',
  'run-script',
  'initial-script',
  'tls-server-config',
  'tls-client-config',
  'tls-metrics-exporter-config',
  'metrics-exporter-config',
]
const reservedPaths = [
  '/var/lib/mysql',
  '/etc/mysql/conf.d/',
  '/etc/mysql/custom.conf.d/',
  '/scripts',
  '/run-script',
  '/docker-entrypoint-initdb.d',
  '/etc/mysql/config/exporter',
]

function validate(db: Database, context: Context): void {
  const { spec } = db
  if (replicasOf(spec) < 1)
    throw new Refusal(`spec.replicas "${replicasOf(spec)}" invalid. Value must be greater than zero`)
  validateCluster(db)
  validateEnvironment(spec, forbiddenVariables, 'MariaDB')
  validateStorageType(spec)
  validateStorage(spec, spec.storage, context)
  validateVolumes(spec, reservedVolumes)
  validateMountPaths(spec, reservedPaths)
  validateDeletionPolicy(spec)
  validateMonitor(spec)
  validateHealthChecker(spec)
}

/** Not every release of KubeDB still asks for it; the stand-in is as strict as the strictest. */
function validateCluster({ spec, metadata: { name } }: Database): void {
  if (!isClustered(spec)) return
  if (name.length > longestClusterName)
    throw new Refusal(
      `'spec.md.clusterName' "${name}" shouldn't have more than ${longestClusterName} characters'`,
    )
  if (v.parse(MariaDBSpec, spec).init?.script)
    throw new Refusal('`.spec.init.scriptSource` is not supported for cluster.')
}
