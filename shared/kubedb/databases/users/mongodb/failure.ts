/** What errors of MongoDB, its driver and the network mean to the broker. */
import { MongoAPIError, MongoError, MongoServerError, MongoServerSelectionError } from 'mongodb'
import { Unreachable } from '../../database.ts'

export const userNotFound = 11
const unauthenticated = 18

/** Codes after which the same request may well succeed. */
const transient = [
  6, // HostUnreachable
  7, // HostNotFound
  50, // MaxTimeMSExpired
  64, // WriteConcernFailed: not on a majority in time
  79, // UnknownReplWriteConcern, while members come and go
  89, // NetworkTimeout
  91, // ShutdownInProgress
  100, // UnsatisfiableWriteConcern: too few members just now
  133, // FailedToSatisfyReadPreference: no primary that a mongos knows of
  189, // PrimarySteppedDown
  202, // NetworkInterfaceExceededTimeLimit
  262, // ExceededTimeLimit
  9001, // SocketException
  10107, // NotWritablePrimary
  11600, // InterruptedAtShutdown
  11601, // Interrupted
  11602, // InterruptedDueToReplStateChange
  13388, // StaleConfig
  13435, // NotPrimaryNoSecondaryOk
  13436, // NotPrimaryOrSecondary
]

/** Codes of a lost race against another function or a person: reading again and deciding again settles it. */
const conflicts = [
  userNotFound, // somebody dropped it
  51003, // somebody made it
  11000, // DuplicateKey
  24, // LockTimeout
  46, // LockBusy
  112, // WriteConflict
  117, // ConflictingOperationInProgress
  251, // NoSuchTransaction
]

/** @returns whether the command failed because somebody else changed the same thing just now */
export function isConflict(error: unknown): boolean {
  return conflicts.includes(codeOf(error))
}

/** @returns MongoDB's code, or 0 for what did not come from the server */
export function codeOf(error: unknown): number {
  return error instanceof MongoServerError && typeof error.code === 'number' ? error.code : 0
}

/**
 * @returns whether it is a socket's own error: the driver passes it on as it is when a connection ends just when a command
 *   is written to it
 */
export function isOfSocket(error: unknown): boolean {
  return (
    error instanceof Error &&
    'code' in error &&
    /^(E[A-Z]+|ERR_(STREAM|SOCKET)_\w+)$/.test(String(error.code))
  )
}

/**
 * @param error why a connection could not be opened, or was lost
 * @returns the sentence about it, without secrets
 */
export function unreachable(error: unknown, admin: { username: string; host: string }): Unreachable {
  if (error instanceof Unreachable) return error
  return new Unreachable(`MongoDB at ${admin.host} takes no connection just now: ${reason(error, admin)}`, {
    cause: error,
  })
}

function reason(error: unknown, admin: { username: string }): string {
  if (codeOf(error) === unauthenticated) {
    return `it refuses the password of administrator "${admin.username}" (KubeDB may be rotating it)`
  }
  if (error instanceof MongoServerError) return `${error.message} (${error.code})`
  if (error instanceof MongoServerSelectionError) {
    const causes = [...(error.reason?.servers.values() ?? [])].map((server) => server.error?.message)
    return [
      error.message,
      ...new Set(causes.filter((cause) => cause !== undefined && cause !== error.message)),
    ].join('; ')
  }
  return (error instanceof Error ? error.message : '') || 'no reason given'
}

/**
 * @param error what a call on an open connection ended with
 * @param doing what was being done, e.g. `drop the user`
 * @returns Unreachable where the same call may succeed later, else an error for the broker's operator
 */
export function failure(error: unknown, doing: string): unknown {
  if (!(error instanceof MongoError) || error instanceof MongoAPIError) return error
  if (!(error instanceof MongoServerError)) {
    return new Unreachable(`the connection to MongoDB was lost while trying to ${doing}: ${error.message}`, {
      cause: error,
    })
  }
  const about = `${error.message} (${error.code})`
  if (isConflict(error) || transient.includes(codeOf(error))) {
    return new Unreachable(`MongoDB could not ${doing} just now: ${about}`, { cause: error })
  }
  return new Error(`MongoDB refused to ${doing}: ${about}`, { cause: error })
}
