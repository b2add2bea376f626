/**
 * The idempotency table: what is answered to a request that is sent again, in every state of its instance or binding.
 * The tables below are the specification's (OSB, "Status Code" tables of each operation, and "Orphan Mitigation").
 */
import { randomUUID } from 'node:crypto'
import test from 'ava'
import { bindingRecordName, databaseName, instanceRecordName } from '../../shared/kubedb/records/names.ts'
import type { JsonObject } from '../../shared/values/json.ts'
import { bindingPath, instancePath, type OsbAnswer, type TestBroker, useBroker } from '../support/broker.ts'
import { isCell } from '../support/cells.ts'
import { at } from '../support/cluster.ts'
import { canUse, inventoryOf, isEmpty, phaseIs } from '../support/inventory.ts'
import { offerOf } from '../support/offers.ts'
import { twoHoursPass } from '../support/passing-time.ts'
import { credentialsIn, planId, serviceId } from '../support/platform.ts'
import { setSwitches } from '../support/switches.ts'

/** the usual cluster; disks never finish growing in it */
const steady = useBroker(test)
/** no database ever comes up */
const dark = useBroker(test)
/** databases come up, and are down later */
const down = useBroker(test)

let preparation: Promise<unknown> | undefined
/** The brokers start in hooks that run side by side; the first test that needs them goes on from there. */
function prepared(): Promise<unknown> {
  preparation ??= Promise.all([
    setSwitches(dark.cluster, { 'never-ready': 'no node has room' }),
    setSwitches(steady.cluster, { 'stall-ops': 'VolumeExpansion' }),
  ])
  return preparation
}

interface Subject {
  broker: TestBroker
  instanceId: string
  bindingId: string
  plan: string
  /** the operation that brought it into its state */
  operation: string | undefined
}

const later = { query: 'accepts_incomplete=true' }
const operationIn = (answer: OsbAnswer): string | undefined => {
  const operation = at(answer.body, 'operation')
  return typeof operation === 'string' ? operation : undefined
}

const wish = (subject: Pick<Subject, 'plan'>, more: JsonObject = {}) => ({
  service_id: serviceId,
  plan_id: subject.plan,
  organization_guid: 'org',
  space_guid: 'space',
  ...more,
})
const growth = { service_id: serviceId, parameters: { storage: '20Gi' } }
const ids = (subject: Subject) => `service_id=${serviceId}&plan_id=${subject.plan}&accepts_incomplete=true`

async function provisioned(broker: TestBroker, plan = planId): Promise<Subject> {
  const subject = { broker, instanceId: randomUUID(), bindingId: randomUUID(), plan, operation: undefined }
  const begun = await broker.put(instancePath(subject.instanceId), wish(subject), later)
  if (begun.status !== 202) throw new Error(`${begun.status} ${begun.text}`)
  return { ...subject, operation: operationIn(begun) }
}

async function ready(broker: TestBroker, plan = planId): Promise<Subject> {
  const subject = await provisioned(broker, plan)
  await phaseIs(broker.cluster, subject.instanceId, 'Ready')
  const end = await broker.poll(instancePath(subject.instanceId), subject.operation)
  if (end.body.state !== 'succeeded') throw new Error(`${end.status} ${end.text}`)
  return subject
}

/** Keeps the database object until its finalizer is taken away. */
async function hold(subject: Subject, held: boolean): Promise<void> {
  const { cluster } = subject.broker
  const path = `${cluster.databasesPath('postgreses')}/${databaseName(subject.instanceId, 40)}`
  const { body } = await cluster.admin('GET', path)
  const finalizers = at(body, 'metadata', 'finalizers')
  const others = Array.isArray(finalizers) ? finalizers.filter((one) => one !== 'example.com/hold') : []
  const patch = { metadata: { finalizers: held ? [...others, 'example.com/hold'] : others } }
  await cluster.admin('PATCH', path, patch, 'application/merge-patch+json')
}

const instanceStates = [
  'create running',
  'create failed',
  'ready',
  'update running',
  'delete running',
  'never seen',
] as const
type InstanceState = (typeof instanceStates)[number]

/** How an instance gets into each state. */
const reach: { [S in InstanceState]: () => Promise<Subject> } = {
  'create running': () => provisioned(dark),
  'create failed': async () => {
    const subject = await provisioned(dark)
    await twoHoursPass(dark.cluster, instanceRecordName(subject.instanceId))
    await dark.poll(instancePath(subject.instanceId), subject.operation)
    return subject
  },
  ready: () => ready(steady),
  'update running': async () => {
    const subject = await ready(steady)
    const begun = await steady.patch(instancePath(subject.instanceId), growth, later)
    return { ...subject, operation: operationIn(begun) }
  },
  'delete running': async () => {
    const subject = await ready(steady)
    await hold(subject, true)
    const begun = await steady.delete(instancePath(subject.instanceId), { query: ids(subject) })
    return { ...subject, operation: operationIn(begun) }
  },
  'never seen': async () => ({
    broker: dark,
    instanceId: randomUUID(),
    bindingId: randomUUID(),
    plan: planId,
    operation: undefined,
  }),
}

/** in the order in which they are sent: the last ends the instance */
const instanceRequests = [
  'GET SI',
  'LO',
  'LO without operation',
  'PUT SI same',
  'PUT SI same, its parameters written as null',
  'PUT SI other parameters',
  'PUT SI other space',
  'PUT SI other plan',
  'PUT SB',
  'PATCH SI other',
  'PATCH SI same',
  'DELETE SI',
] as const
type InstanceRequest = (typeof instanceRequests)[number]

const send: { [R in InstanceRequest]: (subject: Subject) => Promise<OsbAnswer> } = {
  'GET SI': ({ broker, instanceId }) => broker.get(instancePath(instanceId)),
  LO: ({ broker, instanceId, operation }) =>
    broker.get(`${instancePath(instanceId)}/last_operation`, {
      query: operation === undefined ? '' : `operation=${encodeURIComponent(operation)}`,
    }),
  'LO without operation': ({ broker, instanceId }) =>
    broker.get(`${instancePath(instanceId)}/last_operation`),
  'PUT SI same': (subject) => subject.broker.put(instancePath(subject.instanceId), wish(subject), later),
  'PUT SI same, its parameters written as null': (subject) =>
    subject.broker.put(instancePath(subject.instanceId), wish(subject, { parameters: null }), later),
  'PUT SI other parameters': (subject) =>
    subject.broker.put(
      instancePath(subject.instanceId),
      wish(subject, { parameters: { database: 'another' } }),
      later,
    ),
  'PUT SI other space': (subject) =>
    subject.broker.put(instancePath(subject.instanceId), wish(subject, { space_guid: 'another' }), later),
  'PUT SI other plan': (subject) =>
    subject.broker.put(
      instancePath(subject.instanceId),
      wish({ plan: offerOf('postgresql', 'demo-ha-postgresql').planId }),
      later,
    ),
  'PATCH SI other': ({ broker, instanceId }) =>
    broker.patch(
      instancePath(instanceId),
      { service_id: serviceId, parameters: { configuration: { work_mem: '8MB' } } },
      later,
    ),
  'PATCH SI same': ({ broker, instanceId }) => broker.patch(instancePath(instanceId), growth, later),
  'PUT SB': ({ broker, instanceId, plan }) =>
    broker.put(bindingPath(instanceId, randomUUID()), { service_id: serviceId, plan_id: plan }, later),
  'DELETE SI': (subject) => subject.broker.delete(instancePath(subject.instanceId), { query: ids(subject) }),
}

type InstanceRow = { [S in InstanceState]: string | undefined }

/** undefined: not sent in this state, since it would end the state */
const instanceTable: { [R in InstanceRequest]: InstanceRow } = {
  'GET SI': row('404', '404', '200', '422 ConcurrencyError', '422 ConcurrencyError', '404'),
  LO: row('in progress', 'failed', 'succeeded', 'in progress', 'in progress', '404'),
  'LO without operation': row('in progress', 'failed', 'succeeded', 'in progress', 'in progress', '404'),
  'PUT SI same': row(
    '202 same op',
    '202 same op',
    '200',
    '422 ConcurrencyError',
    '422 ConcurrencyError',
    undefined,
  ),
  'PUT SI same, its parameters written as null': row(
    '202 same op',
    '202 same op',
    '200',
    '422 ConcurrencyError',
    '422 ConcurrencyError',
    undefined,
  ),
  'PUT SI other parameters': row('409', '409', '409', '409', '422 ConcurrencyError', undefined),
  'PUT SI other space': row('409', '409', '409', '409', '422 ConcurrencyError', undefined),
  'PUT SI other plan': row('409', '409', '409', '409', '422 ConcurrencyError', undefined),
  'PUT SB': row('422 ConcurrencyError', '422', '201', '201', '422 ConcurrencyError', '404'),
  'PATCH SI other': row(
    '422 ConcurrencyError',
    '422',
    undefined,
    '422 ConcurrencyError',
    '422 ConcurrencyError',
    '404',
  ),
  'PATCH SI same': row('422 ConcurrencyError', '422', '202', '202 same op', '422 ConcurrencyError', '404'),
  'DELETE SI': row('202', '202', '202', '202', '202 same op', '410 {}'),
}

function row(
  running: string,
  failed: string,
  ready: string | undefined,
  updating: string,
  deleting: string,
  absent: string | undefined,
): InstanceRow {
  return {
    'create running': running,
    'create failed': failed,
    ready,
    'update running': updating,
    'delete running': deleting,
    'never seen': absent,
  }
}

for (const state of instanceStates) {
  test(`an instance with ${state}`, async (t) => {
    await prepared()
    const subject = await reach[state]()
    const { broker, instanceId } = subject
    let ended: OsbAnswer | undefined
    for (const request of instanceRequests) {
      const cell = instanceTable[request][state]
      if (cell === undefined) continue
      const answer = await send[request](subject)
      isCell(t, answer, cell, subject.operation, request)
      if (request === 'DELETE SI') ended = answer
    }
    if (state === 'never seen' || !ended) return
    if (state === 'delete running') await hold(subject, false)
    const gone = await broker.poll(instancePath(instanceId), operationIn(ended))
    isCell(t, gone, '410 {}', undefined, 'LO after DELETE SI')
    isCell(t, await send['DELETE SI'](subject), '410 {}', undefined, 'DELETE SI again')
    isCell(t, await send['LO without operation'](subject), '404', undefined, 'LO once more')
    t.true(isEmpty(await inventoryOf(broker.cluster, instanceId)))
  })
}

const bindingStates = ['ready', 'never seen', 'create running', 'delete running', 'create failed'] as const
type BindingState = (typeof bindingStates)[number]

const pathOf = ({ instanceId, bindingId }: Subject) => bindingPath(instanceId, bindingId)
const bind = (subject: Subject, more: JsonObject = {}) =>
  subject.broker.put(pathOf(subject), { service_id: serviceId, plan_id: subject.plan, ...more }, later)

/** in the order in which they are sent: the last ends the binding */
const bindingRequests = [
  'GET SB',
  'LO',
  'LO without operation',
  'PUT SB same',
  'PUT SB same, with an empty app_guid and no parameters',
  'PUT SB other parameters',
  'PUT SB other app',
  'PUT SB other app in bind_resource',
  'PUT SB for a route',
  'PUT SB for two apps',
  'DELETE SB',
] as const
type BindingRequest = (typeof bindingRequests)[number]

const sendBinding: { [R in BindingRequest]: (subject: Subject) => Promise<OsbAnswer> } = {
  'GET SB': (subject) => subject.broker.get(pathOf(subject)),
  LO: (subject) =>
    subject.broker.get(`${pathOf(subject)}/last_operation`, {
      query: subject.operation === undefined ? '' : `operation=${encodeURIComponent(subject.operation)}`,
    }),
  'LO without operation': (subject) => subject.broker.get(`${pathOf(subject)}/last_operation`),
  'PUT SB same': (subject) => bind(subject),
  'PUT SB same, with an empty app_guid and no parameters': (subject) =>
    bind(subject, { app_guid: '', bind_resource: {}, parameters: {}, context: { platform: 'kubernetes' } }),
  'PUT SB other parameters': (subject) => bind(subject, { parameters: { role: 'readOnly' } }),
  'PUT SB other app': (subject) => bind(subject, { app_guid: 'another' }),
  'PUT SB other app in bind_resource': (subject) => bind(subject, { bind_resource: { app_guid: 'another' } }),
  'PUT SB for a route': (subject) => bind(subject, { bind_resource: { route: 'a.example.com' } }),
  'PUT SB for two apps': (subject) =>
    bind(subject, { app_guid: 'one', bind_resource: { app_guid: 'another' } }),
  'DELETE SB': (subject) => subject.broker.delete(pathOf(subject), { query: ids(subject) }),
}

type BindingRow = { [S in BindingState]: string | undefined }

const bindingTable: { [R in BindingRequest]: BindingRow } = {
  'GET SB': bindingRow('404', '404', '200', '404', '404'),
  LO: bindingRow('in progress', 'failed', 'succeeded', 'in progress', '404'),
  'LO without operation': bindingRow('in progress', 'failed', 'succeeded', 'in progress', '404'),
  'PUT SB same': bindingRow('202 same op', '422', '200', '422 ConcurrencyError', undefined),
  'PUT SB same, with an empty app_guid and no parameters': bindingRow(
    '202 same op',
    '422',
    '200',
    '422 ConcurrencyError',
    undefined,
  ),
  'PUT SB other parameters': bindingRow('409', '422', '409', '422 ConcurrencyError', undefined),
  'PUT SB other app': bindingRow('409', '422', '409', '422 ConcurrencyError', undefined),
  'PUT SB other app in bind_resource': bindingRow('409', '422', '409', '422 ConcurrencyError', undefined),
  'PUT SB for a route': bindingRow('409', '422', '409', '422 ConcurrencyError', undefined),
  'PUT SB for two apps': bindingRow('400', '400', '400', '400', undefined),
  'DELETE SB': bindingRow('202', '410 {}', '200 {}', '202 same op', '410 {}'),
}

function bindingRow(
  running: string,
  failed: string,
  ready: string,
  deleting: string,
  absent: string | undefined,
): BindingRow {
  return {
    'create running': running,
    'create failed': failed,
    ready,
    'delete running': deleting,
    'never seen': absent,
  }
}

async function bound(subject: Subject): Promise<Subject> {
  const begun = await bind(subject)
  if (begun.status !== 201 && begun.status !== 202) throw new Error(`${begun.status} ${begun.text}`)
  return { ...subject, operation: operationIn(begun) }
}

const another = (subject: Subject): Subject => ({ ...subject, bindingId: randomUUID(), operation: undefined })

const onSteady = once(() => ready(steady))

/** An instance with one binding, whose database is down. */
const onDown = once(async () => {
  const subject = await bound(await ready(down))
  await setSwitches(down.cluster, { 'not-accepting': 'yes' })
  await phaseIs(down.cluster, subject.instanceId, 'NotReady')
  return subject
})

function once<T>(act: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | undefined
  return () => {
    result ??= act()
    return result
  }
}

const reachBinding: { [S in BindingState]: () => Promise<Subject> } = {
  ready: async () => bound(another(await onSteady())),
  'never seen': async () => another(await onSteady()),
  'create running': async () => bound(another(await onDown())),
  'delete running': async () => {
    const subject = await onDown()
    return { ...subject, operation: operationIn(await sendBinding['DELETE SB'](subject)) }
  },
  'create failed': async () => {
    const subject = await bound(another(await onDown()))
    await twoHoursPass(down.cluster, bindingRecordName(subject.instanceId, subject.bindingId))
    await down.poll(pathOf(subject), subject.operation)
    await setSwitches(down.cluster, {})
    await phaseIs(down.cluster, subject.instanceId, 'Ready')
    return subject
  },
}

for (const state of bindingStates) {
  test.serial(`a binding with ${state}`, async (t) => {
    await prepared()
    const subject = await reachBinding[state]()
    let first: OsbAnswer | undefined
    for (const request of bindingRequests) {
      const cell = bindingTable[request][state]
      if (cell === undefined) continue
      const answer = await sendBinding[request](subject)
      isCell(t, answer, cell, subject.operation, request)
      // Whoever asks gets the same credentials, and nobody gets any before the end (B-3).
      if (answer.status === 200 && /^(GET|PUT) SB/.test(request)) {
        first ??= answer
        t.deepEqual(answer.body.credentials, first.body.credentials)
        t.true(await canUse(subject.broker.cluster, credentialsIn(answer)))
      } else {
        t.false('credentials' in answer.body, request)
      }
    }
    t.is((await subject.broker.get(pathOf(subject))).status, 404)
  })
}
