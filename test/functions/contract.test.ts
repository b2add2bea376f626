/** What Open Service Broker 2.17 demands of every answer: headers, statuses, bodies, and what an error leaves behind. */
import { randomUUID } from 'node:crypto'
import test, { type ExecutionContext } from 'ava'
import pg from 'pg'
import { routes } from '../../shared/routes.ts'
import type { JsonObject } from '../../shared/values/json.ts'
import {
  bindingPath,
  instancePath,
  type OsbAnswer,
  type RequestOptions,
  useBroker,
} from '../support/broker.ts'
import { isCell } from '../support/cells.ts'
import { at, textAt } from '../support/cluster.ts'
import { asAdministrator, canUse, databaseObject, inventoryOf, isEmpty } from '../support/inventory.ts'
import { offerOf } from '../support/offers.ts'
import { openApi, openApiMistakes } from '../support/openapi.ts'
import { credentialsIn, planId, serviceId } from '../support/platform.ts'
import { setSwitches } from '../support/switches.ts'

const broker = useBroker(test, {
  users: [
    { username: 'tester', password: 'a password: of ünïcode' },
    { username: 'stranger', password: 'other', platform: 'elsewhere' },
  ],
})
/** a cluster where changes of replicas fail, and brokers set up otherwise */
const other = useBroker(test, { environment: { FINISHED_DELETE: '200', ENDPOINTS: 'true' } })

const largePlan = offerOf('postgresql', 'large-ha').planId
const demoPlan = offerOf('postgresql', 'demo-postgresql').planId
const incomplete = 'accepts_incomplete=true'
const ids = `service_id=${serviceId}&plan_id=${planId}`
const wish = { service_id: serviceId, plan_id: planId, organization_guid: 'org', space_guid: 'space' }
const binding = { service_id: serviceId, plan_id: planId }

interface Options extends RequestOptions {
  broker?: typeof broker
}

/** Sends a request, and holds the answer to what every answer has to be. */
async function send(
  t: ExecutionContext,
  method: string,
  path: string,
  body?: unknown,
  { broker: to = broker, ...options }: Options = {},
): Promise<OsbAnswer> {
  const identity = randomUUID()
  const answer = await to.request(method, path, body, {
    ...options,
    headers: { 'X-Broker-API-Request-Identity': identity, ...options.headers },
  })
  const all = `${method} ${path}: ${answer.status} ${answer.text.slice(0, 300)}`
  t.is(answer.headers['x-broker-api-request-identity'], identity, all)
  t.regex(String(answer.headers['content-type']), /^application\/json\b/, all)
  t.deepEqual(openApiMistakes(method, path, answer.status, answer.body), [], all)
  if (answer.status >= 400 && answer.status !== 410) {
    if (answer.body.error !== undefined) t.regex(textAt(answer.body, 'error'), /^([A-Z][a-z]+)+$/, all)
    t.true(textAt(answer.body, 'description').length > 10, all)
  }
  return answer
}

const ready = async (to = broker, more: JsonObject = {}): Promise<string> => {
  const id = randomUUID()
  const begun = await to.put(instancePath(id), { ...wish, ...more }, { query: incomplete })
  const end = await to.poll(instancePath(id), textAt(begun.body, 'operation'))
  if (end.body.state !== 'succeeded') throw new Error(`no instance: ${begun.text} ${end.text}`)
  return id
}

let first: Promise<string> | undefined
/** An instance that no test changes. */
function anInstance(): Promise<string> {
  first ??= ready()
  return first
}

const everyRoute = routes.map(({ method, path }) => ({
  method,
  path: path.replace(':instance_id', 'an-id').replace(':binding_id', 'a-binding'),
}))

test('the OpenAPI document of the specification is beside the checkout', (t) => {
  if (openApi === undefined) t.log('answers are not held against it: it is not there')
  t.pass()
})

test('without the right credentials every route answers 401, also before it looks at the version', async (t) => {
  const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`
  const wrong = [
    undefined,
    basic('tester:wrong'),
    basic('nobody:a password: of ünïcode'),
    basic('tester'),
    basic(''),
    'Basic !!!',
    'Bearer x',
    'tester',
  ]
  for (const { method, path } of everyRoute) {
    for (const Authorization of wrong) {
      const answer = await send(t, method, path, method === 'GET' ? undefined : {}, {
        headers: { Authorization, 'X-Broker-API-Version': Authorization ? '2.17' : undefined },
      })
      t.is(answer.status, 401, `${method} ${path} ${Authorization}`)
      t.regex(String(answer.headers['www-authenticate']), /^Basic /)
    }
  }
})

test('without a version that the broker speaks every route answers 412, whatever else is wrong', async (t) => {
  for (const { method, path } of everyRoute) {
    for (const version of [undefined, '', '1.0', '3.0', 'two', '2']) {
      const answer = await send(t, method, path, method === 'GET' || method === 'DELETE' ? undefined : {}, {
        headers: { 'X-Broker-API-Version': version },
      })
      t.is(answer.status, 412, `${method} ${path} ${version}`)
    }
  }
})

test('every minor version of 2 is served', async (t) => {
  for (const version of ['2.0', '2.13', '2.17', '2.99']) {
    const answer = await send(t, 'GET', '/v2/catalog', undefined, {
      headers: { 'X-Broker-API-Version': version },
    })
    t.is(answer.status, 200)
  }
})

test('another path is not found, another method not allowed, and both say so in JSON', async (t) => {
  for (const [method, path, status] of [
    ['GET', '/v2/other', 404],
    ['GET', '/', 404],
    ['GET', '/v2/service_instances', 404],
    ['GET', '/v2/catalog/', 404],
    ['GET', '/v2/service_instances/a/service_bindings', 404],
    ['PUT', '/v2/service_instances/a/b', 404],
    ['POST', '/v2/service_instances/a', 405],
    ['POST', '/v2/catalog', 405],
    ['PATCH', '/v2/service_instances/a/service_bindings/b', 405],
    ['DELETE', '/v2/service_instances/a/last_operation', 405],
  ] as const) {
    const answer = await broker.request(method, path)
    t.is(answer.status, status, `${method} ${path} ${answer.text}`)
    t.truthy(answer.body.description)
  }
})

test('the catalog says everything that platforms would otherwise guess', async (t) => {
  const { body, headers } = await send(t, 'GET', '/v2/catalog')
  const services = at(body, 'services')
  t.true(Array.isArray(services) && services.length > 0)
  const seen = new Set<unknown>()
  for (const service of Array.isArray(services) ? services : []) {
    seen.add(at(service, 'id'))
    t.regex(textAt(service, 'name'), /^[a-z0-9.-]+$/)
    for (const flag of ['bindable', 'plan_updateable', 'instances_retrievable', 'bindings_retrievable']) {
      t.is(typeof at(service, flag), 'boolean', flag)
    }
    const plans = at(service, 'plans')
    for (const plan of Array.isArray(plans) ? plans : []) {
      t.false(seen.has(at(plan, 'id')))
      seen.add(at(plan, 'id'))
      for (const flag of ['free', 'bindable', 'plan_updateable', 'binding_rotatable']) {
        t.is(typeof at(plan, flag), 'boolean', flag)
      }
      t.regex(textAt(plan, 'maintenance_info', 'version'), /^\d+\.\d+\.\d+$/)
      for (const schema of [
        at(plan, 'schemas', 'service_instance', 'create', 'parameters'),
        at(plan, 'schemas', 'service_instance', 'update', 'parameters'),
        ...(at(plan, 'bindable') === true
          ? [at(plan, 'schemas', 'service_binding', 'create', 'parameters')]
          : []),
      ]) {
        t.is(at(schema, '$schema'), 'http://json-schema.org/draft-04/schema#')
        t.true(JSON.stringify(schema).length < 64_000)
        t.notRegex(JSON.stringify(schema), /"\$ref"/)
      }
    }
  }
  const again = await broker.get('/v2/catalog', { headers: { 'If-None-Match': String(headers.etag) } })
  t.is(again.status, 304)
})

test('a provision that lacks what is required, or asks for what is not offered, is a 400 that names it', async (t) => {
  const id = randomUUID()
  const bad: [string, unknown][] = [
    ['service_id', { ...wish, service_id: undefined }],
    ['service_id', { ...wish, service_id: '' }],
    ['service_id', { ...wish, service_id: 7 }],
    ['plan_id', { ...wish, plan_id: undefined }],
    ['plan_id', { ...wish, plan_id: null }],
    ['organization_guid', { ...wish, organization_guid: undefined }],
    ['space_guid', { ...wish, space_guid: '' }],
    ['service_id', { ...wish, service_id: randomUUID() }],
    ['plan_id', { ...wish, plan_id: randomUUID() }],
    ['parameters', { ...wish, parameters: 'text' }],
    ['parameters', { ...wish, parameters: [] }],
    ['parameters.bogus', { ...wish, parameters: { bogus: 1 } }],
    ['parameters.storage', { ...wish, parameters: { storage: '5Gi' } }],
    ['parameters.storage', { ...wish, parameters: { storage: 20 } }],
    ['parameters.version', { ...wish, parameters: { version: '99' } }],
    ['parameters.database', { ...wish, parameters: { database: 'postgres' } }],
    ['context', { ...wish, context: 'text' }],
    ['body', ''],
    ['body', '{'],
    ['body', '[]'],
    ['body', 'null'],
  ]
  for (const [field, body] of bad) {
    const answer = await send(t, 'PUT', instancePath(id), body, { query: incomplete })
    t.is(answer.status, 400, `${JSON.stringify(body)} ${answer.text}`)
    t.true(textAt(answer.body, 'description').includes(field), `${field}: ${answer.text}`)
  }
  t.true(isEmpty(await inventoryOf(broker.cluster, id)))
})

test('a content type is not asked for', async (t) => {
  const body = { ...wish, plan_id: 'none' }
  for (const type of [undefined, 'text/plain']) {
    const answer = await send(t, 'PUT', instancePath('x'), body, {
      query: incomplete,
      headers: { 'Content-Type': type },
    })
    t.is(answer.status, 400)
    t.regex(answer.text, /plan_id/)
  }
})

test("a maintenance version that is not the catalog's is a conflict, and one without a version is none", async (t) => {
  const id = randomUUID()
  const answer = await send(
    t,
    'PUT',
    instancePath(id),
    { ...wish, maintenance_info: { version: '0.0.1' } },
    { query: incomplete },
  )
  isCell(t, answer, '422 MaintenanceInfoConflict', undefined, 'PUT')
  for (const maintenance_info of [
    {},
    null,
    { version: '' },
    { version: null },
    { version: '18.3.0', description: 'x' },
  ]) {
    // nothing is wrong but that it is not asynchronous
    const fine = await send(t, 'PUT', instancePath(id), { ...wish, maintenance_info })
    isCell(t, fine, '422 AsyncRequired', undefined, JSON.stringify(maintenance_info))
  }
  t.true(isEmpty(await inventoryOf(broker.cluster, id)))
})

test('only the literal true lets the broker take its time; otherwise nothing is begun', async (t) => {
  const [unseen, id] = [randomUUID(), await anInstance()]
  for (const query of [
    '',
    'accepts_incomplete=',
    'accepts_incomplete=false',
    'accepts_incomplete=TRUE',
    'accepts_incomplete=1',
  ]) {
    isCell(
      t,
      await send(t, 'PUT', instancePath(unseen), wish, { query }),
      '422 AsyncRequired',
      undefined,
      'PUT',
    )
    const growth = { service_id: serviceId, parameters: { storage: '20Gi' } }
    isCell(
      t,
      await send(t, 'PATCH', instancePath(id), growth, { query }),
      '422 AsyncRequired',
      undefined,
      'PATCH',
    )
    const removal = await send(t, 'DELETE', instancePath(id), undefined, { query: `${ids}&${query}` })
    isCell(t, removal, '422 AsyncRequired', undefined, 'DELETE')
  }
  t.true(isEmpty(await inventoryOf(broker.cluster, unseen)))
  t.is((await send(t, 'GET', instancePath(id))).status, 200)
  const { operation } = await inventoryOf(broker.cluster, id)
  t.like(operation, { type: 'provision', state: 'succeeded' })
})

test('an answer to a provision has an operation and no empty members; its polls say when to come again', async (t) => {
  const id = randomUUID()
  const begun = await send(t, 'PUT', instancePath(id), wish, { query: incomplete })
  t.is(begun.status, 202)
  t.deepEqual(Object.keys(begun.body), ['operation'])
  const { length } = textAt(begun.body, 'operation')
  t.true(length > 0 && length < 10_000)
  // not yet asynchronous enough for an answer, and not begun a second time
  isCell(
    t,
    await send(t, 'PUT', instancePath(id), wish),
    '422 AsyncRequired',
    undefined,
    'PUT without accepts_incomplete',
  )
  const poll = await send(t, 'GET', `${instancePath(id)}/last_operation`)
  if (poll.body.state === 'in progress') t.regex(String(poll.headers['retry-after']), /^\d+$/)
  t.true(textAt(poll.body, 'description').length > 0)
  await broker.poll(instancePath(id))
  const removed = await send(t, 'DELETE', instancePath(id), undefined, { query: `${ids}&${incomplete}` })
  t.is(removed.status, 202)
  const end = await broker.poll(instancePath(id), textAt(removed.body, 'operation'))
  isCell(t, end, '410 {}', undefined, 'LO')
})

test('polls take any operation, plan and service for the latest operation', async (t) => {
  const id = await anInstance()
  const old = encodeURIComponent('provision.WyJhYmNkZWZnaDIzNDUiLCJQb3N0Z3JlcyIsImRhdGFiYXNlcyIsInUtMSJd')
  for (const query of [
    '',
    'operation=provision',
    'operation=update',
    'operation=task_10',
    'operation=',
    `operation=${'x'.repeat(5000)}`,
    `plan_id=${largePlan}&service_id=none`,
    'operation=%00%ff',
  ]) {
    const answer = await send(t, 'GET', `${instancePath(id)}/last_operation`, undefined, { query })
    t.like(answer, { status: 200, body: { state: 'succeeded' } }, query)
  }
  // the operation of another instance
  t.is(
    (await send(t, 'GET', `${instancePath(id)}/last_operation`, undefined, { query: `operation=${old}` }))
      .status,
    200,
  )
  t.is((await send(t, 'GET', `${instancePath(randomUUID())}/last_operation`)).status, 404)
  t.is((await send(t, 'GET', `${bindingPath(id, randomUUID())}/last_operation`)).status, 404)
})

test('an instance is shown as it was asked for, with nothing added', async (t) => {
  const parameters = { storage: '12Gi', configuration: { work_mem: '8MB' } }
  const id = await ready(broker, { parameters })
  const answer = await send(t, 'GET', instancePath(id), undefined, { query: 'service_id=none&plan_id=none' })
  t.deepEqual(answer.body, {
    service_id: serviceId,
    plan_id: planId,
    parameters,
    maintenance_info: { version: '18.3.0' },
  })
})

test('a request that was made once is the same however it is written, also after an update', async (t) => {
  const parameters = { storage: '12Gi', configuration: { work_mem: '8MB' } }
  const id = await ready(broker, { parameters })
  const put = async (body: JsonObject) =>
    (await send(t, 'PUT', instancePath(id), body, { query: incomplete })).status
  const reordered = { configuration: { work_mem: '8MB' }, storage: '12Gi' }
  t.is(
    await put({ ...wish, parameters: reordered, context: { platform: 'other', instance_name: 'new' } }),
    200,
  )
  t.is(await put({ ...wish, parameters: { ...parameters, storage: '12288Mi' } }), 409)

  const grown = { service_id: serviceId, parameters: { storage: '20Gi' } }
  const begun = await send(t, 'PATCH', instancePath(id), grown, { query: incomplete })
  t.is(begun.status, 202)
  t.deepEqual(Object.keys(begun.body), ['operation'])
  const end = await broker.poll(instancePath(id), textAt(begun.body, 'operation'))
  t.is(end.body.state, 'succeeded', end.text)
  // as it was first asked for, and as it is now
  t.is(await put({ ...wish, parameters }), 200)
  t.is(await put({ ...wish, parameters: { ...parameters, storage: '20Gi' } }), 200)
  t.is(await put({ ...wish, parameters: { storage: '20Gi' } }), 409)
  const shown = await send(t, 'GET', instancePath(id))
  t.deepEqual(shown.body.parameters, { ...parameters, storage: '20Gi' })

  isCell(t, await send(t, 'PATCH', instancePath(id), grown), '200 {}', undefined, 'PATCH of what is there')
  const less = { service_id: serviceId, parameters: { storage: '15Gi' } }
  const shrink = await send(t, 'PATCH', instancePath(id), less, { query: incomplete })
  isCell(t, shrink, '422', undefined, 'PATCH')
  t.regex(textAt(shrink.body, 'description'), /disk cannot shrink; it is 20Gi now/)
  // the first operation, asked for once more
  t.is(
    (await send(t, 'GET', `${instancePath(id)}/last_operation`, undefined, { query: 'operation=provision' }))
      .body.state,
    'succeeded',
  )
})

test('an update that names nothing to change changes nothing', async (t) => {
  const id = await ready(broker, { context: { platform: 'cloudfoundry', instance_name: 'before' } })
  const before = (await databaseObject(broker.cluster, id)).spec
  isCell(t, await send(t, 'PATCH', instancePath(id), { service_id: serviceId }), '200 {}', undefined, 'empty')
  const renamed = { service_id: serviceId, context: { platform: 'cloudfoundry', instance_name: 'after' } }
  isCell(t, await send(t, 'PATCH', instancePath(id), renamed), '200 {}', undefined, 'context')
  t.deepEqual((await databaseObject(broker.cluster, id)).spec, before)
  const shown = await send(t, 'GET', instancePath(id))
  t.is(shown.body.plan_id, planId)
})

test('what is wrong with an update is told before anything is done', async (t) => {
  const id = await anInstance()
  const patch = (body: unknown) => send(t, 'PATCH', instancePath(id), body, { query: incomplete })
  for (const [cell, body] of [
    ['400', {}],
    ['400', { service_id: '' }],
    ['400', { service_id: randomUUID() }],
    ['400', { service_id: serviceId, plan_id: randomUUID() }],
    ['400', { service_id: serviceId, plan_id: '' }],
    ['400', { service_id: serviceId, parameters: { bogus: 1 } }],
    ['400', { service_id: serviceId, parameters: { database: 'another' } }],
    ['400', '{'],
    ['422 MaintenanceInfoConflict', { service_id: serviceId, maintenance_info: { version: '0.0.1' } }],
    // from a disk to memory
    ['422', { service_id: serviceId, plan_id: demoPlan }],
  ] as const) {
    const answer = await patch(body)
    isCell(t, answer, cell, undefined, JSON.stringify(body))
    t.is(answer.body.instance_usable, undefined)
  }
  isCell(
    t,
    await send(t, 'PATCH', instancePath(randomUUID()), { service_id: serviceId }),
    '404',
    undefined,
    'PATCH',
  )
  t.like((await inventoryOf(broker.cluster, id)).operation, { type: 'provision', state: 'succeeded' })
})

test('a failed update leaves the instance usable, can be sent again, and can be taken back', async (t) => {
  const id = await ready(other)
  await setSwitches(other.cluster, { 'fail-ops': 'VerticalScaling' })
  const query = incomplete
  const grow = { service_id: serviceId, parameters: { storage: '20Gi', cpu: '1' } }
  const begun = await send(t, 'PATCH', instancePath(id), grow, { broker: other, query })
  const failed = await other.poll(instancePath(id), textAt(begun.body, 'operation'))
  t.like(failed.body, { state: 'failed', instance_usable: true, update_repeatable: true }, failed.text)
  t.true(textAt(failed.body, 'description').length > 0)
  t.is((await send(t, 'GET', instancePath(id), undefined, { broker: other })).status, 200)
  t.is((await send(t, 'PUT', bindingPath(id, 'b'), binding, { broker: other })).status, 201)

  await setSwitches(other.cluster, {})
  const again = await send(t, 'PATCH', instancePath(id), grow, { broker: other, query })
  const end = await other.poll(instancePath(id), textAt(again.body, 'operation'))
  t.like(end.body, { state: 'succeeded' }, end.text)
  const shown = await send(t, 'GET', instancePath(id), undefined, { broker: other })
  t.deepEqual(shown.body.parameters, grow.parameters)
  t.notRegex(shown.text, /instance_usable/)
})

test('settings of a broker: a finished delete answers 200, bindings list endpoints', async (t) => {
  const id = await ready(other)
  const bound = await send(t, 'PUT', bindingPath(id, 'b'), binding, { broker: other })
  t.deepEqual(bound.body.endpoints, [
    { host: textAt(bound.body, 'credentials', 'host'), ports: ['5432'], protocol: 'tcp' },
  ])
  const removed = await send(t, 'DELETE', instancePath(id), undefined, {
    broker: other,
    query: `${ids}&${incomplete}`,
  })
  const end = await other.poll(instancePath(id), textAt(removed.body, 'operation'))
  t.like(end, { status: 200, body: { state: 'succeeded' } })
})

test('a binding has credentials of its own, and nothing that was not asked for', async (t) => {
  const id = await anInstance()
  const [one, two] = [randomUUID(), randomUUID()]
  const bound = await send(t, 'PUT', bindingPath(id, one), binding)
  t.is(bound.status, 201)
  t.deepEqual(Object.keys(bound.body), ['credentials'])
  const second = await send(
    t,
    'PUT',
    bindingPath(id, two),
    { ...binding, app_guid: 'an-app' },
    { query: incomplete },
  )
  t.is(second.status, 201)
  t.not(textAt(bound.body, 'credentials', 'username'), textAt(second.body, 'credentials', 'username'))
  t.not(textAt(bound.body, 'credentials', 'password'), textAt(second.body, 'credentials', 'password'))
  const fetched = await send(t, 'GET', bindingPath(id, one), undefined, { query: 'service_id=none' })
  t.deepEqual(fetched.body, { credentials: bound.body.credentials ?? null, parameters: {} })

  isCell(
    t,
    await send(t, 'DELETE', bindingPath(id, one), undefined, { query: ids }),
    '200 {}',
    undefined,
    'DELETE',
  )
  t.false(await canUse(broker.cluster, credentialsIn(bound)))
  t.true(await canUse(broker.cluster, credentialsIn(second)))
  // the same id once more is another user with another password
  const anew = await send(t, 'PUT', bindingPath(id, one), binding)
  t.is(anew.status, 201)
  t.not(textAt(anew.body, 'credentials', 'password'), textAt(bound.body, 'credentials', 'password'))
})

test('what is wrong with a bind leaves nothing', async (t) => {
  const id = await anInstance()
  const bindingId = randomUUID()
  for (const [cell, body] of [
    ['400', {}],
    ['400', { ...binding, service_id: '' }],
    ['400', { ...binding, plan_id: undefined }],
    ['400', { ...binding, service_id: randomUUID() }],
    ['400', { ...binding, plan_id: randomUUID() }],
    ['400', { ...binding, parameters: { role: 'superuser' } }],
    ['400', { ...binding, parameters: { bogus: 1 } }],
    ['400', { ...binding, parameters: 'text' }],
    ['400', { ...binding, app_guid: 7 }],
    ['400', { ...binding, bind_resource: 'text' }],
    ['400', { predecessor_binding_id: 'another' }],
    ['400', { predecessor_binding_id: '' }],
    ['400', '{'],
  ] as const) {
    isCell(
      t,
      await send(t, 'PUT', bindingPath(id, bindingId), body, { query: incomplete }),
      cell,
      undefined,
      JSON.stringify(body),
    )
  }
  isCell(
    t,
    await send(t, 'PUT', bindingPath(randomUUID(), bindingId), binding),
    '404',
    undefined,
    'no instance',
  )
  isCell(t, await send(t, 'GET', bindingPath(id, bindingId)), '404', undefined, 'GET')
})

test('the ids of a delete have to be there: for instances always, for bindings once they exist', async (t) => {
  const id = await anInstance()
  const bindingId = randomUUID()
  const remove = (path: string, query: string) => send(t, 'DELETE', path, undefined, { query })
  for (const query of ['', `service_id=${serviceId}`, `plan_id=${planId}`, `service_id=&plan_id=${planId}`]) {
    isCell(
      t,
      await remove(instancePath(randomUUID()), `${query}&${incomplete}`),
      '400',
      undefined,
      'unknown instance',
    )
    isCell(t, await remove(instancePath(id), `${query}&${incomplete}`), '400', undefined, 'instance')
    isCell(t, await remove(bindingPath(id, bindingId), query), '410 {}', undefined, 'unknown binding')
    isCell(
      t,
      await remove(bindingPath(randomUUID(), bindingId), query),
      '410 {}',
      undefined,
      'unknown instance',
    )
  }
  await send(t, 'PUT', bindingPath(id, bindingId), binding)
  for (const query of ['', `service_id=${serviceId}`, `plan_id=${planId}`]) {
    isCell(t, await remove(bindingPath(id, bindingId), query), '400', undefined, 'binding')
  }
  const otherService = `service_id=${randomUUID()}&plan_id=${planId}&${incomplete}`
  isCell(
    t,
    await remove(bindingPath(id, bindingId), otherService),
    '400',
    undefined,
    'binding of another service',
  )
  isCell(t, await remove(instancePath(id), otherService), '400', undefined, 'instance of another service')
  // the plan may have changed since
  const otherPlan = `service_id=${serviceId}&plan_id=${largePlan}`
  isCell(
    t,
    await remove(bindingPath(id, bindingId), otherPlan),
    '200 {}',
    undefined,
    'binding with the plan of today',
  )
})

test('an id can be used again, and nothing of its first life is left', async (t) => {
  const id = await ready()
  const bindings = [bindingPath(id, 'one'), bindingPath(id, 'two')]
  const [one] = await Promise.all(bindings.map((path) => send(t, 'PUT', path, binding)))
  const removed = await send(t, 'DELETE', instancePath(id), undefined, { query: `${ids}&${incomplete}` })
  const end = await broker.poll(instancePath(id), textAt(removed.body, 'operation'))
  isCell(t, end, '410 {}', undefined, 'LO')
  t.true(isEmpty(await inventoryOf(broker.cluster, id)))
  // bindings went with the database
  for (const path of bindings) {
    isCell(t, await send(t, 'DELETE', path, undefined, { query: ids }), '410 {}', undefined, path)
  }

  const begun = await send(
    t,
    'PUT',
    instancePath(id),
    { ...wish, space_guid: 'another' },
    { query: incomplete },
  )
  t.is(begun.status, 202)
  t.like((await broker.poll(instancePath(id), textAt(begun.body, 'operation'))).body, { state: 'succeeded' })
  isCell(t, await send(t, 'GET', bindingPath(id, 'one')), '404', undefined, 'GET SB')
  const anew = await send(t, 'PUT', bindingPath(id, 'one'), binding)
  t.not(textAt(anew.body, 'credentials', 'password'), textAt(one?.body, 'credentials', 'password'))
  // a poll of the first life
  const late = await send(t, 'GET', `${instancePath(id)}/last_operation`, undefined, {
    query: `operation=${textAt(removed.body, 'operation')}`,
  })
  isCell(t, late, '410 {}', undefined, 'LO of the first life')
})

test('to another platform an instance does not exist', async (t) => {
  const id = await anInstance()
  const bindingId = randomUUID()
  await send(t, 'PUT', bindingPath(id, bindingId), binding)
  const Authorization = `Basic ${Buffer.from('stranger:other').toString('base64')}`
  const ask = (method: string, path: string, body?: unknown, query = `${ids}&${incomplete}`) =>
    send(t, method, path, body, { query, headers: { Authorization } })
  isCell(t, await ask('GET', instancePath(id)), '404', undefined, 'GET SI')
  isCell(t, await ask('GET', `${instancePath(id)}/last_operation`), '404', undefined, 'LO')
  isCell(t, await ask('PATCH', instancePath(id), { service_id: serviceId }), '404', undefined, 'PATCH SI')
  isCell(t, await ask('PUT', instancePath(id), wish), '409', undefined, 'PUT SI')
  isCell(t, await ask('DELETE', instancePath(id)), '410 {}', undefined, 'DELETE SI')
  isCell(t, await ask('PUT', bindingPath(id, bindingId), binding), '404', undefined, 'PUT SB')
  isCell(t, await ask('GET', bindingPath(id, bindingId)), '404', undefined, 'GET SB')
  isCell(t, await ask('GET', `${bindingPath(id, bindingId)}/last_operation`), '404', undefined, 'LO SB')
  isCell(t, await ask('DELETE', bindingPath(id, bindingId)), '410 {}', undefined, 'DELETE SB')
  isCell(t, await send(t, 'GET', bindingPath(id, bindingId)), '200', undefined, 'GET SB by its owner')
})

test('the credentials log in where they say, with the URI alone', async (t) => {
  const id = await anInstance()
  const bound = await send(t, 'PUT', bindingPath(id, randomUUID()), {
    ...binding,
    parameters: { role: 'readOnly' },
  })
  const uri = new URL(textAt(bound.body, 'credentials', 'uri'))
  t.is(uri.hostname, textAt(bound.body, 'credentials', 'host'))
  const rows = await asAdministrator(broker.cluster, id, async (client) => {
    const as = new pg.Client({
      host: client.host,
      port: Number(uri.port),
      user: decodeURIComponent(uri.username),
      password: decodeURIComponent(uri.password),
      database: uri.pathname.slice(1),
    })
    await as.connect()
    try {
      return (await as.query('SELECT current_user, current_database()')).rows
    } finally {
      await as.end()
    }
  })
  t.deepEqual(rows, [
    { current_user: textAt(bound.body, 'credentials', 'username'), current_database: 'app' },
  ])
})
