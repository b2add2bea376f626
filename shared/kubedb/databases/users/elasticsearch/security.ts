/** What the security APIs of both products do for the broker. Pure names and shapes; no I/O. */
import type { Role } from '../../../../values/nouns.ts'
import type { Account } from '../../database.ts'

/** One product's security API. Every call is idempotent. */
export interface Security {
  /** @returns the names of all users, others' too */
  users(): Promise<string[]>
  /** @returns whether every role of ours is what it should be, and nobody has more than their role */
  prepared(): Promise<boolean>
  /** One attempt at making that true. */
  prepare(): Promise<void>
  /** @returns whether the account can log in, and holds exactly its role */
  works(account: Account): Promise<boolean>
  /** One attempt at making the account what it should be. */
  put(account: Account): Promise<void>
  /** One attempt at removing the user and all else by which it could log in. */
  drop(name: string): Promise<void>
}

export const everyRole: readonly Role[] = ['owner', 'readWrite', 'readOnly']

/** @returns whether two lists hold the same, in any order */
export function sameItems(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((item) => other.includes(item))
}
