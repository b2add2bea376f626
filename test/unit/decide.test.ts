/**
 * The idempotency table of Open Service Broker 2.17, cell by cell: what the specification says, and what the broker
 * decides. Driven over HTTP in test/functions/idempotency.test.ts.
 */
import test from 'ava'
import {
  type BindingState,
  bindable,
  binding,
  bindingState,
  deprovisioning,
  fetching,
  fetchingBinding,
  type InstanceState,
  instanceState,
  provisioning,
  unbinding,
  updating,
} from '../../shared/kubedb/records/decide.ts'

/** In the order of the specification's columns. */
const instances: readonly InstanceState[] = [
  'provisioning',
  'failed',
  'ready',
  'updating',
  'deprovisioning',
  'absent',
]

/** `settle`: 202 with the same operation, 200 when it is ready by now; `busy`: 422 ConcurrencyError. */
const instanceTable = {
  // "202 same op | 202 same op (200 if ready by now) | 200 | 422 Concurrency | 422 Concurrency | new"
  'PUT same attributes': ['settle', 'settle', 'identical', 'busy', 'busy', 'create'],
  // "409 | 409 | 409 | 409 | 422 Concurrency | new"
  'PUT other attributes': ['conflict', 'conflict', 'conflict', 'conflict', 'busy', 'create'],
  // "422 Concurrency | 422 | 200 or 202 | 202 same op | 422 Concurrency | 404"
  'PATCH same': ['busy', 'impossible', 'plan', 'under way', 'busy', 'not found'],
  'PATCH other': ['busy', 'impossible', 'plan', 'busy', 'busy', 'not found'],
  // "202 (cancels) | 202 | 202 | 202 (cancels the update) | 202 same op | 410"
  DELETE: ['delete', 'delete', 'delete', 'delete', 'under way', 'gone'],
  // "404 | 404 | 200 | 422 Concurrency | 404 or 422 | 404"
  GET: ['not found', 'not found', 'show', 'busy', 'busy', 'not found'],
  // "422 Concurrency | 422 | … | 422 Concurrency or proceed | 422 Concurrency | (instance unknown) 404"
  'PUT binding': ['busy', 'impossible', 'proceed', 'proceed', 'busy', 'not found'],
} as const

const decisions: { [R in keyof typeof instanceTable]: (state: InstanceState) => string } = {
  'PUT same attributes': (state) => provisioning[state].same,
  'PUT other attributes': (state) => provisioning[state].other,
  'PATCH same': (state) => updating[state].same,
  'PATCH other': (state) => updating[state].other,
  DELETE: (state) => deprovisioning[state],
  GET: (state) => fetching[state],
  'PUT binding': (state) => bindable[state],
}

for (const [request, decide] of Object.entries(decisions)) {
  test(`${request} of an instance is decided as the specification says, in every state`, (t) => {
    t.deepEqual(instances.map(decide), [
      ...(new Map(Object.entries<readonly string[]>(instanceTable)).get(request) ?? []),
    ])
  })
}

const bindings: readonly BindingState[] = ['creating', 'failed', 'ready', 'deleting', 'absent']

const bindingTable = {
  // "202 same op | 422 | 200 + credentials | 422 Concurrency | new"
  'PUT same': ['carry on', 'impossible', 'identical', 'busy', 'create'],
  // "409 | 422 | 409 | 422 Concurrency | new"
  'PUT other': ['conflict', 'impossible', 'conflict', 'busy', 'create'],
  // "202 (cancels) | 410 | 200 or 202 | 202 same op | 410"
  DELETE: ['delete', 'clean up', 'delete', 'under way', 'gone'],
  // "404 | 404 | 200 | 404 | 404"
  GET: ['not found', 'not found', 'show', 'not found', 'not found'],
} as const

const bindingDecisions: { [R in keyof typeof bindingTable]: (state: BindingState) => string } = {
  'PUT same': (state) => binding[state].same,
  'PUT other': (state) => binding[state].other,
  DELETE: (state) => unbinding[state],
  GET: (state) => fetchingBinding[state],
}

for (const [request, decide] of Object.entries(bindingDecisions)) {
  test(`${request} of a binding is decided as the specification says, in every state`, (t) => {
    t.deepEqual(bindings.map(decide), [
      ...(new Map(Object.entries<readonly string[]>(bindingTable)).get(request) ?? []),
    ])
  })
}

test('the latest operation says in which state an instance is', (t) => {
  const common = { v: 1, id: 'x', started: '', description: '' } as const
  const target = {
    planId: '',
    parameters: {},
    resolved: { spec: {}, database: '', labels: {}, annotations: {} },
    maintenance: '',
  }
  const states = ['in progress', 'succeeded', 'failed'] as const
  const provision = states.map((state) =>
    instanceState({ operation: { ...common, type: 'provision', state } }),
  )
  const update = states.map((state) =>
    instanceState({ operation: { ...common, type: 'update', state, request: '', target, steps: [] } }),
  )
  const deprovision = states.map((state) =>
    instanceState({ operation: { ...common, type: 'deprovision', state, uid: '', cancelled: false } }),
  )
  t.is(instanceState(undefined), 'absent')
  t.deepEqual(provision, ['provisioning', 'ready', 'failed'])
  // a failed update leaves the instance as usable as it was
  t.deepEqual(update, ['updating', 'ready', 'ready'])
  // a removal that failed is still a removal: only DELETE may follow
  t.deepEqual(deprovision, ['deprovisioning', 'deprovisioning', 'deprovisioning'])
})

test('a binding without a record is absent', (t) => {
  t.is(bindingState(undefined), 'absent')
})
