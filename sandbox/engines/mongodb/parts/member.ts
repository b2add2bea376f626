/** One address of a server: what is under way there. A replica set and a row of mongos have several. */
import { randomInt } from 'node:crypto'
import { Long } from 'bson'
import { cursorNotFound, interrupted } from './refusal.ts'
import { isSame, type User, type UserName, type Users } from './users.ts'
import type { Doc } from './value.ts'

/** milliseconds that a mongos believes what it knows of a user */
const cacheTime = 30_000

/** The rest of an answer that did not fit into one batch. */
export interface Cursor {
  readonly id: bigint
  readonly namespace: string
  readonly owner: UserName | undefined
  readonly session: string | undefined
  /** @returns up to `count` documents; empty when there are none (yet) */
  take(count: number): Doc[]
  readonly exhausted: boolean
  /** for a cursor that waits at the end of a capped collection: resolves with the next insertion */
  readonly more?: (signal: AbortSignal) => Promise<void>
}

/** A command under way. */
export interface Operation {
  readonly id: number
  readonly connection: number
  readonly user: UserName | undefined
  readonly session: string | undefined
  readonly command: string
  readonly namespace: string
  readonly started: number
  readonly abort: AbortController
}

/** A logical session. */
export interface Session {
  readonly owner: UserName
  /** the latest retryable write and its answer: sent again, it is not carried out again */
  write?: { number: bigint; answer: Doc }
}

export class Member {
  readonly index: number
  readonly cursors = new Map<bigint, Cursor>()
  readonly operations = new Map<number, Operation>()
  readonly sessions = new Map<string, Session>()
  readonly #caching: boolean
  readonly #cache = new Map<string, { user: User; until: number }>()

  /** @param caching as a mongos does: what other addresses change about users is seen late */
  constructor(index: number, caching: boolean) {
    this.index = index
    this.#caching = caching
  }

  /** @returns the user as this address knows it */
  userOf(users: Users, name: UserName): User | undefined {
    const key = `${name.db}.${name.user}`
    const known = this.#cache.get(key)
    if (known !== undefined && known.until > Date.now()) return known.user
    const user = users.find(name)
    if (user === undefined) this.#cache.delete(key)
    else if (this.#caching) this.#cache.set(key, { user, until: Date.now() + cacheTime })
    return user
  }

  forgetUsers(): void {
    this.#cache.clear()
  }

  open(cursor: Omit<Cursor, 'id'>): Cursor {
    const id = BigInt(randomInt(2 ** 47)) + 1n
    const opened: Cursor = {
      ...cursor,
      id,
      get exhausted() {
        return cursor.exhausted
      },
    }
    this.cursors.set(id, opened)
    return opened
  }

  /** @throws {Refusal} CursorNotFound */
  cursor(id: bigint): Cursor {
    const cursor = this.cursors.get(id)
    if (cursor === undefined) throw cursorNotFound(id)
    return cursor
  }

  /** @returns the session, made by its first use */
  session(id: string, owner: UserName): Session {
    const known = this.sessions.get(id)
    if (known) return known
    const session: Session = { owner }
    this.sessions.set(id, session)
    return session
  }

  /** Ends sessions with their cursors, and what is under way in them. */
  killSessions(of: (owner: UserName, id: string) => boolean): void {
    for (const [id, { owner }] of this.sessions) if (of(owner, id)) this.sessions.delete(id)
    for (const [id, { session, owner }] of this.cursors) {
      if (session !== undefined && owner !== undefined && of(owner, session)) this.cursors.delete(id)
    }
    for (const { session, user, abort } of this.operations.values()) {
      if (session !== undefined && user !== undefined && of(user, session)) abort.abort(interrupted())
    }
  }
}

/** @returns the test for sessions of these users */
export function ofUsers(users: readonly UserName[]): (owner: UserName) => boolean {
  return (owner) => users.length === 0 || users.some((user) => isSame(user, owner))
}

export function idOf(cursor: Cursor | undefined): Long {
  return Long.fromBigInt(cursor?.id ?? 0n)
}
