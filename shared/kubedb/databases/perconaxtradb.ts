/** Percona XtraDB Cluster as KubeDB runs it: three or more of MySQL's servers, all of which can be written to. */
import type { JsonObject } from '../../values/json.ts'
import type { Database } from './database.ts'
import {
  accountsIn,
  building,
  dimensions,
  family,
  mysqlCredentials,
  mysqlSettings,
  ownersMakeTriggers,
} from './mysql-family.ts'
import { alike } from './parts/components.ts'
import { olderThan, sizable } from './parts/draft.ts'

const container = 'perconaxtradb'
const layout = alike(container)

/** KubeDB's rules; what is not said yet is filled in by `complete`. */
function mistakes(spec: JsonObject): string[] {
  const { replicas } = spec
  const found = olderThan(spec, '8.0', 'it cannot check passwords as this broker has them checked')
  if (typeof replicas === 'number' && (replicas < 3 || replicas > 9)) {
    found.push(`replicas: a cluster has 3 to 9 servers, not ${replicas}`)
  }
  return found
}

export const perconaxtradb: Database = {
  ...family,
  kind: 'PerconaXtraDB',
  plural: 'perconaxtradbs',
  opsKind: 'PerconaXtraDBOpsRequest',
  opsPlural: 'perconaxtradbopsrequests',
  versionsPlural: 'perconaxtradbversions',
  // the name of its cluster
  maxNameLength: 32,

  settings: mysqlSettings,
  spec: [
    'replicas',
    'storageType=Durable|Ephemeral',
    ...sizable('', container),
    'deletionPolicy=Halt|Delete|WipeOut',
  ],
  mistakes,
  container,

  build: building({
    layout,
    configFile: 'px-config.cnf',
    own: ownersMakeTriggers,
    mistakes,
    complete: (spec) => ({ replicas: 3, ...spec }),
  }),

  dimensions: dimensions(layout, [], {
    servers: 9,
    why: 'replicas: KubeDB scales a cluster to 9 servers at most',
  }),

  credentials: mysqlCredentials,
  accounts: accountsIn('PerconaXtraDB'),
}
