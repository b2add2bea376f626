/** What errors of PostgreSQL, its driver and the network mean to the broker. */
import { DatabaseError } from 'pg'
import { Unreachable } from '../../database.ts'

/** SQLSTATEs after which the same request may well succeed. A class of two characters stands for all its codes. */
const transient = [
  '08', // connection
  '53', // resources: too many connections, disk full, out of memory
  '57', // cancelled by a timeout, shutting down, starting up
  '55P03', // a lock was not to be had
  '40', // serialization, deadlock
  '25006', // read-only: another member is the primary now
]

/** SQLSTATEs of a lost race against another function or a person: reading again and deciding again settles it. */
const conflicts = [
  '23505', // unique violation in a catalog
  '42P04', // the database is there already
  '42710', // the role is there already
  '42704', // the role is gone
  '3D000', // the database is gone
  '55006', // template1 is in use
  'XX000', // tuple concurrently updated
  '40001',
  '40P01',
]

/** @returns whether the statement failed because somebody else changed the same thing just now */
export function isConflict(error: unknown): boolean {
  return error instanceof DatabaseError && conflicts.includes(error.code ?? '')
}

/** @returns the SQLSTATE, the network's or TLS's code, or an empty text */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}

/**
 * @param error why a connection could not be opened
 * @returns the sentence about it, without secrets
 */
export function unreachable(error: unknown, admin: { username: string; host: string }): Unreachable {
  if (error instanceof Unreachable) return error
  return new Unreachable(
    `PostgreSQL at ${admin.host} takes no connection just now: ${reason(error, admin)}`,
    {
      cause: error,
    },
  )
}

function reason(error: unknown, admin: { username: string }): string {
  const code = codeOf(error)
  if (code === '28P01') {
    return `it refuses the password of administrator "${admin.username}" (KubeDB may be rotating it)`
  }
  if (code === '28000') return `it does not let administrator "${admin.username}" in (pg_hba.conf)`
  if (error instanceof DatabaseError) return `${error.message} (${code})`
  return (error instanceof Error ? error.message : '') || code || 'no reason given'
}

/**
 * @param error what a call on an open connection ended with
 * @param doing what was being done, e.g. `drop the user`
 * @returns Unreachable where the same call may succeed later, else an error for the broker's operator
 */
export function failure(error: unknown, doing: string): unknown {
  if (!(error instanceof DatabaseError)) return error
  const code = error.code ?? ''
  const detail = error.detail === undefined ? '' : `; ${error.detail}`
  if (isConflict(error) || transient.some((prefix) => code.startsWith(prefix))) {
    return new Unreachable(`PostgreSQL could not ${doing} just now: ${error.message} (${code})`, {
      cause: error,
    })
  }
  return new Error(`PostgreSQL refused to ${doing}: ${error.message} (${code})${detail}`, { cause: error })
}
