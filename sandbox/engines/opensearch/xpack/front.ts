// A stand-in for Elasticsearch with X-Pack: its face, its security API and its words before a real OpenSearch server.
// Users, roles and what they may do are those of OpenSearch's security plugin, which the front translates to.
import { createServer, type IncomingMessage, type ServerResponse, request as send } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import * as v from 'valibot'
import { JsonObject } from '../../../../shared/values/json.ts'
import type { ServerTls } from '../../parts/engine.ts'
import { failure, incompatible, noHandler, type Reply, translated, unauthenticated } from './refusals.ts'
import { openSecurity, type Security } from './security-api.ts'

export interface FrontOptions {
  readonly address: string
  readonly port: number
  /** URL of the server behind */
  readonly inner: string
  /** a user of the server behind who may do everything */
  readonly login: { readonly user: string; readonly password: string }
  /** as which the front presents itself, e.g. 9.2.3 */
  readonly version: string
  readonly administrator: string
  readonly tls: ServerTls | undefined
}

/** Starts to listen. @returns what ends it, and its connections with it */
export async function startFront(options: FrontOptions): Promise<() => Promise<void>> {
  const security = await openSecurity(options)
  const listener = (request: IncomingMessage, response: ServerResponse) => {
    handle(options, security, request, response).catch((error: unknown) => {
      if (response.headersSent) return response.destroy()
      const reason = error instanceof Error ? error.message : String(error)
      reply(request, response, failure(500, 'exception', `the front of the sandbox failed: ${reason}`))
    })
  }
  const { tls } = options
  const server = tls ? createSecureServer({ cert: tls.cert, key: tls.key }, listener) : createServer(listener)
  server.keepAliveTimeout = 120_000
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(new Error(`Elasticsearch did not start: ${error.message}`)))
    server.listen(options.port, options.address, () => resolve())
  })
  let closing: Promise<void> | undefined
  return () => {
    closing ??= new Promise((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
    return closing
  }
}

async function handle(
  options: FrontOptions,
  security: Security,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { method = 'GET' } = request
  const { pathname } = new URL(request.url ?? '/', 'http://front')
  const major = Number(options.version.split('.')[0])
  const refusal =
    incompatible(request.headers.accept, major) ?? incompatible(request.headers['content-type'], major)
  if (refusal) return reply(request, response, refusal)
  const caller = security.caller(request.headers.authorization)
  if (caller === undefined || caller === 'refused')
    return reply(request, response, unauthenticated(caller && 'unknown', pathname))
  if (caller.disabled) return reply(request, response, unauthenticated(caller.user, pathname))
  if (/^\/_(plugins|opendistro)\//.test(pathname))
    return reply(request, response, noHandler(method, pathname))
  if (pathname.startsWith('/_security/')) {
    const body = await text(request)
    return reply(request, response, await security.answer(method, pathname, caller, body))
  }
  await forward(options, caller, request, response, pathname)
}

async function forward(
  { inner, version }: FrontOptions,
  caller: { readonly user: string; readonly authorization: string },
  request: IncomingMessage,
  response: ServerResponse,
  pathname: string,
): Promise<void> {
  // Whether this connection stays open says nothing about the one behind; what is to be translated must not be packed.
  const { connection: _, 'keep-alive': __, 'accept-encoding': ___, ...sent } = request.headers
  const headers = { ...sent, host: new URL(inner).host, authorization: caller.authorization }
  for (const name of ['accept', 'content-type'] as const) {
    const plain = headers[name]?.replace(/vnd\.elasticsearch\+/g, '').replace(/;\s*compatible-with=\d+/g, '')
    if (plain !== undefined) headers[name] = plain
  }
  const upstream = send(`${inner}${request.url}`, { method: request.method, headers })
  // A caller who has gone away; a request that is done would take a connection with it that serves another by now.
  response.on('close', () => {
    if (!response.writableFinished) upstream.destroy()
  })
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    upstream.on('response', resolve)
    upstream.on('error', reject)
    request.pipe(upstream)
  })
  const status = answer.statusCode ?? 502
  if (status === 401 || status === 403 || (pathname === '/' && status === 200 && request.method === 'GET')) {
    const body = await text(answer)
    const other = translated(status, body, caller.user, pathname) ?? { status, body: json(body) }
    return reply(request, response, pathname === '/' && status === 200 ? face(other, version) : other)
  }
  const { connection: _its, 'keep-alive': __its, ...received } = answer.headers
  response.writeHead(status, withFace(received, request))
  answer.pipe(response)
}

/** What `GET /` says. */
function face({ status, body }: Reply, number: string): Reply {
  const major = Number(number.split('.')[0])
  return {
    status,
    body: {
      name: body.name ?? '',
      cluster_name: body.cluster_name ?? '',
      cluster_uuid: body.cluster_uuid ?? '',
      version: {
        number,
        build_flavor: 'default',
        build_type: 'docker',
        build_snapshot: false,
        minimum_wire_compatibility_version: `${major - 1}.0.0`,
        minimum_index_compatibility_version: `${major - 1}.0.0`,
      },
      tagline: 'You Know, for Search',
    },
  }
}

type Headers = Record<string, string | string[] | undefined>

/** Elasticsearch's own clients talk to nothing that does not say it is Elasticsearch. */
function withFace(headers: Headers, request: IncomingMessage): Headers {
  const asked = /application\/vnd\.elasticsearch\+json;\s*compatible-with=\d+/.exec(
    request.headers.accept ?? '',
  )?.[0]
  const isJson = String(headers['content-type']).startsWith('application/json')
  return {
    ...headers,
    'x-elastic-product': 'Elasticsearch',
    ...(asked !== undefined && isJson ? { 'content-type': asked } : {}),
  }
}

function reply(request: IncomingMessage, response: ServerResponse, { status, body, headers }: Reply): void {
  request.resume()
  const content = JSON.stringify(body)
  const head = {
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(content)),
    ...headers,
  }
  response.writeHead(status, withFace(head, request))
  response.end(request.method === 'HEAD' ? undefined : content)
}

async function text(stream: IncomingMessage): Promise<string> {
  let all = ''
  stream.setEncoding('utf8')
  for await (const part of stream) all += String(part)
  return all
}

function json(content: string): JsonObject {
  return v.parse(JsonObject, JSON.parse(content))
}
