/**
 * A proxy between the functions and the API server that sees every call, and may refuse, delay, break or lose it:
 *
 *   const proxy = await startFaultProxy({ upstream: plane.url, caFile, certificateFile, keyFile })
 *   … environment KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: String(proxy.port) …
 *   proxy.interference = { before: (call) => (call.verb === 'PUT' ? { answer: 503 } : undefined) }
 *   proxy.calls  // everything so far
 *
 * It ends TLS with the control plane's own certificate, so the ca.crt of a function stays as it is, and passes the
 * function's own token through. Engines have a proxy of their own: engine-fault-proxy.ts.
 */
import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Agent, createServer, request } from 'node:https'
import * as v from 'valibot'
import type { Call, Fault, Interference } from './fault-call.ts'

export interface FaultProxyOptions {
  /** `https://127.0.0.1:…` */
  upstream: string
  caFile: string
  certificateFile: string
  keyFile: string
}

export interface FaultProxy {
  readonly port: number
  /** every call so far, in the order of arrival */
  readonly calls: Call[]
  /** what is done to the calls that arrive from now on */
  interference: Interference
  stop(): Promise<void>
}

interface Answer {
  status: number
  headers: readonly string[]
  body: Buffer
}

/** @returns the proxy, once it listens on 127.0.0.1 */
export async function startFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const agent = new Agent({ ca: readFileSync(options.caFile), keepAlive: true })
  const upstream = new URL(options.upstream)

  const forward = (incoming: IncomingMessage, body: Buffer): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const outgoing = request(
        {
          host: upstream.hostname,
          port: upstream.port,
          agent,
          method: incoming.method,
          path: incoming.url,
          headers: incoming.rawHeaders,
        },
        (answer) => {
          collect(answer).then(
            (content) =>
              resolve({ status: answer.statusCode ?? 0, headers: answer.rawHeaders, body: content }),
            reject,
          )
        },
      )
      outgoing.on('error', reject)
      outgoing.end(body)
    })

  async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await collect(incoming)
    const call: Call = {
      to: 'api',
      verb: incoming.method ?? '',
      target: incoming.url ?? '',
      body: body.toString('utf8'),
      account: accountOf(incoming.headers.authorization),
      status: 0,
      reads: incoming.method === 'GET' || (incoming.url ?? '').includes('dryRun=All'),
    }
    proxy.calls.push(call)
    const { before, after } = proxy.interference
    const refused = await before?.(call)
    if (refused !== undefined) return inflict(refused, response)
    const answer = await forward(incoming, body)
    call.status = answer.status
    const lost = await after?.(call)
    if (lost !== undefined) return inflict(lost, response)
    response.writeHead(answer.status, [...answer.headers])
    response.end(answer.body)
  }

  const server = createServer(
    { key: readFileSync(options.keyFile), cert: readFileSync(options.certificateFile) },
    (incoming, response) => {
      // A function that was killed no longer listens; nothing else can be done for it.
      serve(incoming, response).catch(() => incoming.socket.destroy())
    },
  )
  server.keepAliveTimeout = 600_000
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the fault proxy does not listen')
  const proxy: FaultProxy = {
    port: address.port,
    calls: [],
    interference: {},
    async stop() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      agent.destroy()
    },
  }
  return proxy
}

function inflict(fault: Fault, response: ServerResponse): void {
  if (fault === 'hang') return
  if (fault === 'reset') {
    response.socket?.destroy()
    return
  }
  const { answer: code } = fault
  const reasons = { 409: 'Conflict', 429: 'TooManyRequests', 500: 'InternalError', 503: 'ServiceUnavailable' }
  response.writeHead(code, {
    'Content-Type': 'application/json',
    ...(code === 429 ? { 'Retry-After': '1' } : {}),
  })
  const reason = reasons[code]
  response.end(
    JSON.stringify({
      kind: 'Status',
      apiVersion: 'v1',
      status: 'Failure',
      message: `made up: ${reason}`,
      reason,
      code,
    }),
  )
}

async function collect(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}

const Claims = v.object({ sub: v.string() })

/** @returns the ServiceAccount's name in a token of the API server, '' where there is none */
function accountOf(authorization: string | undefined): string {
  const [, payload] = authorization?.split('.') ?? []
  if (payload === undefined) return ''
  const { sub } = v.parse(Claims, JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')))
  return sub.split(':').at(-1) ?? ''
}
