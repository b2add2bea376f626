import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import { type Gateway, type GatewayOptions, startGateway } from '../../sandbox/broker/gateway.ts'
import type { FunctionName } from '../../shared/routes.ts'
import { inDuplex } from '../support/duplex.ts'

/** Starts a gateway whose functions are the given programs. */
async function gatewayFor(
  t: ExecutionContext,
  programs: { [name in FunctionName]?: string },
  options: Partial<GatewayOptions> = {},
) {
  const functionsDirectory = await mkdtemp(join(tmpdir(), 'gateway-'))
  await writeFile(join(functionsDirectory, 'package.json'), '{"type":"module"}')
  for (const [name, program] of Object.entries(programs)) {
    await mkdir(join(functionsDirectory, name))
    await writeFile(join(functionsDirectory, name, 'index.js'), program)
  }
  const lines: string[] = []
  const starts: string[] = []
  const gateway = await startGateway({
    port: 0,
    functionsDirectory,
    environment: () => ({}),
    log: (name, line) => lines.push(`${name}: ${line}`),
    onStart: (name) => starts.push(name),
    ...options,
  })
  t.teardown(async () => {
    await gateway.stop()
    await rm(functionsDirectory, { recursive: true })
  })
  return { gateway, lines, starts }
}

/** A function that answers by what stands in `handler`: a body with `q` (request) and `s` (response) in scope. */
const serving = (handler: string, before = '') => `
  import { createServer } from 'node:http'
  ${before}
  const server = createServer(async (q, s) => { ${handler} }).listen(Number(process.env.PORT))
  process.on('SIGTERM', () => { console.log('SIGTERM'); server.close(); server.closeIdleConnections() })
`

/** Tells the request as it arrived. */
const echo = serving(`
  const chunks = []
  for await (const chunk of q) chunks.push(chunk)
  s.end(JSON.stringify({ method: q.method, url: q.url, headers: q.rawHeaders, body: Buffer.concat(chunks).toString('base64') }))
`)

/** One request with nothing normalised on the way: `path` goes out as given. */
async function send(
  gateway: Gateway,
  method: string,
  path: string,
  {
    headers = {},
    body,
    signal,
  }: { headers?: Record<string, string>; body?: string | Buffer; signal?: AbortSignal } = {},
) {
  const answer = await new Promise<{ status: number; headers: object; body: string }>((resolve, reject) => {
    const outgoing = request(
      {
        port: gateway.port,
        host: '127.0.0.1',
        method,
        path,
        headers,
        agent: false,
        ...(signal ? { signal } : {}),
      },
      (response) => {
        text(response).then(
          (content) =>
            resolve({ status: response.statusCode ?? 0, headers: response.headers, body: content }),
          reject,
        )
      },
    )
    outgoing.on('error', reject)
    outgoing.end(body)
  })
  return answer
}

async function until(condition: () => boolean, what: string): Promise<void> {
  for (const end = Date.now() + 10_000; !condition(); await delay(10)) {
    if (Date.now() > end) throw new Error(`not within 10 seconds: ${what}`)
  }
}

test('requests are held through a cold start, and one process serves them all', async (t) => {
  const { gateway, starts } = await gatewayFor(t, {
    catalog: `await new Promise((r) => setTimeout(r, 300))\n${serving(`s.end('here')`)}`,
  })
  const answers = await Promise.all(Array.from({ length: 10 }, () => send(gateway, 'GET', '/v2/catalog')))
  t.deepEqual(
    answers.map((answer) => [answer.status, answer.body]),
    Array.from({ length: 10 }, () => [200, 'here']),
  )
  t.deepEqual(starts, ['catalog'])
})

test('each operation reaches its own function', async (t) => {
  const { gateway } = await gatewayFor(t, { bind: echo, 'fetch-binding': echo, provision: echo }, {})
  const statuses: number[] = []
  for (const [method, path] of [
    ['PUT', '/v2/service_instances/i/service_bindings/b'],
    ['GET', '/v2/service_instances/i/service_bindings/b'],
    ['PUT', '/v2/service_instances/i'],
  ] as const) {
    statuses.push((await send(gateway, method, path)).status)
  }
  t.deepEqual(statuses, [200, 200, 200])
  for (const name of ['bind', 'fetch-binding', 'provision'] as const) t.truthy(gateway.pid(name))
})

test('method, raw target, headers and bytes arrive as they were sent', async (t) => {
  const { gateway } = await gatewayFor(t, { provision: echo })
  const body = Buffer.from([0, 255, 10, 13, 128])
  const path = '/v2/service_instances/a%2Fb%20%zz;x=1?accepts_incomplete=true&&x=%2e%2e#f'
  const { body: seen } = await send(gateway, 'PUT', path, {
    body,
    headers: { 'X-Odd-CASE': 'ä', Accept: '*/*' },
  })
  const arrived = JSON.parse(seen)
  t.is(arrived.method, 'PUT')
  t.is(arrived.url, path)
  t.is(arrived.body, body.toString('base64'))
  const at = arrived.headers.indexOf('X-Odd-CASE')
  t.is(arrived.headers[at + 1], 'ä')
  t.is(arrived.headers[arrived.headers.indexOf('X-Forwarded-For') + 1], '127.0.0.1')
  t.is(arrived.headers.filter((name: string) => name.toLowerCase() === 'host').length, 1)
})

test('a PUT without a body arrives without one', async (t) => {
  const { gateway } = await gatewayFor(t, { provision: echo })
  const arrived = JSON.parse((await send(gateway, 'PUT', '/v2/service_instances/i')).body)
  t.is(arrived.body, '')
})

test('an unknown path answers 404, a known one with another method 405, both in the shape of OSB', async (t) => {
  const { gateway, starts } = await gatewayFor(t, { catalog: echo })
  for (const path of ['/', '/v2/catalog/', '/v2//catalog', '/x/v2/catalog', '/v2/service_instances/', '*']) {
    const answer = await send(gateway, 'GET', path)
    t.is(answer.status, 404, path)
    t.is(typeof JSON.parse(answer.body).description, 'string')
  }
  const answer = await send(gateway, 'POST', '/v2/service_instances/i')
  t.is(answer.status, 405)
  t.is(Reflect.get(answer.headers, 'allow'), 'PUT, GET, PATCH, DELETE')
  t.deepEqual(starts, [])
})

test('an idle function is stopped by SIGTERM and started again by the next request', async (t) => {
  const { gateway, lines, starts } = await gatewayFor(
    t,
    { catalog: serving(`s.end('here')`) },
    { idleSeconds: 0.2 },
  )
  await send(gateway, 'GET', '/v2/catalog')
  await until(() => lines.includes('catalog: SIGTERM'), 'the idle function stops')
  t.is(gateway.pid('catalog'), undefined)
  t.is((await send(gateway, 'GET', '/v2/catalog')).body, 'here')
  t.deepEqual(starts, ['catalog', 'catalog'])
})

test('a function that is answering is not idle', async (t) => {
  const { gateway, starts } = await gatewayFor(
    t,
    { catalog: serving(`await new Promise((r) => setTimeout(r, 600)); s.end('slow')`) },
    { idleSeconds: 0.1 },
  )
  t.is((await send(gateway, 'GET', '/v2/catalog')).body, 'slow')
  t.is(starts.length, 1)
})

test('a crash during a request answers 502, and the next request meets a new process', async (t) => {
  const { gateway, starts } = await gatewayFor(t, {
    catalog: serving(`if (q.url.endsWith('die')) process.kill(process.pid, 'SIGKILL'); else s.end('alive')`),
  })
  const broken = await send(gateway, 'GET', '/v2/catalog?die')
  t.is(broken.status, 502)
  t.is(JSON.parse(broken.body).error, 'BadGateway')
  t.is((await send(gateway, 'GET', '/v2/catalog')).body, 'alive')
  t.is(starts.length, 2)
})

test('a function that cannot start answers 502 at once, and its last words are in the log', async (t) => {
  const { gateway, lines } = await gatewayFor(t, {
    catalog: `console.error('no such file'); process.exit(1)`,
  })
  const answer = await send(gateway, 'GET', '/v2/catalog')
  t.is(answer.status, 502)
  t.regex(JSON.parse(answer.body).description, /exited with code 1/)
  t.true(lines.includes('catalog: no such file'))
})

test('a function that was not built answers 502 and says what to do', async (t) => {
  const { gateway } = await gatewayFor(t, {})
  const answer = await send(gateway, 'GET', '/v2/catalog')
  t.is(answer.status, 502)
  t.regex(JSON.parse(answer.body).description, /build the functions first/)
})

test('too slow an answer is 504, and the function sees its caller go', async (t) => {
  const { gateway, lines } = await gatewayFor(
    t,
    { catalog: serving(`q.socket.on('close', () => console.log('caller gone'))`) },
    { timeoutSeconds: 4 },
  )
  const answer = await send(gateway, 'GET', '/v2/catalog')
  t.is(answer.status, 504)
  t.is(typeof JSON.parse(answer.body).description, 'string')
  await until(() => lines.includes('catalog: caller gone'), 'the function sees the abort')
})

test('the function sees a client that goes away', async (t) => {
  const { gateway, lines } = await gatewayFor(t, {
    catalog: serving(`console.log('asked'); s.on('close', () => console.log('gone', s.writableFinished))`),
  })
  const caller = new AbortController()
  const answer = send(gateway, 'GET', '/v2/catalog', { signal: caller.signal })
  await until(() => lines.includes('catalog: asked'), 'the request arrives')
  caller.abort()
  await t.throwsAsync(answer)
  await until(() => lines.includes('catalog: gone false'), 'the function sees the abort')
})

test('a client that goes away during the cold start asks nothing of the function', async (t) => {
  const { gateway, lines } = await gatewayFor(t, {
    catalog: `console.log('starting'); await new Promise((r) => setTimeout(r, 2000))\n${serving(`console.log('asked', q.url); s.end()`)}`,
  })
  const caller = new AbortController()
  const answer = send(gateway, 'GET', '/v2/catalog?first', { signal: caller.signal })
  await until(() => lines.includes('catalog: starting'), 'the function starts')
  caller.abort()
  await t.throwsAsync(answer)
  await send(gateway, 'GET', '/v2/catalog?second')
  t.deepEqual(
    lines.filter((line) => line.includes('asked')),
    ['catalog: asked /v2/catalog?second'],
  )
})

test('bodies stream both ways', async (t) => {
  const { gateway } = await gatewayFor(t, {
    provision: serving(
      `s.setHeader('X-Word', 'ä'); s.write('ready;'); for await (const c of q) s.write(c); s.end()`,
    ),
  })
  const parts = await inDuplex(gateway.port, (answer) => t.is(answer.headers['x-word'], 'ä'))
  t.deepEqual(parts, ['ready;', 'one;'])
})

test('an answer that breaks off breaks off for the client', async (t) => {
  const { gateway } = await gatewayFor(t, {
    catalog: serving(`s.write('half'); setTimeout(() => process.exit(1), 50)`),
  })
  await t.throwsAsync(send(gateway, 'GET', '/v2/catalog'))
})

test('a refusal before the whole body was sent still arrives', async (t) => {
  const { gateway } = await gatewayFor(t, { provision: serving(`s.writeHead(400).end('too large')`) })
  const answer = await send(gateway, 'PUT', '/v2/service_instances/i', { body: Buffer.alloc(4 << 20) })
  t.deepEqual([answer.status, answer.body], [400, 'too large'])
})

test('a function lives on loopback and has only the environment it is given', async (t) => {
  const { gateway } = await gatewayFor(
    t,
    { catalog: serving(`s.end(JSON.stringify({ address: q.socket.localAddress, env: process.env }))`) },
    { environment: (name) => ({ OWN: name }) },
  )
  const seen = JSON.parse((await send(gateway, 'GET', '/v2/catalog')).body)
  t.is(seen.address, '127.0.0.1')
  t.like(seen.env, { OWN: 'catalog', PORT: '8080', K_SERVICE: 'osb-catalog' })
  t.is(seen.env.PATH, undefined)
})

test('names of Services resolve by the names file, as soon as they are written', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'names-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const names = join(directory, 'names.json')
  const look = serving(
    `
    const name = new URL(q.url, 'http://x').searchParams.get('name')
    const one = await new Promise((r) => dns.lookup(name, (e, a) => r(e?.code ?? a)))
    const all = await lookup(name, { all: true }).catch((e) => e.code)
    s.end(JSON.stringify([one, all]))`,
    `import dns from 'node:dns'; import { lookup } from 'node:dns/promises'`,
  )
  const { gateway } = await gatewayFor(
    t,
    { catalog: look },
    { environment: () => ({ SANDBOX_NAMES: names }) },
  )
  const ask = async (name: string) =>
    JSON.parse((await send(gateway, 'GET', `/v2/catalog?name=${name}`)).body)
  t.deepEqual(await ask('pg.db.svc'), ['ENOTFOUND', 'ENOTFOUND'])
  await writeFile(names, JSON.stringify({ 'pg.db.svc': '127.9.8.7' }))
  const found = ['127.9.8.7', [{ address: '127.9.8.7', family: 4 }]]
  t.deepEqual(await ask('pg.db.svc'), found)
  t.deepEqual(await ask('pg.db.svc.cluster.local'), found)
  t.deepEqual(await ask('other.db.svc'), ['ENOTFOUND', 'ENOTFOUND'])
  t.is((await ask('127.0.0.1'))[0], '127.0.0.1')
})

test('stopping ends every process, those in the middle of a request too', async (t) => {
  const { gateway, lines } = await gatewayFor(t, {
    catalog: serving(`console.log('asked')`),
    provision: echo,
  })
  await send(gateway, 'PUT', '/v2/service_instances/i')
  const answer = send(gateway, 'GET', '/v2/catalog')
  await until(() => lines.includes('catalog: asked'), 'the request arrives')
  const pids = [gateway.pid('catalog'), gateway.pid('provision')]
  await Promise.all([gateway.stop(), t.throwsAsync(answer)])
  for (const pid of pids) t.throws(() => process.kill(pid ?? 0, 0), { code: 'ESRCH' })
  const refused = await new Promise((resolve) =>
    connect(gateway.port, '127.0.0.1').once('error', resolve).once('connect', resolve),
  )
  t.true(refused instanceof Error)
})
