/** A platform that sends requests to the broker at a URL. */
import http from 'node:http'
import https from 'node:https'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import * as v from 'valibot'
import { isObject, type JsonObject, JsonObject as JsonObjectSchema } from '../shared/values/json.ts'

export interface Answer {
  status: number
  body: JsonObject
  milliseconds: number
}

export interface Platform {
  ask(method: string, path: string, body?: object): Promise<Answer>
  /** @throws unless the status is this one */
  expect(status: number, method: string, path: string, body?: object): Promise<Answer>
  /** Polls until the operation is over. */
  settle(path: string, operation: unknown): Promise<Answer>
}

/** Not by fetch, which sets the Host header itself. */
export async function send(
  url: string,
  method: string,
  headers: Readonly<Record<string, string>>,
  body: string | undefined,
): Promise<{ status: number; received: string }> {
  const { request } = url.startsWith('https:') ? https : http
  return new Promise((resolve, reject) => {
    const options = { method, headers, signal: AbortSignal.timeout(60_000) }
    const outgoing = request(url, options, (response) => {
      text(response).then((received) => resolve({ status: response.statusCode ?? 0, received }), reject)
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

/**
 * @param url of the broker, without /v2
 * @param host its name, where the URL is only an address
 */
export function platform(url: string, username: string, password: string, host?: string): Platform {
  const headers = {
    Authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`,
    'X-Broker-API-Version': '2.17',
    'Content-Type': 'application/json',
    ...(host !== undefined && { Host: host }),
  }
  const self: Platform = {
    async ask(method, path, body) {
      const begun = performance.now()
      const { status, received } = await send(
        `${url}/v2/${path}`,
        method,
        headers,
        body && JSON.stringify(body),
      )
      const parsed: unknown = received.startsWith('{') ? JSON.parse(received) : { text: received }
      return {
        status,
        body: isObject(parsed) ? v.parse(JsonObjectSchema, parsed) : {},
        milliseconds: performance.now() - begun,
      }
    },
    async expect(status, method, path, body) {
      const answer = await self.ask(method, path, body)
      if (answer.status !== status) {
        throw new Error(
          `${method} ${path}: ${answer.status} instead of ${status}: ${JSON.stringify(answer.body)}`,
        )
      }
      return answer
    },
    async settle(path, operation) {
      for (const end = Date.now() + 300_000; ; await delay(1000)) {
        const query = typeof operation === 'string' ? `?operation=${encodeURIComponent(operation)}` : ''
        const answer = await self.ask('GET', `${path}/last_operation${query}`)
        if (answer.status !== 200 || answer.body.state !== 'in progress') return answer
        if (Date.now() > end)
          throw new Error(`${path}: not over after five minutes: ${JSON.stringify(answer.body)}`)
      }
    },
  }
  return self
}
