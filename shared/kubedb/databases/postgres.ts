/** PostgreSQL as KubeDB runs it. */
import { isObject, type Json, type JsonObject } from '../../values/json.ts'
import type { Setting } from '../../values/nouns.ts'
import type { Database, Reach } from './database.ts'
import { alike, withResources, withStorage } from './parts/components.ts'
import { beforeServers, configuration, servers, tls, version } from './parts/dimensions.ts'
import { begin, finish, hold, lines, sizable, withFile, withTls } from './parts/draft.ts'
import { certificates, sameAs, theCa, url } from './parts/library-keys.ts'
import { parametersWith } from './parts/parameters.ts'
import { at } from './parts/spec.ts'

const container = 'postgres'
const layout = alike(container)
const configFile = 'user.conf'

/** Units are required, so that no value means something else than it seems to. */
const size: Setting = { type: 'string', pattern: '^([1-9][0-9]{0,5}MB|[1-9][0-9]{0,2}GB)$' }
const logSize: Setting = { type: 'string', pattern: '^([2-9]MB|[1-9][0-9]{1,5}MB|[1-9][0-9]{0,2}GB)$' }
const duration: Setting = { type: 'string', pattern: '^(0|[1-9][0-9]{0,5}(ms|s|min|h))$' }
const positiveDuration: Setting = { type: 'string', pattern: '^[1-9][0-9]{0,5}(ms|s|min|h)$' }

/** Settings that neither run code, read files, load libraries nor change who may log in. */
const settings: { [name: string]: Setting } = {
  max_connections: { type: 'integer', min: 20, max: 10000 },
  shared_buffers: size,
  work_mem: size,
  maintenance_work_mem: size,
  temp_buffers: size,
  effective_cache_size: size,
  wal_buffers: size,
  min_wal_size: logSize,
  max_wal_size: logSize,
  checkpoint_timeout: { type: 'string', pattern: '^([3-9][0-9]s|[1-9][0-9]{0,2}min|1h)$' },
  checkpoint_completion_target: { type: 'number', min: 0, max: 1 },
  random_page_cost: { type: 'number', min: 0, max: 1000 },
  seq_page_cost: { type: 'number', min: 0, max: 1000 },
  effective_io_concurrency: { type: 'integer', min: 0, max: 1000 },
  default_statistics_target: { type: 'integer', min: 1, max: 10000 },
  max_parallel_workers: { type: 'integer', min: 0, max: 1024 },
  max_parallel_workers_per_gather: { type: 'integer', min: 0, max: 1024 },
  max_worker_processes: { type: 'integer', min: 1, max: 1024 },
  max_prepared_transactions: { type: 'integer', min: 0, max: 10000 },
  max_locks_per_transaction: { type: 'integer', min: 10, max: 10000 },
  autovacuum_max_workers: { type: 'integer', min: 1, max: 100 },
  autovacuum_naptime: { type: 'string', pattern: '^([1-9][0-9]{0,5}s|[1-9][0-9]{0,3}min)$' },
  autovacuum_vacuum_scale_factor: { type: 'number', min: 0, max: 100 },
  autovacuum_analyze_scale_factor: { type: 'number', min: 0, max: 100 },
  statement_timeout: duration,
  lock_timeout: duration,
  idle_in_transaction_session_timeout: duration,
  idle_session_timeout: duration,
  deadlock_timeout: positiveDuration,
  log_min_duration_statement: { type: 'integer', min: -1, max: 86400000 },
  log_lock_waits: { type: 'boolean' },
  jit: { type: 'boolean' },
  timezone: { type: 'string', pattern: '^[A-Za-z0-9_+/-]{1,64}$' },
  default_transaction_isolation: {
    type: 'string',
    pattern: '^(serializable|repeatable read|read committed|read uncommitted)$',
  },
}

/** A quote within a value is written twice. */
function setting(name: string, value: string | number | boolean): string {
  return `${name} = '${String(value).replaceAll("'", "''")}'`
}

function replication(spec: JsonObject): JsonObject & { replicas: Json } {
  const replicas = spec.replicas ?? 1
  if (replicas === 1) return { ...spec, replicas }
  return { standbyMode: 'Hot', streamingMode: 'Asynchronous', ...spec, replicas }
}

function mistakes({ clientAuthMode, streamingMode, replicas = 1 }: JsonObject): string[] {
  return [
    ...(clientAuthMode === 'cert'
      ? [
          'clientAuthMode: cert demands a certificate of every client, and bindings have a password and no certificate; choose scram, or leave it out',
        ]
      : []),
    ...(streamingMode === 'Synchronous' && Number(replicas) < 2
      ? [
          'replicas: one server has no standby to wait for, as streamingMode Synchronous asks it to; ask for 2 or more, or make a new instance that is Asynchronous',
        ]
      : []),
  ]
}

/** Out of synchronous replication there is no way: KubeDB takes such a request, keeps its settings, and then fails on them. */
function noWayBack(now: Json, wanted: Json): string | undefined {
  const [before, after] = [now, wanted].map((value) => (isObject(value) ? value.streamingMode : undefined))
  return before === 'Synchronous' && after !== 'Synchronous'
    ? 'streamingMode: a database that replicates synchronously stays so, for KubeDB begins this change and cannot end it; make a new instance and copy the data'
    : undefined
}

/** @returns what a client is to be told about TLS */
function sslMode({ query, external }: Reach): string {
  const asked = new URLSearchParams(query).get('sslmode') ?? 'disable'
  // The certificate is made out to the Service, not to a load balancer or a node.
  return external && asked === 'verify-full' ? 'verify-ca' : asked
}

/** The file of a projected binding that holds the CA. */
const caFile = 'root.crt'

export const postgres: Database = {
  kind: 'Postgres',
  apiVersion: 'kubedb.com/v1',
  plural: 'postgreses',
  opsKind: 'PostgresOpsRequest',
  opsPlural: 'postgresopsrequests',
  versionsPlural: 'postgresversions',
  maxNameLength: 40,

  parameters: parametersWith('tls', 'database'),
  lacks: { shards: 'has no shards; ask for more replicas, or for larger servers' },
  settings,
  spec: [
    'replicas',
    'standbyMode=Hot|Warm',
    'streamingMode=Synchronous|Asynchronous',
    'storageType=Durable|Ephemeral',
    ...sizable('', container),
    'deletionPolicy=Halt|Delete|WipeOut',
  ],
  mistakes,
  container,
  databaseName: {
    default: 'app',
    pattern: '^[a-z_][a-z0-9_]*$',
    maxLength: 63,
    reserved: ['postgres', 'template0', 'template1'],
  },
  roles: ['owner', 'readWrite', 'readOnly'],

  build(template, wanted, circumstances) {
    let spec = begin(template, wanted)
    if (wanted.replicas !== undefined) spec.replicas = wanted.replicas
    hold(mistakes(spec), wanted)
    spec = withResources(spec, layout, wanted)
    spec = replication(withStorage(spec, layout, wanted))
    // Encryption is demanded of every client; which of them checks the certificate is for the client to say.
    spec = withTls(spec, wanted.issuer, { sslMode: 'require' })
    spec = withFile(spec, configFile, lines(wanted.configuration, setting))
    return finish(spec, wanted, circumstances)
  },

  dimensions: [
    ...beforeServers(layout, 'one'),
    servers({
      paths: ['replicas', 'standbyMode', 'streamingMode'],
      read(spec) {
        const { replicas, standbyMode = null, streamingMode = null } = replication(spec)
        return replicas === 1 ? { replicas } : { replicas, standbyMode, streamingMode }
      },
      // Modes left out would be set to Hot and Asynchronous.
      body: (_, wanted) => (isObject(wanted) ? wanted : {}),
      limit: noWayBack,
    }),
    tls({ also: ['sslMode'] }),
    configuration(),
    version(),
  ],

  members({ name, namespace, spec }) {
    const replicas = Number(at(spec, 'replicas') ?? 1)
    if (replicas < 2) return []
    // `<name>-standby` leads to any one of them.
    return Array.from({ length: replicas }, (_, index) => `${name}-${index}.${name}-pods.${namespace}.svc`)
  },

  credentials(reach, user) {
    const mode = sslMode(reach)
    const name = encodeURIComponent(user.name)
    const password = encodeURIComponent(user.password)
    const database = encodeURIComponent(reach.database)
    const address = reach.hosts
      .map((host) => `${host.includes(':') ? `[${host}]` : host}:${reach.port}`)
      .join(',')
    const jdbc = new URLSearchParams({ user: user.name, password: user.password, sslmode: mode })
    return {
      type: 'postgresql',
      provider: 'kubedb',
      protocol: 'postgresql',
      Protocol: 'postgresql',
      host: reach.host,
      port: reach.port,
      hosts: reach.hosts,
      database: reach.database,
      username: user.name,
      password: user.password,
      uri: `postgresql://${name}:${password}@${address}/${database}?sslmode=${encodeURIComponent(mode)}`,
      jdbcUrl: `jdbc:postgresql://${address}/${database}?${jdbc}`,
      ...(reach.caBundle === undefined ? {} : { rootCert: reach.caBundle }),
    }
  },

  libraryKeys: [
    url,
    {
      ...sameAs('jdbc-url', 'jdbcUrl', 'spring-cloud-bindings, Quarkus'),
      // With it they would not look for the CA, whose path no URL can know: they make one of their own.
      only: 'without TLS',
      value: ({ jdbcUrl, rootCert }) =>
        typeof jdbcUrl === 'string' && rootCert === undefined ? jdbcUrl : undefined,
    },
    { name: 'sslmode', readBy: 'spring-cloud-bindings, Quarkus', value: (_, reach) => sslMode(reach) },
    {
      name: 'sslrootcert',
      readBy: 'spring-cloud-bindings, Quarkus: the name of the file beside it',
      only: 'with TLS',
      value: ({ rootCert }) => (rootCert === undefined ? undefined : caFile),
    },
    theCa(caFile, 'kube-service-bindings, and who reads `sslrootcert`'),
    sameAs('hostname', 'host', 'Steeltoe'),
    sameAs('name', 'database', 'Steeltoe'),
    certificates,
  ],

  accounts: {
    by: 'connection',
    async connect(admin) {
      const users = await import('./users/postgres.ts')
      return users.connect(admin)
    },
  },
}
