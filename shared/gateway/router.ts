/**
 * The route map as a server of its own, for gateways that cannot tell operations apart: one address, ten functions
 * behind it. It knows no user and keeps nothing; every function authenticates its callers by itself.
 */
import { Agent, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { log } from '../environment/log.ts'
import { requestIdentityHeader } from '../osb/edge/request-identity.ts'
import type { ProgramName } from '../routes.ts'
import { Unserved } from './foreign-answer.ts'
import { match } from './match.ts'
import { proxy, type Upstream } from './proxy.ts'

export interface RouterOptions {
  /** `http://` + host + optional port, with `{function}` in the host */
  functionUrl: string
  /** seconds from a request's arrival to the end of its answer */
  timeout: number
  /** whether there is a dashboard beside the functions */
  dashboard?: boolean
}

/** @returns what is to be given to `createServer`; it answers `/health/*` itself */
export function router(options: RouterOptions): RequestListener {
  const { timeout } = options
  // Functions keep an idle connection for two minutes, Envoy for an hour: this side is the first to close it.
  const agent = new Agent({ keepAlive: true, timeout: 60_000, scheduling: 'lifo' })
  return async function router(incoming, response) {
    const { method = '', url = '' } = incoming
    if ((method === 'GET' || method === 'HEAD') && /^\/health\/(liveness|readiness)$/.test(url)) {
      return answer(incoming, response, 200, { status: 'alive' })
    }
    const found = match(method, url, options)
    if ('unknown' in found) return refuse(incoming, response, 404, 'NotFound', 'there is no such path')
    if ('allowed' in found) {
      const allowed = found.allowed.join(', ')
      response.setHeader('Allow', allowed)
      return refuse(incoming, response, 405, 'MethodNotAllowed', `this path takes ${allowed}`)
    }
    const gone = new AbortController()
    response.once('close', () => {
      if (!response.writableFinished) gone.abort()
    })
    let late = false
    const timer = setTimeout(() => {
      late = true
      gone.abort()
    }, timeout * 1000)
    try {
      await proxy(incoming, response, upstreamOf(options, found.to, agent), gone.signal)
      // The time may be up in the middle of an answer.
      if (late) response.destroy()
    } catch (error) {
      if (response.destroyed) return
      const fields = { function: found.to, method, error: codeOf(error) }
      if (late || (error instanceof Unserved && error.late)) {
        log('warn', 'a function did not answer in time', fields)
        const time = late ? `within ${timeout} seconds` : 'in time'
        const sentence = `${found.to} did not answer ${time}; the same request may be sent again`
        return refuse(incoming, response, 504, 'Timeout', sentence)
      }
      log('error', 'a function could not be reached', fields)
      const sentence = `${found.to} cannot be reached; the same request may be sent again`
      refuse(incoming, response, 502, 'BadGateway', sentence)
    } finally {
      clearTimeout(timer)
    }
  }
}

/** @returns where a function is; the dot keeps resolvers from trying the search domains of the pod first */
function upstreamOf({ functionUrl }: RouterOptions, name: ProgramName, agent: Agent): Upstream {
  const { host, hostname, port } = new URL(functionUrl.replace('{function}', name))
  return { host: `${hostname}.`, port: port === '' ? 80 : Number(port), agent, name: host, again: true }
}

function codeOf(error: unknown): string {
  if (error instanceof Unserved) return error.message
  return error instanceof Error && 'code' in error ? String(error.code) : String(error)
}

/** Answers in the shape of OSB's errors, or breaks off an answer that had begun. */
function refuse(
  incoming: IncomingMessage,
  response: ServerResponse,
  status: number,
  error: string,
  description: string,
): void {
  if (response.headersSent) return void response.destroy()
  answer(incoming, response, status, { error, description })
}

function answer(incoming: IncomingMessage, response: ServerResponse, status: number, body: object): void {
  incoming.resume()
  const identity = incoming.headers[requestIdentityHeader.toLowerCase()]
  if (typeof identity === 'string') response.setHeader(requestIdentityHeader, identity)
  response.writeHead(status, { 'Content-Type': 'application/json' })
  response.end(JSON.stringify(body))
}
