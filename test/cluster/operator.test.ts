import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import * as v from 'valibot'
import { authOf, createReady, findPostgres, postgresManifest, sql, untilPhase } from './operator-postgres.ts'
import {
  addressOf,
  createNamespace,
  deleteNamespace,
  Named,
  offshootNames,
  refusalOf,
  resources,
  Secret,
  Service,
  setSwitches,
  until,
  useSetting,
} from './operator-setting.ts'

const setting = useSetting(test)

const Loose = v.looseObject({ spec: v.unknown() })
const Events = v.looseObject({
  type: v.string(),
  reason: v.string(),
  message: v.string(),
  involvedObject: v.looseObject({ kind: v.string(), name: v.string() }),
})

async function warningsAbout(namespace: string, name: string): Promise<string[]> {
  const { items } = await setting.kube.list(Events, resources.events, { namespace })
  return items
    .filter(({ type, involvedObject: { kind, name: about } }) => {
      return type === 'Warning' && kind === 'Postgres' && about === name
    })
    .map(({ message }) => message)
}

/** The objects of a database that exist now. */
async function countOffshoots(namespace: string, name: string): Promise<Record<string, number>> {
  const kinds = ['services', 'secrets', 'pods', 'claims', 'appBindings'] as const
  const counts = await Promise.all(
    kinds.map(async (kind) => [
      kind,
      (await offshootNames(setting.kube, resources[kind], namespace, name)).length,
    ]),
  )
  return Object.fromEntries(counts)
}

test('objects and conditions come in the order of KubeDB', async (t) => {
  const { kube } = setting
  const namespace = await createNamespace(kube, 'order')
  await setSwitches(kube, namespace, { slow: '200' })
  await kube.create(resources.postgreses, postgresManifest(namespace, 'pg'))
  const seen: string[] = []
  const note = (...names: string[]) => {
    for (const name of names) if (!seen.includes(name)) seen.push(name)
  }
  await until('Provisioned', async () => {
    const db = await findPostgres(kube, namespace, 'pg')
    const conditions = (db?.status.conditions ?? []).map(({ type }) => type)
    if (conditions.length > 0) note('ProvisioningStarted')
    const services = await offshootNames(kube, resources.services, namespace, 'pg')
    note(...services.toSorted((left, right) => right.length - left.length))
    note(...(await offshootNames(kube, resources.secrets, namespace, 'pg')))
    note(...(await offshootNames(kube, resources.claims, namespace, 'pg')))
    note(...(await offshootNames(kube, resources.pods, namespace, 'pg')))
    if ((await offshootNames(kube, resources.appBindings, namespace, 'pg')).length > 0) note('AppBinding')
    note(...conditions)
    return conditions.includes('Provisioned')
  })
  t.deepEqual(seen, [
    'ProvisioningStarted',
    'pg-pods',
    'pg',
    'pg-auth',
    'data-pg-0',
    'pg-0',
    'AppBinding',
    'ReplicaReady',
    'AcceptingConnection',
    'Ready',
    'Provisioned',
  ])
})

test('a database has the objects of KubeDB in their shapes', async (t) => {
  const { kube } = setting
  const namespace = await createNamespace(kube, 'shapes')
  await kube.create(resources.postgreses, {
    ...postgresManifest(namespace, 'pg'),
    metadata: {
      namespace,
      name: 'pg',
      labels: { team: 'blue', 'osb.kubedb.com/instance': 'x', 'app.kubernetes.io/version': '1' },
      annotations: { note: 'copied', 'osb.kubedb.com/instance': 'stays' },
    },
  })
  const db = await untilPhase(kube, namespace, 'pg', 'Ready')
  t.deepEqual(db.metadata.finalizers, ['kubedb.com'])
  t.is(db.spec.authSecret?.name, 'pg-auth')
  t.truthy(db.spec.authSecret?.activeFrom)
  t.is(db.status.observedGeneration, db.metadata.generation)

  const appBinding = await kube.get(Named, resources.appBindings, { namespace, name: 'pg' })
  const [owner] = appBinding?.metadata.ownerReferences ?? []
  t.like(owner, {
    apiVersion: 'kubedb.com/v1',
    kind: 'Postgres',
    name: 'pg',
    uid: db.metadata.uid,
    controller: true,
  })
  t.deepEqual(appBinding?.metadata.annotations, { note: 'copied' })
  t.deepEqual(appBinding?.metadata.labels, {
    team: 'blue',
    'app.kubernetes.io/name': 'postgreses.kubedb.com',
    'app.kubernetes.io/instance': 'pg',
    'app.kubernetes.io/managed-by': 'kubedb.com',
    'app.kubernetes.io/component': 'database',
    'postgreses.kubedb.com/database.cluster': 'pg',
  })
  t.like(v.parse(Loose, appBinding).spec, {
    type: 'kubedb.com/postgres',
    version: '17.5',
    appRef: { apiGroup: 'kubedb.com', kind: 'Postgres', name: 'pg', namespace },
    clientConfig: {
      service: { name: 'pg', port: 5432, path: '/', query: 'sslmode=disable', scheme: 'postgresql' },
    },
  })

  const secret = await kube.get(Secret, resources.secrets, { namespace, name: 'pg-auth' })
  t.is(v.parse(v.looseObject({ type: v.string() }), secret).type, 'kubernetes.io/basic-auth')
  t.is(secret?.data?.username, 'postgres')
  t.regex(secret?.data?.password ?? '', /^[A-Za-z0-9]{16}$/)

  const ports = async (name: string) =>
    (await kube.get(Service, resources.services, { namespace, name }))?.spec.ports.map(({ name, port }) => [
      name,
      port,
    ])
  t.deepEqual(await ports('pg'), [
    ['primary', 5432],
    ['coordinatclient', 2379],
  ])
  t.deepEqual(await ports('pg-pods'), [
    ['db', 5432],
    ['coordinator', 2380],
    ['coordinatclient', 2379],
  ])
  t.is(await kube.get(Service, resources.services, { namespace, name: 'pg-standby' }), undefined)
  t.deepEqual(await sql(setting, namespace, 'pg', 'SELECT 1 AS one'), [{ one: 1 }])
})

test('replicas have pods, disks and a standby Service, and share one server', async (t) => {
  const { kube } = setting
  const namespace = await createNamespace(kube, 'replicas')
  await createReady(kube, namespace, 'pg', { replicas: 3 })
  t.deepEqual(await offshootNames(kube, resources.pods, namespace, 'pg'), ['pg-0', 'pg-1', 'pg-2'])
  t.deepEqual(await offshootNames(kube, resources.claims, namespace, 'pg'), [
    'data-pg-0',
    'data-pg-1',
    'data-pg-2',
  ])
  t.deepEqual(await offshootNames(kube, resources.services, namespace, 'pg'), ['pg', 'pg-pods', 'pg-standby'])
  const address = await addressOf(setting, namespace, 'pg')
  t.is(await addressOf(setting, namespace, 'pg-standby'), address)
  t.is(await addressOf(setting, namespace, 'pg-2.pg-pods'), address)
  const said = setting.lines.filter((line) => line.startsWith(`${namespace}/pg: its 3 replicas share one`))
  t.is(said.length, 1)
})

test('a LoadBalancer asked for by a service template has the address of the server', async (t) => {
  const { kube } = setting
  const namespace = await createNamespace(kube, 'external')
  await createReady(kube, namespace, 'pg', {
    serviceTemplates: [{ alias: 'primary', spec: { type: 'LoadBalancer' } }],
  })
  const service = await kube.get(Service, resources.services, { namespace, name: 'pg' })
  t.is(service?.spec.type, 'LoadBalancer')
  t.deepEqual(service?.status.loadBalancer.ingress[0]?.ip, await addressOf(setting, namespace, 'pg'))
  await kube.patch(Named, resources.postgreses, { namespace, name: 'pg' }, { spec: { serviceTemplates: [] } })
  await until('a ClusterIP Service again', async () => {
    const changed = await kube.get(Service, resources.services, { namespace, name: 'pg' })
    return changed?.spec.type === 'ClusterIP'
  })
})

test('an ephemeral database has no disk', async (t) => {
  const { kube } = setting
  const namespace = await createNamespace(kube, 'ephemeral')
  await createReady(kube, namespace, 'pg', { storageType: 'Ephemeral', storage: undefined })
  t.deepEqual(await offshootNames(kube, resources.claims, namespace, 'pg'), [])
})

test('halted keeps disk, Secret and data only, and a resumed database has its data', async (t) => {
  const { kube } = setting
  const namespace = await createNamespace(kube, 'halted')
  await createReady(kube, namespace, 'pg')
  await sql(setting, namespace, 'pg', 'CREATE TABLE kept AS SELECT 42 AS answer')
  const place = { namespace, name: 'pg' }
  await kube.patch(Named, resources.postgreses, place, { spec: { halted: true } })
  const halted = await untilPhase(kube, namespace, 'pg', 'Halted')
  t.is(halted.spec.deletionPolicy, 'Halt')
  const states = Object.fromEntries(halted.status.conditions.map(({ type, status }) => [type, status]))
  t.like(states, { Halted: 'True', AcceptingConnection: 'False', Ready: 'False', Provisioned: 'True' })
  await until('pods, Services and AppBinding gone', async () => {
    const counts = await countOffshoots(namespace, 'pg')
    return counts.pods === 0 && counts.services === 0 && counts.appBindings === 0
  })
  t.like(await countOffshoots(namespace, 'pg'), { secrets: 1, claims: 1 })
  await t.throwsAsync(addressOf(setting, namespace, 'pg'), { message: /names.json has no/ })
  await kube.patch(Named, resources.postgreses, place, { spec: { halted: false } })
  await untilPhase(kube, namespace, 'pg', 'Ready')
  t.deepEqual(await sql(setting, namespace, 'pg', 'SELECT answer FROM kept'), [{ answer: 42 }])
})

test('WipeOut removes disk, Secret and data, after the database', async (t) => {
  const { kube } = setting
  const namespace = await createNamespace(kube, 'wipeout')
  await createReady(kube, namespace, 'pg')
  const { password } = await authOf(kube, namespace, 'pg')
  await kube.delete(resources.postgreses, { namespace, name: 'pg' })
  await until('the database gone', async () => (await findPostgres(kube, namespace, 'pg')) === undefined)
  await until('everything gone', async () =>
    Object.values(await countOffshoots(namespace, 'pg')).every((count) => count === 0),
  )
  await createReady(kube, namespace, 'pg')
  t.not((await authOf(kube, namespace, 'pg')).password, password)
})

test('Delete removes the disk but keeps the Secret, which a database of the same name takes up', async (t) => {
  const { kube } = setting
  const namespace = await createNamespace(kube, 'delete')
  await createReady(kube, namespace, 'pg', { deletionPolicy: 'Delete' })
  await sql(setting, namespace, 'pg', 'CREATE TABLE kept ()')
  const { password } = await authOf(kube, namespace, 'pg')
  await kube.delete(resources.postgreses, { namespace, name: 'pg' })
  await until('all but the Secret gone', async () => {
    const { secrets, ...others } = await countOffshoots(namespace, 'pg')
    return secrets === 1 && Object.values(others).every((count) => count === 0)
  })
  await createReady(kube, namespace, 'pg')
  t.is((await authOf(kube, namespace, 'pg')).password, password)
  t.deepEqual(await sql(setting, namespace, 'pg', "SELECT 1 FROM pg_class WHERE relname = 'kept'"), [])
})

test('Halt keeps disk and Secret, and a database of the same name finds its data', async (t) => {
  const { kube } = setting
  const namespace = await createNamespace(kube, 'halt')
  await createReady(kube, namespace, 'pg', { deletionPolicy: 'Halt' })
  await sql(setting, namespace, 'pg', 'CREATE TABLE kept AS SELECT 42 AS answer')
  await kube.delete(resources.postgreses, { namespace, name: 'pg' })
  await until('all but disk and Secret gone', async () => {
    const { secrets, claims, ...others } = await countOffshoots(namespace, 'pg')
    return secrets === 1 && claims === 1 && Object.values(others).every((count) => count === 0)
  })
  await createReady(kube, namespace, 'pg')
  t.deepEqual(await sql(setting, namespace, 'pg', 'SELECT answer FROM kept'), [{ answer: 42 }])
})

test('WipeOut spares a Secret that another database uses', async (t) => {
  const { kube } = setting
  const namespace = await createNamespace(kube, 'shared-secret')
  await kube.create(resources.secrets, {
    metadata: { namespace, name: 'common' },
    stringData: { username: 'postgres', password: 'given by the user' },
  })
  await createReady(kube, namespace, 'one', { authSecret: { name: 'common', externallyManaged: true } })
  await createReady(kube, namespace, 'two', { authSecret: { name: 'common', externallyManaged: true } })
  t.deepEqual(await sql(setting, namespace, 'one', 'SELECT 1 AS one', 'given by the user'), [{ one: 1 }])
  await kube.delete(resources.postgreses, { namespace, name: 'one' })
  await until('the disk gone', async () => (await countOffshoots(namespace, 'one')).claims === 0)
  t.truthy(await kube.get(Secret, resources.secrets, { namespace, name: 'common' }))
})

test('DoNotTerminate refuses DELETE', async (t) => {
  const { kube } = setting
  const namespace = await createNamespace(kube, 'dont')
  await createReady(kube, namespace, 'pg', { deletionPolicy: 'DoNotTerminate' })
  const refusal = await refusalOf(kube.delete(resources.postgreses, { namespace, name: 'pg' }))
  t.deepEqual(refusal, {
    status: 403,
    message: `admission webhook "postgreswebhook.validators.kubedb.com" denied the request: postgres "${namespace}/pg" can't be terminated. To delete, change spec.deletionPolicy`,
  })
})

test('a namespace with a database can be deleted', async (t) => {
  const { kube } = setting
  const namespace = await createNamespace(kube, 'vanishing')
  await createReady(kube, namespace, 'pg')
  await deleteNamespace(kube, namespace)
  await until('the namespace gone', async () => {
    const found = await kube.get(
      v.looseObject({}),
      { api: 'api/v1', plural: 'namespaces' },
      { name: namespace },
    )
    return found === undefined
  })
  t.pass()
})

test('edits of version, resources and storage change nothing that runs', async (t) => {
  const { kube } = setting
  const namespace = await createNamespace(kube, 'edits')
  await createReady(kube, namespace, 'pg')
  const uidOf = async (kind: 'pods' | 'claims', name: string) =>
    (await kube.get(Named, resources[kind], { namespace, name }))?.metadata.uid
  const pod = await uidOf('pods', 'pg-0')
  const [before] = await sql(setting, namespace, 'pg', 'SELECT pg_postmaster_start_time()::text AS time')
  const changed = await kube.patch(
    Named,
    resources.postgreses,
    { namespace, name: 'pg' },
    {
      spec: { version: '18.3', storage: { resources: { requests: { storage: '2Gi' } } } },
    },
  )
  await until('the edit seen', async () => {
    const db = await findPostgres(kube, namespace, 'pg')
    return db?.status.observedGeneration === changed.metadata.generation
  })
  t.is(await uidOf('pods', 'pg-0'), pod)
  const claim = await kube.get(Loose, resources.claims, { namespace, name: 'data-pg-0' })
  t.like(claim?.spec, { resources: { requests: { storage: '1Gi' } } })
  t.deepEqual(await sql(setting, namespace, 'pg', 'SELECT pg_postmaster_start_time()::text AS time'), [
    before,
  ])
})

test('a server that dies is started again', async (t) => {
  const { kube } = setting
  const namespace = await createNamespace(kube, 'crash')
  await createReady(kube, namespace, 'pg')
  const file = join(setting.folder, 'engines', 'postgres', `${namespace}_pg`, 'data', 'postmaster.pid')
  const pid = Number((await readFile(file, 'utf8')).split('\n')[0])
  process.kill(pid, 'SIGQUIT')
  await until('a new server', async () => {
    const content = await readFile(file, 'utf8').catch(() => '')
    return content !== '' && Number(content.split('\n')[0]) !== pid
  })
  await untilPhase(kube, namespace, 'pg', 'Ready')
  t.deepEqual(await sql(setting, namespace, 'pg', 'SELECT 1 AS one'), [{ one: 1 }])
})

test('a database with settings that the server refuses says so and recovers when they are mended', async (t) => {
  const { kube } = setting
  const namespace = await createNamespace(kube, 'settings')
  const configuration = { inline: { 'user.conf': 'no_such_setting = 1' } }
  await kube.create(resources.postgreses, postgresManifest(namespace, 'pg', { configuration }))
  const db = await until('ReplicaReady=False', async () => {
    const found = await findPostgres(kube, namespace, 'pg')
    return (
      found?.status.conditions.some(({ type, status }) => type === 'ReplicaReady' && status === 'False') &&
      found
    )
  })
  t.is(db.status.phase, 'Provisioning')
  const warnings = await until('a Warning event', async () => {
    const found = await warningsAbout(namespace, 'pg')
    return found.length > 0 && found
  })
  t.regex(warnings[0] ?? '', /unrecognized configuration parameter "no_such_setting"/)
  const mended = { spec: { configuration: { inline: { 'user.conf': 'max_connections = 20' } } } }
  await kube.patch(Named, resources.postgreses, { namespace, name: 'pg' }, mended)
  await untilPhase(kube, namespace, 'pg', 'Ready')
  t.deepEqual(await sql(setting, namespace, 'pg', 'SHOW max_connections'), [{ max_connections: '20' }])
})

test('the switch never-ready holds a database in Provisioning, with its reason', async (t) => {
  const { kube } = setting
  const namespace = await createNamespace(kube, 'never-ready')
  await setSwitches(kube, namespace, { 'never-ready': '0/1 nodes are available: 1 Insufficient cpu.' })
  await kube.create(resources.postgreses, postgresManifest(namespace, 'pg'))
  const warnings = await until('a Warning event', async () => {
    const found = await warningsAbout(namespace, 'pg')
    return found.length > 0 && found
  })
  t.deepEqual(warnings, ['0/1 nodes are available: 1 Insufficient cpu.'])
  t.is((await findPostgres(kube, namespace, 'pg'))?.status.phase, 'Provisioning')
  await setSwitches(kube, namespace, {})
  await untilPhase(kube, namespace, 'pg', 'Ready')
})

test('the switch not-accepting makes a Ready database NotReady, and off again Ready', async (t) => {
  const { kube } = setting
  const namespace = await createNamespace(kube, 'not-accepting')
  await createReady(kube, namespace, 'pg')
  await setSwitches(kube, namespace, { 'not-accepting': 'yes' })
  await untilPhase(kube, namespace, 'pg', 'NotReady')
  await t.throwsAsync(sql(setting, namespace, 'pg', 'SELECT 1'), { message: /ECONNREFUSED/ })
  await setSwitches(kube, namespace, {})
  await untilPhase(kube, namespace, 'pg', 'Ready')
})

test('the switch refuse denies new databases', async (t) => {
  const { kube } = setting
  const namespace = await createNamespace(kube, 'refusing')
  await setSwitches(kube, namespace, { refuse: 'the licence has expired' })
  const refusal = await refusalOf(kube.create(resources.postgreses, postgresManifest(namespace, 'pg')))
  t.deepEqual(refusal, {
    status: 403,
    message:
      'admission webhook "postgreswebhook.validators.kubedb.com" denied the request: the licence has expired',
  })
})
