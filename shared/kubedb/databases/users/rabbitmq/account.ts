/** What a user of RabbitMQ is: a salted hash, and three regular expressions about names. Pure, but for the salt. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Role } from '../../../../values/nouns.ts'

export const algorithm = 'rabbit_password_hashing_sha256'

/** bytes, as RabbitMQ has it */
const saltLength = 4

/** Names of exchanges and queues that a user may make and delete, write to, and read from. */
export interface Permissions {
  readonly configure: string
  readonly write: string
  readonly read: string
}

/** Queues that the server names: clients make them for themselves, to be told what others publish. */
const named = '^amq\\.gen-.*$'

/**
 * - owner: everything in the virtual host
 * - readWrite: publishes and consumes; makes no exchanges and queues but those that the server names
 * - readOnly: consumes; what is consumed is gone, so that a queue of the server's naming, bound to an exchange, is the
 *   way to read what others get too
 */
const permissions: Record<Role, Permissions> = {
  owner: { configure: '.*', write: '.*', read: '.*' },
  readWrite: { configure: named, write: '.*', read: '.*' },
  readOnly: { configure: named, write: named, read: '.*' },
}

export const permissionsOf = (role: Role): Permissions => permissions[role]

export const samePermissions = (one: Permissions, other: Permissions): boolean =>
  one.configure === other.configure && one.write === other.write && one.read === other.read

/** @returns the password as RabbitMQ stores it: it never gets to know the password before the application logs in */
export function hashOf(password: string, salt = randomBytes(saltLength)): string {
  const hash = createHash('sha256').update(salt).update(password).digest()
  return Buffer.concat([salt, hash]).toString('base64')
}

/** @returns whether a stored hash is the password's */
export function isHashOf(password: string, stored: string): boolean {
  const salt = Buffer.from(stored, 'base64').subarray(0, saltLength)
  const [one, other] = [Buffer.from(stored), Buffer.from(hashOf(password, salt))]
  return one.length === other.length && timingSafeEqual(one, other)
}
