/** Requests of Node's server, answered by a web application: less to load at a start than what frameworks bring. */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import { LightResponse, useLightResponses } from './web.ts'

/** What an application finds in `c.env`. */
export interface Connection {
  incoming: IncomingMessage
  outgoing: ServerResponse
}

/** As much of Hono as this needs. */
export interface Application {
  fetch(request: Request, connection: Connection): Response | Promise<Response>
}

/** An answer that no application made. */
export interface Refusal {
  status: number
  headers?: Readonly<Record<string, string>>
  /** sent as JSON */
  body: unknown
}

export interface Refusals {
  /** the target or the Host header makes no URL */
  malformed(incoming: IncomingMessage): Refusal
  /** the application threw */
  failed(incoming: IncomingMessage, error: unknown): Refusal
}

/** Milliseconds in which a client may send the rest of a body that was answered without being read. */
const lateBody = 500

/**
 * @returns what is to be given to `createServer`. Applications make their answers with the global Response, whose
 *   bodies are strings here; the signal of a request aborts when its client has gone away
 */
export function listener(application: Application, refusals: Refusals): RequestListener {
  useLightResponses()
  return async function listener(incoming, outgoing) {
    dropLateBody(incoming, outgoing)
    answer(outgoing, await answerTo(application, refusals, { incoming, outgoing }))
  }
}

async function answerTo(
  application: Application,
  refusals: Refusals,
  connection: Connection,
): Promise<LightResponse> {
  const { incoming } = connection
  const url = urlOf(incoming)
  if (url === undefined) return refusal(refusals.malformed(incoming))
  try {
    const response: unknown = await application.fetch(request(url, connection), connection)
    if (response instanceof LightResponse) return response
    throw new TypeError('a handler answered with something that is not made by the global Response')
  } catch (error) {
    return refusal(refusals.failed(incoming, error))
  }
}

function refusal({ status, headers, body }: Refusal): LightResponse {
  const all = { 'Content-Type': 'application/json', ...headers }
  return new LightResponse(JSON.stringify(body), { status, headers: all })
}

function answer(outgoing: ServerResponse, { status, headers, body }: LightResponse): void {
  outgoing.statusCode = status
  outgoing.setHeaders(new Map(headers))
  outgoing.end(body ?? undefined)
}

/**
 * @returns the target as a URL, neither decoded nor normalised; undefined if it is not one. Where the request came
 *   from does not matter, so the host is always `localhost`
 */
function urlOf({ url = '', headers: { host = 'localhost' } }: IncomingMessage): string | undefined {
  const absolute = /^https?:\/\//.test(url)
  const full = absolute ? url : `http://localhost${url}`
  const path = full.split('?', 1)[0] ?? ''
  const right =
    (absolute || url.startsWith('/')) &&
    !path.includes('\\') &&
    URL.canParse(full) &&
    !/[\s/?#@\\]/.test(host) &&
    URL.canParse(`http://${host}/`)
  return right ? full : undefined
}

/** As much of a web Request as Hono and the middlewares read. */
function request(url: string, { incoming, outgoing }: Connection): Request {
  const gone = new AbortController()
  outgoing.once('close', () => {
    if (!outgoing.writableFinished) gone.abort()
  })
  const chunks = () => incoming.iterator({ destroyOnReturn: false })
  return Object.assign(Object.create(null), {
    url,
    method: incoming.method,
    signal: gone.signal,
    headers: {
      get(name: string): string | null {
        const values = incoming.headersDistinct[name.toLowerCase()]
        return values === undefined ? null : values.join(', ')
      },
    },
    body: {
      getReader() {
        const iterator = chunks()
        return { read: () => iterator.next() }
      },
    },
    async arrayBuffer(): Promise<ArrayBuffer> {
      const all: Buffer[] = []
      for await (const chunk of chunks()) all.push(chunk)
      return new Uint8Array(Buffer.concat(all)).buffer
    },
  })
}

/** Nobody reads the rest of a refused body; but a connection closed over it may take the answer with it. */
function dropLateBody(incoming: IncomingMessage, outgoing: ServerResponse): void {
  outgoing.once('finish', () => {
    if (incoming.readableEnded) return
    const late = setTimeout(() => incoming.socket.destroySoon(), lateBody)
    incoming.once('close', () => clearTimeout(late))
    incoming.resume()
  })
}
