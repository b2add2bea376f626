/** A platform that sends requests to the broker at a URL. */
import { setTimeout as delay } from 'node:timers/promises'
import * as v from 'valibot'
import { isObject, type JsonObject, JsonObject as JsonObjectSchema } from '../shared/json.ts'

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

/** @param url of the broker, without /v2 */
export function platform(url: string, username: string, password: string): Platform {
  const headers = {
    Authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`,
    'X-Broker-API-Version': '2.17',
    'Content-Type': 'application/json',
  }
  const self: Platform = {
    async ask(method, path, body) {
      const begun = performance.now()
      const response = await fetch(`${url}/v2/${path}`, {
        method,
        headers,
        ...(body && { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(60_000),
      })
      const received = await response.text()
      const parsed: unknown = received.startsWith('{') ? JSON.parse(received) : { text: received }
      return {
        status: response.status,
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
