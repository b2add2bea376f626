import test from 'ava'
import type * as v from 'valibot'
import { body, maximumBody, query } from '../../shared/osb/messages/body.ts'
import {
  BindBody,
  ChangeQuery,
  DeleteQuery,
  LastOperationQuery,
  ProvisionBody,
  UpdateBody,
} from '../../shared/osb/messages/requests.ts'
import { operation } from '../../shared/osb/operation.ts'
import { captureLog, configFor, headers } from './function-process.ts'

captureLog()

const path = '/v2/service_instances/i'

/** Sends a body; gives what the handler sees of it, or the error. */
async function sent(
  t: Parameters<typeof configFor>[0],
  schema: v.GenericSchema,
  content: unknown,
  more: { [name: string]: string } = {},
) {
  const app = operation(
    'provision',
    async (c) => c.json({ parsed: await body(c, schema) }),
    await configFor(t),
  )
  const text =
    typeof content === 'string' || content instanceof Uint8Array || content instanceof ReadableStream
      ? content
      : JSON.stringify(content)
  const response = await app.request(path, {
    method: 'PUT',
    headers: { ...headers, ...more },
    body: text,
    ...(text instanceof ReadableStream ? { duplex: 'half' as const } : {}),
  })
  return { status: response.status, ...JSON.parse(await response.text()) }
}

/** What a handler sees of a query, or the error. */
async function asked(t: Parameters<typeof configFor>[0], schema: v.GenericSchema, text: string) {
  const app = operation('provision', async (c) => c.json({ parsed: query(c, schema) }), await configFor(t))
  const response = await app.request(`${path}${text}`, { method: 'PUT', headers })
  return { status: response.status, ...JSON.parse(await response.text()) }
}

const ids = { service_id: 's', plan_id: 'p' }
const provision = { ...ids, organization_guid: 'o', space_guid: 'sp' }
const required = 'must be a non-empty string'

const accepted: [title: string, schema: v.GenericSchema, sent: unknown, parsed: unknown][] = [
  ['the least of a provision', ProvisionBody, provision, provision],
  [
    'all of a provision, unknown members ignored',
    ProvisionBody,
    {
      ...provision,
      parameters: { a: [1, { b: null }] },
      context: { platform: 'kubernetes', namespace: 'n' },
      maintenance_info: { version: '18.3.0', description: 'x' },
      future: 1,
    },
    {
      ...provision,
      parameters: { a: [1, { b: null }] },
      context: { platform: 'kubernetes', namespace: 'n' },
      maintenance_info: { version: '18.3.0' },
    },
  ],
  [
    'null for what is optional',
    ProvisionBody,
    { ...provision, parameters: null, context: null, maintenance_info: null },
    provision,
  ],
  ['maintenance_info without a version', ProvisionBody, { ...provision, maintenance_info: {} }, provision],
  ['an empty version', ProvisionBody, { ...provision, maintenance_info: { version: '' } }, provision],
  [
    'empty parameters stay empty',
    ProvisionBody,
    { ...provision, parameters: {} },
    { ...provision, parameters: {} },
  ],
  ['an update of nothing', UpdateBody, { service_id: 's' }, { service_id: 's' }],
  [
    'an update with everything',
    UpdateBody,
    {
      ...ids,
      parameters: { a: 1 },
      context: {},
      previous_values: { plan_id: 7 },
      maintenance_info: { version: '1.0.0' },
    },
    { ...ids, parameters: { a: 1 }, context: {}, maintenance_info: { version: '1.0.0' } },
  ],
  ['an update with null for a plan', UpdateBody, { service_id: 's', plan_id: null }, { service_id: 's' }],
  ['the least of a binding', BindBody, ids, ids],
  ['an empty app_guid', BindBody, { ...ids, app_guid: '' }, ids],
  [
    'all of a binding',
    BindBody,
    {
      ...ids,
      app_guid: 'a',
      bind_resource: { app_guid: 'a', x: 1 },
      parameters: { role: 'owner' },
      context: { x: {} },
    },
    {
      ...ids,
      app_guid: 'a',
      bind_resource: { app_guid: 'a', x: 1 },
      parameters: { role: 'owner' },
      context: { x: {} },
    },
  ],
  [
    'an empty app and null for a route in bind_resource',
    BindBody,
    { ...ids, bind_resource: { app_guid: '', route: null, x: null } },
    { ...ids, bind_resource: { x: null } },
  ],
  [
    'a rotation needs only its predecessor',
    BindBody,
    { predecessor_binding_id: 'b', service_id: '' },
    { predecessor_binding_id: 'b' },
  ],
  ['null for a predecessor', BindBody, { ...ids, predecessor_binding_id: null }, ids],
  [
    'members named __proto__ are taken out wherever they are',
    ProvisionBody,
    '{"__proto__":{"service_id":"x"},"service_id":"s","plan_id":"p","organization_guid":"o","space_guid":"sp","parameters":{"__proto__":{"a":1},"__proto__":2,"b":[{"\\u005f_proto__":3}],"constructor":4}}',
    { ...provision, parameters: { b: [{}], constructor: 4 } },
  ],
]
for (const [title, schema, content, parsed] of accepted) {
  test(title, async (t) => {
    t.deepEqual(await sent(t, schema, content), { status: 200, parsed })
  })
}

const refused: [title: string, schema: v.GenericSchema, sent: unknown, description: string][] = [
  [
    'everything missing',
    ProvisionBody,
    {},
    ['service_id', 'plan_id', 'organization_guid', 'space_guid']
      .map((name) => `${name}: is missing or empty, ${required}`)
      .join('; '),
  ],
  [
    'members of wrong types',
    ProvisionBody,
    { service_id: 1, plan_id: null, organization_guid: ['hunter2'], space_guid: { hunter2: 1 } },
    `service_id: ${required}, not a number; plan_id: ${required}, not null; organization_guid: ${required}, not a list; space_guid: ${required}, not an object`,
  ],
  [
    'parameters as a list',
    ProvisionBody,
    { ...provision, parameters: [] },
    'parameters: must be an object, not a list',
  ],
  [
    'parameters as text',
    ProvisionBody,
    { ...provision, parameters: '{}' },
    'parameters: must be an object, not a string',
  ],
  [
    'context as a flag',
    ProvisionBody,
    { ...provision, context: true },
    'context: must be an object, not a boolean',
  ],
  [
    'maintenance_info as text',
    ProvisionBody,
    { ...provision, maintenance_info: '1.0.0' },
    'maintenance_info: must be an object, not a string',
  ],
  [
    'maintenance_info as a list',
    ProvisionBody,
    { ...provision, maintenance_info: [] },
    'maintenance_info: must be an object, not a list',
  ],
  [
    'a version as a number',
    ProvisionBody,
    { ...provision, maintenance_info: { version: 1 } },
    'maintenance_info.version: must be a string, not a number',
  ],
  [
    'an update without a service',
    UpdateBody,
    { plan_id: 'p' },
    `service_id: is missing or empty, ${required}`,
  ],
  [
    'an update to an empty plan',
    UpdateBody,
    { ...ids, plan_id: '' },
    `plan_id: is missing or empty, ${required}`,
  ],
  ['a binding without a plan', BindBody, { service_id: 's' }, `plan_id: is missing or empty, ${required}`],
  [
    'an app and a route that are no text',
    BindBody,
    { ...ids, bind_resource: { app_guid: 1, route: ['hunter2'] } },
    'bind_resource.app_guid: must be a string, not a number; bind_resource.route: must be a string, not a list',
  ],
  [
    'an empty predecessor',
    BindBody,
    { predecessor_binding_id: '' },
    `predecessor_binding_id: is missing or empty, ${required}`,
  ],
  ['no body', ProvisionBody, '', 'body: is empty, must be a JSON object'],
  ['no JSON', ProvisionBody, '{"hunter2":', 'body: is not JSON in UTF-8, must be a JSON object'],
  ['a list', ProvisionBody, [], 'body: must be a JSON object, not a list'],
  ['null', ProvisionBody, 'null', 'body: must be a JSON object, not null'],
  ['text', ProvisionBody, '"hunter2"', 'body: must be a JSON object, not a string'],
  [
    'invalid UTF-8',
    ProvisionBody,
    new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
    'body: is not JSON in UTF-8, must be a JSON object',
  ],
  [
    'half a million nested lists',
    ProvisionBody,
    `{"a":${'['.repeat(500_000)}${']'.repeat(500_000)}}`,
    'body: must not be nested deeper than 64 levels',
  ],
  [
    '65 levels',
    ProvisionBody,
    `${'{"a":'.repeat(64)}{}${'}'.repeat(64)}`,
    'body: must not be nested deeper than 64 levels',
  ],
]
for (const [title, schema, content, description] of refused) {
  test(`${title}: 400 that says so and quotes nothing`, async (t) => {
    t.deepEqual(await sent(t, schema, content), { status: 400, error: 'BadRequest', description })
  })
}

test('64 levels are served', async (t) => {
  const deep = `${'{"a":'.repeat(62)}{}${'}'.repeat(62)}`
  const content = `{"service_id":"s","plan_id":"p","organization_guid":"o","space_guid":"sp","parameters":${deep}}`
  t.is((await sent(t, ProvisionBody, content)).status, 200)
})

for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'nonsense']) {
  test(`a body that parses is served as ${type}`, async (t) => {
    t.is((await sent(t, ProvisionBody, provision, { 'Content-Type': type })).status, 200)
  })
}

/** A body whose length is announced. */
function announced(size: number): [string, { [name: string]: string }] {
  const start = JSON.stringify({ ...provision, filler: '' }).slice(0, -2)
  const text = `${start}${'x'.repeat(size - start.length - 2)}"}`
  return [text, { 'Content-Length': String(text.length) }]
}

/** A body in pieces whose length is not announced. */
function streamed(text: string): ReadableStream<Uint8Array> {
  let at = 0
  return new ReadableStream({
    pull(controller) {
      if (at >= text.length) controller.close()
      else controller.enqueue(Buffer.from(text.slice(at, at + 65_536)))
      at += 65_536
    },
  })
}

test('a body of 1 MiB is served, of one byte more not, whether its length is announced or not', async (t) => {
  const tooLarge = {
    status: 400,
    error: 'BadRequest',
    description: `body: must not be larger than ${maximumBody} bytes`,
  }
  for (const [size, status] of [
    [maximumBody, 200],
    [maximumBody + 1, 400],
  ] as const) {
    const [text, length] = announced(size)
    const answers = [await sent(t, ProvisionBody, text, length), await sent(t, ProvisionBody, streamed(text))]
    for (const answer of answers) {
      if (status === 400) t.deepEqual(answer, tooLarge)
      else t.is(answer.status, 200)
    }
  }
})

const queries: [title: string, schema: v.GenericSchema, text: string, parsed: unknown][] = [
  ['accepts_incomplete=true', ChangeQuery, '?accepts_incomplete=true', { accepts_incomplete: true }],
  ['no accepts_incomplete', ChangeQuery, '', { accepts_incomplete: false }],
  ...['false', 'TRUE', 'True', '1', 'yes', '', 'true%20', '"true"'].map(
    (value): [string, v.GenericSchema, string, unknown] => [
      `accepts_incomplete=${value} counts as not set`,
      ChangeQuery,
      `?accepts_incomplete=${value}`,
      { accepts_incomplete: false },
    ],
  ),
  [
    'a delete',
    DeleteQuery,
    '?plan_id=p%2F1&service_id=s&accepts_incomplete=true&x=1',
    { service_id: 's', plan_id: 'p/1', accepts_incomplete: true },
  ],
  ['a poll without an operation', LastOperationQuery, '?operation=', {}],
  ['a poll', LastOperationQuery, '?operation=provision.a%3Db%20c', { operation: 'provision.a=b c' }],
]
for (const [title, schema, text, parsed] of queries) {
  test(`query: ${title}`, async (t) => {
    t.deepEqual(await asked(t, schema, text), { status: 200, parsed })
  })
}

for (const text of ['', '?service_id=s', '?service_id=s&plan_id=']) {
  test(`query: a delete with "${text}" is a 400`, async (t) => {
    const answer = await asked(t, DeleteQuery, text)
    t.is(answer.status, 400)
    t.regex(answer.description, /plan_id: is missing or empty, must be a non-empty string$/)
  })
}
