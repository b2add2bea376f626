/** Long stories: suspended and resumed, updates that are left alone or fail, a move to another cluster. */
import { randomUUID } from 'node:crypto'
import { chmod, copyFile, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import { applyRoles } from '../../sandbox/broker/service-accounts.ts'
import { startCluster } from '../../sandbox/cluster.ts'
import { administratorOf } from '../../sandbox/control-plane/administrator.ts'
import { kinds } from '../../shared/kubedb/databases/kinds.ts'
import { databaseName, instanceRecordName } from '../../shared/kubedb/records/names.ts'
import { isObject, type JsonObject } from '../../shared/values/json.ts'
import { type OsbAnswer, openBroker, type TestBroker } from '../support/broker.ts'
import { at, atApiServer, objectIn, type TestCluster, textAt, useCluster } from '../support/cluster.ts'
import { addressOf, canUse, databaseObject, inventoryOf, isEmpty, phaseIs } from '../support/inventory.ts'
import { timePasses, twoHoursPass } from '../support/passing-time.ts'
import { brief, credentialsIn, type Platform, platformOf } from '../support/platform.ts'
import { rowsOf } from '../support/postgres.ts'
import { setSwitches } from '../support/switches.ts'

const calm = useCluster(test)
/** where OpsRequests are made to stall */
const stalling = useCluster(test)
/** where OpsRequests wait for each other */
const pending = useCluster(test)
/** where no database gets ready */
const stuck = useCluster(test)
/** where OpsRequests are made to fail */
const failing = useCluster(test)

async function open(
  t: ExecutionContext,
  cluster: TestCluster,
): Promise<{ broker: TestBroker; platform: Platform }> {
  const broker = await openBroker(t, { cluster })
  return { broker, platform: platformOf(broker) }
}

async function succeed(
  t: ExecutionContext,
  platform: Platform,
  instanceId: string,
  begun: OsbAnswer,
): Promise<void> {
  t.true([200, 202].includes(begun.status), brief(begun))
  if (begun.status === 200) return
  const end = await platform.settle(instanceId, begun)
  t.is(end.body.state, 'succeeded', brief(end))
}

async function bound(
  t: ExecutionContext,
  platform: Platform,
  instanceId: string,
  bindingId: string,
): Promise<JsonObject> {
  const answer = await platform.bind(instanceId, bindingId)
  t.is(answer.status, 201, brief(answer))
  return credentialsIn(answer)
}

/** What an application does with the credentials of its binding. */
async function query(cluster: TestCluster, credentials: JsonObject, statement: string): Promise<unknown[]> {
  const host = textAt(credentials, 'host')
  const connection = {
    host: addressOf(cluster, host) ?? host,
    port: 5432,
    user: textAt(credentials, 'username'),
    password: textAt(credentials, 'password'),
    database: textAt(credentials, 'database'),
  }
  return rowsOf(connection, statement)
}

test('suspended, bound and unbound meanwhile, resumed: the data is there, the unbound user is not', async (t) => {
  const { platform } = await open(t, calm)
  const instanceId = await platform.instance()
  const [kept, parted, late] = [randomUUID(), randomUUID(), randomUUID()]
  const credentials = await bound(t, platform, instanceId, kept)
  const doomed = await bound(t, platform, instanceId, parted)
  await query(calm, credentials, "CREATE TABLE notes (line text); INSERT INTO notes VALUES ('before')")

  await succeed(t, platform, instanceId, await platform.update(instanceId, { suspended: true }))
  t.is((await databaseObject(calm, instanceId)).status.phase, 'Halted')
  t.false(await canUse(calm, credentials))
  const shown = await platform.fetchBinding(instanceId, kept)
  t.true(shown.status === 200 || shown.status === 503, brief(shown))

  const refused = await platform.bind(instanceId, late, { asynchronous: false })
  t.is(refused.body.error, 'AsyncRequired', brief(refused))
  const begun = await platform.bind(instanceId, late)
  t.is(begun.status, 202, brief(begun))
  t.is((await platform.pollBinding(instanceId, late, begun)).body.state, 'in progress')
  const parting = await platform.unbind(instanceId, parted)
  t.true([200, 202].includes(parting.status), brief(parting))
  t.is((await platform.fetchBinding(instanceId, parted)).status, 404)

  const resumed = await platform.update(instanceId, { suspended: false })
  await succeed(t, platform, instanceId, resumed)
  // At the very moment at which the instance is handed out again:
  const { users, bindings } = await inventoryOf(calm, instanceId)
  t.false(users.includes(textAt(doomed, 'username')))
  t.false(bindings.some((one) => one.bindingId === parted))
  t.false(await canUse(calm, doomed))
  t.deepEqual(await query(calm, credentials, 'SELECT line FROM notes'), [{ line: 'before' }])
  t.deepEqual(credentialsIn(await platform.fetchBinding(instanceId, kept)), credentials)

  t.is((await platform.settleBinding(instanceId, late, begun)).body.state, 'succeeded')
  const other = credentialsIn(await platform.fetchBinding(instanceId, late))
  t.deepEqual(await query(calm, other, 'SELECT line FROM notes'), [{ line: 'before' }])
  if (parting.status === 202) t.is((await platform.pollBinding(instanceId, parted, parting)).status, 410)
})

test('deprovisioned while suspended and provisioned again under the same id: nothing of the old one is left', async (t) => {
  const { platform } = await open(t, calm)
  const instanceId = await platform.instance()
  const bindingId = randomUUID()
  const old = await bound(t, platform, instanceId, bindingId)
  await query(calm, old, 'CREATE TABLE secrets (line text)')
  await succeed(t, platform, instanceId, await platform.update(instanceId, { suspended: true }))
  await platform.unbind(instanceId, bindingId)

  const parting = await platform.deprovision(instanceId)
  t.is(parting.status, 202, brief(parting))
  t.is((await platform.settle(instanceId, parting)).status, 410)
  t.true(isEmpty(await inventoryOf(calm, instanceId)))

  await succeed(t, platform, instanceId, await platform.provision(instanceId))
  t.is((await platform.fetchBinding(instanceId, bindingId)).status, 404)
  const fresh = await bound(t, platform, instanceId, bindingId)
  t.not(fresh.username, old.username)
  t.not(fresh.password, old.password)
  t.deepEqual(await query(calm, fresh, "SELECT to_regclass('secrets') AS found"), [{ found: null }])
  t.false(await canUse(calm, old))
})

test('a platform that never polls comes to the end of a deprovision by sending it again', async (t) => {
  const { platform } = await open(t, calm)
  const instanceId = await platform.instance()
  await bound(t, platform, instanceId, randomUUID())
  let answer = await platform.deprovision(instanceId)
  for (const end = Date.now() + 60_000; answer.status === 202 && Date.now() < end; await delay(200)) {
    answer = await platform.deprovision(instanceId)
  }
  t.true([200, 410].includes(answer.status), brief(answer))
  t.true(isEmpty(await inventoryOf(calm, instanceId)))
})

const three = { storage: '20Gi', cpu: '600m', configuration: { work_mem: '8MB' } }

/** @returns the instance's OpsRequests by type, with their phases */
async function opsRequests(cluster: TestCluster, instanceId: string): Promise<{ [type: string]: string[] }> {
  const { body } = await cluster.admin('GET', cluster.databasesPath('postgresopsrequests'))
  const items = at(body, 'items')
  const found: { [type: string]: string[] } = {}
  for (const item of Array.isArray(items) ? items : []) {
    if (at(item, 'spec', 'databaseRef', 'name') !== databaseName(instanceId, 40)) continue
    const type = textAt(item, 'spec', 'type')
    found[type] = [...(found[type] ?? []), String(at(item, 'status', 'phase') ?? '')]
  }
  return found
}

async function phasesBecome(
  cluster: TestCluster,
  instanceId: string,
  wanted: { [type: string]: string[] },
): Promise<void> {
  let found: { [type: string]: string[] } = {}
  for (const end = Date.now() + 30_000; Date.now() < end; await delay(100)) {
    found = await opsRequests(cluster, instanceId)
    if (isDeepStrictEqual(found, wanted)) return
  }
  throw new Error(`OpsRequests are ${JSON.stringify(found)}, not ${JSON.stringify(wanted)}`)
}

/** Nobody polls until the operator is done with what it was asked. */
async function settledByItself(cluster: TestCluster, instanceId: string, type: string): Promise<void> {
  for (const end = Date.now() + 60_000; Date.now() < end; await delay(100)) {
    const phases = (await opsRequests(cluster, instanceId))[type] ?? []
    if (phases.length > 0 && phases.every((phase) => phase === 'Successful')) return
  }
  throw new Error(`${type} is not done after a minute`)
}

test('an update of three steps that nobody polls for hours at a time ends well', async (t) => {
  const { platform } = await open(t, calm)
  const instanceId = await platform.instance()
  const begun = await platform.update(instanceId, three)
  t.is(begun.status, 202, brief(begun))
  t.deepEqual(Object.keys(await opsRequests(calm, instanceId)), ['VolumeExpansion'], 'without any poll')
  for (const type of ['VolumeExpansion', 'VerticalScaling', 'Reconfigure']) {
    await settledByItself(calm, instanceId, type)
    await twoHoursPass(calm, instanceRecordName(instanceId))
    const poll = await platform.poll(instanceId, begun)
    t.not(poll.body.state, 'failed', `after ${type}: ${brief(poll)}`)
  }
  t.is((await platform.settle(instanceId, begun)).body.state, 'succeeded')
  t.deepEqual(at((await platform.fetch(instanceId)).body, 'parameters'), three)
  t.deepEqual(await opsRequests(calm, instanceId), {
    VolumeExpansion: ['Successful'],
    VerticalScaling: ['Successful'],
    Reconfigure: ['Successful'],
  })
  const credentials = await bound(t, platform, instanceId, randomUUID())
  t.deepEqual(await query(calm, credentials, 'SHOW work_mem'), [{ work_mem: '8MB' }])
})

test('a step that takes hours is never called failed, and can be cancelled by a deprovision', async (t) => {
  const { platform } = await open(t, stalling)
  await setSwitches(stalling, { 'stall-ops': 'VerticalScaling' })
  const instanceId = await platform.instance()
  const begun = await platform.update(instanceId, three)
  t.is(begun.status, 202, brief(begun))
  await settledByItself(stalling, instanceId, 'VolumeExpansion')
  await platform.poll(instanceId, begun)
  await phasesBecome(stalling, instanceId, {
    VolumeExpansion: ['Successful'],
    VerticalScaling: ['Progressing'],
  })
  for (let round = 0; round < 3; round++) {
    await twoHoursPass(stalling, instanceRecordName(instanceId))
    const poll = await platform.poll(instanceId, begun)
    t.is(poll.body.state, 'in progress', brief(poll))
    t.is((await platform.update(instanceId, three)).status, 202)
    t.is((await platform.update(instanceId, { cpu: '700m' })).body.error, 'ConcurrencyError')
    await delay(300)
  }
  const bindingId = randomUUID()
  const binding = await platform.bind(instanceId, bindingId)
  t.true([201, 202].includes(binding.status), brief(binding))
  const parting = await platform.deprovision(instanceId)
  t.is(parting.status, 202, brief(parting))
  t.is((await platform.settle(instanceId, parting)).status, 410)
  t.true(isEmpty(await inventoryOf(stalling, instanceId)))
  const over = await platform.poll(instanceId, begun)
  t.is(over.body.state, 'failed', brief(over))
})

test('a change that KubeDB never begins is withdrawn, by a poll or the update sent again, and has failed', async (t) => {
  const { platform } = await open(t, pending)
  await setSwitches(pending, { 'stall-ops': 'Restart,VerticalScaling' })
  const asks = {
    poll: (id: string, begun: OsbAnswer) => platform.poll(id, begun),
    again: (id: string) => platform.update(id, { cpu: '600m' }),
  }
  for (const [who, ask] of Object.entries(asks)) {
    const instanceId = await platform.instance()
    // Somebody else's, which goes first and takes its time.
    const { status, text } = await pending.admin('POST', pending.databasesPath('postgresopsrequests'), {
      apiVersion: 'ops.kubedb.com/v1alpha1',
      kind: 'PostgresOpsRequest',
      metadata: { name: `by-hand-${instanceId}` },
      spec: { type: 'Restart', databaseRef: { name: databaseName(instanceId, 40) } },
    })
    t.is(status, 201, text)
    await phasesBecome(pending, instanceId, { Restart: ['Progressing'] })
    const begun = await platform.update(instanceId, { cpu: '600m' })
    t.is(begun.status, 202, brief(begun))
    await phasesBecome(pending, instanceId, { Restart: ['Progressing'], VerticalScaling: ['Pending'] })
    t.is((await platform.poll(instanceId, begun)).body.state, 'in progress', who)

    await twoHoursPass(pending, instanceRecordName(instanceId))
    const answer = await ask(instanceId, begun)
    t.true(answer.status === 202 || answer.body.state === 'failed', `${who}: ${brief(answer)}`)
    t.deepEqual(await opsRequests(pending, instanceId), { Restart: ['Progressing'] }, who)
    const end = await platform.poll(instanceId, begun)
    t.is(end.body.state, 'failed', `${who}: ${brief(end)}`)
    t.is(end.body.description, 'resources: KubeDB never began the change', who)
    t.is(end.body.instance_usable, true, who)
  }
})

test('an update by OpsRequests and patches comes into force whole, the patches that come last by polls', async (t) => {
  const { platform } = await open(t, calm)
  const instanceId = await platform.instance()
  const wanted = { storage: '20Gi', deletionPolicy: 'Halt', suspended: true }
  await succeed(t, platform, instanceId, await platform.update(instanceId, wanted))
  const { spec, status } = await databaseObject(calm, instanceId)
  t.is(spec.deletionPolicy, 'Halt')
  t.is(at(spec, 'storage', 'resources', 'requests', 'storage'), '20Gi')
  t.is(status.phase, 'Halted')
})

test('a provision that takes long tells what the cluster says about it', async (t) => {
  const { platform } = await open(t, stuck)
  await setSwitches(stuck, { 'never-ready': 'no node has room for it' })
  const instanceId = randomUUID()
  const begun = await platform.provision(instanceId)
  await phaseIs(stuck, instanceId, 'Provisioning')
  const { body } = await stuck.admin(
    'GET',
    `${stuck.databasesPath('postgreses')}/${databaseName(instanceId, 40)}`,
  )
  const namespace = stuck.namespaces.databases
  const { status, text } = await stuck.admin('POST', stuck.databasesPath('events'), {
    metadata: { name: 'as-seen-by-the-scheduler', namespace },
    involvedObject: {
      apiVersion: textAt(body, 'apiVersion'),
      kind: 'Postgres',
      namespace,
      name: databaseName(instanceId, 40),
    },
    type: 'Warning',
    reason: 'FailedScheduling',
    message: '0/3 nodes are available',
    lastTimestamp: new Date().toISOString(),
  })
  t.is(status, 201, text)
  const early = await platform.poll(instanceId, begun)
  t.is(early.body.state, 'in progress', brief(early))
  t.notRegex(textAt(early.body, 'description'), /FailedScheduling/)
  await timePasses(stuck, instanceRecordName(instanceId), 60_000)
  const late = await platform.poll(instanceId, begun)
  t.is(late.body.state, 'in progress', brief(late))
  t.regex(textAt(late.body, 'description'), /; FailedScheduling: 0\/3 nodes are available$/)
})

test('an update that fails half-way can be repeated, or taken back', async (t) => {
  const { platform } = await open(t, failing)
  const instanceId = await platform.instance()
  const credentials = await bound(t, platform, instanceId, randomUUID())
  const fail = async (parameters: JsonObject): Promise<void> => {
    await setSwitches(failing, { 'fail-ops': 'VerticalScaling' })
    const begun = await platform.update(instanceId, parameters)
    t.is(begun.status, 202, brief(begun))
    const end = await platform.settle(instanceId, begun)
    t.is(end.body.state, 'failed', brief(end))
    t.is(end.body.instance_usable, true, brief(end))
    t.is(end.body.update_repeatable, true, brief(end))
    t.regex(textAt(end.body, 'description'), /\S/)
    t.true(await canUse(failing, credentials))
    await setSwitches(failing, {})
    // Asked again, the verdict stands.
    t.deepEqual((await platform.poll(instanceId, begun)).body, end.body)
  }

  await fail({ storage: '20Gi', cpu: '600m' })
  t.deepEqual(at((await platform.fetch(instanceId)).body, 'parameters'), {})
  await succeed(t, platform, instanceId, await platform.update(instanceId, { storage: '20Gi', cpu: '600m' }))
  t.deepEqual(at((await platform.fetch(instanceId)).body, 'parameters'), { storage: '20Gi', cpu: '600m' })
  const made = await opsRequests(failing, instanceId)
  t.deepEqual(made.VolumeExpansion, ['Successful'])
  t.deepEqual(made.VerticalScaling?.toSorted(), ['Failed', 'Successful'])

  await fail({ cpu: '900m', memory: '2Gi' })
  await succeed(t, platform, instanceId, await platform.update(instanceId, { cpu: '600m', memory: null }))
  t.deepEqual(at((await platform.fetch(instanceId)).body, 'parameters'), { storage: '20Gi', cpu: '600m' })
  const { spec } = await databaseObject(failing, instanceId)
  const resources = at(spec, 'podTemplate', 'spec', 'containers', 0, 'resources')
  t.deepEqual(at(resources, 'requests'), { cpu: '600m', memory: '1Gi' })
  t.deepEqual((await inventoryOf(failing, instanceId)).opsRequests, [])
  t.true(await canUse(failing, credentials))
})

test('records and databases that are moved to another cluster keep their credentials', async (t) => {
  const here = await open(t, calm)
  const instanceId = await here.platform.instance()
  const bindingId = randomUUID()
  const credentials = await bound(t, here.platform, instanceId, bindingId)

  const { there, second } = await anotherCluster(t, calm)
  // As `kubectl get -o yaml` shows them, without what another cluster cannot take.
  for (const path of [calm.databasesPath('postgreses'), calm.recordsPath()]) {
    const { body } = await calm.admin('GET', path)
    const items = at(body, 'items')
    const kind = path.endsWith('postgreses') ? 'Postgres' : 'AppBinding'
    const apiVersion = path.replace(/^\/apis\//, '').replace(/\/namespaces.*/, '')
    for (const item of Array.isArray(items) ? items : []) {
      const { status, text } = await there.admin('POST', path, { apiVersion, kind, ...exported(item) })
      t.is(status, 201, text)
    }
  }
  await phaseIs(there, instanceId, 'Ready')

  for (const key of await readdir(here.broker.keysDirectory)) {
    await copyFile(join(here.broker.keysDirectory, key), join(second.broker.keysDirectory, key))
  }
  const shown = await second.platform.fetchBinding(instanceId, bindingId)
  t.is(shown.status, 200, brief(shown))
  t.deepEqual(credentialsIn(shown), credentials)
  // The data has to be restored by other means; a user that is missing is made by the request sent again.
  t.false(await canUse(there, credentials))
  const again = await second.platform.bind(instanceId, bindingId)
  t.is(again.status, 200, brief(again))
  t.deepEqual(credentialsIn(again), credentials)
  t.true(await canUse(there, credentials))
  const fetched = await second.platform.fetch(instanceId)
  t.deepEqual(fetched.body, (await here.platform.fetch(instanceId)).body)
  const parting = await second.platform.deprovision(instanceId)
  t.is((await second.platform.settle(instanceId, parting)).status, 410)
  t.true(isEmpty(await inventoryOf(there, instanceId)))
  t.true(await canUse(calm, credentials))
})

function exported(item: unknown): JsonObject {
  const object = objectIn(JSON.stringify(item))
  const { metadata, spec = {} } = object
  if (!isObject(metadata)) throw new Error('an object without metadata')
  const { name = '', namespace = '', labels = {}, annotations = {} } = metadata
  return { metadata: { name, namespace, labels, annotations }, spec }
}

/** A control plane with an operator of its own, with namespaces of the same names. */
async function anotherCluster(
  t: ExecutionContext,
  like: TestCluster,
): Promise<{ there: TestCluster; second: { broker: TestBroker; platform: Platform } }> {
  const directory = await mkdtemp(join(tmpdir(), 'another-cluster-'))
  await chmod(directory, 0o755)
  const running = await startCluster({
    directory,
    engineHome: join(directory, 'engines'),
    progress: () => undefined,
    log: () => undefined,
  })
  t.teardown(async () => {
    await running.stop()
    await rm(directory, { recursive: true, force: true, maxRetries: 5 })
  })
  const { plane, names } = running
  const administrator = administratorOf(plane)
  await applyRoles(administrator, like.namespaces, [...kinds.values()], 'functions')
  const there = { ...atApiServer(like, plane, administrator), names }
  return { there, second: await open(t, there) }
}
