/** What answers of a server and the network mean to the broker, where an engine is administered over HTTP. */
import * as v from 'valibot'
import { Unreachable } from '../../database.ts'

/** An answer that is not the one hoped for. */
export class Refusal extends Error {
  readonly status: number
  /** the whole answer, for those who know what to look for */
  readonly body: unknown

  constructor(status: number, body: unknown) {
    super(`${reasonIn(body)} (HTTP ${status})`)
    this.name = 'Refusal'
    this.status = status
    this.body = body
  }
}

const text = v.pipe(
  v.string(),
  v.transform((words) => words.slice(0, 300)),
)
const Reason = v.union([
  v.pipe(
    v.looseObject({ error: v.looseObject({ reason: text }) }),
    v.transform(({ error }) => error.reason),
  ),
  v.pipe(
    v.looseObject({ message: text }),
    v.transform(({ message }) => message),
  ),
  v.pipe(
    v.looseObject({ reason: text }),
    v.transform(({ reason }) => reason),
  ),
  text,
])

function reasonIn(body: unknown): string {
  const reason = v.safeParse(Reason, body)
  return reason.success && reason.output !== '' ? reason.output : 'no reason given'
}

/** @returns whether somebody else changed the same at the same moment */
export function isConflict(error: unknown): boolean {
  return error instanceof Refusal && error.status === 409
}

/** Request timeout, too many requests, and whatever the server says about its own state. */
function isTransient(status: number): boolean {
  return status === 408 || status === 409 || status === 429 || status >= 500
}

/**
 * @param server what it is called in sentences, e.g. `the search server`
 * @param error why the server could not be asked for the first time
 * @returns the sentence about it, without secrets
 */
export function unreachable(
  server: string,
  error: unknown,
  admin: { username: string; host: string },
): Unreachable {
  if (error instanceof Unreachable) return error
  const what =
    error instanceof Refusal && error.status === 401
      ? `it refuses the password of administrator "${admin.username}" (KubeDB may be rotating it)`
      : networkReason(error)
  return new Unreachable(`${server} at ${admin.host} takes no requests just now: ${what}`, { cause: error })
}

/** @returns what the network or TLS says: Node leaves the message empty when several addresses failed */
export function networkReason(error: unknown): string {
  if (!(error instanceof Error)) return 'no reason given'
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  return error.message || code || 'no reason given'
}

/**
 * @param server what it is called in sentences
 * @param error what a call ended with
 * @param doing what was being done, e.g. `drop the user`
 * @returns Unreachable where the same call may succeed later, else an error for the broker's operator
 */
export function failure(server: string, error: unknown, doing: string): unknown {
  if (!(error instanceof Refusal)) return error
  if (error.status === 401 || isTransient(error.status)) {
    return new Unreachable(`${server} could not ${doing} just now: ${error.message}`, { cause: error })
  }
  return new Error(`${server} refused to ${doing}: ${error.message}`, { cause: error })
}
