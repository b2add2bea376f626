import test from 'ava'
import * as v from 'valibot'
import {
  authOf,
  createReady,
  findPostgres,
  opsManifest,
  sql,
  succeedOps,
  untilOpsPhase,
  untilPhase,
} from './operator-postgres.ts'
import {
  addressOf,
  createNamespace,
  Named,
  OpsRequest,
  offshootNames,
  resources,
  Secret,
  setSwitches,
  until,
  useSetting,
} from './operator-setting.ts'

const setting = useSetting(test)

const Pod = v.looseObject({
  spec: v.looseObject({
    containers: v.array(v.looseObject({ name: v.string(), resources: v.looseObject({}) })),
  }),
})
const Claim = v.looseObject({
  spec: v.looseObject({
    storageClassName: v.optional(v.string()),
    resources: v.looseObject({ requests: v.looseObject({}) }),
  }),
})
const AppBinding = v.looseObject({ spec: v.looseObject({ version: v.string() }) })

const conditionsOf = (request: OpsRequest) => request.status.conditions.map(({ type }) => type)
const failureOf = (request: OpsRequest) =>
  request.status.conditions.find(({ type }) => type === 'Failed')?.message

/** A database that is Ready, in a namespace of its own of the same name. */
async function database(name: string, spec: object = {}): Promise<[namespace: string, name: string]> {
  await createNamespace(setting.kube, name)
  await createReady(setting.kube, name, 'pg', spec)
  return [name, 'pg']
}

async function createOps(namespace: string, name: string, type: string, spec: object = {}): Promise<void> {
  await setting.kube.create(resources.postgresOpsRequests, opsManifest(namespace, name, 'pg', type, spec))
}

async function isPaused(namespace: string): Promise<boolean> {
  const db = await findPostgres(setting.kube, namespace, 'pg')
  return db?.status.conditions.some(({ type }) => type === 'Paused') ?? false
}

test('VerticalScaling gives the pods new resources, step by step', async (t) => {
  const { kube } = setting
  const [namespace] = await database('vertical')
  const limits = { memory: '2Gi' }
  const scaling = { postgres: { resources: { requests: { cpu: '700m', memory: '2Gi' }, limits } } }
  const request = await succeedOps(kube, namespace, 'bigger', 'pg', 'VerticalScaling', {
    verticalScaling: scaling,
  })
  t.deepEqual(conditionsOf(request), [
    'Running',
    'UpdatePetSets',
    'RestartPods',
    'VerticalScale',
    'Successful',
  ])
  const pod = await kube.get(Pod, resources.pods, { namespace, name: 'pg-0' })
  t.like(pod?.spec.containers[0], { name: 'postgres', resources: scaling.postgres.resources })
  const db = await untilPhase(kube, namespace, 'pg', 'Ready')
  t.like(db.spec.podTemplate?.spec?.containers?.[0], {
    name: 'postgres',
    resources: scaling.postgres.resources,
  })
  t.is(db.spec.podTemplate?.spec?.containers?.[1]?.name, 'pg-coordinator')
  t.false(await isPaused(namespace))
})

test('HorizontalScaling changes pods and the standby Service', async (t) => {
  const { kube } = setting
  const [namespace] = await database('horizontal')
  await succeedOps(kube, namespace, 'out', 'pg', 'HorizontalScaling', { horizontalScaling: { replicas: 3 } })
  t.is((await findPostgres(kube, namespace, 'pg'))?.spec.replicas, 3)
  t.deepEqual(await offshootNames(kube, resources.pods, namespace, 'pg'), ['pg-0', 'pg-1', 'pg-2'])
  t.truthy(await addressOf(setting, namespace, 'pg-standby'))
  await succeedOps(kube, namespace, 'in', 'pg', 'HorizontalScaling', { horizontalScaling: { replicas: 1 } })
  t.deepEqual(await offshootNames(kube, resources.pods, namespace, 'pg'), ['pg-0'])
  t.deepEqual(await offshootNames(kube, resources.services, namespace, 'pg'), ['pg', 'pg-pods'])
})

test('VolumeExpansion makes the disks larger', async (t) => {
  const { kube } = setting
  const [namespace] = await database('volume')
  const volumeExpansion = { mode: 'Online', postgres: '2Gi' }
  await succeedOps(kube, namespace, 'more', 'pg', 'VolumeExpansion', { volumeExpansion, apply: 'Always' })
  const claim = await kube.get(Claim, resources.claims, { namespace, name: 'data-pg-0' })
  t.deepEqual(claim?.spec.resources.requests, { storage: '2Gi' })
  t.is((await findPostgres(kube, namespace, 'pg'))?.spec.storage?.resources?.requests?.storage, '2Gi')
})

test('UpdateVersion changes version, server and AppBinding', async (t) => {
  const { kube } = setting
  const [namespace] = await database('version')
  await sql(setting, namespace, 'pg', 'CREATE TABLE kept ()')
  await succeedOps(kube, namespace, 'newer', 'pg', 'UpdateVersion', {
    updateVersion: { targetVersion: '18.3' },
  })
  t.is((await findPostgres(kube, namespace, 'pg'))?.spec.version, '18.3')
  const appBinding = await kube.get(AppBinding, resources.appBindings, { namespace, name: 'pg' })
  t.is(appBinding?.spec.version, '18.3')
  t.is((await sql(setting, namespace, 'pg', "SELECT FROM pg_class WHERE relname = 'kept'")).length, 1)
})

test('Reconfigure changes single settings, with or without a restart', async (t) => {
  const { kube } = setting
  const [namespace] = await database('reconfigure', {
    configuration: { inline: { 'user.conf': 'max_connections = 30\nwork_mem = 1MB\n' } },
  })
  const started = () => sql(setting, namespace, 'pg', 'SELECT pg_postmaster_start_time()::text AS time')
  const [first] = await started()
  const apply = (text: string) => ({ configuration: { applyConfig: { 'user.conf': text } } })
  await succeedOps(kube, namespace, 'reload', 'pg', 'Reconfigure', apply('work_mem = 2MB'))
  t.deepEqual(await sql(setting, namespace, 'pg', 'SHOW work_mem'), [{ work_mem: '2MB' }])
  t.deepEqual(await started(), [first])
  await succeedOps(kube, namespace, 'restart', 'pg', 'Reconfigure', apply('max_connections=40'))
  t.deepEqual(await sql(setting, namespace, 'pg', 'SHOW max_connections'), [{ max_connections: '40' }])
  const db = await findPostgres(kube, namespace, 'pg')
  t.deepEqual(db?.spec.configuration?.inline, { 'user.conf': 'max_connections=40\nwork_mem = 2MB\n' })
  const removal = { configuration: { removeCustomConfig: true } }
  await succeedOps(kube, namespace, 'remove', 'pg', 'Reconfigure', removal)
  t.deepEqual(await sql(setting, namespace, 'pg', 'SHOW max_connections'), [{ max_connections: '100' }])
})

test('Reconfigure with a Secret takes its settings', async (t) => {
  const { kube } = setting
  const [namespace] = await database('reconfigure-secret')
  const metadata = { namespace, name: 'custom' }
  await kube.create(resources.secrets, { metadata, stringData: { 'user.conf': 'max_connections = 50' } })
  const configuration = { configSecret: { name: 'custom' } }
  await succeedOps(kube, namespace, 'secret', 'pg', 'Reconfigure', { configuration })
  t.deepEqual(await sql(setting, namespace, 'pg', 'SHOW max_connections'), [{ max_connections: '50' }])
  t.is((await findPostgres(kube, namespace, 'pg'))?.spec.configuration?.secretName, 'custom')
})

for (const [title, setting_, words] of [
  ['unknown', 'no_such_setting = 1', /unrecognized configuration parameter/],
  ['impossible', 'shared_buffers = 100TB', /invalid value for parameter "shared_buffers": "100TB"/],
] as const)
  test(`Reconfigure with an ${title} setting fails in the server's words and leaves the old ones`, async (t) => {
    const { kube } = setting
    const [namespace] = await database(`refused-${title}`, {
      configuration: { inline: { 'user.conf': 'max_connections = 30' } },
    })
    await createOps(namespace, 'bad', 'Reconfigure', {
      configuration: { applyConfig: { 'user.conf': setting_ } },
    })
    const request = await untilOpsPhase(kube, namespace, 'bad', 'Failed')
    t.regex(failureOf(request) ?? '', words)
    const db = await untilPhase(kube, namespace, 'pg', 'Ready')
    t.deepEqual(db.spec.configuration?.inline, { 'user.conf': 'max_connections = 30' })
    t.deepEqual(await sql(setting, namespace, 'pg', 'SHOW max_connections'), [{ max_connections: '30' }])
  })

test('StorageMigration gives the database disks of another class, with its data', async (t) => {
  const { kube } = setting
  await kube.create(resources.storageClasses, {
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: { name: 'faster' },
    provisioner: 'sandbox.kubedb.com/loopback',
    volumeBindingMode: 'Immediate',
  })
  const storage = { storageClassName: 'standard', resources: { requests: { storage: '1Gi' } } }
  const [namespace] = await database('migration', { storage })
  await sql(setting, namespace, 'pg', 'CREATE TABLE kept AS SELECT 42 AS answer')
  const claim = async () => {
    const found = await kube.get(Claim, resources.claims, { namespace, name: 'data-pg-0' })
    return found?.spec.storageClassName
  }
  t.is(await claim(), 'standard')
  await succeedOps(kube, namespace, 'migrate', 'pg', 'StorageMigration', {
    timeout: '1m',
    migration: { storageClassName: 'faster' },
  })
  t.is(await claim(), 'faster')
  t.is((await findPostgres(kube, namespace, 'pg'))?.spec.storage?.storageClassName, 'faster')
  t.deepEqual(await sql(setting, namespace, 'pg', 'SELECT answer FROM kept'), [{ answer: 42 }])
  // Its data is known by the first disk for ever.
  await succeedOps(kube, namespace, 'again', 'pg', 'Restart')
  t.deepEqual(await sql(setting, namespace, 'pg', 'SELECT answer FROM kept'), [{ answer: 42 }])
})

test('Restart restarts the server and replaces the pods', async (t) => {
  const { kube } = setting
  const [namespace] = await database('restart')
  const pod = async () => (await kube.get(Named, resources.pods, { namespace, name: 'pg-0' }))?.metadata.uid
  const started = () => sql(setting, namespace, 'pg', 'SELECT pg_postmaster_start_time()::text AS time')
  const before = [await pod(), await started()]
  await succeedOps(kube, namespace, 'again', 'pg', 'Restart')
  t.not(await pod(), before[0])
  t.notDeepEqual(await started(), before[1])
})

test('RotateAuth changes the password in the server and keeps the previous one in the Secret', async (t) => {
  const { kube } = setting
  const [namespace] = await database('rotate')
  const old = await authOf(kube, namespace, 'pg')
  await succeedOps(kube, namespace, 'rotate', 'pg', 'RotateAuth')
  const auth = await authOf(kube, namespace, 'pg')
  t.not(auth.password, old.password)
  t.like(auth, { username: 'postgres', 'username.prev': 'postgres', 'password.prev': old.password })
  t.deepEqual(Object.keys(auth).sort(), ['password', 'password.prev', 'username', 'username.prev'])
  t.not(encodeURIComponent(auth.password ?? ''), auth.password)
  t.deepEqual(await sql(setting, namespace, 'pg', 'SELECT 1 AS one'), [{ one: 1 }])
  await t.throwsAsync(sql(setting, namespace, 'pg', 'SELECT 1', old.password), { code: '28P01' })
})

test('RotateAuth to a given Secret makes that the auth Secret', async (t) => {
  const { kube } = setting
  const [namespace] = await database('rotate-given')
  const old = await authOf(kube, namespace, 'pg')
  const place = { namespace, name: 'mine' }
  await kube.create(resources.secrets, {
    metadata: place,
    stringData: { username: 'postgres', password: "it's mine" },
  })
  await succeedOps(kube, namespace, 'given', 'pg', 'RotateAuth', {
    authentication: { secretRef: { name: 'mine' } },
  })
  t.is((await findPostgres(kube, namespace, 'pg'))?.spec.authSecret?.name, 'mine')
  t.is((await kube.get(Secret, resources.secrets, place))?.data?.['password.prev'], old.password)
  t.deepEqual(await sql(setting, namespace, 'pg', 'SELECT 1 AS one', "it's mine"), [{ one: 1 }])
})

test('a type that the stand-in does not perform fails and says so', async (t) => {
  const [namespace] = await database('unsupported')
  await createOps(namespace, 'reconnect', 'ReconnectStandby')
  const request = await untilOpsPhase(setting.kube, namespace, 'reconnect', 'Failed')
  t.is(failureOf(request), "the sandbox's operator does not perform ReconnectStandby")
})

test('the switch fail-ops fails requests of a type, and the database goes on', async (t) => {
  const { kube } = setting
  const [namespace] = await database('failing')
  await setSwitches(kube, namespace, { 'fail-ops': 'UpdateVersion, Restart' })
  await createOps(namespace, 'restart', 'Restart')
  const request = await untilOpsPhase(kube, namespace, 'restart', 'Failed')
  t.is(failureOf(request), 'the switch fail-ops of the sandbox is on')
  await until('not paused', async () => !(await isPaused(namespace)))
  t.is((await findPostgres(kube, namespace, 'pg'))?.status.phase, 'Ready')
})

test('a stalled request pauses the database, holds up others and ends by its timeout', async (t) => {
  const { kube } = setting
  const [namespace] = await database('stalled')
  await setSwitches(kube, namespace, { 'stall-ops': 'Restart' })
  await createOps(namespace, 'stalled', 'Restart', { timeout: '4s' })
  await untilOpsPhase(kube, namespace, 'stalled', 'Progressing')
  await until('paused', () => isPaused(namespace))
  await createOps(namespace, 'next', 'VolumeExpansion', {
    volumeExpansion: { mode: 'Online', postgres: '2Gi' },
  })
  await untilOpsPhase(kube, namespace, 'next', 'Pending')
  await kube.patch(Named, resources.postgreses, { namespace, name: 'pg' }, { spec: { replicas: 2 } })
  const request = await untilOpsPhase(kube, namespace, 'stalled', 'Failed')
  t.regex(failureOf(request) ?? '', /took longer than 4s/)
  await untilOpsPhase(kube, namespace, 'next', 'Successful')
  await until('the edit made while paused carried out', async () => {
    const pods = await offshootNames(kube, resources.pods, namespace, 'pg')
    return pods.length === 2
  })
})

test('a spec edit is ignored while a request is in progress', async (t) => {
  const { kube } = setting
  const [namespace] = await database('paused')
  await setSwitches(kube, namespace, { 'stall-ops': 'Restart' })
  await createOps(namespace, 'stalled', 'Restart')
  await until('paused', () => isPaused(namespace))
  const place = { namespace, name: 'pg' }
  const edited = await kube.patch(Named, resources.postgreses, place, { spec: { halted: true } })
  const seen = await until('the edit seen', async () => {
    const db = await findPostgres(kube, namespace, 'pg')
    return db?.status.observedGeneration === edited.metadata.generation && db
  })
  t.is(seen.status.phase, 'Ready')
  t.true(seen.status.conditions.some(({ type }) => type === 'Paused'))
  t.deepEqual(await offshootNames(kube, resources.pods, namespace, 'pg'), ['pg-0'])
  await setSwitches(kube, namespace, {})
  await untilOpsPhase(kube, namespace, 'stalled', 'Successful')
  await untilPhase(kube, namespace, 'pg', 'Halted')
})

test('a waiting request is Skipped when a newer one of its type comes', async (t) => {
  const { kube } = setting
  const [namespace] = await database('skipped')
  await setSwitches(kube, namespace, { 'stall-ops': 'RotateAuth' })
  await createOps(namespace, 'first', 'RotateAuth')
  await untilOpsPhase(kube, namespace, 'first', 'Progressing')
  await createOps(namespace, 'second', 'Restart')
  await untilOpsPhase(kube, namespace, 'second', 'Pending')
  await createOps(namespace, 'third', 'Restart')
  // Creation times have whole seconds; within one the name decides, as `second` < `third`.
  const skipped = await untilOpsPhase(kube, namespace, 'second', 'Skipped')
  t.deepEqual(conditionsOf(skipped), ['Skipped'])
  await setSwitches(kube, namespace, {})
  await untilOpsPhase(kube, namespace, 'third', 'Successful')
})

test('the switch skip-ops skips requests of a type', async (t) => {
  const { kube } = setting
  const [namespace] = await database('skipping')
  await setSwitches(kube, namespace, { 'skip-ops': 'Restart' })
  await createOps(namespace, 'restart', 'Restart')
  t.deepEqual(conditionsOf(await untilOpsPhase(kube, namespace, 'restart', 'Skipped')), ['Skipped'])
})

test('IfReady waits for a database that is not Ready, Always does not', async (t) => {
  const { kube } = setting
  const [namespace] = await database('apply')
  await setSwitches(kube, namespace, { 'not-accepting': 'yes' })
  await untilPhase(kube, namespace, 'pg', 'NotReady')
  await createOps(namespace, 'patient', 'Restart')
  const volumeExpansion = { mode: 'Online', postgres: '3Gi' }
  await succeedOps(kube, namespace, 'eager', 'pg', 'VolumeExpansion', { volumeExpansion, apply: 'Always' })
  const patient = await kube.get(OpsRequest, resources.postgresOpsRequests, {
    namespace,
    name: 'patient',
  })
  t.is(patient?.status.phase, 'Pending')
  await setSwitches(kube, namespace, {})
  await untilOpsPhase(kube, namespace, 'patient', 'Successful')
})

test('a database with a request in progress can be deleted', async (t) => {
  const { kube } = setting
  const [namespace] = await database('deleted')
  await setSwitches(kube, namespace, { 'stall-ops': 'Restart' })
  const { uid } = (await findPostgres(kube, namespace, 'pg'))?.metadata ?? {}
  const owner = { apiVersion: 'kubedb.com/v1', kind: 'Postgres', name: 'pg', uid }
  await kube.create(resources.postgresOpsRequests, {
    ...opsManifest(namespace, 'stalled', 'pg', 'Restart'),
    metadata: { namespace, name: 'stalled', ownerReferences: [owner] },
  })
  await untilOpsPhase(kube, namespace, 'stalled', 'Progressing')
  await kube.delete(resources.postgreses, { namespace, name: 'pg' })
  await until('the database gone', async () => (await findPostgres(kube, namespace, 'pg')) === undefined)
  await until('its request gone', async () => {
    const place = { namespace, name: 'stalled' }
    return (await kube.get(Named, resources.postgresOpsRequests, place)) === undefined
  })
  t.pass()
})
