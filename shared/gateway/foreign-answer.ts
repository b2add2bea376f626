/**
 * Answers that no function gave: functions answer in JSON, what stands between them and the router in plain text. It
 * would be no OSB error to a platform, and a 404 of a gateway would read as "there is no such instance".
 */
import type { IncomingMessage } from 'node:http'

/** Nobody has answered the request as a function does. */
export class Unserved extends Error {
  /** whether the time was up */
  readonly late: boolean
  /** whether a process may have seen the request */
  readonly reached: boolean

  constructor(status: number, said: string) {
    super(`${status} ${said}`.trim())
    this.late = status === 504
    this.reached = status !== 404 && !unreached.some((sentence) => sentence.test(said))
  }
}

/** What is said of a request that came to no process. */
const unreached = [
  // queue-proxy and activator: nobody listens at the function's port, or the pod is gone
  /\bdial tcp\b/,
  // Knative: it waits in no queue
  /\brequest queue full\b/,
  // Envoy
  /\bno healthy upstream\b/,
  /\bconnection failure\b/,
]

/** Bytes of such an answer that are looked at. */
const readable = 1024

/** @returns whether this is no answer of a function: all of theirs have this type */
export function isForeign({ statusCode = 0, headers }: IncomingMessage): boolean {
  const json = /^application\/json\b/.test(headers['content-type'] ?? '')
  return !json && (statusCode === 404 || statusCode >= 500)
}

/** @returns what the answer means, once it is read to its end */
export async function unservedBy(answer: IncomingMessage): Promise<Unserved> {
  let said = ''
  answer.setEncoding('utf8')
  for await (const part of answer) {
    if (said.length < readable) said += String(part)
  }
  return new Unserved(answer.statusCode ?? 0, said.slice(0, readable).trim())
}
