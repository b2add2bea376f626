import { Agent, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { pipeline } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { isForeign, Unserved, unservedBy } from './foreign-answer.ts'

/** Headers that concern one connection only (RFC 9110, 7.6.1). */
const hopByHop = new Set(['connection', 'keep-alive', 'proxy-connection', 'te', 'upgrade', 'expect'])

/** Where a request goes. */
export interface Upstream {
  host: string
  port: number
  agent: Agent
  /** what the Host header becomes; the client's own if left out */
  name?: string
  /**
   * Send a request once more that no function has answered, where that is safe: a GET, and what has reached no process.
   * At once where a kept connection was closed under it, for every operation may be sent twice.
   */
  again?: boolean
}

/** Until a request is sent again, in milliseconds: so long the kubelet takes to start a process anew that has died. */
const pause = 2_000

/** Sends the headers at once. `flushHeaders` would too, but it writes bytes above 127 as UTF-8 over again. */
const nothing = Buffer.alloc(0)

/** Most bytes of a body that are kept to be sent again. */
const replayable = 256 * 1024

/**
 * Passes one request on and its answer back, both as streams, with every other byte as it came: method, target,
 * headers in order and spelling, bodies.
 *
 * @param signal ends the request to the function, which sees its caller go away
 * @returns once the answer is out or its client is gone
 * @throws when the function did not answer; nothing has been written to the client then
 */
export async function proxy(
  incoming: IncomingMessage,
  response: ServerResponse,
  upstream: Upstream,
  signal: AbortSignal,
): Promise<void> {
  if (upstream.again !== true) return attempt(incoming, response, upstream, signal, [])
  const sent: Buffer[] = []
  let size = 0
  incoming.on('data', (chunk: Buffer) => {
    size += chunk.length
    if (size <= replayable) sent.push(chunk)
  })
  try {
    await attempt(incoming, response, upstream, signal, [])
  } catch (error) {
    const wait = pauseAfter(error, incoming.method)
    if (wait === undefined || size > replayable || signal.aborted) throw causeOf(error)
    await delay(wait, undefined, { signal })
    if (size > replayable) throw causeOf(error)
    await attempt(incoming, response, { ...upstream, agent: new Agent() }, signal, sent)
  }
}

/** @returns milliseconds after which the request may be sent again; undefined where that is not safe */
function pauseAfter(error: unknown, method: string | undefined): number | undefined {
  if (error instanceof StaleConnection) return 0
  const reached = error instanceof Unserved ? error.reached : codeOf(error) !== 'ECONNREFUSED'
  const late = error instanceof Unserved && error.late
  return !late && (method === 'GET' || !reached) ? pause : undefined
}

function causeOf(error: unknown): unknown {
  return error instanceof StaleConnection ? error.cause : error
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}

/** The other side had closed a kept connection before it saw the request; or died over it. */
class StaleConnection extends Error {}

function attempt(
  incoming: IncomingMessage,
  response: ServerResponse,
  upstream: Upstream,
  signal: AbortSignal,
  sent: readonly Buffer[],
): Promise<void> {
  return new Promise((resolve, reject) => {
    const outgoing = request({
      host: upstream.host,
      port: upstream.port,
      agent: upstream.agent,
      method: incoming.method ?? 'GET',
      path: incoming.url ?? '/',
      headers: requestHeaders(incoming, upstream),
      setDefaultHeaders: false,
      signal,
    })
    outgoing.once('response', (answer) => {
      if (upstream.again && isForeign(answer)) {
        incoming.unpipe(outgoing)
        return void unservedBy(answer)
          .then(reject, reject)
          .finally(() => {
            // The rest of a body that nobody wants keeps no connection.
            if (!outgoing.writableFinished) outgoing.destroy()
          })
      }
      response.writeHead(answer.statusCode ?? 502, answer.statusMessage ?? '', responseHeaders(answer))
      response.write(nothing)
      // An answer that breaks off breaks off for the client too: pipeline destroys both.
      pipeline(answer, response, () => {
        // Nobody waits for the rest of a body that the function has answered without reading.
        if (!outgoing.writableFinished) outgoing.destroy()
        resolve()
      })
    })
    outgoing.once('error', (error) => {
      incoming.unpipe(outgoing)
      reject(
        outgoing.reusedSocket && upstream.again ? new StaleConnection('closed', { cause: error }) : error,
      )
    })
    // A function may answer before it has read everything: then only the answer counts.
    outgoing.on('error', () => {})
    // The function may act on a request whose body is still to come.
    outgoing.write(nothing)
    for (const chunk of sent) outgoing.write(chunk)
    incoming.pipe(outgoing)
    incoming.once('error', (error) => outgoing.destroy(error))
  })
}

function requestHeaders(incoming: IncomingMessage, { name }: Upstream): string[] {
  const { headers: given, rawHeaders, socket } = incoming
  const own = new Set(['x-forwarded-for'])
  // The connection's own headers are those that it names, too.
  for (const named of given.connection?.split(',') ?? []) own.add(named.trim().toLowerCase())
  const headers = pairs(rawHeaders).flatMap(([header, value]): [string, string][] => {
    const lower = header.toLowerCase()
    if (hopByHop.has(lower) || own.has(lower)) return []
    return [[header, lower === 'host' && name !== undefined ? name : value]]
  })
  const from = given['x-forwarded-for']
  const client = socket.remoteAddress ?? 'unknown'
  headers.push(['X-Forwarded-For', from === undefined ? client : `${from}, ${client}`])
  // Whoever stands in front knows better.
  if (given['x-forwarded-proto'] === undefined) headers.push(['X-Forwarded-Proto', 'http'])
  if (given['x-forwarded-host'] === undefined && given.host !== undefined)
    headers.push(['X-Forwarded-Host', given.host])
  if (given['content-length'] === undefined && given['transfer-encoding'] === undefined)
    headers.push(['Content-Length', '0'])
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
