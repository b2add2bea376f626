/** What MySQL and the engines that speak its protocol have in common. Pure, but for loading the driver. */
import { isObject, type JsonObject } from '../../values/json.ts'
import type { Setting } from '../../values/nouns.ts'
import type { Accounts, Database, Dimension, LibraryKey, Place, Reach } from './database.ts'
import { addresses, common, encoded, loginOf, pods } from './parts/address.ts'
import { type Layout, withResources, withStorage } from './parts/components.ts'
import { beforeServers, configuration, object, servers, tls, version } from './parts/dimensions.ts'
import { begin, finish, hold, lines, withFile, withTls } from './parts/draft.ts'
import { certificates, sameAs, theCa, url } from './parts/library-keys.ts'
import { parametersWith } from './parts/parameters.ts'
import { at } from './parts/spec.ts'

/** Units are required, so that no value means something else than it seems to. */
export const size: Setting = { type: 'string', pattern: '^([1-9][0-9]{0,6}[KM]|[1-9][0-9]{0,2}G)$' }
const seconds: Setting = { type: 'integer', min: 1, max: 31536000 }

/** Settings of all of them that neither run code, read or write files, load plugins nor change who may log in. */
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

/** Those that MySQL's own servers know, and those made from its source. */
export const mysqlSettings: { [name: string]: Setting } = {
  ...commonSettings,
  max_execution_time: { type: 'integer', min: 0, max: 86400000 },
  innodb_redo_log_capacity: { type: 'string', pattern: '^([1-9][0-9]{1,5}M|[1-9][0-9]{0,1}G)$' },
  innodb_thread_concurrency: { type: 'integer', min: 0, max: 1000 },
}

function setting(name: string, value: string | number | boolean): string {
  return `${name} = ${typeof value === 'boolean' ? (value ? 'ON' : 'OFF') : value}`
}

/**
 * Without it a server with a binary log demands the most powerful privilege of whoever makes a function or a trigger. A
 * bind sets it too (`preparation.ts`), but only on the server that it reaches, and MariaDB forgets that at its restart:
 * where every server of a cluster can be written to, each has it in its file.
 */
export const ownersMakeTriggers = 'log_bin_trust_function_creators = ON\n'

/** How one of them differs from the others. */
interface Make {
  readonly layout: Layout
  /** name of the file of settings */
  readonly configFile: string
  /** lines of that file that are the broker's, in every database */
  readonly own?: string
  mistakes(spec: JsonObject): string[]
  /** @returns the spec with what KubeDB's webhook would fill in */
  complete(spec: JsonObject, instance: string): JsonObject
}

/** @returns how a spec is made of a plan and parameters; the settings stand in the section that servers read */
export function building(make: Make): Database['build'] {
  const { layout, configFile, own = '' } = make
  return (template, wanted, circumstances) => {
    let spec = begin(template, wanted)
    if (wanted.replicas !== undefined) spec.replicas = wanted.replicas
    hold(make.mistakes(spec), wanted)
    spec = make.complete(spec, circumstances.instance)
    spec = withStorage(withResources(spec, layout, wanted), layout, wanted)
    spec = withTls(spec, wanted.issuer, { requireSSL: true })
    const settings = own + lines(wanted.configuration, setting)
    spec = withFile(spec, configFile, settings === '' ? '' : `[mysqld]\n${settings}`)
    return finish(spec, wanted, circumstances)
  }
}

const databaseName = {
  default: 'app',
  pattern: '^[a-z_][a-z0-9_]*$',
  maxLength: 64,
  reserved: ['mysql', 'sys', 'information_schema', 'performance_schema', 'kubedb_system'],
}

/** Credentials for drivers of MySQL's own. */
export const mysqlCredentials: Database['credentials'] = (reach, user) =>
  credentials(reach, user, {
    type: 'mysql',
    jdbc: isObject(reach.spec.tls)
      ? { sslMode: 'REQUIRED' }
      : // Without certificates to trust, the driver fetches the key that it encrypts the password with.
        { sslMode: 'PREFERRED', allowPublicKeyRetrieval: 'true' },
  })

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

const libraryKeys: readonly LibraryKey[] = [
  url,
  sameAs('jdbc-url', 'jdbcUrl', 'spring-cloud-bindings, Quarkus'),
  sameAs('hostname', 'host', 'Steeltoe'),
  sameAs('name', 'database', 'Steeltoe'),
  theCa('sslRootCert', 'Steeltoe'),
  certificates,
]

/** @param engine what it is called in sentences */
export const accountsIn = (engine: string): Accounts => ({
  by: 'connection',
  async connect(admin) {
    const users = await import('./users/mysql.ts')
    return users.connect(admin, engine)
  },
})

/** @returns how the servers work together; null for a server on its own */
export const modeOf = (spec: JsonObject) => at(spec, 'topology.mode')

/** Sessions are listed and ended on each server by itself, whichever the Service leads to. */
function members(place: Place): string[] {
  const { name, spec } = place
  const replicas = Number(spec.replicas ?? 1)
  return replicas > 1 ? pods(place, name, name, replicas) : []
}

/** What is the same in all of them. */
export const family = {
  libraryKeys,
  apiVersion: 'kubedb.com/v1',
  parameters: parametersWith('tls', 'database'),
  lacks: { shards: 'has no shards; ask for more replicas, or for larger servers' },
  databaseName,
  roles: ['owner', 'readWrite', 'readOnly'],
  members,
} satisfies Partial<Database>

/**
 * @param topology how the servers work together, where that can differ
 * @param most servers that KubeDB scales a running database to, and what to say to whoever wants more
 * @returns what can change in a running database, in the order of change
 */
export function dimensions(
  layout: Layout,
  topology: readonly Dimension[],
  most: { servers: number; why: string },
): Dimension[] {
  return [
    ...beforeServers(layout, 'one', topology),
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
