import { once } from 'node:events'
import { Agent, get, request } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import test from 'ava'
import { type FunctionProcess, headers, start } from './function-process.ts'

const echo = { handler: 'async (c) => c.json({ instance: c.var.instanceId })' }

/** Sends these bytes and gives everything that comes back until the server closes. */
async function raw(port: number, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.write(bytes)
  return text(socket)
}

function target(method: string, path: string, more = ''): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return `${method} ${path} HTTP/1.1\r\nHost: broker\r\nConnection: close\r\n${lines.join('')}${more}\r\n`
}

function logged(process: FunctionProcess, message: string) {
  return process.lines.map((line) => JSON.parse(line)).filter((line) => line.message === message)
}

/** Waits for a line of the log. */
async function seen(process: FunctionProcess, message: string): Promise<void> {
  const late = Date.now() + 20_000
  while (logged(process, message).length === 0) {
    if (Date.now() > late) throw new Error(`no line says ${message}:\n${process.lines.join('\n')}`)
    await delay(10)
  }
}

test('a wrong configuration: every mistake in the log, exit code 1', async (t) => {
  const process = await start(t, echo, { PORT: 'http', LOG_LEVEL: 'loud' })
  t.is(await process.ended, 1)
  t.deepEqual(
    process.lines.map((line) => JSON.parse(line)).map(({ level, message }) => [level, message]),
    [
      ['error', 'PORT is "http": must be a whole number from 1 to 65535'],
      ['error', 'LOG_LEVEL is "loud": must be error, warn, info, debug'],
    ],
  )
  t.deepEqual(process.errors, [])
})

test('a port in use: one line in the log, exit code 1', async (t) => {
  const first = await start(t, echo)
  const second = await start(t, echo, { PORT: String(first.port) })
  first.child.kill()
  t.is(await second.ended, 1)
  t.is(logged(second, 'uncaught error')[0]?.error.code, 'EADDRINUSE')
})

test('the guard sees the path as it was sent', async (t) => {
  const { port } = await start(t, echo)
  const statuses: [path: string, status: number][] = [
    ['/v2/service_instances/a', 200],
    ['/v2/service_instances/a?x=/../', 200],
    ['/v2/service_instances/%61', 200],
    ['http://other/v2/service_instances/a', 200],
    ['/v2/service_instances/a%2Fb', 400],
    ['/v2/service_instances/..', 400],
    ['/v2/service_instances/%2e%2e', 400],
    ['/v2/service_instances/%2E', 400],
    ['/v2/service_instances/%', 400],
    ['/v2/service_instances/b/../a', 404],
    ['/v2/./service_instances/a', 404],
    ['/x/../v2/service_instances/a', 404],
    ['//v2/service_instances/a', 404],
    ['/v2/service_instances/a/', 404],
    ['/v2/service_instances/a\\..\\b', 400],
    ['*', 400],
  ]
  for (const [path, status] of statuses) {
    const answer = await raw(port, target('PUT', path))
    t.true(answer.startsWith(`HTTP/1.1 ${status} `), `${path}: ${answer}`)
    t.notThrows(() => JSON.parse(answer.split('\r\n\r\n')[1] ?? ''), `${path}: ${answer}`)
  }
})

test('a Host header that makes no URL: 400 in the shape of OSB, with the request identity', async (t) => {
  const { port } = await start(t, echo)
  const answer = await raw(
    port,
    'PUT /v2/service_instances/a HTTP/1.1\r\nHost: a b\r\nConnection: close\r\nX-Broker-API-Request-Identity: r-1\r\n\r\n',
  )
  t.regex(answer, /^HTTP\/1.1 400 /)
  t.regex(answer, /x-broker-api-request-identity: r-1\r\n/i)
  t.regex(
    answer,
    /\{"error":"BadRequest","description":"the request target or the Host header is malformed"\}$/,
  )
})

test('what a handler throws that is no Error is a 500 in the shape of OSB', async (t) => {
  const process = await start(t, { handler: 'async () => { throw "hunter2" }' })
  const answer = await fetch(`${process.url}/v2/service_instances/a`, { method: 'PUT', headers })
  t.is(answer.status, 500)
  t.deepEqual(await answer.json(), {
    error: 'InternalServerError',
    description: 'the broker failed unexpectedly; its log says more',
  })
  t.false(process.lines.join('').includes('hunter2'))
})

test('a body over 1 MiB is refused while it is still being sent', async (t) => {
  const { port } = await start(t, { handler: 'async (c) => c.json(await body(c, ProvisionBody))' })
  const refusal = /^HTTP\/1.1 400 .*must not be larger than 1048576 bytes/s
  const big = 'x'.repeat(1_100_000)
  const path = '/v2/service_instances/a'
  t.regex(await raw(port, `${target('PUT', path, 'Content-Length: 99999999\r\n')}`), refusal)
  const chunked = target('PUT', path, 'Transfer-Encoding: chunked\r\n')
  t.regex(await raw(port, `${chunked}${big.length.toString(16)}\r\n${big}\r\n`), refusal)
})

test('idle connections are kept longer than queue-proxy keeps them', async (t) => {
  const { url } = await start(t, echo)
  const answer = await fetch(`${url}/health/liveness`)
  t.is(answer.headers.get('Keep-Alive'), 'timeout=120')
})

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal}: what runs is finished, nothing new is taken, exit code 0 at once`, async (t) => {
    const process = await start(t, {
      handler: `async (c) => {
        console.log('{"message":"started"}')
        await new Promise((done) => setTimeout(done, 1000))
        return c.json({ done: true })
      }`,
    })
    const agent = new Agent({ keepAlive: true })
    t.teardown(() => agent.destroy())
    const idle = get(`${process.url}/health/liveness`, { agent })
    for await (const _ of (await once(idle, 'response'))[0]);

    const running = request(`${process.url}/v2/service_instances/a`, {
      method: 'PUT',
      headers,
      agent: new Agent({ keepAlive: true }),
    })
    const response = once(running.end(), 'response')
    await seen(process, 'started')
    process.child.kill(signal)
    await delay(100)
    await t.throwsAsync(fetch(`${process.url}/health/liveness`))
    const [answer] = await response
    t.is(answer.statusCode, 200)
    t.is(await text(answer), '{"done":true}')
    const answered = performance.now()
    t.is(await process.ended, 0)
    t.true(performance.now() - answered < 2000)
  })
}

test('an idle function ends at once on SIGTERM', async (t) => {
  const process = await start(t, echo)
  await (await fetch(`${process.url}/health/liveness`)).text()
  const asked = performance.now()
  process.child.kill()
  t.is(await process.ended, 0)
  t.true(performance.now() - asked < 2000)
})

test('an error that nobody caught is logged and ends the process', async (t) => {
  for (const how of ['setTimeout(() => { throw new Error("lost") })', 'Promise.reject(new Error("lost"))']) {
    const process = await start(t, { handler: `async (c) => { ${how}; return new Promise(() => {}) }` })
    await t.throwsAsync(fetch(`${process.url}/v2/service_instances/a`, { method: 'PUT', headers }))
    t.is(await process.ended, 1)
    const [line] = logged(process, 'uncaught error')
    t.is(line.level, 'error')
    t.is(line.error.message, 'lost')
  }
})

test('when the client has gone away the signal aborts', async (t) => {
  const process = await start(t, {
    handler: `async (c) => {
      console.log('{"message":"started"}')
      await new Promise((_, reject) => c.var.signal.addEventListener('abort', () => reject(c.var.signal.reason)))
    }`,
  })
  const socket = connect(process.port, '127.0.0.1')
  socket.write(target('PUT', '/v2/service_instances/gone'))
  await seen(process, 'started')
  socket.destroy()
  await seen(process, 'request')
  const [line] = logged(process, 'request')
  t.is(line.status, 503)
  t.is(line.description, 'the caller has gone away')
})

test('after a finished request the signal stays quiet', async (t) => {
  const process = await start(t, {
    handler: `async (c) => {
      c.var.signal.addEventListener('abort', () => console.log('{"message":"aborted"}'))
      return c.json({})
    }`,
  })
  for (let i = 0; i < 3; i++) {
    const answer = await fetch(`${process.url}/v2/service_instances/a`, { method: 'PUT', headers })
    await answer.text()
  }
  process.child.kill()
  t.is(await process.ended, 0)
  t.is(logged(process, 'request').length, 3)
  t.is(logged(process, 'aborted').length, 0)
})
