/** The edge router, before functions that tell what arrived. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import { resolveServiceNames } from '../../sandbox/broker/names.ts'
import { freePort } from '../../sandbox/machine/free-port.ts'
import { router } from '../../shared/gateway/router.ts'
import { type Route, routes } from '../../shared/routes.ts'
import { inDuplex } from '../support/duplex.ts'
import { captureLog } from './function-process.ts'

const log = captureLog()
const directory = await mkdtemp(join(tmpdir(), 'edge-router-'))
const names = join(directory, 'names.json')
/** All functions are one server here: the Host header tells them apart. */
await writeFile(
  names,
  JSON.stringify(Object.fromEntries(routes.map((route) => [`osb-${route.function}.b.svc`, '127.0.0.1']))),
)
resolveServiceNames(names)
test.after.always('remove the names', () => rm(directory, { recursive: true }))

type Serve = (q: IncomingMessage, s: ServerResponse) => void

async function listen(t: ExecutionContext, serve: Serve): Promise<number> {
  const server = createServer(serve).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

const urlOf = (port: number) => `http://osb-{function}.b.svc.cluster.local:${port}`

/** @returns the router's port */
async function routerBefore(t: ExecutionContext, functions: Serve, timeout = 5): Promise<number> {
  return listen(t, router({ functionUrl: urlOf(await listen(t, functions)), timeout }))
}

interface Options {
  headers?: Record<string, string>
  body?: string | Buffer
  signal?: AbortSignal
}

async function send(
  port: number,
  method: string,
  path: string,
  { headers = {}, body, signal = AbortSignal.timeout(30_000) }: Options = {},
) {
  return new Promise<{ status: number; reason: string; raw: string[]; body: string }>((resolve, reject) => {
    const outgoing = request(
      { port, host: '127.0.0.1', method, path, headers, agent: false, signal },
      (response) => {
        text(response).then(
          (content) =>
            resolve({
              status: response.statusCode ?? 0,
              reason: response.statusMessage ?? '',
              raw: response.rawHeaders,
              body: content,
            }),
          reject,
        )
      },
    )
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

async function until(condition: () => boolean, what: string): Promise<void> {
  for (const end = Date.now() + 10_000; !condition(); await delay(10)) {
    if (Date.now() > end) throw new Error(`not within 10 seconds: ${what}`)
  }
}

const echo: Serve = async (q, s) => {
  const chunks: Buffer[] = []
  for await (const chunk of q) chunks.push(chunk)
  const body = Buffer.concat(chunks).toString('base64')
  s.end(JSON.stringify({ method: q.method, url: q.url, raw: q.rawHeaders, host: q.headers.host, body }))
}

for (const route of routes as readonly Route[]) {
  test(`${route.method} ${route.path} goes to ${route.function}`, async (t) => {
    const port = await routerBefore(t, echo)
    const path = `${route.path.replaceAll(/:\w+/g, 'a%2Fb~.c')}?operation=x%20y&&z`
    const arrived = JSON.parse((await send(port, route.method, path)).body)
    t.regex(arrived.host, new RegExp(`^osb-${route.function}\\.b\\.svc\\.cluster\\.local:\\d+$`))
    t.is(arrived.url, path)
    t.is(arrived.method, route.method)
  })
}

test('bytes and headers arrive in order as they were sent; who asked for what is added', async (t) => {
  const port = await routerBefore(t, echo)
  const body = Buffer.from([0, 255, 10, 13, 128])
  const headers = {
    'X-Odd-CASE': 'ä',
    Host: 'broker.example.com',
    authorization: 'Basic eDp5',
    'X-Forwarded-For': '10.1.1.1',
    'X-Forwarded-Proto': 'https',
    'Content-Length': '5',
  }
  const arrived = JSON.parse((await send(port, 'PUT', '/v2/service_instances/i', { headers, body })).body)
  t.is(arrived.body, body.toString('base64'))
  t.deepEqual(arrived.raw, [
    'X-Odd-CASE',
    'ä',
    'Host',
    arrived.host,
    'authorization',
    'Basic eDp5',
    'X-Forwarded-Proto',
    'https',
    'Content-Length',
    '5',
    'X-Forwarded-For',
    '10.1.1.1, 127.0.0.1',
    'X-Forwarded-Host',
    'broker.example.com',
  ])
})

test('an answer comes back with its status, reason, headers and bytes', async (t) => {
  const port = await routerBefore(t, (_, s) => {
    s.writeHead(422, 'Not Like This', [
      ['X-Odd-CASE', 'ä'],
      ['Set-Cookie', 'a'],
      ['Set-Cookie', 'b'],
    ])
    s.end('{"description":"ü"}')
  })
  const answer = await send(port, 'GET', '/v2/catalog')
  t.is(answer.status, 422)
  t.is(answer.reason, 'Not Like This')
  t.deepEqual(answer.raw.slice(0, 6), ['X-Odd-CASE', 'ä', 'Set-Cookie', 'a', 'Set-Cookie', 'b'])
  t.is(answer.body, '{"description":"ü"}')
})

test('bodies stream both ways', async (t) => {
  const port = await routerBefore(t, async (q, s) => {
    s.write('ready;')
    for await (const chunk of q) s.write(chunk)
    s.end()
  })
  const parts = await inDuplex(port)
  t.deepEqual(parts, ['ready;', 'one;'])
})

const osbError = (body: string) => {
  const { error, description, ...rest } = JSON.parse(body)
  return { error, description, rest }
}

test('too slow an answer is 504 in the shape of OSB, with the identity, and the function sees its caller go', async (t) => {
  let gone = false
  const port = await routerBefore(t, (_, s) => void s.once('close', () => (gone = true)), 1)
  const begun = Date.now()
  const headers = { 'X-Broker-API-Request-Identity': 'id-7' }
  const answer = await send(port, 'GET', '/v2/catalog', { headers })
  t.true(Date.now() - begun < 3000)
  t.is(answer.status, 504)
  t.deepEqual(osbError(answer.body), {
    error: 'Timeout',
    description: 'catalog did not answer within 1 seconds; the same request may be sent again',
    rest: {},
  })
  t.true(answer.raw.includes('id-7'))
  t.true(answer.raw.includes('application/json'))
  await until(() => gone, 'the function sees the abort')
})

test('an answer that does not end in time breaks off', async (t) => {
  const port = await routerBefore(t, (_, s) => void s.write('half'), 1)
  await t.throwsAsync(send(port, 'GET', '/v2/catalog'))
})

test('an answer that breaks off breaks off for the client', async (t) => {
  const port = await routerBefore(t, (_, s) => {
    s.write('half')
    setTimeout(() => s.destroy(), 50)
  })
  await t.throwsAsync(send(port, 'GET', '/v2/catalog'))
})

test('a function that cannot be reached, or hangs up, is 502 in the shape of OSB', async (t) => {
  const nobody = await listen(t, router({ functionUrl: urlOf(1), timeout: 5 }))
  const rude = await routerBefore(t, (q) => void q.socket.destroy())
  for (const port of [nobody, rude]) {
    const answer = await send(port, 'PUT', '/v2/service_instances/i', { body: '{}' })
    t.is(answer.status, 502)
    t.deepEqual(osbError(answer.body), {
      error: 'BadGateway',
      description: 'provision cannot be reached; the same request may be sent again',
      rest: {},
    })
  }
  t.regex(log.join(''), /"a function could not be reached".*"error":"ECONNREFUSED"/)
})

/** What stands between the router and a process says, as Knative and Envoy say it, and then perhaps the process. */
const says = (status: number, sentence: string, times = 1): { serve: Serve; bodies: string[] } => {
  const bodies: string[] = []
  return {
    bodies,
    async serve(q, s) {
      bodies.push(await text(q))
      if (bodies.length > times)
        return void s.writeHead(200, { 'Content-Type': 'application/json' }).end('{"a":1}')
      s.writeHead(status, sentence === '' ? {} : { 'Content-Type': 'text/plain; charset=utf-8' }).end(
        sentence,
      )
    },
  }
}

const unreached: [status: number, text: string][] = [
  [502, 'dial tcp 127.0.0.1:8080: connect: connection refused\n'],
  [502, 'dial tcp 10.244.0.7:8012: i/o timeout\n'],
  [503, 'pending request queue full\n'],
  [503, 'no healthy upstream'],
  [503, 'upstream connect error or disconnect/reset before headers. reset reason: connection failure'],
  [404, ''],
]

for (const [status, sentence] of unreached) {
  test(`${status} ${sentence.trim()}: a request that reached no process is sent once more, whatever it is`, async (t) => {
    const once = says(status, sentence)
    const port = await routerBefore(t, once.serve)
    const answer = await send(port, 'PUT', '/v2/service_instances/i', { body: '{"b":2}' })
    t.deepEqual([answer.status, answer.body], [200, '{"a":1}'])
    t.deepEqual(once.bodies, ['{"b":2}', '{"b":2}'])
    const always = says(status, sentence, Number.POSITIVE_INFINITY)
    const refused = await send(await routerBefore(t, always.serve), 'DELETE', '/v2/service_instances/i')
    t.is(always.bodies.length, 2)
    t.is(refused.status, 502)
    t.true(refused.raw.includes('application/json'))
    t.deepEqual(osbError(refused.body), {
      error: 'BadGateway',
      description: 'deprovision cannot be reached; the same request may be sent again',
      rest: {},
    })
  })
}

for (const sentence of [
  'EOF\n',
  'read tcp 127.0.0.1:40000->127.0.0.1:8080: read: connection reset by peer\n',
]) {
  test(`502 ${sentence.trim()}: only a GET is sent once more, for a process may have seen it`, async (t) => {
    const once = says(502, sentence)
    t.is((await send(await routerBefore(t, once.serve), 'GET', '/v2/catalog')).status, 200)
    t.is(once.bodies.length, 2)
    for (const method of ['PUT', 'PATCH', 'DELETE']) {
      const asked = says(502, sentence)
      const answer = await send(await routerBefore(t, asked.serve), method, '/v2/service_instances/i')
      t.is(asked.bodies.length, 1, method)
      t.is(answer.status, 502)
      t.is(osbError(answer.body).error, 'BadGateway')
    }
  })
}

test("a time that was up before the router's own is 504 in the shape of OSB, and nothing is sent again", async (t) => {
  const asked = says(504, 'activator request timeout\n')
  const answer = await send(await routerBefore(t, asked.serve), 'GET', '/v2/catalog')
  t.is(asked.bodies.length, 1)
  t.is(answer.status, 504)
  t.deepEqual(osbError(answer.body), {
    error: 'Timeout',
    description: 'catalog did not answer in time; the same request may be sent again',
    rest: {},
  })
})

test('an error that a function itself answers is passed on as it is, and not sent again', async (t) => {
  for (const status of [404, 500, 503]) {
    let asked = 0
    const port = await routerBefore(t, (_, s) => {
      asked += 1
      s.writeHead(status, { 'Content-Type': 'application/json' }).end('{"description":"dial tcp"}')
    })
    const answer = await send(port, 'GET', '/v2/catalog')
    t.deepEqual([answer.status, answer.body, asked], [status, '{"description":"dial tcp"}', 1])
  }
})

test('a large request is not kept, and so not sent again', async (t) => {
  const asked = says(503, 'no healthy upstream')
  const port = await routerBefore(t, asked.serve)
  const body = 'x'.repeat(900_000)
  t.is((await send(port, 'PUT', '/v2/service_instances/i', { body })).status, 502)
  t.is(asked.bodies.length, 1)
})

test('a kept connection that the function has closed costs no request', async (t) => {
  const connections = new Set<unknown>()
  const bodies: string[] = []
  // As a function that scales to zero between two requests: the second one meets a closed connection.
  const port = await routerBefore(t, async (q, s) => {
    const known = connections.has(q.socket)
    connections.add(q.socket)
    if (known) {
      q.socket.resetAndDestroy()
      return
    }
    bodies.push(await text(q))
    s.end('{}')
  })
  for (const body of ['one', 'two', 'x'.repeat(200_000)]) {
    t.is((await send(port, 'PUT', '/v2/service_instances/i', { body })).status, 200)
  }
  t.deepEqual(
    bodies.map((body) => body.length),
    [3, 3, 200_000],
  )
  // One that is too large to be kept is not sent again; neither is one on a connection of its own.
  t.is((await send(port, 'GET', '/v2/catalog')).status, 200)
  const large = await send(port, 'PUT', '/v2/service_instances/i', { body: 'x'.repeat(900_000) })
  t.is(large.status, 502)
})

test('connections to functions are kept', async (t) => {
  const ports = new Set<unknown>()
  const port = await routerBefore(t, (q, s) => {
    ports.add(q.socket.remotePort)
    s.end('{}')
  })
  for (let i = 0; i < 5; i++) await send(port, 'GET', '/v2/catalog')
  t.is(ports.size, 1)
})

test('the function sees a client that goes away', async (t) => {
  const seen: string[] = []
  const port = await routerBefore(t, (_, s) => {
    seen.push('asked')
    s.once('close', () => seen.push(`gone ${s.writableFinished}`))
  })
  const caller = new AbortController()
  const answer = send(port, 'GET', '/v2/catalog', { signal: caller.signal })
  await until(() => seen.includes('asked'), 'the request arrives')
  caller.abort()
  await t.throwsAsync(answer)
  await until(() => seen.includes('gone false'), 'the function sees the abort')
})

test('a refusal before the whole body was sent still arrives', async (t) => {
  const port = await routerBefore(t, (_, s) => void s.writeHead(400).end('too large'))
  const answer = await send(port, 'PUT', '/v2/service_instances/i', { body: Buffer.alloc(4 << 20) })
  t.deepEqual([answer.status, answer.body], [400, 'too large'])
})

test('paths of no operation reach no function', async (t) => {
  let asked = 0
  const port = await routerBefore(t, (_, s) => {
    asked += 1
    s.end()
  })
  for (const path of [
    '/',
    '*',
    '/v2',
    '/v2/catalog/',
    '/v2//catalog',
    '//v2/catalog',
    '/v2/./catalog',
    '/x/../v2/catalog',
    '/v2/%63atalog',
    '/V2/catalog',
    '/v2/catalog;x',
    '/v2/catalog%3Fx',
    '/x/v2/catalog',
    '/v2/service_instances',
    '/v2/service_instances/',
    '/v2/service_instances/a/',
    '/v2/service_instances//last_operation',
    '/v2/service_instances/a/last_operation/',
    '/v2/service_instances/a/service_bindings',
    '/v2/service_instances/a/service_bindings/',
    '/v2/service_instances/a/service_bindings/b/last_operation/c',
    '/v2/service_instances/a/b',
    'http://osb-bind.b.svc.cluster.local/v2/catalog',
    '/health/readiness/',
    '/health/readiness?x',
    '/metrics',
  ]) {
    const answer = await send(port, 'GET', path)
    t.is(answer.status, 404, path)
    t.is(osbError(answer.body).error, 'NotFound', path)
  }
  for (const method of ['POST', 'HEAD', 'OPTIONS', 'TRACE', 'PROPFIND']) {
    const answer = await send(port, method, '/v2/service_instances/i')
    t.is(answer.status, 405, method)
    t.is(answer.raw[answer.raw.indexOf('Allow') + 1], 'PUT, GET, PATCH, DELETE')
  }
  t.is(asked, 0)
})

test('a request cannot be two, and no header can take another along', async (t) => {
  const arrived: string[][] = []
  const port = await routerBefore(t, (q, s) => {
    arrived.push(q.rawHeaders)
    q.resume()
    q.once('end', () => s.end('{}'))
  })
  const raw = async (lines: string[], body = '') => {
    const socket = connect(port, '127.0.0.1')
    socket.write(`${lines.join('\r\n')}\r\n\r\n${body}`)
    return text(socket)
  }
  const smuggled = await raw(
    ['PUT /v2/service_instances/i HTTP/1.1', 'Host: b', 'Content-Length: 4', 'Transfer-Encoding: chunked'],
    '0\r\n\r\nGET /v2/catalog HTTP/1.1\r\nHost: b\r\n\r\n',
  )
  t.regex(smuggled, /^HTTP\/1\.1 400 /)
  t.deepEqual(arrived, [])
  await raw([
    'GET /v2/catalog HTTP/1.1',
    'Host: b',
    'Connection: close, X-Secret',
    'X-Secret: of this connection',
    'X-Other: stays',
  ])
  t.false(arrived.flat().includes('X-Secret'))
  t.true(arrived.flat().includes('X-Other'))
})

test('it is healthy by itself', async (t) => {
  const port = await listen(t, router({ functionUrl: urlOf(1), timeout: 5 }))
  t.is((await send(port, 'GET', '/health/liveness')).status, 200)
  t.is((await send(port, 'GET', '/health/readiness')).status, 200)
})

interface Program {
  child: ChildProcess
  lines: string[]
  port: number
  ended: Promise<unknown[]>
}

async function program(t: ExecutionContext, environment: { [name: string]: string }): Promise<Program> {
  const port = await freePort()
  const child = spawn(process.execPath, [join(import.meta.dirname, '../../edge/router.ts')], {
    env: { BROKER_NAMESPACE: 'b', PORT: String(port), LOG_LEVEL: 'debug', ...environment },
  })
  const lines: string[] = []
  child.stdout.setEncoding('utf8').on('data', (line: string) => lines.push(...line.trim().split('\n')))
  child.stderr.setEncoding('utf8').on('data', (line: string) => lines.push(line))
  const ended = once(child, 'close')
  t.teardown(() => child.kill('SIGKILL'))
  await until(() => child.exitCode !== null || lines.some((line) => line.includes('listening')), 'it listens')
  return { child, lines, port, ended }
}

test('SIGTERM: requests are finished, and an idle router does not wait for its connections to end', async (t) => {
  const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>()
  const upstream = await listen(t, (_, s) => {
    arrive()
    setTimeout(() => s.end('finished'), 700)
  })
  const resolver = `data:text/javascript,${encodeURIComponent(
    `import { resolveServiceNames } from ${JSON.stringify(new URL('../../sandbox/broker/names.ts', import.meta.url).href)}; resolveServiceNames(${JSON.stringify(names)})`,
  )}`
  const busy = await program(t, { FUNCTION_URL: urlOf(upstream), NODE_OPTIONS: `--import=${resolver}` })
  const answer = send(busy.port, 'GET', '/v2/catalog')
  await Promise.race([arrived, answer])
  busy.child.kill('SIGTERM')
  t.is((await answer).body, 'finished')
  t.deepEqual(await busy.ended, [0, null])
  const idle = await program(t, {})
  await send(idle.port, 'GET', '/health/liveness')
  const begun = Date.now()
  idle.child.kill('SIGTERM')
  t.deepEqual(await idle.ended, [0, null])
  // They would be kept for two minutes. That it takes less than one, the image's test says.
  t.true(Date.now() - begun < 5000)
})

test('a wrong configuration: every mistake in the log, exit code 1', async (t) => {
  const { ended, lines } = await program(t, {
    BROKER_NAMESPACE: '',
    FUNCTION_URL: 'https://functions',
    ROUTER_TIMEOUT: 'long',
  })
  t.deepEqual(await ended, [1, null])
  const messages = lines.map((line) => String(JSON.parse(line).message))
  t.regex(messages[0] ?? '', /^BROKER_NAMESPACE is missing: /)
  t.regex(
    messages[1] ?? '',
    /^FUNCTION_URL is "https:\/\/functions": must be http:\/\/ and a host with \{function\}/,
  )
  t.regex(messages[2] ?? '', /^ROUTER_TIMEOUT is "long": must be a whole number from 1 to 600/)
  t.is(messages.length, 3)
})
