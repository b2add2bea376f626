import test from 'ava'
import {
  checkBindingParameters,
  checkParameters,
  type PlanOffer,
} from '../../shared/osb/parameters/parameters.ts'
import { bindingSchema, instanceSchema, schemasOf } from '../../shared/osb/parameters/schemas.ts'
import { BrokerError } from '../../shared/values/errors.ts'
import { isObject } from '../../shared/values/json.ts'
import type { Traits } from '../../shared/values/nouns.ts'
import { fits } from './draft04.ts'
import { generousPlan, postgresTraits } from './postgres-traits.ts'

/** Quantities wide open: what is left of a parameter is what a schema can say. */
const plan: PlanOffer = {
  ...generousPlan,
  parameters: {
    ...generousPlan.parameters,
    cpu: { min: '1m', max: '999999' },
    memory: { min: '1', max: '7Ei' },
    storage: { min: '1', max: '7Ei' },
    shards: { min: 2, max: 6 },
    tls: {
      issuers: {
        internal: { kind: 'ClusterIssuer', name: 'internal-ca' },
        own: { kind: 'Issuer', name: 'own-ca' },
      },
    },
  },
}

/** A kind that has every parameter. */
const traits: Traits = { ...postgresTraits, parameters: [...postgresTraits.parameters, 'shards', 'tls'] }

/** Values for each parameter, right and wrong ones. */
const pool: { [name: string]: unknown[] } = {
  version: ['18.3', '17.9', '9.6', 18.3],
  cpu: ['1', '250m', '0.5', '1.2345', '1e3', 'm', ' 1', '2Gi', '-1', 2],
  memory: ['512Mi', '1.5Gi', '1024', '1Pi', '1K', '1.5', '1GiB', '10Gi\n', 5],
  storage: ['10Gi', '1T', '5G', '2.25Ti', '10GB', '1e9', '', '１Gi'],
  storageClass: ['fast', 'gold', ''],
  replicas: [1, 3, 5, 0, 6, 1.5, '3', -1, 1e21],
  shards: [2, 3, 4, 5, 6, 1, 7, 2.5, '3'],
  tls: ['internal', 'own', 'constructor', 1],
  database: ['app', 'a', 'x'.repeat(63), 'x'.repeat(64), '', 'postgres', 'A', 'a-b', 'a\nb', 'ä'],
  configuration: [
    {},
    { max_connections: 100 },
    { max_connections: 19 },
    { max_connections: 20.5 },
    { work_mem: '4MB' },
    { work_mem: '4MB; x' },
    { work_mem: 4 },
    { random_page_cost: 0 },
    { random_page_cost: -0.1 },
    { random_page_cost: 1e300 },
    { jit: true },
    { jit: 'on' },
    { jit: null },
    { jit: true, archive_command: 'x' },
    { __proto__: null, jit: false },
    [],
  ],
  deletionPolicy: ['WipeOut', 'Halt', 'Delete', 'DoNotTerminate'],
  suspended: [true, false, 'true', 1],
  metadata: [
    {},
    { labels: {} },
    { labels: { 'example.com/team': 'x' } },
    { labels: { 'example.com/team': 'x y' } },
    { labels: { 'example.com/team': null } },
    { labels: { 'example.com/team': 'x'.repeat(63) } },
    { labels: { 'example.com/team': 'x'.repeat(64) } },
    { labels: { team: 'x' } },
    { labels: { 'Example.com/team': 'x' } },
    { labels: { 'example.com/-team': 'x' } },
    { annotations: { 'example.com/team': 'x y' } },
    { annotations: { 'example.com/team': 'x\ny' } },
    { annotations: { 'example.com/team': 'x'.repeat(1025) } },
    { annotations: null },
    { name: 'x' },
    'labels',
  ],
  spec: [{}, [], 'x', 1],
  unknown: [1],
  constructor: [1],
}

/** Numbers that look random and are the same in every run. */
function dice(seed: number): (sides: number) => number {
  let state = seed
  return (sides) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * sides)
  }
}

function accepted(check: () => unknown): boolean {
  try {
    check()
    return true
  } catch (error) {
    if (error instanceof BrokerError && error.problem === 'BadRequest') return false
    throw error
  }
}

for (const purpose of ['create', 'update'] as const) {
  test(`on ${purpose}, the broker accepts exactly what its schema accepts`, (t) => {
    const schema = instanceSchema(plan, traits, purpose)
    const agree = (parameters: { [name: string]: unknown }): boolean => {
      const taken = accepted(() => checkParameters(plan, traits, parameters, purpose, ['example.com']))
      t.is(taken, fits(schema, parameters), JSON.stringify(parameters))
      return taken
    }
    const single = Object.entries(pool).flatMap(([name, values]) =>
      [...values, null, [], {}, true].map((value) => agree({ [name]: value })),
    )
    t.true(single.filter(Boolean).length > 30)
    t.true(single.filter((taken) => !taken).length > 80)

    const roll = dice(7)
    const names = Object.keys(pool)
    let taken = 0
    for (let round = 0; round < 5000; round++) {
      const some = names.filter(() => roll(5) === 0)
      const parameters = some.map((name) => {
        const values = pool[name] ?? []
        return [name, values[roll(values.length)]] as const
      })
      if (agree(Object.fromEntries(parameters))) taken++
    }
    t.true(taken > 500 && taken < 4500, `${taken} of 5000 were accepted`)
  })
}

test('for bindings too', (t) => {
  const schema = bindingSchema(postgresTraits)
  for (const role of ['owner', 'readWrite', 'readOnly', 'admin', '', null, 1, ['owner']]) {
    for (const parameters of [{ role }, { role, x: 1 }, { [`x${role}`]: 1 }]) {
      t.is(
        accepted(() => checkBindingParameters(postgresTraits, parameters)),
        fits(schema, parameters),
        JSON.stringify(parameters),
      )
    }
  }
})

test('create and update differ in what is fixed at creation and in null', (t) => {
  const create = instanceSchema(plan, traits, 'create')
  const update = instanceSchema(plan, traits, 'update')
  t.true(Object.hasOwn(create.properties ?? {}, 'database'))
  t.false(Object.hasOwn(update.properties ?? {}, 'database'))
  t.false(fits(create, { storage: null }))
  t.true(fits(update, { storage: null, configuration: { jit: null }, version: null }))
  t.is(create.properties?.version?.default, '18.3')
  t.is(update.properties?.version?.default, undefined)
})

test('descriptions tell the bounds', (t) => {
  const { properties = {} } = instanceSchema(generousPlan, postgresTraits, 'create')
  t.regex(properties.storage?.description ?? '', /10Gi to 100Gi/)
  t.regex(properties.cpu?.description ?? '', /250m to 4/)
  t.regex(properties.replicas?.description ?? '', /from 1 to 5/)
})

test('what a plan does not offer is in no schema', (t) => {
  const bare = instanceSchema({ version: '18.3', parameters: {} }, postgresTraits, 'create')
  t.deepEqual(bare.properties, {})
  t.true(fits(bare, {}))
  t.false(fits(bare, { storage: '10Gi' }))
})

test('what the engine does not have is in no schema, whatever the plan says', (t) => {
  const traits = { ...postgresTraits, parameters: ['replicas'] as const, databaseName: null }
  t.deepEqual(Object.keys(instanceSchema(plan, traits, 'create').properties ?? {}), ['replicas'])
})

test('every schema names draft-04, refers to nothing outside and has no open object but the raw spec', (t) => {
  const { service_instance, service_binding } = schemasOf(plan, postgresTraits, true)
  const schemas = [service_instance.create, service_instance.update, service_binding?.create]
  for (const schema of schemas.map((one) => one?.parameters)) {
    t.is(schema?.$schema, 'http://json-schema.org/draft-04/schema#')
    t.notRegex(JSON.stringify(schema), /\$ref/)
    const open: string[] = []
    const visit = (value: unknown, path: string) => {
      if (!isObject(value)) return
      if ([value.type].flat().includes('object') && value.additionalProperties !== false) open.push(path)
      for (const [key, child] of Object.entries(value)) visit(child, `${path}/${key}`)
    }
    visit(schema, '')
    t.true(
      open.every((path) => path === '/properties/spec'),
      open.join(),
    )
  }
})

test('a plan without bindings has no schema for them', (t) => {
  t.is(schemasOf(plan, postgresTraits, false).service_binding, undefined)
})
