/** What MySQL and the engines that speak its protocol have in common. Pure, but for loading the driver. */
import { isObject, type JsonObject } from '../../json.ts'
import type { Setting } from '../../nouns.ts'
import { addresses, common, encoded, loginOf, pods } from './address.ts'
import type { Layout } from './components.ts'
import type { Accounts, Dimension, Place, Reach, Wanted } from './database.ts'
import {
  configuration,
  disks,
  object,
  ordinary,
  resources,
  servers,
  storageClass,
  storageType,
  tls,
  version,
} from './dimensions.ts'
import { lines, withFile } from './draft.ts'
import { at } from './spec.ts'

/** Units are required, so that no value means something else than it seems to. */
export const size: Setting = { type: 'string', pattern: '^([1-9][0-9]{0,6}[KM]|[1-9][0-9]{0,2}G)$' }
const seconds: Setting = { type: 'integer', min: 1, max: 31536000 }

/** Settings that neither run code, read or write files, load plugins nor change who may log in. */
export const commonSettings: { [name: string]: Setting } = {
  max_connections: { type: 'integer', min: 20, max: 100000 },
  max_user_connections: { type: 'integer', min: 0, max: 100000 },
  max_allowed_packet: { type: 'string', pattern: '^([1-9][0-9]{0,5}K|[1-9][0-9]{0,2}M|1G)$' },
  innodb_buffer_pool_size: size,
  innodb_log_buffer_size: size,
  innodb_flush_log_at_trx_commit: { type: 'integer', min: 0, max: 2 },
  innodb_lock_wait_timeout: { type: 'integer', min: 1, max: 1073741824 },
  innodb_io_capacity: { type: 'integer', min: 100, max: 1000000 },
  innodb_io_capacity_max: { type: 'integer', min: 100, max: 1000000 },
  innodb_print_all_deadlocks: { type: 'boolean' },
  sync_binlog: { type: 'integer', min: 0, max: 1000000 },
  binlog_expire_logs_seconds: { type: 'integer', min: 3600, max: 31536000 },
  slow_query_log: { type: 'boolean' },
  long_query_time: { type: 'number', min: 0, max: 86400 },
  table_open_cache: { type: 'integer', min: 64, max: 524288 },
  thread_cache_size: { type: 'integer', min: 0, max: 16384 },
  tmp_table_size: size,
  max_heap_table_size: size,
  sort_buffer_size: size,
  join_buffer_size: size,
  read_buffer_size: size,
  wait_timeout: seconds,
  interactive_timeout: seconds,
  lock_wait_timeout: seconds,
  net_read_timeout: seconds,
  net_write_timeout: seconds,
  group_concat_max_len: { type: 'integer', min: 4, max: 1073741824 },
  transaction_isolation: {
    type: 'string',
    pattern: '^(READ-UNCOMMITTED|READ-COMMITTED|REPEATABLE-READ|SERIALIZABLE)$',
  },
  sql_mode: { type: 'string', pattern: '^([A-Z_]{3,40}(,[A-Z_]{3,40}){0,20})?$' },
  character_set_server: { type: 'string', pattern: '^(utf8mb4|utf8mb3|latin1|ascii|binary)$' },
  collation_server: { type: 'string', pattern: '^[a-z0-9_]{1,64}$' },
  default_time_zone: { type: 'string', pattern: '^(SYSTEM|[+-](0[0-9]|1[0-3]):[0-5][0-9])$' },
}

function setting(name: string, value: string | number | boolean): string {
  return `${name} = ${typeof value === 'boolean' ? (value ? 'ON' : 'OFF') : value}`
}

/** @returns the spec with the user's settings in the section that servers read, where there are any */
export function withSettings(spec: JsonObject, file: string, wanted: Wanted): JsonObject {
  const text = lines(wanted.configuration, setting)
  return withFile(spec, file, text === '' ? '' : `[mysqld]\n${text}`)
}

export const databaseName = {
  default: 'app',
  pattern: '^[a-z_][a-z0-9_]*$',
  maxLength: 64,
  reserved: ['mysql', 'sys', 'information_schema', 'performance_schema', 'kubedb_system'],
}

/**
 * @param engine.type as servicebinding.io knows the engine; its JDBC driver has the same name
 * @param engine.jdbc what that driver is to be told beside the user
 * @returns the credentials of a binding; all of them speak the protocol `mysql`
 */
export function credentials(
  reach: Reach,
  user: { name: string; password: string },
  engine: { type: string; jdbc: Record<string, string> },
): JsonObject {
  const database = encoded(reach.database)
  const jdbc = new URLSearchParams({ user: user.name, password: user.password, ...engine.jdbc })
  const mode = isObject(reach.spec.tls) ? '?ssl-mode=REQUIRED' : ''
  return {
    ...common(reach, user, engine.type, 'mysql'),
    database: reach.database,
    uri: `mysql://${loginOf(user)}${addresses(reach)}/${database}${mode}`,
    jdbcUrl: `jdbc:${engine.type}://${addresses(reach)}/${database}?${jdbc}`,
  }
}

export const accounts: Accounts = {
  by: 'connection',
  async connect(admin) {
    const users = await import('./mysql-users.ts')
    return users.connect(admin)
  },
}

/** @returns how the servers work together; null for a server on its own */
export const modeOf = (spec: JsonObject) => at(spec, 'topology.mode')

/** Sessions are listed and ended on each server by itself, whichever the Service leads to. */
export function members(place: Place): string[] {
  const { name, spec } = place
  return modeOf(spec) === null ? [] : pods(place, name, name, Number(spec.replicas ?? 1))
}

/**
 * @param topology how the servers work together
 * @param most servers that KubeDB scales a running database to, and what to say to whoever wants more
 * @returns what can change in a running database, in the order of change
 */
export function dimensions(
  layout: Layout,
  topology: Dimension,
  most: { servers: number; why: string },
): Dimension[] {
  return [
    ...ordinary,
    storageType,
    topology,
    storageClass(layout, 'one'),
    disks(layout),
    resources(layout),
    servers({
      paths: ['replicas'],
      read: (spec) => ({ member: spec.replicas ?? 1 }),
      limit: (_, wanted) => (Number(object(wanted).member) > most.servers ? most.why : undefined),
    }),
    tls({ also: ['requireSSL'] }),
    configuration(),
    version(),
  ]
}
