import test from 'ava'
import type { Config } from '../../shared/environment/config.ts'
import { setLogLevel } from '../../shared/environment/log.ts'
import { parseIdentity } from '../../shared/osb/edge/originating-identity.ts'
import { segments } from '../../shared/osb/edge/path.ts'
import { type Handler, operation } from '../../shared/osb/operation.ts'
import type { FunctionName } from '../../shared/routes.ts'
import { BrokerError, type Problem } from '../../shared/values/errors.ts'
import { captureLog, configFor, headers } from './function-process.ts'

const log = captureLog()
setLogLevel('debug')

const instance = '/v2/service_instances/i'

async function edge(
  t: Parameters<typeof configFor>[0],
  name: FunctionName = 'provision',
  handler: Handler = async (c) => c.json({ instance: c.var.instanceId, binding: c.var.bindingId }),
  overrides: Partial<Config> = {},
) {
  const app = operation(name, handler, await configFor(t, overrides))
  return async (method: string, path: string, more: { [name: string]: string } = headers) => {
    const response = await app.request(path, { method, headers: more })
    const text = await response.text()
    return {
      status: response.status,
      type: response.headers.get('Content-Type'),
      headers: response.headers,
      text,
      body: text === '' ? undefined : JSON.parse(text),
    }
  }
}

test('authentication comes before the version, the version before the route', async (t) => {
  const call = await edge(t)
  const { Authorization } = headers
  t.is((await call('GET', '/elsewhere', {})).status, 401)
  t.is((await call('GET', '/elsewhere', { Authorization })).status, 412)
  t.is((await call('GET', '/elsewhere')).status, 404)
  t.is((await call('PUT', `${instance}%00`)).status, 400)
})

for (const version of [undefined, '', '1.0', '3.0', '2', '2.', '2.x', '2.100', '02.17', 'latest', '2.17.0']) {
  test(`version ${version}: 412 naming 2.17`, async (t) => {
    const call = await edge(t)
    const { Authorization } = headers
    const more =
      version === undefined ? { Authorization } : { Authorization, 'X-Broker-API-Version': version }
    const answer = await call('PUT', instance, more)
    t.is(answer.status, 412)
    t.is(answer.body.error, 'PreconditionFailed')
    t.regex(answer.body.description, /2\.17/)
  })
}

for (const version of ['2.0', '2.11', '2.17', '2.18', '2.99', ' 2.16 ']) {
  test(`version ${version} is served`, async (t) => {
    const call = await edge(t)
    t.is((await call('PUT', instance, { ...headers, 'X-Broker-API-Version': version })).status, 200)
  })
}

for (const path of [
  '/',
  '/v2/catalog',
  '/v2/service_instances',
  '/v2/service_instances/',
  '/v2/service_instances/i/',
  '/v2/service_instances//i',
  '//v2/service_instances/i',
  '/V2/service_instances/i',
  '/v2/service_instances/i/last_operation',
  '/v2/service%5Finstances/i',
  '/prefix/v2/service_instances/i',
]) {
  test(`${path} is none of provision: 404 in OSB's shape`, async (t) => {
    const answer = await (await edge(t))('PUT', path)
    t.is(answer.status, 404)
    t.is(answer.type, 'application/json')
    t.deepEqual(answer.body, {
      error: 'NotFound',
      description: 'this function serves only PUT /v2/service_instances/:instance_id',
    })
  })
}

for (const method of ['GET', 'POST', 'PATCH', 'DELETE', 'OPTIONS']) {
  test(`${method} is none of provision: 405 with Allow`, async (t) => {
    const answer = await (await edge(t))(method, instance)
    t.is(answer.status, 405)
    t.is(answer.headers.get('Allow'), 'PUT')
    t.is(answer.body.error, 'MethodNotAllowed')
  })
}

test('HEAD is none of catalog either', async (t) => {
  t.is((await (await edge(t, 'catalog'))('HEAD', '/v2/catalog')).status, 405)
})

test('ids reach the handler decoded', async (t) => {
  const call = await edge(t, 'bind')
  const answer = await call('PUT', '/v2/service_instances/%41b-._~/service_bindings/0%7e')
  t.deepEqual(answer.body, { instance: 'Ab-._~', binding: '0~' })
})

test('an id of 255 characters is served, of 256 not', async (t) => {
  const call = await edge(t)
  t.is((await call('PUT', `/v2/service_instances/${'a'.repeat(255)}`)).status, 200)
  const answer = await call('PUT', `/v2/service_instances/${'a'.repeat(256)}`)
  t.is(answer.status, 400)
  t.is(answer.body.description, 'instance_id: is 256 characters long, at most 255 are allowed')
})

for (const id of ['a%2Fb', 'a%20b', 'a+b', 'a:b', 'a%00', '%0a', '%C3%BC', 'a*', "a'b", '%252F']) {
  test(`the id ${id} is outside the unreserved set: 400`, async (t) => {
    const call = await edge(t, 'bind')
    for (const path of [`${id}/service_bindings/b`, `i/service_bindings/${id}`]) {
      const answer = await call('PUT', `/v2/service_instances/${path}`)
      t.is(answer.status, 400)
      t.regex(answer.body.description, /^(instance|binding)_id: must consist of/)
    }
  })
}

for (const id of ['%', '%4', '%zz', '%ff', '%C3']) {
  test(`the id ${id} is malformed: 400`, async (t) => {
    const answer = await (await edge(t))('PUT', `/v2/service_instances/${id}`)
    t.is(answer.status, 400)
    t.is(answer.body.description, 'instance_id: is not percent-encoded UTF-8')
  })
}

test('a template matches whole segments', (t) => {
  const template = '/v2/service_instances/:instance_id/last_operation'
  t.deepEqual(
    [...(segments(template, '/v2/service_instances/a%2Fb/last_operation') ?? [])],
    [['instance_id', 'a%2Fb']],
  )
  t.is(segments(template, '/v2/service_instances/a/b/last_operation'), undefined)
  t.is(segments(template, '/v2/service_instances//last_operation'), undefined)
})

test('the request identity is echoed on success, errors, and health', async (t) => {
  const call = await edge(t)
  const identity = { 'X-Broker-API-Request-Identity': 'e26cee84-6b38-4456-b34e-d1a9f002c956' }
  for (const [path, more] of [
    [instance, { ...headers, ...identity }],
    ['/elsewhere', { ...headers, ...identity }],
    [instance, identity],
    ['/health/liveness', identity],
  ] as const) {
    const answer = await call('PUT', path, more)
    t.is(answer.headers.get('X-Broker-API-Request-Identity'), identity['X-Broker-API-Request-Identity'])
  }
  t.false((await call('PUT', instance)).headers.has('X-Broker-API-Request-Identity'))
})

test('the request identity is echoed on a bare Response', async (t) => {
  const call = await edge(t, 'provision', async () => new Response('{}', { status: 201 }))
  const answer = await call('PUT', instance, { ...headers, 'X-Broker-API-Request-Identity': 'r' })
  t.is(answer.status, 201)
  t.is(answer.headers.get('X-Broker-API-Request-Identity'), 'r')
})

test('health needs no credentials', async (t) => {
  const call = await edge(t)
  t.is((await call('GET', '/health/liveness', {})).status, 200)
  t.is((await call('GET', '/health/readiness', {})).status, 200)
  t.is((await call('HEAD', '/health/readiness', {})).status, 200)
  t.is((await call('POST', '/health/readiness', {})).status, 401)
  t.is((await call('GET', '/health/', {})).status, 401)
})

const statuses: [problem: Problem, status: number, body: object][] = [
  ['BadRequest', 400, { error: 'BadRequest', description: 'why' }],
  ['Unauthorized', 401, { error: 'Unauthorized', description: 'why' }],
  ['NotFound', 404, { error: 'NotFound', description: 'why' }],
  ['MethodNotAllowed', 405, { error: 'MethodNotAllowed', description: 'why' }],
  ['Conflict', 409, { error: 'Conflict', description: 'why' }],
  ['Gone', 410, {}],
  ['PreconditionFailed', 412, { error: 'PreconditionFailed', description: 'why' }],
  ['Unprocessable', 422, { description: 'why' }],
  ['AsyncRequired', 422, { error: 'AsyncRequired', description: 'why' }],
  ['ConcurrencyError', 422, { error: 'ConcurrencyError', description: 'why' }],
  ['MaintenanceInfoConflict', 422, { error: 'MaintenanceInfoConflict', description: 'why' }],
  ['RequiresApp', 422, { error: 'RequiresApp', description: 'why' }],
  ['Misconfigured', 500, { error: 'Misconfigured', description: 'why' }],
  ['Unavailable', 503, { error: 'Unavailable', description: 'why' }],
]
for (const [problem, status, body] of statuses) {
  test(`${problem} is ${status} ${JSON.stringify(body)}`, async (t) => {
    const call = await edge(t, 'provision', async () => {
      throw new BrokerError(problem, 'why')
    })
    const answer = await call('PUT', instance)
    t.is(answer.status, status)
    t.is(answer.type, 'application/json')
    t.is(answer.text, JSON.stringify(body))
  })
}

test('hints appear only where they were given, an empty description not at all', async (t) => {
  const call = await edge(t, 'update', async () => {
    throw new BrokerError('Unprocessable', '', { instanceUsable: true, updateRepeatable: false })
  })
  t.deepEqual((await call('PATCH', instance)).body, { instance_usable: true, update_repeatable: false })
})

test('an unexpected error is a 500 that tells nothing, the log tells without quoting JSON', async (t) => {
  const call = await edge(t, 'provision', async (c) => {
    if (c.req.query('json')) JSON.parse('{"password": hunter2}')
    throw new TypeError('cannot read x', { cause: new Error('deeper') })
  })
  for (const path of [instance, `${instance}?json=1`]) {
    const answer = await call('PUT', path)
    t.is(answer.status, 500)
    t.deepEqual(answer.body, {
      error: 'InternalServerError',
      description: 'the broker failed unexpectedly; its log says more',
    })
  }
  const lines = log.filter((line) => line.includes('"unexpected error"')).map((line) => JSON.parse(line))
  t.true(lines.some(({ error }) => error.message === 'cannot read x' && error.cause.message === 'deeper'))
  t.true(lines.some(({ error }) => error.name === 'SyntaxError'))
  t.false(log.join('').includes('hunter2'))
})

test('the originating identity is decoded for both platforms of the profile', (t) => {
  const header = (platform: string, value: unknown) =>
    `${platform} ${Buffer.from(JSON.stringify(value)).toString('base64')}`
  t.deepEqual(parseIdentity(header('cloudfoundry', { user_id: '683ea748' })), {
    platform: 'cloudfoundry',
    user: '683ea748',
  })
  t.deepEqual(parseIdentity(header('kubernetes', { username: 'düke', uid: 'c2dd', groups: ['admin'] })), {
    platform: 'kubernetes',
    user: 'düke',
  })
  t.deepEqual(parseIdentity(header('other', {})), { platform: 'other', user: '' })
  t.is(parseIdentity(header('kubernetes', { username: 'a'.repeat(1000) }))?.user.length, 255)
})

const malformed = [
  '',
  'cloudfoundry',
  'cloudfoundry ',
  'cloudfoundry !!!',
  `cloudfoundry ${Buffer.from('no json').toString('base64')}`,
  `cloudfoundry ${Buffer.from('[]').toString('base64')}`,
  `cloudfoundry ${Buffer.from('null').toString('base64')}`,
  `cloudfoundry ${Buffer.from('{"user_id":7}').toString('base64')}`,
  `cloudfoundry ${Buffer.from([0x22, 0xff, 0x22]).toString('base64')}`,
  ` ${Buffer.from('{}').toString('base64')}`,
]
for (const value of malformed) {
  test(`the originating identity "${value}" is malformed and ignored`, async (t) => {
    t.is(parseIdentity(value), undefined)
    const call = await edge(t, 'provision', async (c) =>
      c.json({ identity: c.var.originatingIdentity ?? null }),
    )
    const answer = await call('PUT', instance, { ...headers, 'X-Broker-API-Originating-Identity': value })
    t.deepEqual(answer.body, { identity: null })
  })
}

test('after the budget the signal aborts, and what fails by it is a 503', async (t) => {
  const call = await edge(
    t,
    'provision',
    async (c) => {
      const left = c.var.deadline - Date.now()
      t.true(left > 900 && left <= 1000, `${left}`)
      await new Promise((_, reject) => {
        c.var.signal.addEventListener('abort', () => reject(c.var.signal.reason))
      })
      return c.json({})
    },
    { requestBudget: 1 },
  )
  const answer = await call('PUT', instance)
  t.is(answer.status, 503)
  t.deepEqual(answer.body, {
    error: 'Unavailable',
    description: 'not finished within 1 seconds; the same request may be sent again',
  })
})

test("Node's own AbortError stands for the reason of the signal", async (t) => {
  const call = await edge(
    t,
    'provision',
    async (c) => {
      const { setTimeout } = await import('node:timers/promises')
      await setTimeout(10_000, undefined, { signal: c.var.signal })
      return c.json({})
    },
    { requestBudget: 1 },
  )
  t.is((await call('PUT', instance)).status, 503)
})

test('one line of log tells who asked for what and how it ended', async (t) => {
  const call = await edge(t, 'bind', async () => {
    throw new BrokerError('Conflict', 'taken')
  })
  const user = Buffer.from('{"user_id":"someone"}').toString('base64')
  await call('PUT', '/v2/service_instances/i-1/service_bindings/b-1?operation=hunter2', {
    ...headers,
    'X-Broker-API-Request-Identity': 'line-1',
    'X-Broker-API-Originating-Identity': `cloudfoundry ${user}`,
  })
  const { time, durationMs, ...rest } = JSON.parse(log.find((line) => line.includes('"line-1"')) ?? '')
  t.true(Date.now() - Date.parse(time) < 60_000)
  t.true(durationMs >= 0)
  t.deepEqual(rest, {
    level: 'info',
    message: 'request',
    function: 'bind',
    operation: 'Binding',
    instance: 'i-1',
    binding: 'b-1',
    method: 'PUT',
    status: 409,
    requestIdentity: 'line-1',
    caller: 'broker',
    platform: 'cloudfoundry',
    user: 'someone',
    error: 'Conflict',
    description: 'taken',
  })
  t.false(log.join('').includes('hunter2'))
})

test('nothing that is sent can begin a line of its own or fill the log', async (t) => {
  const call = await edge(t)
  const before = log.length
  await call('PUT', `/v2/service_instances/${'%0a'.repeat(2000)}`, headers)
  const [line = ''] = log.slice(before).filter((each) => each.includes('%0a'))
  t.is(line.indexOf('\n'), line.length - 1)
  t.true(line.length < 1000)
})

test.after('no credential was logged', (t) => {
  t.false(log.join('').includes('secret'))
  t.false(log.join('').includes(headers.Authorization))
})
