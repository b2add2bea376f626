import test from 'ava'
import { mariadb } from '../../shared/kubedb/databases/mariadb.ts'
import type { JsonObject } from '../../shared/values/json.ts'
import { changeOf, reachIn, testRefused, threePods } from './kind-changes.ts'

const inside = { addresses: 'cluster', instance: 'i' } as const
const disk = { storage: { resources: { requests: { storage: '10Gi' } } } }
const galera = { ...disk, topology: { mode: 'GaleraCluster' } }
const version = '11.8.5'
/** Said of every server: what a bind sets reaches one, until its next start. */
const own = '[mysqld]\nlog_bin_trust_function_creators = ON\n'

test('a plan becomes a complete spec, the defaults of KubeDB that matter written out', (t) => {
  const storage = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '10Gi' } } }
  t.deepEqual(mariadb.build(disk, { version }, inside), {
    version,
    replicas: 1,
    storageType: 'Durable',
    storage,
    configuration: { inline: { 'md-config.cnf': own } },
    deletionPolicy: 'WipeOut',
  })
  t.deepEqual(mariadb.build(galera, { version }, inside), {
    version,
    replicas: 3,
    topology: { mode: 'GaleraCluster' },
    storageType: 'Durable',
    storage,
    configuration: { inline: { 'md-config.cnf': own } },
    deletionPolicy: 'WipeOut',
  })
})

test('settings stand in the section of the server; encryption is demanded of clients', (t) => {
  const configuration = { max_statement_time: 2.5, max_connections: 60 }
  const issuer = { kind: 'Issuer', name: 'ca' } as const
  t.like(mariadb.build(disk, { version, configuration, issuer }, inside), {
    configuration: {
      inline: { 'md-config.cnf': `${own}max_connections = 60\nmax_statement_time = 2.5\n` },
    },
    requireSSL: true,
  })
})

testRefused(mariadb, version, {
  'copies of one server': [disk, { replicas: 3 }, /^parameters\.replicas: a server on its own has no copies/],
  'a cluster of two': [galera, { replicas: 2 }, /^parameters\.replicas: a Galera cluster has 3 to 9 servers/],
  'a cluster of ten': [
    galera,
    { replicas: 10 },
    /^parameters\.replicas: a Galera cluster has 3 to 9 servers/,
  ],
  'replicas behind MaxScale': [
    disk,
    { spec: { topology: { mode: 'MariaDBReplication' } } },
    /^parameters\.spec\.topology\.mode: this broker does not offer "MariaDBReplication"; send "GaleraCluster"/,
  ],
  'a topology without a mode': [
    disk,
    { spec: { topology: {} } },
    /^parameters\.spec\.topology\.mode: missing/,
  ],
  'a server that is too old': [
    disk,
    { version: '10.5.23' },
    /^parameters\.version: 10\.5\.23 is not offered/,
  ],
})

const change = (name: string, now: JsonObject, wanted: JsonObject) =>
  changeOf(mariadb, name, mariadb.build(now, { version }, inside), mariadb.build(wanted, { version }, inside))

test('a cluster grows by its members, and nothing becomes a cluster later', (t) => {
  t.like(change('replicas', galera, { ...galera, replicas: 5 }), {
    by: 'opsRequest',
    type: 'HorizontalScaling',
    body: { horizontalScaling: { member: 5 } },
  })
  t.like(change('topology', disk, galera), { by: 'nothing' })
})

test('credentials name the engine, and its protocol where clients of MySQL read', (t) => {
  const reach = reachIn('databases', { port: 3306, database: 'app' })
  t.like(mariadb.credentials(reach, { name: 'b', password: 'p' }), {
    type: 'mariadb',
    protocol: 'mysql',
    uri: 'mysql://b:p@osb-x.databases.svc:3306/app',
    jdbcUrl: 'jdbc:mariadb://osb-x.databases.svc:3306/app?user=b&password=p&sslMode=disable',
  })
  const encrypted = { ...reach, spec: { tls: {} } }
  t.like(mariadb.credentials(encrypted, { name: 'b', password: 'p' }), {
    uri: 'mysql://b:p@osb-x.databases.svc:3306/app?ssl-mode=REQUIRED',
    jdbcUrl: 'jdbc:mariadb://osb-x.databases.svc:3306/app?user=b&password=p&sslMode=trust',
  })
  t.deepEqual(
    mariadb.members({ ...reach, spec: mariadb.build(galera, { version }, inside) }),
    threePods('databases'),
  )
})
