/** What every operation on instances and bindings needs. */
import { randomBytes } from 'node:crypto'
import { BrokerError } from '../../values/errors.ts'
import { ApiError, translate } from '../cluster/api-error.ts'
import type { Cluster } from '../cluster/cluster.ts'
import type { Settings } from '../databases/database.ts'
import type { Keys } from './keys.ts'
import { base32 } from './names.ts'

export interface Broker {
  cluster: Cluster
  /** the broker's own namespace: records */
  namespace: string
  settings: Settings
  /** milliseconds that no function survives: after this, what a request left undone will not be done by it */
  abandonedAfter: number
  keys: Keys
}

/** @returns 12 random characters a-z 2-7 */
export function newOperationId(): string {
  return base32(randomBytes(8)).slice(0, 12)
}

/** @returns the present as the records write it */
export function timestamp(): string {
  return new Date().toISOString()
}

/** @returns milliseconds since an ISO time; Infinity where the text is none */
export function age(since: string): number {
  const then = Date.parse(since)
  return Number.isNaN(then) ? Number.POSITIVE_INFINITY : Date.now() - then
}

/** Somebody else has written a record between our reading and our writing it: what was decided no longer holds. */
export class Overtaken extends Error {
  constructor(options?: ErrorOptions) {
    super('another request for the same resource was first', options)
    this.name = 'Overtaken'
  }
}

/**
 * Reads and decides again, a few times, where a write met a newer record.
 *
 * @param act reads, decides, writes; throws Overtaken where its write came too late
 * @throws {BrokerError} ConcurrencyError when it is overtaken every time
 */
export async function decided<T>(act: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await act()
    } catch (error) {
      if (!(error instanceof Overtaken)) throw error
      if (attempt === 5) {
        throw new BrokerError(
          'ConcurrencyError',
          'other requests for the same resource are under way; try again',
          {
            cause: error,
          },
        )
      }
    }
  }
}

/** @returns what to throw for a record not written: Overtaken where it has changed or gone, a BrokerError else */
export function writeFailed(error: unknown, what: string): Error {
  return error instanceof ApiError && (error.conflict || error.absent)
    ? new Overtaken({ cause: error })
    : translate(error, what)
}
