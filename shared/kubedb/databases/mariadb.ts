/** MariaDB as KubeDB runs it: a server on its own, or a Galera cluster, all of whose servers can be written to. */
import { isObject, type JsonObject } from '../../values/json.ts'
import type { Setting } from '../../values/nouns.ts'
import type { Database, Dimension } from './database.ts'
import {
  accountsIn,
  building,
  commonSettings,
  credentials,
  dimensions,
  family,
  modeOf,
  ownersMakeTriggers,
  size,
} from './mysql-family.ts'
import { alike } from './parts/components.ts'
import { impossible } from './parts/dimensions.ts'
import { olderThan, sizable } from './parts/draft.ts'

const container = 'mariadb'
const layout = alike(container)

const settings: { [name: string]: Setting } = {
  ...commonSettings,
  /** seconds */
  max_statement_time: { type: 'number', min: 0, max: 86400 },
  innodb_log_file_size: size,
}

/** KubeDB's rules; what is not said yet is filled in by `complete`. */
function mistakes(spec: JsonObject): string[] {
  const { replicas } = spec
  const mode = modeOf(spec)
  const found = olderThan(spec, '10.6', 'it does not know all settings that this broker offers')
  if (isObject(spec.topology) && mode === null) {
    found.push('topology.mode: missing; send "GaleraCluster", or leave topology out')
  }
  if (mode !== null && mode !== 'GaleraCluster') {
    found.push(
      `topology.mode: this broker does not offer ${JSON.stringify(mode)}; send "GaleraCluster", or leave topology out`,
    )
  }
  if (mode === null && typeof replicas === 'number' && replicas > 1) {
    found.push(
      'replicas: a server on its own has no copies; only a Galera cluster of three to nine has (topology.mode GaleraCluster, from the first day on)',
    )
  }
  if (mode === 'GaleraCluster' && typeof replicas === 'number' && (replicas < 3 || replicas > 9)) {
    found.push(`replicas: a Galera cluster has 3 to 9 servers, not ${replicas}`)
  }
  return found
}

const topology: Dimension = {
  name: 'topology',
  defining: true,
  paths: ['topology'],
  read: modeOf,
  reached: (live, wanted) => live === wanted,
  change: () =>
    impossible(
      'topology: a server on its own cannot become a Galera cluster, nor a cluster one server; make a new instance in a plan of the other kind and copy the data',
    ),
}

export const mariadb: Database = {
  ...family,
  kind: 'MariaDB',
  plural: 'mariadbs',
  opsKind: 'MariaDBOpsRequest',
  opsPlural: 'mariadbopsrequests',
  versionsPlural: 'mariadbversions',
  // the name of a Galera cluster
  maxNameLength: 32,

  settings,
  spec: [
    'replicas',
    'topology.mode=GaleraCluster',
    'storageType=Durable|Ephemeral',
    ...sizable('', container),
    'deletionPolicy=Halt|Delete|WipeOut',
  ],
  mistakes,
  container,

  build: building({
    layout,
    configFile: 'md-config.cnf',
    own: ownersMakeTriggers,
    mistakes,
    complete: (spec) => ({ replicas: modeOf(spec) === null ? 1 : 3, ...spec }),
  }),

  dimensions: dimensions(layout, [topology], {
    servers: 9,
    why: 'replicas: KubeDB scales a Galera cluster to 9 servers at most',
  }),

  credentials: (reach, user) =>
    credentials(reach, user, {
      type: 'mariadb',
      jdbc: { sslMode: isObject(reach.spec.tls) ? 'trust' : 'disable' },
    }),

  accounts: accountsIn('MariaDB'),
}
