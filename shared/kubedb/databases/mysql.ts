/** MySQL as KubeDB runs it: a server on its own, or a group of servers that replicate to each other. */
import { createHash } from 'node:crypto'
import { isObject, type JsonObject } from '../../json.ts'
import type { Setting } from '../../nouns.ts'
import { addresses, common, encoded, loginOf, pods } from './address.ts'
import { alike, withResources, withStorage } from './components.ts'
import type { Change, Database, Dimension } from './database.ts'
import {
  compareVersions,
  configuration,
  disks,
  impossible,
  object,
  ordinary,
  resources,
  section,
  servers,
  storageClass,
  storageType,
  tls,
  version,
} from './dimensions.ts'
import { begin, finish, hold, lines, olderThan, sizable, withFile, withTls } from './draft.ts'
import { at, put } from './spec.ts'

const container = 'mysql'
const layout = alike(container)
const configFile = 'my-config.cnf'

/** Units are required, so that no value means something else than it seems to. */
const size: Setting = { type: 'string', pattern: '^([1-9][0-9]{0,6}[KM]|[1-9][0-9]{0,2}G)$' }
const seconds: Setting = { type: 'integer', min: 1, max: 31536000 }

/** Settings that neither run code, read or write files, load plugins nor change who may log in. */
const settings: { [name: string]: Setting } = {
  max_connections: { type: 'integer', min: 20, max: 100000 },
  max_user_connections: { type: 'integer', min: 0, max: 100000 },
  max_allowed_packet: { type: 'string', pattern: '^([1-9][0-9]{0,5}K|[1-9][0-9]{0,2}M|1G)$' },
  max_execution_time: { type: 'integer', min: 0, max: 86400000 },
  innodb_buffer_pool_size: size,
  innodb_log_buffer_size: size,
  innodb_redo_log_capacity: { type: 'string', pattern: '^([1-9][0-9]{1,5}M|[1-9][0-9]{0,1}G)$' },
  innodb_flush_log_at_trx_commit: { type: 'integer', min: 0, max: 2 },
  innodb_lock_wait_timeout: { type: 'integer', min: 1, max: 1073741824 },
  innodb_io_capacity: { type: 'integer', min: 100, max: 1000000 },
  innodb_io_capacity_max: { type: 'integer', min: 100, max: 1000000 },
  innodb_print_all_deadlocks: { type: 'boolean' },
  innodb_thread_concurrency: { type: 'integer', min: 0, max: 1000 },
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

const modeOf = (spec: JsonObject) => at(spec, 'topology.mode')

/** KubeDB's rules; what is not said yet is filled in by `complete`. */
function mistakes(spec: JsonObject): string[] {
  const { replicas } = spec
  const mode = modeOf(spec)
  const found = olderThan(spec, '8.0', 'its names have to be shorter than this broker gives them')
  if (isObject(spec.topology) && mode === null) {
    found.push('topology.mode: missing; send "GroupReplication", or leave topology out')
  }
  if (mode === null && typeof replicas === 'number' && replicas > 1) {
    found.push(
      'replicas: a server on its own has no copies; only a group of three to nine has (topology.mode GroupReplication, from the first day on)',
    )
  }
  if (mode === 'GroupReplication' && typeof replicas === 'number' && (replicas < 3 || replicas > 9)) {
    found.push(`replicas: a group has 3 to 9 servers, not ${replicas}`)
  }
  if (
    at(spec, 'topology.group.mode') === 'Multi-Primary' &&
    compareVersions(String(spec.version), '8.4.2') < 0
  ) {
    found.push('topology.group.mode: "Multi-Primary" needs MySQL 8.4.2 or later; choose "Single-Primary"')
  }
  return found
}

/** @returns the spec with what KubeDB's webhook would fill in; the group's name is a UUID and the instance's own */
function complete(spec: JsonObject, instance: string): JsonObject {
  if (modeOf(spec) !== 'GroupReplication') return { replicas: 1, ...spec }
  const group = {
    mode: 'Single-Primary',
    name: groupName(instance),
    ...section(section(spec, 'topology'), 'group'),
  }
  return { replicas: 3, ...put(spec, 'topology.group', group) }
}

function groupName(instance: string): string {
  const hash = createHash('sha256').update(`mysql group of ${instance}`).digest('hex')
  const variant = ((Number.parseInt(hash.slice(16, 17), 16) & 3) | 8).toString(16)
  return [
    hash.slice(0, 8),
    hash.slice(8, 12),
    `4${hash.slice(13, 16)}`,
    `${variant}${hash.slice(17, 20)}`,
    hash.slice(20, 32),
  ].join('-')
}

const topology: Dimension = {
  name: 'topology',
  defining: true,
  paths: ['topology'],
  read: (spec) => ({ mode: modeOf(spec), group: at(spec, 'topology.group.mode') }),
  reached: (live, wanted) => JSON.stringify(live) === JSON.stringify(wanted),
  change(now, wanted): Change {
    const [from, to] = [object(now), object(wanted)]
    if (from.mode !== to.mode) {
      return impossible(
        'topology: a server on its own cannot become a group, nor a group one server; make a new instance in a plan of the other kind and copy the data',
      )
    }
    return {
      by: 'opsRequest',
      type: 'ReplicationModeTransformation',
      apply: 'IfReady',
      timeout: '30m',
      body: { replicationModeTransformation: { mode: to.group ?? 'Single-Primary' } },
    }
  },
}

export const mysql: Database = {
  kind: 'MySQL',
  apiVersion: 'kubedb.com/v1',
  plural: 'mysqls',
  opsKind: 'MySQLOpsRequest',
  opsPlural: 'mysqlopsrequests',
  versionsPlural: 'mysqlversions',
  maxNameLength: 40,

  parameters: [
    'version',
    'cpu',
    'memory',
    'storage',
    'storageClass',
    'replicas',
    'tls',
    'database',
    'configuration',
    'deletionPolicy',
    'suspended',
    'metadata',
    'spec',
  ],
  lacks: { shards: 'has no shards; ask for more replicas, or for larger servers' },
  settings,
  spec: [
    'replicas',
    'topology.mode=GroupReplication',
    'topology.group.mode=Single-Primary|Multi-Primary',
    'storageType=Durable|Ephemeral',
    ...sizable('', container),
    'deletionPolicy=Halt|Delete|WipeOut',
  ],
  mistakes,
  container,
  databaseName: {
    default: 'app',
    pattern: '^[a-z_][a-z0-9_]*$',
    maxLength: 64,
    reserved: ['mysql', 'sys', 'information_schema', 'performance_schema', 'kubedb_system'],
  },
  roles: ['owner', 'readWrite', 'readOnly'],

  build(template, wanted, circumstances) {
    let spec = begin(template, wanted)
    if (wanted.replicas !== undefined) spec.replicas = wanted.replicas
    hold(mistakes(spec), wanted)
    spec = complete(spec, circumstances.instance)
    spec = withStorage(withResources(spec, layout, wanted), layout, wanted)
    spec = withTls(spec, wanted.issuer, { requireSSL: true })
    const text = lines(wanted.configuration, setting)
    spec = withFile(spec, configFile, text === '' ? '' : `[mysqld]\n${text}`)
    return finish(spec, wanted, circumstances)
  },

  upgrades: {
    ranges: (spec) => (at(spec, 'topology.mode') === null ? 'standalone' : 'groupReplication'),
  },

  dimensions: [
    ...ordinary,
    storageType,
    topology,
    storageClass(layout, 'one'),
    disks(layout),
    resources(layout),
    servers({
      paths: ['replicas'],
      read: (spec) => ({ member: spec.replicas ?? 1 }),
      limit: (_, wanted) =>
        Number(object(wanted).member) > 8
          ? 'replicas: KubeDB scales a running group to 8 servers at most; only a new instance can have 9'
          : undefined,
    }),
    tls({ also: ['requireSSL'] }),
    configuration(),
    version(),
  ],

  members(place) {
    // Sessions are listed and ended on each server by itself.
    const { name, spec } = place
    return modeOf(spec) === null ? [] : pods(place, name, name, Number(spec.replicas ?? 1))
  },

  credentials(reach, user) {
    const encrypted = isObject(reach.spec.tls)
    const database = encoded(reach.database)
    const jdbc = new URLSearchParams({
      user: user.name,
      password: user.password,
      // Without certificates to trust, the driver fetches the key that it encrypts the password with.
      ...(encrypted ? { sslMode: 'REQUIRED' } : { sslMode: 'PREFERRED', allowPublicKeyRetrieval: 'true' }),
    })
    return {
      ...common(reach, user, 'mysql', 'mysql'),
      database: reach.database,
      uri: `mysql://${loginOf(user)}${addresses(reach)}/${database}${encrypted ? '?ssl-mode=REQUIRED' : ''}`,
      jdbcUrl: `jdbc:mysql://${addresses(reach)}/${database}?${jdbc}`,
    }
  },

  accounts: {
    by: 'connection',
    async connect(admin) {
      const users = await import('./mysql-users.ts')
      return users.connect(admin)
    },
  },
}
