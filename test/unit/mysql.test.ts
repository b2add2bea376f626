import test from 'ava'
import mysqlDriver from 'mysql2'
import * as v from 'valibot'
import { mysql } from '../../shared/kubedb/databases/mysql.ts'
import {
  hostile,
  issuer,
  issuerRef,
  other,
  reachIn,
  testRefused,
  testsOf,
  threePods,
} from './kind-changes.ts'
import * as step from './kind-steps.ts'

const { asked, planned, testChanges, testNoWay } = testsOf(mysql, 'mysql')
const inside = { addresses: 'cluster', instance: 'i' } as const
const disk = { storage: { resources: { requests: { storage: '10Gi' } } } }
const group = { ...disk, topology: { mode: 'GroupReplication' } }

test('a plan becomes a complete spec, the defaults of KubeDB that matter written out', (t) => {
  t.deepEqual(mysql.build(disk, { version: '8.4.8' }, inside), {
    version: '8.4.8',
    replicas: 1,
    storageType: 'Durable',
    storage: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '10Gi' } } },
    deletionPolicy: 'WipeOut',
  })
  t.like(mysql.build(group, { version: '8.4.8' }, inside), {
    replicas: 3,
    topology: { mode: 'GroupReplication', group: { mode: 'Single-Primary' } },
  })
})

test("a group's name is a UUID, the same at every build and another for every instance", (t) => {
  const nameOf = (instance: string) => {
    const { topology } = mysql.build(group, { version: '8.4.8' }, { addresses: 'cluster', instance })
    return v.parse(v.object({ group: v.object({ name: v.string() }) }), topology).group.name
  }
  t.regex(nameOf('a'), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  t.is(nameOf('a'), nameOf('a'))
  t.not(nameOf('a'), nameOf('b'))
})

test('settings stand in the section of the server, in the order of names', (t) => {
  const configuration = {
    wait_timeout: 60,
    innodb_print_all_deadlocks: true,
    sql_mode: '',
    long_query_time: 0.5,
  }
  t.deepEqual(mysql.build(disk, { version: '8.4.8', configuration }, inside).configuration, {
    inline: {
      'my-config.cnf':
        '[mysqld]\ninnodb_print_all_deadlocks = ON\nlong_query_time = 0.5\nsql_mode = \nwait_timeout = 60\n',
    },
  })
})

testRefused(mysql, '8.4.8', {
  'copies of one server': [disk, { replicas: 3 }, /^parameters\.replicas: a server on its own has no copies/],
  'copies in a raw spec': [
    disk,
    { spec: { replicas: 3 } },
    /^parameters\.spec\.replicas: a server on its own/,
  ],
  'a group of two': [group, { replicas: 2 }, /^parameters\.replicas: a group has 3 to 9 servers, not 2$/],
  'a group of ten': [group, { spec: { replicas: 10 } }, /^parameters\.spec\.replicas: a group has 3 to 9/],
  'a topology without a mode': [disk, { spec: { topology: { group: {} } } }, /topology\.mode: missing/],
  'a version whose names are short': [
    disk,
    { version: '5.7.44' },
    /^parameters\.version: 5\.7\.44 is not offered/,
  ],
  'several primaries before 8.4.2': [
    { ...group, replicas: 3 },
    { version: '8.0.36', spec: { topology: { group: { mode: 'Multi-Primary' } } } },
    /^parameters\.spec\.topology\.group\.mode: "Multi-Primary" needs MySQL 8\.4\.2/,
  ],
})

testChanges({
  cpu: [asked('small'), asked('small', { cpu: '1' }), step.resized({ mysql: step.sized('1', '1Gi') })],
  storage: [asked('small'), asked('small', { storage: '20Gi' }), step.expanded({ mysql: '20Gi' })],
  storageClass: [
    asked('small', { storageClass: 'standard' }),
    asked('small', { storageClass: 'fast' }),
    step.migrated(step.toFast),
  ],
  'replicas, which MySQL calls members': [
    asked('large-ha'),
    asked('large-ha', { replicas: 5 }),
    step.scaled({ member: 5 }),
  ],
  'tls on': [asked('small'), asked('small', { issuer }), step.recertified({ issuerRef, requireSSL: true })],
  'another issuer': [
    asked('small', { issuer }),
    asked('small', { issuer: other }),
    step.recertified({ issuerRef: { apiGroup: 'cert-manager.io', ...other }, requireSSL: true }),
  ],
  'tls off': [asked('small', { issuer }), asked('small'), step.recertified({ remove: true })],
  configuration: [
    asked('small'),
    asked('small', { configuration: { wait_timeout: 60 } }),
    step.reconfigured('my-config.cnf', '[mysqld]\nwait_timeout = 60\n'),
  ],
  version: [asked('small'), asked('small', { version: '9.1.0' }), step.upgraded('9.1.0')],
  'one primary to several': [
    asked('large-ha'),
    asked('large-ha', { spec: { topology: { group: { mode: 'Multi-Primary' } } } }),
    ['ReplicationModeTransformation', { replicationModeTransformation: { mode: 'Multi-Primary' } }],
  ],
  suspended: [asked('small'), asked('small', { suspended: true }), [{ halted: true }]],
  deletionPolicy: [asked('small'), asked('small', { deletionPolicy: 'Halt' }), [{ deletionPolicy: 'Halt' }]],
})

test('a change of plan is all that differs, the version last', (t) => {
  const steps = planned(asked('small'), asked('large', { version: '9.1.0' }))
  t.true(Array.isArray(steps))
  t.deepEqual(Array.isArray(steps) ? steps.filter((step) => typeof step === 'string') : steps, [
    'VolumeExpansion',
    'VerticalScaling',
    'UpdateVersion',
  ])
})

testNoWay({
  'one server into a group': [
    asked('small'),
    asked('large-ha'),
    /topology: a server on its own cannot become a group.*copy the data/,
  ],
  'a group into one server': [asked('large-ha'), asked('large'), /topology: .* nor a group one server/],
  'memory into a disk': [
    asked('demo-mysql'),
    asked('small'),
    /storageType: data cannot move between memory and disk/,
  ],
  'a disk into memory': [asked('small'), asked('demo-mysql'), /storageType: data cannot move/],
  'a smaller disk': [asked('large'), asked('small'), /storage: a disk cannot shrink; it is 100Gi now/],
  'an older version': [
    asked('small', { version: '9.1.0' }),
    asked('small'),
    /version: 9\.1\.0 cannot go back to 8\.4\.8/,
  ],
  'a group of nine': [
    asked('large-ha'),
    asked('large-ha', { replicas: 9 }),
    /replicas: KubeDB scales a running group to 8/,
  ],
  'the class that is the default': [
    asked('small', { storageClass: 'fast' }),
    asked('small'),
    /storageClass: .*name one/,
  ],
})

const reach = reachIn('databases', { port: 3306, database: 'app' })

const Parsed = v.object({
  user: v.string(),
  password: v.string(),
  host: v.string(),
  port: v.union([v.number(), v.string()]),
  database: v.string(),
})

test('a URI gives the driver back what it was made of, however hostile', (t) => {
  for (const [name, password, database] of hostile) {
    const { uri, jdbcUrl } = mysql.credentials({ ...reach, database }, { name, password })
    const pool = mysqlDriver.createPool(String(uri))
    const parsed = v.parse(v.object({ connectionConfig: Parsed }), Reflect.get(pool, 'config'))
    pool.end(() => undefined)
    t.like(parsed.connectionConfig, { user: name, password, host: reach.host, database })
    t.is(Number(parsed.connectionConfig.port), 3306)
    const jdbc = new URL(String(jdbcUrl).replace(/^jdbc:/, ''))
    t.is(jdbc.searchParams.get('user'), name)
    t.is(jdbc.searchParams.get('password'), password)
    t.is(decodeURIComponent(jdbc.pathname.slice(1)), database)
  }
})

test('credentials have every key that buildpacks, libraries and the AppsCode broker know', (t) => {
  t.deepEqual(mysql.credentials(reach, { name: 'u', password: 'p' }), {
    type: 'mysql',
    provider: 'kubedb',
    protocol: 'mysql',
    Protocol: 'mysql',
    host: 'osb-x.databases.svc',
    hosts: ['osb-x.databases.svc'],
    port: 3306,
    database: 'app',
    username: 'u',
    password: 'p',
    uri: 'mysql://u:p@osb-x.databases.svc:3306/app',
    jdbcUrl:
      'jdbc:mysql://osb-x.databases.svc:3306/app?user=u&password=p&sslMode=PREFERRED&allowPublicKeyRetrieval=true',
  })
  const encrypted = { ...reach, spec: { tls: { issuerRef } }, caBundle: 'PEM' }
  t.like(mysql.credentials(encrypted, { name: 'u', password: 'p' }), {
    uri: 'mysql://u:p@osb-x.databases.svc:3306/app?ssl-mode=REQUIRED',
    jdbcUrl: 'jdbc:mysql://osb-x.databases.svc:3306/app?user=u&password=p&sslMode=REQUIRED',
    rootCert: 'PEM',
  })
})

test('every server of a group holds sessions of its own, one server is reached by its Service', (t) => {
  const place = { name: 'osb-x', namespace: 'dbs' }
  t.deepEqual(mysql.members({ ...place, spec: asked('small').spec }), [])
  t.deepEqual(mysql.members({ ...place, spec: asked('large-ha').spec }), threePods('dbs'))
})
