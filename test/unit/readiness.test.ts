import test from 'ava'
import type { Condition, Resource } from '../../shared/kubedb/cluster/object.ts'
import { provisionVerdict } from '../../shared/kubedb/instances/provision-outcome.ts'
import {
  halted,
  patience,
  progress,
  provisioned,
  unreachable,
} from '../../shared/kubedb/observed/readiness.ts'
import type { InstanceRecord } from '../../shared/kubedb/records/instance-record.ts'

const minutes = 60_000

const condition = (type: string, status: string, message = ''): Condition => ({
  type,
  status,
  reason: '',
  message,
  lastTransitionTime: '',
})

function database(
  phase: string,
  conditions: Condition[] = [],
  more: { spec?: Resource['spec']; deletionTimestamp?: string } = {},
): Resource {
  return {
    metadata: {
      name: 'osb-x',
      namespace: 'databases',
      uid: 'u',
      resourceVersion: '1',
      creationTimestamp: '',
      deletionTimestamp: more.deletionTimestamp,
      finalizers: [],
      labels: {},
      annotations: {},
    },
    spec: more.spec ?? {},
    status: { phase, conditions },
  }
}

const record: InstanceRecord = {
  info: {
    v: 1,
    instanceId: 'i',
    serviceId: 's',
    planId: 'p',
    organizationGuid: 'o',
    spaceGuid: 's',
    context: {},
    request: '',
    created: '',
    platform: 'default',
    createdBy: '',
    parameters: {},
    resolved: { spec: {}, database: 'app', labels: {}, annotations: {} },
    maintenance: '18.3.0',
    maximumPollingDuration: 1000,
  },
  operation: { v: 1, type: 'provision', id: 'x', state: 'in progress', started: '', description: '' },
  database: { kind: 'Postgres', namespace: 'databases', name: 'osb-x' },
  uid: 'r',
  resourceVersion: '1',
}

const young = { age: 1000, abandonedAfter: 2 * minutes, existed: false }
const old = { ...young, age: 60 * minutes }

test('a database is provisioned once its condition says so, or its phase', (t) => {
  t.true(provisioned(database('Provisioning', [condition('Provisioned', 'True')])))
  t.true(provisioned(database('Ready')))
  // it has been up once: what happens later is another story
  t.true(provisioned(database('Halted', [condition('Provisioned', 'True')])))
  t.false(provisioned(database('Provisioning', [condition('Provisioned', 'False')])))
  t.false(provisioned(database('')))
})

test('a provision succeeds when the database is up and KubeDB has said where', (t) => {
  const up = database('Ready', [condition('Provisioned', 'True')])
  t.deepEqual(provisionVerdict(record, { database: up, noAddress: undefined }, young), { state: 'succeeded' })
  t.deepEqual(
    provisionVerdict(record, { database: up, noAddress: 'KubeDB has not published its address yet' }, young),
    { state: 'in progress' },
  )
  t.deepEqual(provisionVerdict(record, { database: database(''), noAddress: undefined }, young), {
    state: 'in progress',
  })
})

test('readiness wins, also after the deadline', (t) => {
  t.deepEqual(provisionVerdict(record, { database: database('Ready'), noAddress: undefined }, old), {
    state: 'succeeded',
  })
})

test('a provision fails at nine tenths of the time that the platform polls, saying why', (t) => {
  const stuck = database('Provisioning', [condition('ReplicaReady', 'False', 'no node has room')])
  const verdict = (age: number) =>
    provisionVerdict(
      record,
      { database: stuck, noAddress: 'KubeDB has not published its address yet' },
      { ...young, age },
    )
  t.deepEqual(verdict(899_000), { state: 'in progress' })
  t.like(verdict(901_000), {
    state: 'failed',
    description: 'not ready after 15 minutes: database osb-x is Provisioning; no node has room',
  })
  t.is(patience(undefined), 27 * minutes)
})

test('a record without a database waits for whoever is making it, and no longer', (t) => {
  const none = { database: undefined, noAddress: 'KubeDB has not published its address yet' }
  t.deepEqual(provisionVerdict(record, none, young), { state: 'in progress' })
  t.like(provisionVerdict(record, none, { ...young, age: 3 * minutes }), { state: 'failed' })
  // the poller has seen it
  t.like(provisionVerdict(record, none, { ...young, existed: true }), { state: 'failed' })
})

test('a database that is up but has no address outside yet is waited for, saying so', (t) => {
  const up = database('Ready', [condition('Provisioned', 'True')])
  const pending = 'its load balancer has no address yet'
  t.deepEqual(provisionVerdict(record, { database: up, noAddress: pending }, young), { state: 'in progress' })
  t.is(progress(up, [], pending), `database osb-x is Ready; ${pending}`)
  const late = provisionVerdict(record, { database: up, noAddress: pending }, old)
  t.true(late.state === 'failed' && late.description.endsWith(pending))
})

test('a database that is being deleted will not be ready', (t) => {
  const going = database('Ready', [], { deletionTimestamp: '2026-01-01T00:00:00Z' })
  t.like(provisionVerdict(record, { database: going, noAddress: undefined }, young), { state: 'failed' })
})

test('a database without a verdict of the health check is taken to be reachable', (t) => {
  t.is(unreachable(database('Ready', [condition('AcceptingConnection', 'True')])), undefined)
  t.is(unreachable(database('Critical')), undefined)
  t.is(unreachable(database('NotReady', [condition('AcceptingConnection', 'False', 'why')])), 'why')
  t.regex(
    String(unreachable(database('NotReady', [condition('AcceptingConnection', 'False')]))),
    /does not accept/,
  )
})

test('suspended is what the spec says, before the status does', (t) => {
  const asleep = database('Ready', [condition('AcceptingConnection', 'True')], { spec: { halted: true } })
  t.true(halted(asleep))
  t.regex(String(unreachable(asleep)), /suspended/)
  t.false(halted(database('Halted')))
})

test('a user reads the last unmet condition and the newest warning', (t) => {
  const event = (message: string, lastTimestamp: string, type = 'Warning') => ({
    type,
    reason: 'Failed',
    message,
    lastTimestamp,
    eventTime: '',
    metadata: { creationTimestamp: '' },
  })
  const stuck = database('Provisioning', [
    condition('ProvisioningStarted', 'True', 'started'),
    condition('ReplicaReady', 'False', 'pods are not ready'),
    condition('Paused', 'False', 'not interesting'),
  ])
  t.is(
    progress(
      stuck,
      [
        event('newest', '2026-01-02T00:00:00Z'),
        event('older', '2026-01-01T00:00:00Z'),
        event('normal', '2026-01-03T00:00:00Z', 'Normal'),
      ],
      undefined,
    ),
    'database osb-x is Provisioning; pods are not ready; Failed: newest',
  )
  t.is(
    progress(database(''), [], 'KubeDB has not published its address yet'),
    'database osb-x is not yet seen by KubeDB',
  )
})
