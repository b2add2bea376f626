import { createServer } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import test, { type ExecutionContext } from 'ava'
import { type Context, Hono } from 'hono'
import { listener } from '../../shared/http/listener.ts'
import { LightHeaders, LightResponse } from '../../shared/http/web.ts'

const refusals = {
  malformed: () => ({ status: 400, body: { error: 'malformed' } }),
  failed: () => ({ status: 500, headers: { 'X-Why': 'it threw' }, body: { error: 'failed' } }),
}

/** @returns sends bytes to a server with this handler, and gives all it answers until the connection closes */
async function served(t: ExecutionContext, handler: (c: Context) => Promise<Response> | Response) {
  const app = new Hono()
  app.use(async (c) => handler(c))
  const server = createServer(listener(app, refusals))
  t.teardown(() => server.close())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  return async (...bytes: string[]): Promise<string> => {
    const socket = connect(port, '127.0.0.1')
    socket.write(bytes.join(''))
    return text(socket)
  }
}

const head = (method: string, more = '') => `${method} /a?b=c HTTP/1.1\r\nHost: broker\r\n${more}\r\n`
const last = 'Connection: close\r\n'

test('an answer has its length, and its headers whatever their case', async (t) => {
  const send = await served(t, (c) => {
    c.header('X-Own', 'value')
    return c.json({ query: c.req.query(), name: 'ü' }, 201)
  })
  const answer = await send(head('PUT', `${last}Content-Length: 0\r\n`))
  t.regex(answer, /^HTTP\/1.1 201 Created\r\n/)
  t.regex(answer, /\r\nx-own: value\r\n/i)
  t.regex(answer, /\r\ncontent-type: application\/json\r\n/i)
  t.regex(answer, /\r\ncontent-length: 31\r\n/i)
  t.true(answer.endsWith('\r\n\r\n{"query":{"b":"c"},"name":"ü"}'), answer)
})

test('an answer without a body has none', async (t) => {
  const send = await served(t, (c) => c.body(null, 304, { ETag: '"x"' }))
  const answer = await send(head('GET', last))
  t.regex(answer, /^HTTP\/1.1 304 Not Modified\r\netag: "x"\r\n/)
  t.true(answer.endsWith('\r\n\r\n'))
})

test('headers that came twice are one list, as the web has it', async (t) => {
  const send = await served(t, (c) => c.json(c.req.header('authorization')))
  t.true((await send(head('GET', `${last}Authorization: a\r\nauthorization: b\r\n`))).endsWith('"a, b"'))
  t.true((await send(head('GET', last))).endsWith('\r\n\r\n'))
})

test('a body is read whole or in pieces', async (t) => {
  const whole = await served(t, async (c) => c.json(new TextDecoder().decode(await c.req.arrayBuffer())))
  t.true((await whole(head('PUT', `${last}Content-Length: 3\r\n`), 'abc')).endsWith('"abc"'))
  const pieces = await served(t, async (c) => {
    const reader = c.req.raw.body?.getReader()
    let size = 0
    for (let next = await reader?.read(); next?.value; next = await reader?.read()) size += next.value.length
    return c.json(size)
  })
  const chunked = head('PUT', `${last}Transfer-Encoding: chunked\r\n`)
  t.true((await pieces(chunked, '3\r\nabc\r\n', '2\r\nde\r\n', '0\r\n\r\n')).endsWith('\r\n\r\n5'))
})

test('after a body that nobody read, the connection serves the next request', async (t) => {
  const send = await served(t, (c) => c.json(c.req.method))
  const answer = await send(head('PUT', 'Content-Length: 3\r\n'), 'abc', head('GET', last))
  t.regex(answer, /"PUT"HTTP\/1.1 200 OK.*"GET"$/s)
})

test('a body that never comes does not hold the connection', async (t) => {
  const send = await served(t, (c) => c.json(c.req.method))
  const begun = performance.now()
  t.true((await send(head('PUT', 'Content-Length: 3\r\n'))).endsWith('"PUT"'))
  t.true(performance.now() - begun < 4000)
})

test('what is thrown, and what is no answer, is refused', async (t) => {
  for (const handler of [() => Promise.reject('thrown'), async () => Object.create(null)]) {
    const answer = await (await served(t, handler))(head('GET', last))
    t.regex(answer, /^HTTP\/1.1 500 .*\r\nx-why: it threw\r\n.*\{"error":"failed"\}$/s)
  }
})

test('headers and responses behave as those of the web as far as they go', (t) => {
  const headers = new LightHeaders([['A', '1']])
  headers.append('a', '2')
  headers.set('B', '3')
  t.is(headers.get('a'), '1, 2')
  t.true(headers.has('b'))
  headers.delete('b')
  t.deepEqual([...headers], [['a', '1, 2']])
  t.is(headers.get('b'), null)
  const response = new LightResponse('text', { status: 410, headers: { X: 'y' } })
  t.deepEqual([...new LightResponse(response.body, response).headers], [['x', 'y']])
  t.is(new LightResponse().status, 200)
})
