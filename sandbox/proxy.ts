import { type Agent, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { pipeline } from 'node:stream'

/** Headers that concern one connection only (RFC 9110, 7.6.1), and those the gateway sets itself. */
const hopByHop = new Set(['connection', 'keep-alive', 'proxy-connection', 'te', 'upgrade', 'expect'])
const forwarded = new Set(['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host'])

/** Sends the headers at once. `flushHeaders` would too, but it writes bytes above 127 as UTF-8 over again. */
const nothing = Buffer.alloc(0)

/**
 * Passes one request on and its answer back, both as streams, with every other byte as it came: method, target,
 * headers in order and spelling, bodies.
 *
 * @param signal ends the request to the function, which sees its caller go away
 * @returns once the answer is out or its client is gone
 * @throws when the function did not answer; nothing has been written to the client then
 */
export function proxy(
  incoming: IncomingMessage,
  response: ServerResponse,
  upstream: { port: number; agent: Agent },
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const outgoing = request({
      host: '127.0.0.1',
      port: upstream.port,
      agent: upstream.agent,
      method: incoming.method ?? 'GET',
      path: incoming.url ?? '/',
      headers: requestHeaders(incoming),
      setDefaultHeaders: false,
      signal,
    })
    outgoing.once('response', (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.statusMessage ?? '', responseHeaders(answer))
      response.write(nothing)
      // An answer that breaks off breaks off for the client too: pipeline destroys both.
      pipeline(answer, response, () => {
        // Nobody waits for the rest of a body that the function has answered without reading.
        if (!outgoing.writableFinished) outgoing.destroy()
        resolve()
      })
    })
    outgoing.once('error', reject)
    // A function may answer before it has read everything: then only the answer counts.
    outgoing.on('error', () => {})
    // The function may act on a request whose body is still to come.
    outgoing.write(nothing)
    incoming.pipe(outgoing)
    incoming.once('error', (error) => outgoing.destroy(error))
  })
}

function requestHeaders(incoming: IncomingMessage): string[] {
  const headers = pairs(incoming.rawHeaders).filter(([name]) => {
    const lower = name.toLowerCase()
    return !hopByHop.has(lower) && !forwarded.has(lower)
  })
  const from = incoming.headers['x-forwarded-for']
  const client = incoming.socket.remoteAddress ?? 'unknown'
  headers.push(
    ['X-Forwarded-For', from === undefined ? client : `${from}, ${client}`],
    ['X-Forwarded-Proto', 'http'],
  )
  if (incoming.headers.host !== undefined) headers.push(['X-Forwarded-Host', incoming.headers.host])
  const { 'content-length': length, 'transfer-encoding': encoding } = incoming.headers
  if (length === undefined && encoding === undefined) headers.push(['Content-Length', '0'])
  return headers.flat()
}

function responseHeaders(answer: IncomingMessage): string[] {
  // Node chooses the framing towards the client by itself.
  return pairs(answer.rawHeaders)
    .filter(([name]) => !hopByHop.has(name.toLowerCase()) && name.toLowerCase() !== 'transfer-encoding')
    .flat()
}

function pairs(raw: readonly string[]): [string, string][] {
  return raw.flatMap((name, i) => (i % 2 === 0 ? [[name, raw[i + 1] ?? '']] : []))
}
