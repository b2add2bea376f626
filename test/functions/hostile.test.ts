/** Ids and bodies that no honest platform sends: the right 4xx, nothing in the cluster, nothing in the logs. */
import { randomUUID } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import test, { type ExecutionContext } from 'ava'
import * as v from 'valibot'
import { hash26 } from '../../shared/kubedb/records/names.ts'
import { isObject, type JsonObject } from '../../shared/values/json.ts'
import { bindingPath, instancePath, useBroker } from '../support/broker.ts'
import { at, objectIn, textAt } from '../support/cluster.ts'
import { asAdministrator, databaseObject } from '../support/inventory.ts'
import { offerOf } from '../support/offers.ts'
import { credentialsIn, planId, serviceId } from '../support/platform.ts'

const broker = useBroker(test, { environment: { LOG_LEVEL: 'debug', METADATA_PREFIXES: 'example.com' } })

const incomplete = { query: 'accepts_incomplete=true' }
const ids = `service_id=${serviceId}&plan_id=${planId}&accepts_incomplete=true`
const wish = { service_id: serviceId, plan_id: planId, organization_guid: 'org', space_guid: 'space' }
const binding = { service_id: serviceId, plan_id: planId }

/** Stands in hostile values: nothing of a body belongs into a log or an error. */
const marker = 'hostile-value-that-nobody-may-repeat'

/** How many objects the broker has made. */
async function made(): Promise<number> {
  const lists = [broker.cluster.recordsPath(), broker.cluster.databasesPath('postgreses')]
  const counts = await Promise.all(
    lists.map(async (path) => {
      const items = at((await broker.cluster.admin('GET', path)).body, 'items')
      return (Array.isArray(items) ? items : []).length
    }),
  )
  return counts.reduce((sum, count) => sum + count, 0)
}

/** Sends bytes as they are. */
async function sendBytes(
  method: string,
  path: string,
  body: Uint8Array,
  headers: { [name: string]: string } = {},
) {
  const credentials = Buffer.from(`${broker.user.username}:${broker.user.password}`).toString('base64')
  return new Promise<{ status: number; body: unknown }>((resolve, reject) => {
    const outgoing = request(
      {
        host: '127.0.0.1',
        port: broker.gateway.port,
        method,
        path,
        headers: { Authorization: `Basic ${credentials}`, 'X-Broker-API-Version': '2.17', ...headers },
      },
      (incoming) => {
        json(incoming).then(
          (received) => resolve({ status: incoming.statusCode ?? 0, body: received }),
          reject,
        )
      },
    )
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

function isRefusal(t: ExecutionContext, answer: { status: number; body: unknown }, what: string): void {
  const text = JSON.stringify(answer.body)
  t.is(answer.status, 400, `${what}: ${answer.status} ${text.slice(0, 300)}`)
  t.true(isObject(answer.body) && answer.body.error === 'BadRequest', what)
  t.false(text.includes(marker), `${what}: ${text.slice(0, 300)}`)
  t.true(text.length < 4000, what)
}

const hostileIds: { [what: string]: string } = {
  'too long': 'x'.repeat(256),
  'much too long': 'x'.repeat(5000),
  'a slash': 'a%2Fb',
  'a back slash': 'a%5Cb',
  'a way up': '%2e%2e',
  'a way up and down': '..%2f..%2fv2%2fcatalog',
  'a letter beyond ASCII': '%C3%BC',
  'a character beyond the first plane': '%F0%9F%98%80',
  NUL: 'a%00b',
  'a line break': 'a%0D%0AX-Evil:1',
  'a space': 'a%20b',
  'a colon': 'a:b',
  'a semicolon': 'a;b',
  'a percent sign': 'a%25b',
  'half an escape': 'a%2',
  'no escape': 'a%zzb',
  'no UTF-8': 'a%ffb',
  'half a surrogate pair': 'a%ED%A0%80b',
  'a quote': "a'b",
  'a selector': 'a,b%3Dc',
}

test.serial('an id that is no id is refused on every route', async (t) => {
  const rest = [
    ['PUT', wish],
    ['GET', undefined],
    ['PATCH', { service_id: serviceId }],
    ['DELETE', undefined],
  ] as const
  for (const [what, id] of Object.entries(hostileIds)) {
    for (const [method, body] of rest) {
      isRefusal(t, await broker.request(method, instancePath(id), body, { query: ids }), `${method} ${what}`)
      if (method === 'PATCH') continue
      const path = bindingPath('fine', id)
      isRefusal(t, await broker.request(method, path, body, { query: ids }), `${method} binding ${what}`)
      const inner = bindingPath(id, 'fine')
      isRefusal(
        t,
        await broker.request(method, inner, body, { query: ids }),
        `${method} ${what} of a binding`,
      )
    }
    isRefusal(t, await broker.get(`${instancePath(id)}/last_operation`), `LO ${what}`)
    isRefusal(t, await broker.get(`${bindingPath('fine', id)}/last_operation`), `LO binding ${what}`)
  }
  t.is(await made(), 0)
})

test.serial('an empty id, and a path that leads elsewhere, is another path', async (t) => {
  for (const path of [
    '/v2/service_instances/',
    '/v2/service_instances//last_operation',
    '/v2/service_instances/../catalog',
    '/v2/service_instances/a/../b',
    '//v2/catalog',
    '/v2//catalog',
    '/V2/catalog',
    '/v2/catalog%2f',
    '/v2%2fcatalog',
    '/v2/service_instances/a/service_bindings/',
    '/v2/service_instances/a/service_bindings//last_operation',
    '/v2/service_instances/a;b/c',
  ]) {
    const { status } = await broker.get(path)
    t.true(status === 404 || status === 400, `${path} ${status}`)
  }
})

test.serial('ids as long and as odd as they may be are ids', async (t) => {
  for (const id of ['x'.repeat(255), '~._-', '...', '-', 'constructor', '__proto__', 'NULL', '0']) {
    t.is((await broker.get(instancePath(id))).status, 404, id)
    t.is((await broker.delete(instancePath(id), { query: ids })).status, 410, id)
    t.is((await broker.delete(bindingPath(id, id), { query: ids })).status, 410, id)
  }
  // written otherwise, the same id
  t.is((await broker.get('/v2/service_instances/%61%2D%7e')).status, 404)
})

const deep = (levels: number, open: string, close: string) => open.repeat(levels) + close.repeat(levels)

test.serial('a body that is no JSON object in UTF-8, or too large or too deep, is refused', async (t) => {
  const id = randomUUID()
  const path = `${instancePath(id)}?accepts_incomplete=true`
  const bodies: { [what: string]: Uint8Array | string } = {
    nothing: '',
    'white space': '  \n',
    text: marker,
    'a list': `["${marker}"]`,
    'a number': '7',
    'half of one': JSON.stringify({ ...wish, parameters: { marker } }).slice(0, -3),
    'no UTF-8': Buffer.concat([
      Buffer.from('{"service_id":"'),
      Buffer.from([0xff, 0xfe, 0xc0]),
      Buffer.from('"}'),
    ]),
    'UTF-16': Buffer.from(JSON.stringify(wish), 'utf16le'),
    'a byte more than a mebibyte': Buffer.alloc(1024 * 1024 + 1, ' '),
    'a mebibyte of one string': `{"service_id":"${'x'.repeat(1024 * 1024)}"}`,
    'very deep objects': `{"context":${deep(100_000, '{"a":', '}').replace('{}', '{"a":1}')}`,
    'very deep lists': `{"parameters":{"a":${deep(200_000, '[', ']')}}}`,
    'deep enough': JSON.stringify(wish).replace('}', `,"context":${'{"a":'.repeat(70)}1${'}'.repeat(70)}}`),
  }
  for (const [what, body] of Object.entries(bodies)) {
    isRefusal(t, await sendBytes('PUT', path, Buffer.from(body)), what)
    isRefusal(t, await sendBytes('PATCH', path, Buffer.from(body)), what)
    isRefusal(
      t,
      await sendBytes('PUT', `${bindingPath(id, 'b')}?accepts_incomplete=true`, Buffer.from(body)),
      what,
    )
  }
  const chunked = { 'Transfer-Encoding': 'chunked' }
  isRefusal(t, await sendBytes('PUT', path, Buffer.alloc(1024 * 1024 + 1, ' '), chunked), 'chunked')
  t.is(await made(), 0)
})

const wrong: unknown[] = [marker, '', 7, -1, 1e308, true, false, [], [marker], {}, { [marker]: marker }, null]

test.serial('a value of another type is refused in every field, and never repeated', async (t) => {
  const right: { [field: string]: (value: unknown) => boolean } = {
    service_id: () => false,
    plan_id: () => false,
    organization_guid: (value) => value === marker,
    space_guid: (value) => value === marker,
    context: (value) => value === null || isObject(value),
    maintenance_info: (value) => value === null || isObject(value),
    parameters: (value) => value === null || (isObject(value) && Object.keys(value).length === 0),
  }
  for (const [field, fits] of Object.entries(right)) {
    for (const value of wrong) {
      // without accepts_incomplete, so that what is right is not begun either
      const answer = await broker.put(instancePath(randomUUID()), { ...wish, [field]: value })
      const what = `${field} ${JSON.stringify(value)}`
      if (fits(value)) t.is(textAt(answer.body, 'error'), 'AsyncRequired', what)
      // the name of a wrong parameter is told, so that it can be found
      else if (field === 'parameters') t.is(answer.status, 400, what)
      else isRefusal(t, answer, what)
    }
  }
  t.is(await made(), 0)
})

test.serial('a value of another type is refused in every parameter', async (t) => {
  const parameters = [
    'version',
    'cpu',
    'memory',
    'storage',
    'storageClass',
    'replicas',
    'database',
    'configuration',
    'deletionPolicy',
    'suspended',
    'metadata',
    'spec',
  ]
  const custom = { ...wish, plan_id: offerOf('postgresql', 'postgresql').planId }
  const right = (name: string, value: unknown) =>
    (name === 'suspended' && typeof value === 'boolean') ||
    (name === 'replicas' && value === 7) ||
    (['configuration', 'metadata', 'spec'].includes(name) &&
      isObject(value) &&
      Object.keys(value).length === 0)
  for (const name of parameters) {
    for (const value of wrong) {
      const answer = await broker.put(instancePath(randomUUID()), {
        ...custom,
        parameters: { [name]: value },
      })
      const what = `${name} ${JSON.stringify(value)} ${answer.text}`
      if (right(name, value)) t.is(textAt(answer.body, 'error'), 'AsyncRequired', what)
      else t.is(answer.status, 400, what)
    }
  }
  t.is(await made(), 0)
})

test.serial('parameters reach nothing but their own database', async (t) => {
  const custom = { ...wish, plan_id: offerOf('postgresql', 'postgresql').planId }
  const container = (more: JsonObject) => ({
    podTemplate: { spec: { containers: [{ name: 'postgres', ...more }] } },
  })
  const hostile: JsonObject[] = [
    { spec: { podTemplate: { spec: { hostNetwork: true } } } },
    { spec: { podTemplate: { spec: { serviceAccountName: 'osb-bind' } } } },
    { spec: { podTemplate: { spec: { volumes: [{ name: 'x', secret: { secretName: 'keys' } }] } } } },
    { spec: { podTemplate: { spec: { initContainers: [{ name: 'x', image: 'evil' }] } } } },
    { spec: { podTemplate: { spec: { nodeName: 'control-plane' } } } },
    { spec: container({ image: 'evil' }) },
    { spec: container({ securityContext: { privileged: true } }) },
    { spec: container({ env: [{ name: 'A', value: 'B' }] }) },
    { spec: { podTemplate: { spec: { containers: [{ name: 'another', resources: {} }] } } } },
    { spec: { authSecret: { name: 'of-another-instance' } } },
    { spec: { init: { script: { configMap: { name: 'x' } } } } },
    { spec: { configuration: { secretName: 'x' } } },
    { spec: { serviceTemplates: [{ alias: 'primary', spec: { type: 'NodePort' } }] } },
    { spec: { deletionPolicy: 'DoNotTerminate' } },
    { spec: { halted: true } },
    { spec: { tls: { issuerRef: { name: 'x', kind: 'Issuer' } } } },
    { configuration: { archive_command: 'rm -rf /' } },
    { configuration: { shared_preload_libraries: 'evil' } },
    { configuration: { timezone: "UTC'\narchive_command = 'evil" } },
    { configuration: { work_mem: "8MB'\n" } },
    { configuration: { 'work_mem\narchive_command': 'x' } },
    { metadata: { labels: { app: 'x' } } },
    { metadata: { labels: { 'osb.kubedb.com/instance': hash26('another') } } },
    { metadata: { labels: { 'app.kubernetes.io/instance': 'x' } } },
    { metadata: { annotations: { 'kubedb.com/x': 'y' } } },
    { metadata: { annotations: { 'example.com/x': 'a\nb' } } },
    { metadata: { finalizers: ['x'] } },
    { database: 'a"; DROP DATABASE postgres; --' },
    { database: 'template1' },
    { storage: '1e-9' },
    { storage: '-10Gi' },
    { storage: '99999999999999999999Ti' },
    { cpu: 'NaN' },
    { replicas: 1.5 },
    { replicas: 1e21 },
  ]
  for (const parameters of hostile) {
    const answer = await broker.put(instancePath(randomUUID()), { ...custom, parameters }, incomplete)
    t.is(answer.status, 400, `${JSON.stringify(parameters)} ${answer.text}`)
  }
  t.is(await made(), 0)
})

test.serial('prototypes stay what they are, of two equal keys the last counts', async (t) => {
  const send = (text: string) => broker.put(instancePath(randomUUID()), text)
  const text = JSON.stringify(wish)
  for (const key of ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty']) {
    const inParameters = await send(text.replace('}', `,"parameters":{"${key}":{"storage":"11Gi"}}}`))
    // __proto__ is taken out, the others are no parameters
    t.is(inParameters.status, key === '__proto__' ? 422 : 400, `${key} ${inParameters.text}`)
    const beside = await send(text.replace('}', `,"${key}":{"service_id":"x"},"context":{"${key}":1}}`))
    t.is(textAt(beside.body, 'error'), 'AsyncRequired', key)
  }
  const twice = await send(text.replace('{', `{"service_id":${JSON.stringify(marker)},`))
  t.is(textAt(twice.body, 'error'), 'AsyncRequired')
  isRefusal(t, await send(text.replace('}', ',"plan_id":"none"}')), 'the last plan_id is wrong')
  t.is((await broker.get('/v2/catalog')).status, 200)
})

test.serial('what is too large for a record is a 400, before anything is made', async (t) => {
  const huge = 'x'.repeat(900_000)
  const many = Object.fromEntries(Array.from({ length: 20_000 }, (_, index) => [`key-${index}`, index]))
  for (const more of [
    { organization_guid: huge },
    { space_guid: huge },
    { context: { platform: 'kubernetes', instance_name: huge } },
    { context: { platform: 'kubernetes', ...many } },
    { parameters: { configuration: { timezone: huge } } },
    { parameters: { metadata: { annotations: { 'example.com/a': huge } } } },
  ]) {
    const answer = await broker.put(instancePath(randomUUID()), { ...wish, ...more }, incomplete)
    isRefusal(t, answer, `${Object.keys(more)}`)
  }
  t.is(await made(), 0)
})

test.serial('annotations of a context may be large: they are not kept', async (t) => {
  const answer = await broker.put(instancePath(randomUUID()), {
    ...wish,
    context: { platform: 'cloudfoundry', instance_annotations: { 'example.com/a': 'x'.repeat(900_000) } },
  })
  t.is(textAt(answer.body, 'error'), 'AsyncRequired')
})

test.serial('queries and headers cannot break anything', async (t) => {
  const id = randomUUID()
  for (const query of [
    'operation=%',
    'operation=%00',
    '&&&=&',
    'operation[]=x',
    `operation=${'%F0'.repeat(2000)}`,
    '?',
  ]) {
    t.is((await broker.get(`${instancePath(id)}/last_operation`, { query })).status, 404, query)
  }
  for (const identity of [
    'x',
    'cloudfoundry !!!',
    'kubernetes e30=',
    `kubernetes ${'A'.repeat(8000)}`,
    'a b c',
  ]) {
    const headers = {
      'X-Broker-API-Originating-Identity': identity,
      'X-Broker-API-Request-Identity': 'x'.repeat(2000),
    }
    t.is((await broker.get(instancePath(id), { headers })).status, 404, identity)
  }
})

test.serial(
  'a life with hostile values: nothing secret is ever printed, nor anything that a caller sent',
  async (t) => {
    const id = randomUUID()
    const name = `evil "quoted" \u2028 </script> $(reboot) ${marker}`
    const begun = await broker.put(
      instancePath(id),
      {
        ...wish,
        organization_guid: name,
        space_guid: `${name}\n`,
        context: { platform: name, instance_name: name, space_name: '\u0000', organization_name: '../..' },
        parameters: { metadata: { annotations: { 'example.com/note': name.replace('\u2028', '') } } },
      },
      incomplete,
    )
    t.is(begun.status, 202, begun.text)
    const end = await broker.poll(instancePath(id), textAt(begun.body, 'operation'))
    t.is(end.body.state, 'succeeded', end.text)
    const bound = await broker.put(bindingPath(id, 'b'), { ...binding, app_guid: name, context: { x: name } })
    t.is(bound.status, 201, bound.text)
    const again = await broker.put(bindingPath(id, 'b'), { ...binding, app_guid: name })
    t.is(again.status, 200)
    t.is((await broker.get(bindingPath(id, 'b'))).status, 200)

    const huge = 'x'.repeat(20_000)
    const withHuge = { ...binding, app_guid: huge }
    isRefusal(t, await broker.put(bindingPath(id, 'huge'), withHuge, incomplete), 'app_guid')
    const renamed = { service_id: serviceId, context: { instance_name: huge } }
    isRefusal(t, await broker.patch(instancePath(id), renamed, incomplete), 'context of an update')

    const secrets = await secretsOf(id)
    secrets.push(String(credentialsIn(bound).password), String(credentialsIn(bound).uri))
    const { spec } = await databaseObject(broker.cluster, id)
    t.notRegex(JSON.stringify(spec), new RegExp(marker))

    t.is((await broker.delete(bindingPath(id, 'b'), { query: ids })).status, 200)
    const removed = await broker.delete(instancePath(id), { query: ids })
    t.is((await broker.poll(instancePath(id), textAt(removed.body, 'operation'))).status, 410)

    t.true(broker.lines.length > 10)
    for (const line of broker.lines) {
      const text = line.replace(/^\S+ /, '')
      t.notThrows(() => JSON.parse(text), line)
      for (const secret of secrets) t.false(line.includes(secret), line)
      t.notRegex(line, /SCRAM-SHA-256|Bearer |Basic [A-Za-z0-9+/]{8}|eyJhbGciOi/)
      // a 400 says what was wrong with a parameter
      const { description, ...rest } = objectIn(text)
      t.false(JSON.stringify(rest).includes(marker), line)
      t.true(description === undefined || String(description).length < 4000, line)
    }
  },
)

/** Everything that must stay where it is: the broker's keys and tokens, its user's password, the administrator's. */
async function secretsOf(instanceId: string): Promise<string[]> {
  const files = (directory: string) =>
    readdirSync(directory).map((name) => readFileSync(join(directory, name), 'utf8').trim())
  const credentials = `${broker.user.username}:${broker.user.password}`
  const verifiers = await asAdministrator(broker.cluster, instanceId, async (client) => {
    const { rows } = await client.query('SELECT rolpassword FROM pg_authid WHERE rolpassword IS NOT NULL')
    return [
      String(client.password),
      ...v.parse(v.array(v.object({ rolpassword: v.string() })), rows).map((row) => row.rolpassword),
    ]
  })
  return [
    ...files(broker.keysDirectory),
    broker.user.password,
    Buffer.from(credentials).toString('base64'),
    ...(verifiers ?? []),
  ]
}
