/** Requests as the administrator (or as somebody else), all of which end by a deadline, whatever the server does. */
import { Agent as HttpAgent, type IncomingMessage, type RequestOptions, request as sendHttp } from 'node:http'
import { Agent as HttpsAgent, request as sendHttps } from 'node:https'
import * as v from 'valibot'
import type { Json } from '../../../../values/json.ts'
import { type Admin, Unreachable } from '../../database.ts'
import { networkReason, Refusal } from './failure.ts'

/** bytes: the users of some ten thousand bindings */
const largestAnswer = 32 * 1024 * 1024

/** Where an engine is administered. */
export interface Endpoint {
  /** what it is called in sentences, e.g. `the search server` */
  readonly server: string
  readonly host: string
  readonly port: number
  /** whether it speaks https; its certificate must be of the AppBinding's CA, without one of a CA the system knows */
  readonly encrypted: boolean
}

export interface Ask {
  body?: Json
  /** in place of the administrator */
  as?: { name: string; password: string }
  /** milliseconds, where that is less than what the deadline leaves */
  timeout?: number
}

export class HttpClient {
  readonly #admin: Admin
  readonly #endpoint: Endpoint
  readonly #agent: HttpAgent | HttpsAgent
  #closed = false

  /** Connects at the first request. */
  constructor(admin: Admin, endpoint: Endpoint) {
    this.#admin = admin
    this.#endpoint = endpoint
    this.#agent = endpoint.encrypted
      ? new HttpsAgent({ keepAlive: true, ...(admin.caBundle === undefined ? {} : { ca: admin.caBundle }) })
      : new HttpAgent({ keepAlive: true })
  }

  /**
   * @param answer what the body of a success must look like
   * @throws {Refusal} for any other status, {Unreachable} when there is no answer
   */
  async ask<T extends v.GenericSchema>(
    answer: T,
    method: string,
    path: string,
    ask: Ask = {},
  ): Promise<v.InferOutput<T>> {
    if (this.#closed) throw new Unreachable('the connection is closed')
    return v.parse(answer, await send(this.#admin, this.#endpoint, this.#agent, method, path, ask))
  }

  /** The same, where `404 Not Found` is an answer: undefined. */
  async find<T extends v.GenericSchema>(
    answer: T,
    method: string,
    path: string,
    ask: Ask = {},
  ): Promise<v.InferOutput<T> | undefined> {
    try {
      return await this.ask(answer, method, path, ask)
    } catch (error) {
      if (error instanceof Refusal && error.status === 404) return undefined
      throw error
    }
  }

  /** milliseconds until all work ends */
  get left(): number {
    return this.#admin.deadline - Date.now()
  }

  close(): void {
    this.#closed = true
    this.#agent.destroy()
  }
}

async function send(
  admin: Admin,
  { server, host, port }: Endpoint,
  agent: HttpAgent | HttpsAgent,
  method: string,
  path: string,
  { body, as, timeout = Number.POSITIVE_INFINITY }: Ask,
): Promise<unknown> {
  const gone = 'the caller has gone away'
  if (admin.signal.aborted) throw new Unreachable(gone)
  const { name, password } = as ?? { name: admin.username, password: admin.password }
  const content = body === undefined ? undefined : JSON.stringify(body)
  const left = Math.max(0, admin.deadline - Date.now())
  const options: RequestOptions = {
    host,
    port,
    method,
    path,
    agent,
    headers: {
      authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`,
      accept: 'application/json',
      ...(content === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(content) }),
    },
  }
  let end: (reason: Unreachable) => void = () => {}
  const ended = new Promise<never>((_, reject) => {
    end = reject
  })
  const abort = () => end(new Unreachable(gone))
  const late =
    timeout < left
      ? `it did not answer within ${timeout / 1000} s`
      : "it did not answer before the request's deadline"
  const timer = setTimeout(
    () => end(new Unreachable(`${server} at ${host}: ${late}`)),
    Math.min(timeout, left),
  )
  admin.signal.addEventListener('abort', abort, { once: true })
  const request = agent instanceof HttpsAgent ? sendHttps(options) : sendHttp(options)
  let whole = false
  try {
    const answered = new Promise<{ status: number; text: string }>((resolve, reject) => {
      request.once('error', reject)
      request.once('response', (response) => read(response).then(resolve, reject))
    })
    request.end(content)
    const { status, text } = await Promise.race([answered, ended])
    whole = true
    const parsed = parse(text)
    if (status < 200 || status > 299) throw new Refusal(status, parsed)
    return parsed
  } catch (error) {
    if (error instanceof Refusal || error instanceof Unreachable) throw error
    throw new Unreachable(`${server} at ${host} is out of reach: ${networkReason(error)}`, { cause: error })
  } finally {
    clearTimeout(timer)
    admin.signal.removeEventListener('abort', abort)
    // an answer that has not come whole leaves a connection that nothing else can be asked on
    if (!whole) request.on('error', () => undefined).destroy()
  }
}

async function read(response: IncomingMessage): Promise<{ status: number; text: string }> {
  response.setEncoding('utf8')
  let text = ''
  for await (const part of response) {
    text += String(part)
    if (text.length > largestAnswer) throw new Error('the answer is longer than any that makes sense')
  }
  return { status: response.statusCode ?? 0, text }
}

/** Refusals may be plain text. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
