/**
 * Requests to the provider of sign-ins and to Cloud Controller. Node's own fetch would be half of the start of this
 * function; NODE_EXTRA_CA_CERTS names an authority of one's own.
 */
import { type ClientRequest, type IncomingMessage, request as plain, type RequestOptions } from 'node:http'
import { request as encrypted } from 'node:https'
import { LightResponse } from '../http/web.ts'

/** Milliseconds for one answer. */
const patience = 10_000
/** Bytes: far more than any of these answers has. */
const largest = 1024 * 1024

/** As much of fetch's Response as `oauth4webapi` reads. It has no body to be read twice or cancelled, only its text. */
export class ProviderResponse extends LightResponse {
  readonly #text: string

  constructor(text: string, init: { status: number; headers: Iterable<readonly [string, string]> }) {
    super(null, init)
    this.#text = text
  }

  async text(): Promise<string> {
    return this.#text
  }

  async json(): Promise<unknown> {
    return JSON.parse(this.#text)
  }

  clone(): ProviderResponse {
    return new ProviderResponse(this.#text, { status: this.status, headers: [...this.headers] })
  }
}

export interface Outgoing {
  method: string
  headers: Record<string, string>
  body?: string | undefined
}

/**
 * Follows no redirect.
 *
 * @throws where there is no whole answer in time
 */
export async function ask(url: string, { method, headers, body }: Outgoing): Promise<ProviderResponse> {
  const send: (
    url: string,
    options: RequestOptions,
    answer: (response: IncomingMessage) => void,
  ) => ClientRequest = url.startsWith('https:') ? encrypted : plain
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(patience)
    const outgoing = send(
      url,
      {
        method,
        headers: {
          ...headers,
          ...(body !== undefined && { 'content-length': String(Buffer.byteLength(body)) }),
        },
        signal,
      },
      (incoming) => {
        const chunks: Buffer[] = []
        let size = 0
        incoming.on('data', (chunk: Buffer) => {
          size += chunk.length
          if (size > largest) incoming.destroy(new Error('the answer is too large'))
          chunks.push(chunk)
        })
        incoming.on('error', reject)
        incoming.on('end', () => {
          const pairs = Object.entries(incoming.headers).flatMap(([name, value]) =>
            value === undefined ? [] : [[name, Array.isArray(value) ? value.join(', ') : value] as const],
          )
          const text = Buffer.concat(chunks).toString('utf8')
          resolve(new ProviderResponse(text, { status: incoming.statusCode ?? 0, headers: pairs }))
        })
      },
    )
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}
