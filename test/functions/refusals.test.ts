/**
 * Whatever is refused leaves nothing behind, and nothing of others is touched: the cluster's own no, what an earlier
 * life has kept, records that nobody can read, databases that are asleep.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import {
  annotations,
  bindingRecordName,
  databaseName,
  instanceRecordName,
} from '../../shared/kubedb/records/names.ts'
import type { JsonObject } from '../../shared/values/json.ts'
import { bindingPath, instancePath, type OsbAnswer, useBroker } from '../support/broker.ts'
import { isCell } from '../support/cells.ts'
import { at, type TestCluster, textAt } from '../support/cluster.ts'
import { canUse, databaseObject, inventoryOf, isEmpty, phaseIs, usersOf } from '../support/inventory.ts'
import { twoHoursPass } from '../support/passing-time.ts'
import { credentialsIn, planId, serviceId } from '../support/platform.ts'
import { setSwitches } from '../support/switches.ts'

const broker = useBroker(test, {
  users: [
    { username: 'tester', password: 'secret' },
    { username: 'stranger', password: 'other', platform: 'elsewhere' },
  ],
})
/** the cluster that refuses */
const strict = useBroker(test)

const incomplete = { query: 'accepts_incomplete=true' }
const ids = { query: `service_id=${serviceId}&plan_id=${planId}&accepts_incomplete=true` }
const wish = { service_id: serviceId, plan_id: planId, organization_guid: 'org', space_guid: 'space' }
const binding = { service_id: serviceId, plan_id: planId }

const put = (to: typeof broker, id: string, more: JsonObject = {}) =>
  to.put(instancePath(id), { ...wish, ...more }, incomplete)

async function ready(to: typeof broker, more: JsonObject = {}, id: string = randomUUID()): Promise<string> {
  const begun = await put(to, id, more)
  const end = await to.poll(instancePath(id), String(begun.body.operation))
  if (end.body.state !== 'succeeded') throw new Error(`no instance: ${begun.text} ${end.text}`)
  return id
}

async function isDeprovisioned(t: ExecutionContext, to: typeof broker, id: string): Promise<void> {
  const removed = await to.delete(instancePath(id), ids)
  isCell(t, removed, '202', undefined, 'DELETE')
  const end = await to.poll(instancePath(id), textAt(removed.body, 'operation'))
  isCell(t, end, '410 {}', undefined, 'LO')
}

const recordPath = (cluster: TestCluster, name: string) => `${cluster.recordsPath()}/${name}`
const databasePath = (cluster: TestCluster, id: string) =>
  `${cluster.databasesPath('postgreses')}/${databaseName(id, 40)}`
const mergePatch = 'application/merge-patch+json'

test.serial("what KubeDB's webhook refuses is a 400 with its reason, and nothing is left", async (t) => {
  await setSwitches(strict.cluster, { refuse: 'this cluster is only for show' })
  const id = randomUUID()
  for (let attempt = 1; attempt <= 2; attempt++) {
    const answer = await put(strict, id)
    isCell(t, answer, '400', undefined, 'PUT')
    t.regex(textAt(answer.body, 'description'), /this cluster is only for show/)
    t.true(isEmpty(await inventoryOf(strict.cluster, id)))
    isCell(t, await strict.delete(instancePath(id), ids), '410 {}', undefined, 'DELETE')
  }
  await setSwitches(strict.cluster, {})
  await ready(strict, {}, id)
  await isDeprovisioned(t, strict, id)
})

test.serial("a database that KubeDB's webhook falls over is a 400 too, and nothing is left", async (t) => {
  await setSwitches(strict.cluster, { panic: 'database' })
  const id = randomUUID()
  for (let attempt = 1; attempt <= 2; attempt++) {
    const answer = await put(strict, id)
    isCell(t, answer, '400', undefined, 'PUT')
    t.regex(
      textAt(answer.body, 'description'),
      /^KubeDB cannot handle this database: its webhook fails on it/,
    )
    t.true(isEmpty(await inventoryOf(strict.cluster, id)))
    isCell(t, await strict.delete(instancePath(id), ids), '410 {}', undefined, 'DELETE')
  }
  await setSwitches(strict.cluster, {})
})

test.serial("a change that KubeDB's webhook falls over is a 422, and changes nothing", async (t) => {
  const id = await ready(strict)
  await setSwitches(strict.cluster, { panic: 'VolumeExpansion' })
  const change = { service_id: serviceId, parameters: { storage: '20Gi' } }
  const answer = await strict.patch(instancePath(id), change, incomplete)
  isCell(t, answer, '422', undefined, 'PATCH')
  t.regex(
    textAt(answer.body, 'description'),
    /^KubeDB cannot handle the change of storage: its webhook fails on it/,
  )
  t.deepEqual(at((await strict.get(instancePath(id))).body, 'parameters'), {})
  await setSwitches(strict.cluster, {})
  const again = await strict.patch(instancePath(id), change, incomplete)
  isCell(t, again, '202', undefined, 'PATCH')
  const end = await strict.poll(instancePath(id), textAt(again.body, 'operation'))
  t.is(end.body.state, 'succeeded', end.text)
  await isDeprovisioned(t, strict, id)
})

test.serial('a quota that is used up is named, and what has used it up lives on', async (t) => {
  const { cluster } = strict
  const quotas = cluster.databasesPath('resourcequotas')
  const hard = { 'count/postgreses.kubedb.com': '1' }
  await cluster.admin('POST', quotas, { metadata: { name: 'one-only' }, spec: { hard } })
  // Nothing counts in this cluster but admission.
  const status = { status: { hard, used: { 'count/postgreses.kubedb.com': '0' } } }
  await cluster.admin('PATCH', `${quotas}/one-only/status`, status, mergePatch)
  const [first, second] = [randomUUID(), randomUUID()]
  await ready(strict, {}, first)
  const answer = await put(strict, second)
  isCell(t, answer, '400', undefined, 'PUT')
  t.regex(textAt(answer.body, 'description'), /quota "one-only" would be exceeded/)
  t.true(isEmpty(await inventoryOf(cluster, second)))
  isCell(t, await put(strict, first), '200', undefined, 'PUT same')
  await cluster.admin('DELETE', `${quotas}/one-only`)
})

test('disks that were kept on purpose are not adopted by a new instance of the same id', async (t) => {
  const { cluster } = broker
  const id = await ready(broker, { parameters: { deletionPolicy: 'Halt' } })
  await isDeprovisioned(t, broker, id)
  const { offshoots, ...others } = await inventoryOf(cluster, id)
  t.true(offshoots.length > 0)
  t.true(isEmpty({ ...others, offshoots: [] }))

  const answer = await put(broker, id)
  isCell(t, answer, '409', undefined, 'PUT')
  const [disk] = offshoots.filter((name) => name.startsWith('data-'))
  t.true(textAt(answer.body, 'description').includes(String(disk)), answer.text)
  t.is((await inventoryOf(cluster, id)).operation, undefined)

  for (const plural of ['persistentvolumeclaims', 'secrets']) {
    const label = `labelSelector=app.kubernetes.io%2Finstance%3D${databaseName(id, 40)}`
    await cluster.admin('DELETE', `${cluster.databasesPath(plural)}?${label}`)
  }
  await ready(broker, {}, id)
  await isDeprovisioned(t, broker, id)
})

test("a database of that name that is not the broker's is never touched", async (t) => {
  const { cluster } = broker
  const id = randomUUID()
  const stranger = {
    apiVersion: 'kubedb.com/v1',
    kind: 'Postgres',
    metadata: { name: databaseName(id, 40) },
    spec: { version: '18.3', storageType: 'Ephemeral', replicas: 1, deletionPolicy: 'WipeOut' },
  }
  t.is((await cluster.admin('POST', cluster.databasesPath('postgreses'), stranger)).status, 201)
  const answer = await put(broker, id)
  isCell(t, answer, '409', undefined, 'PUT')
  t.is((await inventoryOf(cluster, id)).operation, undefined)
  isCell(t, await broker.delete(instancePath(id), ids), '410 {}', undefined, 'DELETE')
  const there = await cluster.admin('GET', databasePath(cluster, id))
  t.is(there.status, 200)
  t.is(at(there.body, 'metadata', 'deletionTimestamp'), undefined)
  await cluster.admin('DELETE', databasePath(cluster, id))
})

/** A record as a function leaves it that dies before it has made the database. */
async function abandonedRecord(id: string): Promise<void> {
  const { cluster } = strict
  const begun = await put(strict, id)
  if (begun.status !== 202) throw new Error(begun.text)
  const { body } = await cluster.admin('GET', recordPath(cluster, instanceRecordName(id)))
  await cluster.admin('DELETE', recordPath(cluster, instanceRecordName(id)))
  await cluster.admin('DELETE', databasePath(cluster, id))
  // The server is on its way out: it is not asked who is in it.
  const left = ['postgreses', 'pods', 'persistentvolumeclaims', 'secrets'].map(cluster.databasesPath)
  for (;;) {
    const lists = await Promise.all(left.map((path) => cluster.admin('GET', path)))
    if (!lists.some(({ text }) => text.includes(databaseName(id, 40)))) break
    await delay(100)
  }
  const { apiVersion, kind, metadata, spec } = body
  const copy = {
    apiVersion,
    kind,
    spec,
    metadata: {
      name: at(metadata, 'name'),
      labels: at(metadata, 'labels'),
      annotations: at(metadata, 'annotations'),
    },
  }
  const { status, text } = await cluster.admin('POST', cluster.recordsPath(), copy)
  if (status !== 201) throw new Error(text)
}

test('a record without a database is carried on by the same request, and given up after a time', async (t) => {
  const { cluster } = strict
  const id = randomUUID()
  await abandonedRecord(id)
  isCell(t, await put(strict, id, { space_guid: 'another' }), '409', undefined, 'PUT other, at once')
  const poll = () => strict.get(`${instancePath(id)}/last_operation`)
  isCell(t, await poll(), 'in progress', undefined, 'LO')
  await twoHoursPass(cluster, instanceRecordName(id))
  isCell(t, await poll(), 'failed', undefined, 'LO, two hours later')
  isCell(t, await put(strict, id, { space_guid: 'another' }), '409', undefined, 'PUT other of a failed one')

  const again = await put(strict, id)
  isCell(t, again, '202', undefined, 'PUT same')
  const end = await strict.poll(instancePath(id), textAt(again.body, 'operation'))
  t.is(end.body.state, 'succeeded', end.text)
  await isDeprovisioned(t, strict, id)
})

test('a record without a database gives way to another request after a time', async (t) => {
  const { cluster } = strict
  const id = randomUUID()
  await abandonedRecord(id)
  await twoHoursPass(cluster, instanceRecordName(id))
  const other = await put(strict, id, { space_guid: 'another', parameters: { database: 'mine' } })
  isCell(t, other, '202', undefined, 'PUT other')
  const end = await strict.poll(instancePath(id), textAt(other.body, 'operation'))
  t.is(end.body.state, 'succeeded', end.text)
  isCell(t, await put(strict, id), '409', undefined, 'PUT of the first request')
  await isDeprovisioned(t, strict, id)
})

test('a record without a database, once deleted, waits for whoever may still be making it', async (t) => {
  const { cluster } = strict
  const id = randomUUID()
  await abandonedRecord(id)
  const removed = await strict.delete(instancePath(id), ids)
  isCell(t, removed, '202', undefined, 'DELETE')
  const query = { query: `operation=${textAt(removed.body, 'operation')}` }
  isCell(t, await strict.get(`${instancePath(id)}/last_operation`, query), 'in progress', undefined, 'LO')
  isCell(t, await put(strict, id), '422 ConcurrencyError', undefined, 'PUT')
  await twoHoursPass(cluster, instanceRecordName(id))
  isCell(t, await strict.get(`${instancePath(id)}/last_operation`, query), '410 {}', undefined, 'LO')
  t.true(isEmpty(await inventoryOf(cluster, id)))
})

test('an instance record that nobody can read blocks everything but its removal by its owner', async (t) => {
  const { cluster } = broker
  const id = await ready(broker, { parameters: { deletionPolicy: 'Delete' } })
  const path = recordPath(cluster, instanceRecordName(id))
  const before = JSON.parse(
    textAt((await cluster.admin('GET', path)).body, 'metadata', 'annotations', annotations.instance),
  )
  const broken = {
    metadata: { annotations: { [annotations.instance]: JSON.stringify({ ...before, resolved: 7 }) } },
  }
  await cluster.admin('PATCH', path, broken, mergePatch)

  const all: (() => Promise<OsbAnswer>)[] = [
    () => broker.get(instancePath(id)),
    () => put(broker, id),
    () => broker.patch(instancePath(id), { service_id: serviceId }, incomplete),
    () => broker.put(bindingPath(id, 'b'), binding, incomplete),
    () => broker.get(`${instancePath(id)}/last_operation`),
  ]
  for (const send of all) {
    const answer = await send()
    t.is(answer.status, 500, answer.text)
    t.regex(textAt(answer.body, 'description'), /deprovisioning it still works/)
  }
  const Authorization = `Basic ${Buffer.from('stranger:other').toString('base64')}`
  const stranger = await broker.delete(instancePath(id), { ...ids, headers: { Authorization } })
  isCell(t, stranger, '410 {}', undefined, 'DELETE by another platform')
  t.is((await databaseObject(cluster, id)).spec.deletionPolicy, 'Delete')

  await isDeprovisioned(t, broker, id)
  // its deletionPolicy was not known, so the one in force was kept: Delete leaves the Secret
  const { offshoots } = await inventoryOf(cluster, id)
  t.deepEqual(offshoots, [`${databaseName(id, 40)}-auth`])
})

test('a binding record that nobody can read blocks that binding only, and drops nobody', async (t) => {
  const { cluster } = broker
  const id = await ready(broker)
  const bound = await broker.put(bindingPath(id, 'broken'), binding)
  t.is(bound.status, 201, bound.text)
  const path = recordPath(cluster, bindingRecordName(id, 'broken'))
  await cluster.admin(
    'PATCH',
    path,
    { metadata: { annotations: { [annotations.binding]: '{' } } },
    mergePatch,
  )
  for (const answer of [
    await broker.get(bindingPath(id, 'broken')),
    await broker.put(bindingPath(id, 'broken'), binding),
    await broker.delete(bindingPath(id, 'broken'), ids),
  ]) {
    t.is(answer.status, 500, answer.text)
  }
  t.is((await broker.put(bindingPath(id, 'fine'), binding)).status, 201)
  t.true(await canUse(cluster, credentialsIn(bound)))
  await isDeprovisioned(t, broker, id)
  t.true(isEmpty(await inventoryOf(cluster, id)))
})

test('while an instance is suspended a bind has to wait, and an unbind is done before anybody can log in again', async (t) => {
  const { cluster } = broker
  const id = await ready(broker)
  const bound = await broker.put(bindingPath(id, 'kept'), binding)
  const asleep = { service_id: serviceId, parameters: { suspended: true } }
  const begun = await broker.patch(instancePath(id), asleep, incomplete)
  const end = await broker.poll(instancePath(id), textAt(begun.body, 'operation'))
  t.is(end.body.state, 'succeeded', end.text)
  await phaseIs(cluster, id, 'Halted')

  isCell(t, await broker.put(bindingPath(id, 'new'), binding), '422 AsyncRequired', undefined, 'PUT SB')
  t.is((await inventoryOf(cluster, id)).bindings.length, 1)

  // Nobody can log in now, so an unbind is done; the user goes before the database is handed out again.
  isCell(t, await broker.delete(bindingPath(id, 'kept'), ids), '200 {}', undefined, 'DELETE SB')
  isCell(t, await broker.get(bindingPath(id, 'kept')), '404', undefined, 'GET SB')
  const awake = { service_id: serviceId, parameters: { suspended: false } }
  const resumed = await broker.patch(instancePath(id), awake, incomplete)
  const up = await broker.poll(instancePath(id), textAt(resumed.body, 'operation'))
  t.is(up.body.state, 'succeeded', up.text)
  t.deepEqual(await usersOf(cluster, id), { logins: [], users: [] })
  t.false(await canUse(cluster, credentialsIn(bound)))
  t.is((await inventoryOf(cluster, id)).bindings.length, 0)
  await isDeprovisioned(t, broker, id)
})
