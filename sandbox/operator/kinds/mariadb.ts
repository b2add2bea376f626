import * as v from 'valibot'
import { Refusal } from '../cluster/admission.ts'
import type { Spec } from '../cluster/resources.ts'
import { forbiddenVariables, mysqlFamily } from './mysql-family.ts'
import * as complaints from './parts/complaints.ts'
import type { Kind } from './parts/kind.ts'
import { replicasOf } from './parts/offshoots.ts'
import * as rules from './parts/rules.ts'

const MariaDBSpec = v.looseObject({
  topology: v.exactOptional(v.looseObject({ mode: v.exactOptional(v.string()) })),
  wsrepSSTMethod: v.exactOptional(v.string()),
  init: v.exactOptional(v.looseObject({ script: v.exactOptional(v.looseObject({})) })),
})

/** KubeDB asks for nothing but more than one server. */
const isClustered = (spec: Spec) => replicasOf(spec) > 1

const longestClusterName = 32

export const mariadb: Kind = {
  ...mysqlFamily({
    kind: 'MariaDB',
    plural: 'mariadbs',
    container: 'mariadb',
    coordinator: { name: 'md-coordinator', ports: [] },
    initContainer: 'mariadb-init',
    isClustered,
    // All servers of a Galera cluster can be written to.
    hasPrimary: false,
    defaults: {
      own({ spec }) {
        const { topology, wsrepSSTMethod = 'rsync' } = v.parse(MariaDBSpec, spec)
        if (!isClustered(spec)) return { wsrepSSTMethod }
        return { wsrepSSTMethod, topology: topology ?? { mode: 'GaleraCluster' } }
      },
    },
    rules: [
      validateCluster,
      rules.environment('MariaDB', forbiddenVariables),
      rules.storageType,
      rules.storage,
      rules.volumes([
        'data',
        'custom-config',
        'init-scripts',
        'run-script',
        'initial-script',
        'tls-server-config',
        'tls-client-config',
        'tls-metrics-exporter-config',
        'metrics-exporter-config',
      ]),
      rules.mountPaths([
        '/var/lib/mysql',
        '/etc/mysql/conf.d/',
        '/etc/mysql/custom.conf.d/',
        '/scripts',
        '/run-script',
        '/docker-entrypoint-initdb.d',
        '/etc/mysql/config/exporter',
      ]),
      rules.deletionPolicy(),
      rules.monitor,
      rules.healthChecker,
    ],
    fixed: ['spec.storageType', 'spec.podTemplate.spec.nodeSelector'],
    policy: 'spec.deletionPolicy',
    ops: {
      alone: (spec) =>
        isClustered(spec)
          ? undefined
          : "OpsRequest haven't pointed to a MariaDB Cluster, Horizontal scaling applicable only for MariaDB Cluster",
      mostServers: 9,
      timeout: ', ',
      classless: 'refused',
      complaints: { UpdateVersion: complaints.needs(complaints.bare, complaints.upgrade) },
    },
  }),
  unserved: (spec) =>
    v.parse(MariaDBSpec, spec).topology?.mode === 'MariaDBReplication'
      ? "the sandbox's operator runs no replicas of MariaDB behind MaxScale"
      : undefined,
}

/** Not every release of KubeDB still asks for it; the stand-in is as strict as the strictest. */
function validateCluster({ db: { metadata }, spec }: rules.Judged): void {
  if (!isClustered(spec)) return
  if (metadata.name.length > longestClusterName)
    throw new Refusal(
      `'spec.md.clusterName' "${metadata.name}" shouldn't have more than ${longestClusterName} characters'`,
    )
  if (v.parse(MariaDBSpec, spec).init?.script)
    throw new Refusal('`.spec.init.scriptSource` is not supported for cluster.')
}
