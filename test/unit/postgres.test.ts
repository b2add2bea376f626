import test from 'ava'
import pg from 'pg'
import type { Reach } from '../../shared/kubedb/databases/database.ts'
import { resourcesOf } from '../../shared/kubedb/databases/parts/components.ts'
import { compareVersions } from '../../shared/kubedb/databases/parts/dimensions.ts'
import { at, merge, put } from '../../shared/kubedb/databases/parts/spec.ts'
import { postgres } from '../../shared/kubedb/databases/postgres.ts'
import { planUpdate } from '../../shared/kubedb/instances/planner.ts'
import type { Resolved } from '../../shared/kubedb/records/instance-record.ts'
import type { JsonObject } from '../../shared/values/json.ts'

const inside = { addresses: 'cluster', instance: 'i' } as const
const disk = { storage: { resources: { requests: { storage: '10Gi' } } } }

test('a plan becomes a complete spec, the defaults of KubeDB that matter written out', (t) => {
  t.deepEqual(postgres.build({ ...disk }, { version: '18.3' }, inside), {
    version: '18.3',
    replicas: 1,
    storageType: 'Durable',
    storage: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '10Gi' } } },
    deletionPolicy: 'WipeOut',
  })
})

test('several servers say how they replicate, as the plan wants it', (t) => {
  const cluster = postgres.build({ storageType: 'Ephemeral', replicas: 3 }, { version: '18.3' }, inside)
  t.like(cluster, {
    replicas: 3,
    standbyMode: 'Hot',
    streamingMode: 'Asynchronous',
    storageType: 'Ephemeral',
  })
  const warm = postgres.build({ ...disk, standbyMode: 'Warm' }, { version: '18.3', replicas: 3 }, inside)
  t.like(warm, { standbyMode: 'Warm', streamingMode: 'Asynchronous' })
})

test('what waits for a standby has one', (t) => {
  const synchronous = { ...disk, replicas: 3, streamingMode: 'Synchronous' }
  const build = (wanted: object) => postgres.build(synchronous, { version: '18.3', ...wanted }, inside)
  t.like(build({}), { replicas: 3, streamingMode: 'Synchronous' })
  t.is(build({ replicas: 2 }).replicas, 2)
  t.throws(() => build({ replicas: 1 }), { message: /^parameters\.replicas: one server has no standby/ })
  const alone = { spec: { replicas: 1, streamingMode: 'Synchronous' } }
  t.throws(() => postgres.build(disk, { version: '18.3', ...alone }, inside), {
    message: /^parameters\.spec\.replicas: one server has no standby/,
  })
})

test('into synchronous replication there is a way, and none out of it', (t) => {
  const replicated = (replicas: number, streamingMode?: string): Resolved => ({
    spec: postgres.build(
      disk,
      { version: '18.3', replicas, ...(streamingMode ? { spec: { streamingMode } } : {}) },
      inside,
    ),
    database: 'app',
    labels: {},
    annotations: {},
  })
  const planned = (had: Resolved, wanted: Resolved) =>
    planUpdate(postgres, { had, wanted, unfinished: [], live: had.spec })
  const one = replicated(1)
  const three = replicated(3)
  const waiting = replicated(3, 'Synchronous')
  for (const had of [one, three])
    t.like(planned(had, waiting), {
      steps: [{ change: { body: { horizontalScaling: { replicas: 3, streamingMode: 'Synchronous' } } } }],
    })
  t.like(planned(waiting, replicated(2, 'Synchronous')), { kind: 'steps' })
  for (const wanted of [three, one]) {
    const plan = planned(waiting, wanted)
    t.is(plan.kind, 'impossible')
    t.regex(plan.kind === 'impossible' ? plan.reason : '', /^streamingMode: .*make a new instance/)
  }
})

test('what a user asks for wins over the plan', (t) => {
  const template = {
    ...disk,
    deletionPolicy: 'Halt',
    podTemplate: {
      spec: {
        containers: [
          {
            name: 'postgres',
            resources: { requests: { cpu: '500m', memory: '1Gi' }, limits: { memory: '1Gi' } },
          },
          { name: 'pg-coordinator', resources: { requests: { cpu: '200m' } } },
        ],
      },
    },
  }
  const spec = postgres.build(
    template,
    {
      version: '17.9',
      cpu: '2',
      memory: '4Gi',
      storage: '50Gi',
      storageClass: 'fast',
      replicas: 3,
      deletionPolicy: 'Delete',
      suspended: false,
      configuration: { work_mem: '8MB', jit: false, max_connections: 200 },
    },
    inside,
  )
  t.like(spec, { version: '17.9', replicas: 3, deletionPolicy: 'Delete', halted: false })
  t.deepEqual(resourcesOf(spec, 'postgres'), {
    requests: { cpu: '2', memory: '4Gi' },
    limits: { memory: '4Gi' },
  })
  t.deepEqual(resourcesOf(spec, 'pg-coordinator'), { requests: { cpu: '200m' } })
  t.is(at(spec, 'storage.resources.requests.storage'), '50Gi')
  t.is(at(spec, 'storage.storageClassName'), 'fast')
  t.deepEqual(spec.configuration, {
    inline: { 'user.conf': "jit = 'false'\nmax_connections = '200'\nwork_mem = '8MB'\n" },
  })
})

test('equal settings give equal files, whatever their order, and a quote ends no value', (t) => {
  const build = (configuration: { [name: string]: string | number }) =>
    postgres.build(disk, { version: '18.3', configuration }, inside).configuration
  t.deepEqual(build({ b: 1, a: 2 }), build({ a: 2, b: 1 }))
  t.deepEqual(build({ timezone: "x' evil" }), { inline: { 'user.conf': "timezone = 'x'' evil'\n" } })
})

test('a database in memory has no disk, and one with a disk says how large', (t) => {
  const error = { name: 'BrokerError' }
  const build = (template: Parameters<typeof postgres.build>[0], parameters = {}) =>
    postgres.build(template, { version: '18.3', ...parameters }, inside)
  t.throws(() => build({ storageType: 'Ephemeral' }, { storage: '1Gi' }), {
    ...error,
    message: /has no disk/,
  })
  t.throws(() => build({ storageType: 'Durable' }), { ...error, message: /parameters\.storage: missing/ })
  t.throws(() => build({}), { ...error, message: /storageType: missing/ })
  t.notThrows(() => build({}, { storage: '1Gi' }))
})

test('who demands certificates of applications is refused, for bindings have none', (t) => {
  const message =
    /^parameters\.spec\.clientAuthMode: cert demands a certificate of every client, and bindings have a password/
  const build = (template: JsonObject, spec: JsonObject) =>
    postgres.build({ ...disk, ...template }, { version: '18.3', spec }, inside)
  t.throws(() => build({ clientAuthMode: 'cert' }, {}), { name: 'BrokerError', message })
  t.throws(() => build({}, { clientAuthMode: 'cert' }), { name: 'BrokerError', message })
  t.is(build({}, { clientAuthMode: 'scram' }).clientAuthMode, 'scram')
})

test('platforms outside the cluster get a load balancer', (t) => {
  const nodes = postgres.build(
    disk,
    { version: '18.3' },
    { addresses: 'external', nodeHost: 'n', instance: 'i' },
  )
  t.deepEqual(nodes.serviceTemplates, [{ alias: 'primary', spec: { type: 'NodePort' } }])
  const spec = postgres.build(disk, { version: '18.3' }, { addresses: 'external', instance: 'i' })
  t.deepEqual(spec.serviceTemplates, [{ alias: 'primary', spec: { type: 'LoadBalancer' } }])
})

test('a plan is not changed by what is built from it', (t) => {
  const template = { ...disk, podTemplate: { spec: { containers: [{ name: 'postgres' }] } } }
  const before = JSON.stringify(template)
  postgres.build(template, { version: '1', cpu: '1', storage: '5Gi', spec: { replicas: 3 } }, inside)
  t.is(JSON.stringify(template), before)
})

const reach: Reach = {
  name: 'osb-x',
  namespace: 'databases',
  spec: {},
  scheme: 'postgresql',
  host: 'osb-x.databases.svc',
  external: false,
  hosts: ['osb-x.databases.svc'],
  port: 5432,
  database: 'app',
  query: 'sslmode=disable',
  caBundle: undefined,
}

test('outside the cluster the certificate is checked, but not its name', (t) => {
  const secured = { ...reach, query: 'sslmode=verify-full' }
  const user = { name: 'u', password: 'p' }
  t.regex(String(postgres.credentials(secured, user).uri), /sslmode=verify-full$/)
  const { uri, jdbcUrl } = postgres.credentials({ ...secured, external: true }, user)
  t.regex(String(uri), /sslmode=verify-ca$/)
  t.regex(String(jdbcUrl), /sslmode=verify-ca$/)
})

test('a URI gives back what it was made of, however hostile', (t) => {
  for (const [name, password, database] of [
    ['buser', 'plain', 'app'],
    ['b@:/?#[]', 'p@ss:w/rd?#&=+%25 ü\\\'"', 'my db/?#%'],
    ['%41', '%%', '%2F'],
    [' ', ' ', ' a'],
  ] as const) {
    const credentials = postgres.credentials({ ...reach, database }, { name, password })
    const client = new pg.Client({ connectionString: String(credentials.uri) })
    t.like(client, { user: name, password, host: reach.host, port: 5432 })
    t.is(decodeURIComponent(new URL(String(credentials.uri)).pathname), `/${database}`)
    const jdbc = new URL(String(credentials.jdbcUrl).replace(/^jdbc:/, ''))
    t.is(jdbc.searchParams.get('user'), name)
    t.is(jdbc.searchParams.get('password'), password)
    t.is(decodeURIComponent(jdbc.pathname.slice(1)), database)
  }
})

test('credentials have every key that buildpacks, libraries and the AppsCode broker know', (t) => {
  const credentials = postgres.credentials({ ...reach, caBundle: 'PEM' }, { name: 'u', password: 'p' })
  t.deepEqual(credentials, {
    type: 'postgresql',
    provider: 'kubedb',
    protocol: 'postgresql',
    Protocol: 'postgresql',
    host: 'osb-x.databases.svc',
    hosts: ['osb-x.databases.svc'],
    port: 5432,
    database: 'app',
    username: 'u',
    password: 'p',
    uri: 'postgresql://u:p@osb-x.databases.svc:5432/app?sslmode=disable',
    jdbcUrl: 'jdbc:postgresql://osb-x.databases.svc:5432/app?user=u&password=p&sslmode=disable',
    rootCert: 'PEM',
  })
})

test('an address of version 6 stands in brackets, and a strange query adds nothing to the URI', (t) => {
  const external = { ...reach, host: '2001:db8::1', hosts: ['2001:db8::1'], query: 'sslmode=a%26b%3Dc' }
  const { uri, host } = postgres.credentials(external, { name: 'u', password: 'p' })
  t.is(uri, 'postgresql://u:p@[2001:db8::1]:5432/app?sslmode=a%26b%3Dc')
  t.is(host, '2001:db8::1')
})

test('versions are compared by their numbers', (t) => {
  t.true(compareVersions('9.6', '10.23') < 0)
  t.true(compareVersions('18.10', '18.9') > 0)
  t.is(compareVersions('18.3-bookworm', '18.3'), 0)
  t.is(compareVersions('18', '18.0'), 0)
})

test('paths into a spec neither invent nor lose anything', (t) => {
  t.is(at({ a: { b: 0 } }, 'a.b'), 0)
  t.is(at({ a: 1 }, 'a.b.c'), null)
  t.deepEqual(put({ a: { b: 1 } }, 'a.c', 2), { a: { b: 1, c: 2 } })
  t.deepEqual(put({ a: 1 }, 'a.c', 2), { a: { c: 2 } })
  t.deepEqual(merge({ a: { b: [1, 2], c: 1 } }, { a: { b: [3] } }), { a: { b: [3], c: 1 } })
})

test('every server of several holds sessions of its own, one server is reached by its Service', (t) => {
  const at = { name: 'osb-x', namespace: 'dbs' }
  t.deepEqual(postgres.members({ ...at, spec: { replicas: 2 } }), [
    'osb-x-0.osb-x-pods.dbs.svc',
    'osb-x-1.osb-x-pods.dbs.svc',
  ])
  t.deepEqual(postgres.members({ ...at, spec: { replicas: 1 } }), [])
  t.deepEqual(postgres.members({ ...at, spec: {} }), [])
})
