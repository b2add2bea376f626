/** What errors of MySQL, its driver and the network mean to the broker. */
import { Unreachable } from '../../database.ts'

/** The server refused a statement or a log-in. Made of what it said, without the statement. */
export class ServerError extends Error {
  readonly number: number

  constructor(number: number, message: string) {
    super(message)
    this.name = 'ServerError'
    this.number = number
  }
}

/** Refusals after which the same request may well succeed. */
const transient = [
  1021, // disk full
  1037, // out of memory
  1038,
  1041,
  1040, // too many connections
  1203,
  1226,
  1042, // cannot get hostname
  1047, // not a working member of its cluster
  1053, // shutting down
  1077,
  1079,
  1105, // unknown error, as group replication tells some of its states
  1114, // table full
  1129, // host blocked after many broken connections
  1205, // lock wait timeout
  1213, // deadlock
  1290, // read-only: another member is the primary now
  1836,
  1792,
  1317, // interrupted, killed, out of time
  1969,
  3024,
  1927,
  3100, // group replication could not take the change
  3101,
  3168, // not available
  4031, // disconnected for inactivity
]

/** Refusals of a lost race against another function or a person: reading again and deciding again settles it. */
const conflicts = [
  1007, // the database is there already
  1133, // no such user
  1141, // no such grant
  1396, // the user is there already, or is gone
  1213,
  3523, // no such role or user
  3530, // the role is not granted
]

/** @returns whether the statement failed because somebody else changed the same thing just now */
export function isConflict(error: unknown): boolean {
  return error instanceof ServerError && conflicts.includes(error.number)
}

/** @returns the error for what mysql2 told; what a server said keeps nothing of the statement */
export function told(error: unknown): unknown {
  if (!(error instanceof Error) || !('errno' in error) || !('sqlMessage' in error)) return error
  if (typeof error.errno !== 'number' || typeof error.sqlMessage !== 'string') return error
  return new ServerError(error.errno, error.sqlMessage)
}

/**
 * @param error why a connection could not be opened
 * @returns the sentence about it, without secrets
 */
export function unreachable(
  error: unknown,
  admin: { username: string; host: string; engine: string },
): Unreachable {
  if (error instanceof Unreachable) return error
  return new Unreachable(
    `${admin.engine} at ${admin.host} takes no connection just now: ${reason(error, admin)}`,
    {
      cause: error,
    },
  )
}

function reason(error: unknown, admin: { username: string }): string {
  if (error instanceof ServerError) {
    if (error.number === 1045) {
      return `it refuses the password of administrator "${admin.username}" (KubeDB may be rotating it)`
    }
    return `${error.message} (${error.number})`
  }
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return (error instanceof Error ? error.message : '') || code || 'no reason given'
}

/**
 * @param error what a call on an open connection ended with
 * @param doing what was being done, e.g. `drop the user`
 * @param engine what the server is called
 * @returns Unreachable where the same call may succeed later, else an error for the broker's operator
 */
export function failure(error: unknown, doing: string, engine: string): unknown {
  if (!(error instanceof ServerError)) return error
  const said = `${error.message} (${error.number})`
  if (isConflict(error) || transient.includes(error.number)) {
    return new Unreachable(`${engine} could not ${doing} just now: ${said}`, { cause: error })
  }
  return new Error(`${engine} refused to ${doing}: ${said}`, { cause: error })
}
