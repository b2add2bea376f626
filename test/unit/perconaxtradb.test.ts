import test from 'ava'
import { perconaxtradb } from '../../shared/kubedb/databases/perconaxtradb.ts'
import { reachIn, testRefused, threePods } from './kind-changes.ts'

const inside = { addresses: 'cluster', instance: 'i' } as const
const disk = { storage: { resources: { requests: { storage: '10Gi' } } } }
const version = '8.4.3'
/** Said of every server: what a bind sets reaches one. */
const own = '[mysqld]\nlog_bin_trust_function_creators = ON\n'

test('a plan becomes a complete spec: a cluster, which KubeDB does without a topology', (t) => {
  t.deepEqual(perconaxtradb.build(disk, { version }, inside), {
    version,
    replicas: 3,
    storageType: 'Durable',
    storage: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '10Gi' } } },
    configuration: { inline: { 'px-config.cnf': own } },
    deletionPolicy: 'WipeOut',
  })
})

test("MySQL's settings stand after the broker's own; encryption is demanded of clients", (t) => {
  const configuration = { max_execution_time: 2500, innodb_redo_log_capacity: '64M' }
  const issuer = { kind: 'Issuer', name: 'ca' } as const
  t.like(perconaxtradb.build(disk, { version, configuration, issuer }, inside), {
    configuration: {
      inline: {
        'px-config.cnf': `${own}innodb_redo_log_capacity = 64M\nmax_execution_time = 2500\n`,
      },
    },
    requireSSL: true,
  })
  t.false('max_statement_time' in perconaxtradb.settings, "that is MariaDB's")
})

testRefused(perconaxtradb, version, {
  'a single server': [disk, { replicas: 1 }, /^parameters\.replicas: a cluster has 3 to 9 servers, not 1/],
  'ten servers': [disk, { replicas: 10 }, /^parameters\.replicas: a cluster has 3 to 9 servers, not 10/],
  'a raw spec of two': [
    disk,
    { spec: { replicas: 2 } },
    /^parameters\.spec\.replicas: a cluster has 3 to 9 servers, not 2/,
  ],
  'servers that are too old': [
    disk,
    { version: '5.7.44' },
    /^parameters\.version: 5\.7\.44 is not offered: it cannot check passwords as/,
  ],
})

test('a cluster grows by its members, up to nine', (t) => {
  const replicas = perconaxtradb.dimensions.find(({ name }) => name === 'replicas')
  const change = (to: number) => replicas?.change({ member: 3 }, { member: to })
  t.like(change(5), {
    by: 'opsRequest',
    type: 'HorizontalScaling',
    body: { horizontalScaling: { member: 5 } },
  })
  t.like(change(10), { by: 'nothing', impossible: 'replicas: KubeDB scales a cluster to 9 servers at most' })
})

test("its container is what KubeDB's procedures call it", (t) => {
  const resources = perconaxtradb.dimensions.find(({ name }) => name === 'resources')
  const sized = (memory: string) =>
    resources?.read(perconaxtradb.build(disk, { version, memory }, inside)) ?? null
  t.like(resources?.change(sized('1Gi'), sized('2Gi')), {
    body: { verticalScaling: { perconaxtradb: { resources: { limits: { memory: '2Gi' } } } } },
  })
})

test('sessions are ended on every member; credentials are those of MySQL', (t) => {
  const place = {
    name: 'osb-x',
    namespace: 'databases',
    spec: perconaxtradb.build(disk, { version }, inside),
  }
  t.deepEqual(perconaxtradb.members(place), threePods('databases'))
  const reach = reachIn('databases', { ...place, port: 3306, database: 'app' })
  t.like(perconaxtradb.credentials(reach, { name: 'b', password: 'p' }), {
    type: 'mysql',
    protocol: 'mysql',
    uri: 'mysql://b:p@osb-x.databases.svc:3306/app',
  })
})
