import test from 'ava'
import { checkParameters } from '../../shared/osb/parameters/parameters.ts'
import { BrokerError } from '../../shared/values/errors.ts'
import { shippedPlans } from '../support/shipped-catalog.ts'

/** @returns the answer's sentence */
function refusal(check: () => unknown): string {
  try {
    check()
  } catch (error) {
    if (error instanceof BrokerError && error.problem === 'BadRequest') return error.message
    throw error
  }
  return 'accepted'
}

/** What reaches for more than its own database through the pods of any kind. */
function hostilePods(container: string): unknown[] {
  const pod = [
    { hostNetwork: true },
    { hostPID: true },
    { hostIPC: true },
    { hostAliases: [{ ip: '10.0.0.1', hostnames: ['api'] }] },
    { hostUsers: true },
    { dnsConfig: { nameservers: ['10.0.0.1'] } },
    { serviceAccountName: 'cluster-admin' },
    { automountServiceAccountToken: true },
    { nodeName: 'control-plane' },
    { nodeSelector: { 'node-role.kubernetes.io/control-plane': '' } },
    { affinity: { nodeAffinity: {} } },
    { tolerations: [{ operator: 'Exists' }] },
    { priorityClassName: 'system-node-critical' },
    { runtimeClassName: 'none' },
    { schedulerName: 'mine' },
    { securityContext: { runAsUser: 0 } },
    { shareProcessNamespace: true },
    { imagePullSecrets: [{ name: 'other' }] },
    { volumes: [{ name: 'x', secret: { secretName: 'other-auth' } }] },
    { volumes: [{ name: 'x', hostPath: { path: '/' } }] },
    { volumes: [{ name: 'x', projected: { sources: [{ serviceAccountToken: { path: 'token' } }] } }] },
    { initContainers: [{ name: 'x', image: 'x', securityContext: { privileged: true } }] },
    { ephemeralContainers: [{ name: 'x', image: 'x' }] },
    { podPlacementPolicy: { name: 'other' } },
    { containers: [] },
    { containers: {} },
    { containers: [{ name: 'sidecar', image: 'evil' }] },
    { containers: [{ name: `${container} `, resources: { requests: { cpu: '1' } } }] },
    { containers: [{ name: 'exporter', resources: { requests: { cpu: '1' } } }] },
    ...[
      { image: 'evil' },
      { command: ['sh'] },
      { args: ['--anything'] },
      { env: [{ name: 'LD_PRELOAD', value: '/x' }] },
      { envFrom: [{ secretRef: { name: 'other' } }] },
      { volumeMounts: [{ name: 'x', mountPath: '/' }] },
      { volumeDevices: [{ name: 'x', devicePath: '/dev/sda' }] },
      { securityContext: { privileged: true } },
      { lifecycle: { postStart: { exec: { command: ['sh'] } } } },
      { livenessProbe: { exec: { command: ['sh'] } } },
      { ports: [{ containerPort: 22, hostPort: 22 }] },
      { imagePullPolicy: 'Always' },
      { resources: { claims: [{ name: 'gpu' }] } },
      { resources: { requests: { 'nvidia.com/gpu': 8 } } },
      { resources: { limits: { 'ephemeral-storage': '1Ti' } } },
    ].map((more) => ({ containers: [{ name: container, ...more }] })),
  ]
  return [
    ...pod.map((spec) => ({ spec })),
    { metadata: { labels: { app: 'web' } } },
    { metadata: { annotations: { 'kubectl.kubernetes.io/default-container': 'x' } } },
    { controller: { labels: { app: 'web' } } },
    { 'spec.containers': [{ name: container }] },
    JSON.parse('{"__proto__": {"spec": {}}}'),
    JSON.parse('{"spec": {"containers": [{"__proto__": {"image": "evil"}}]}}'),
  ]
}

const hostileDisks: unknown[] = [
  { dataSource: { kind: 'PersistentVolumeClaim', name: 'data-other-0' } },
  { dataSourceRef: { kind: 'PersistentVolumeClaim', name: 'x', namespace: 'other' } },
  { volumeName: 'pv-of-another' },
  { selector: { matchLabels: { a: 'b' } } },
  { volumeMode: 'Block' },
  { volumeAttributesClassName: 'x' },
  { accessModes: ['ReadWriteMany'] },
  { accessModes: 'ReadWriteOnce' },
  { storageClassName: 'a\nb' },
  { resources: { limits: { storage: '1Ti' } } },
]

/** What reaches for more than its own database in any kind's own spec. */
const hostileEverywhere: unknown[] = [
  { authSecret: { name: 'other-auth' } },
  { authSecret: { kind: 'Secret', externallyManaged: true, name: 'x' } },
  { init: { script: { configMap: { name: 'evil' } } } },
  { init: { archiver: { encryptionSecret: { name: 'other' } } } },
  { init: {} },
  { configuration: { secretName: 'other' } },
  { configuration: { inline: { file: 'anything' } } },
  { configSecret: { name: 'other' } },
  { tls: { issuerRef: { kind: 'ClusterIssuer', name: 'x' } } },
  { tls: { certificates: [{ alias: 'client', secretName: 'other' }] } },
  { monitor: { agent: 'prometheus.io' } },
  { serviceTemplates: [{ alias: 'primary', spec: { externalIPs: ['10.0.0.1'] } }] },
  { allowedSchemas: { namespaces: { from: 'All' } } },
  { autoOps: { disabled: true } },
  { archiver: { ref: { name: 'x', namespace: 'y' } } },
  { healthChecker: { disableWriteCheck: true } },
  { halted: true },
  { deletionPolicy: 'DoNotTerminate' },
  { deletionPolicy: ['WipeOut'] },
  { terminationPolicy: 'WipeOut' },
  { replicas: { '': 1 } },
  { replicas: {} },
  { storageType: [] },
  { storage: { resources: { requests: { storage: { a: 1 } } } } },
  { 'replicas\n': 3 },
  { '*': true },
  { '': true },
  JSON.parse('{"__proto__": {"replicas": 3}}'),
  JSON.parse('{"replicas": {"__proto__": 3}}'),
  { constructor: { prototype: { replicas: 3 } } },
]

const hostileOfKind: { [kind: string]: unknown[] } = {
  Postgres: [
    { clientAuthMode: 'cert' },
    { sslMode: 'disable' },
    { remoteReplica: { sourceRef: { name: 'other', namespace: 'other' } } },
    { readReplicas: [{ name: 'x', replicas: 99 }] },
    { arbiter: { resources: { requests: { storage: '9Ti' } } } },
    { leaderElection: { period: '1ns' } },
    { enforceFsGroup: true },
  ],
  MySQL: [
    { requireSSL: false },
    { topology: { mode: 'RemoteReplica', remoteReplica: { sourceRef: { name: 'other', namespace: 'x' } } } },
    { topology: { mode: 'InnoDBCluster' } },
    { topology: { mode: 'GroupReplication', group: { name: 'dc002fc3-c412-4d18-b1d4-66c1fbfbbc9b' } } },
    { topology: { innoDBCluster: { router: { podTemplate: { spec: { hostNetwork: true } } } } } },
    { topology: { semiSync: { errantTransactionRecoveryPolicy: 'Clone' } } },
    { allowedReadReplicas: { namespaces: { from: 'All' } } },
    { useAddressType: 'IP' },
  ],
  MongoDB: [
    { clusterAuthMode: 'x509' },
    { sslMode: 'disabled' },
    { storageEngine: 'inMemory' },
    { keyFileSecret: { name: 'other-key' } },
    { replicaSet: { name: 'rs0 --bind_ip_all' } },
    { replicaSet: { name: 'rs0', horizons: { dns: 'evil.example' } } },
    { arbiter: { podTemplate: { spec: { hostNetwork: true } } } },
    { hidden: { replicas: 1, storage: { volumeName: 'x' } } },
    { ephemeralStorage: { medium: 'Memory' } },
    { shardTopology: { shard: { prefix: 'other' } } },
    { shardTopology: { mongos: { storage: { resources: { requests: { storage: '1Gi' } } } } } },
    { shardTopology: { configServer: { configSecret: { name: 'other' } } } },
    { shardTopology: { shard: { configuration: { secretName: 'other' } } } },
    { shardTopology: { shard: { env: [{ name: 'X', value: 'y' }] } } },
  ],
  Redis: [
    { disableAuth: true },
    { mode: 'Sentinel' },
    { sentinelRef: { name: 'other', namespace: 'other' } },
    { acl: { rules: ['x ~* +@all'] } },
    { configuration: { acl: { rules: ['x ~* +@all'], secretRef: { name: 'other' } } } },
    { cluster: { announce: { type: 'hostname' } } },
    { cluster: { master: 3 } },
  ],
  Memcached: [{ disableAuth: true }, { dataVolume: { hostPath: { path: '/' } } }, { storageType: 'Durable' }],
  Elasticsearch: [
    { disableSecurity: true },
    { internalUsers: { admin: { backendRoles: ['admin'] } } },
    { rolesMapping: { all_access: { users: ['x'] } } },
    { secureConfigSecret: { name: 'other' } },
    { kernelSettings: { privileged: true, sysctls: [{ name: 'kernel.panic', value: '1' }] } },
    { maxUnavailable: '100%' },
    { heapSizePercentage: 99 },
    { topology: { data: { suffix: 'master' } } },
    { topology: { ml: { replicas: 1 } } },
    { topology: { evil: { replicas: 1 } } },
  ],
}

/** Settings that run code, read or write files, load libraries or change who may log in. */
const hostileSettings: { [kind: string]: { [name: string]: unknown }[] } = {
  Postgres: [
    { archive_command: 'x' },
    { shared_preload_libraries: 'x' },
    { session_preload_libraries: 'x' },
    { ssl_key_file: '/etc/passwd' },
    { hba_file: '/tmp/x' },
    { include: '/etc/passwd' },
    { listen_addresses: '*' },
    { log_directory: '/tmp' },
    { work_mem: "4MB'\narchive_command = 'x" },
    { timezone: 'UTC\n' },
  ],
  MySQL: [
    { plugin_load_add: 'evil.so' },
    { plugin_dir: '/tmp' },
    { init_file: '/tmp/x' },
    { init_connect: 'grant all' },
    { secure_file_priv: '' },
    { local_infile: true },
    { skip_grant_tables: true },
    { general_log_file: '/var/lib/mysql/x.php' },
    { slow_query_log_file: '/tmp/x' },
    { datadir: '/tmp' },
    { authentication_policy: '*' },
    { require_secure_transport: false },
    { log_bin_trust_function_creators: true },
    { sql_mode: 'ANSI\nskip-grant-tables' },
    { collation_server: 'utf8mb4_bin\n[mysqld]' },
    { '!include': '/etc/passwd' },
  ],
  MongoDB: [
    { 'security.authorization': 'disabled' },
    { 'security.javascriptEnabled': true },
    { 'security.keyFile': '/etc/passwd' },
    { 'net.bindIpAll': true },
    { 'net.tls.mode': 'disabled' },
    { 'net.unixDomainSocket.pathPrefix': '/tmp' },
    { 'systemLog.path': '/tmp/x' },
    { 'storage.dbPath': '/' },
    { 'processManagement.pidFilePath': '/tmp/x' },
    { 'setParameter.enableLocalhostAuthBypass': true },
    { 'setParameter.authenticationMechanisms': 'PLAIN' },
    { __rest: { type: 'string' } },
    { 'operationProfiling.mode': 'off\nsecurity:\n  authorization: disabled' },
    JSON.parse('{"__proto__": {"x": 1}}'),
  ],
  Redis: [
    { loadmodule: '/tmp/evil.so' },
    { aclfile: '/tmp/x' },
    { requirepass: '' },
    { user: 'default on nopass ~* +@all' },
    { 'protected-mode': false },
    { dir: '/etc' },
    { dbfilename: 'authorized_keys' },
    { include: '/etc/passwd' },
    { 'rename-command': 'AUTH ""' },
    { 'enable-debug-command': true },
    { 'enable-module-command': true },
    { 'enable-protected-configs': true },
    { replicaof: 'evil 6379' },
    { masterauth: 'x' },
    { logfile: '/tmp/x' },
    { unixsocket: '/tmp/x' },
    { 'tls-auth-clients': 'no' },
    { save: '900 1\nloadmodule /tmp/evil.so' },
    { maxmemory: '1gb\nrequirepass ""' },
  ],
  Memcached: [
    { 'auth-file': '/tmp/x' },
    { user: 'root' },
    { 'unix-socket': '/tmp/x' },
    { pidfile: '/tmp/x' },
    { listen: '0.0.0.0' },
    { port: 1 },
    { extended: 'ext_path=/tmp/x:1G' },
    { protocol: 'binary' },
    { 'enable-ssl': true },
    { 'max-item-size': '1m\n--auth-file=/tmp/x' },
    { 'max-item-size': '1m --user=root' },
  ],
  Elasticsearch: [
    { 'xpack.security.enabled': false },
    { 'xpack.security.authc.anonymous.roles': 'superuser' },
    { 'plugins.security.disabled': true },
    { 'plugins.security.authcz.admin_dn': 'CN=x' },
    { 'path.repo': '/' },
    { 'path.data': '/' },
    { 'reindex.remote.whitelist': '*:*' },
    { 'repositories.url.allowed_urls': '*' },
    { 'script.allowed_types': 'inline' },
    { 'network.host': '0.0.0.0' },
    { 'discovery.seed_hosts': 'evil' },
    { 'node.roles': 'master' },
    { 'bootstrap.memory_lock': true },
    { 'http.max_content_length': '100mb\nxpack.security.enabled: false' },
    { 'indices.breaker.total.limit': '70%\nscript.allowed_types: inline' },
  ],
}

/** The parts of a spec that have pods of their own, as paths of keys. */
const parts: { [kind: string]: string[][] } = {
  MongoDB: ['shard', 'configServer', 'mongos'].map((part) => ['shardTopology', part]),
  Elasticsearch: ['master', 'data', 'dataHot', 'ingest', 'coordinating'].map((role) => ['topology', role]),
}

const nested = (keys: readonly string[], value: unknown): unknown =>
  keys.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value)

const deep = (depth: number): unknown => (depth === 0 ? 1 : { a: deep(depth - 1) })

for (const { plan, kind } of shippedPlans().filter(({ plan }) => plan.parameters.spec)) {
  const everywhere = [[], ...(parts[kind.kind] ?? [])]
  const specs = [
    ...hostileEverywhere,
    ...(hostileOfKind[kind.kind] ?? []),
    ...everywhere.flatMap((keys) => [
      ...hostilePods(kind.container).map((pod) => nested([...keys, 'podTemplate'], pod)),
      ...hostileDisks.map((disk) => nested([...keys, 'storage'], disk)),
    ]),
    deep(60),
  ]

  test(`${kind.kind}: ${specs.length} hostile specs are refused, each by its path`, (t) => {
    for (const spec of specs) {
      const said = refusal(() => checkParameters(plan, kind, { spec }, 'create', []))
      t.regex(said, /^parameters\.spec[.[]\S*: ./, JSON.stringify(spec))
      t.notRegex(said, /[\n\r]/)
      t.regex(
        refusal(() => checkParameters(plan, kind, { spec }, 'update', [])),
        /^parameters\.spec[.[]\S*: ./,
        JSON.stringify(spec),
      )
    }
    t.deepEqual(Object.keys({}), [])
    t.is(Reflect.get({}, 'replicas'), undefined)
  })

  test(`${kind.kind}: settings that reach beyond the engine are refused, each by its name`, (t) => {
    const settings = hostileSettings[kind.kind] ?? []
    t.true(settings.length >= 10)
    for (const configuration of settings) {
      const said = refusal(() => checkParameters(plan, kind, { configuration }, 'create', []))
      t.regex(said, /^parameters\.configuration[.[]/, JSON.stringify(configuration))
      t.notRegex(said, /[\n\r]/)
    }
  })
}
