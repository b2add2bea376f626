/** The users of a server: documents of `admin.system.users`, in the real server's form. */
import { UUID } from 'bson'
import * as v from 'valibot'
import { notImplemented, Refusal, userNotFound } from './refusal.ts'
import { type Privilege, privilegesOf, type RoleName } from './roles.ts'
import { Credentials, mechanism } from './scram.ts'
import type { Store } from './store.ts'
import { type Doc, numberOf } from './value.ts'

const collection = 'system.users'

const BsonNumber = v.pipe(
  v.unknown(),
  v.transform((value) => Number(numberOf(value))),
)

const User = v.object({
  _id: v.string(),
  userId: v.unknown(),
  user: v.string(),
  db: v.string(),
  credentials: v.optional(
    v.object({ [mechanism]: v.object({ ...Credentials.entries, iterationCount: BsonNumber }) }),
  ),
  roles: v.array(v.object({ role: v.string(), db: v.string() })),
  customData: v.optional(v.record(v.string(), v.unknown())),
  authenticationRestrictions: v.optional(v.array(v.record(v.string(), v.unknown()))),
})
export type User = v.InferOutput<typeof User>

export interface UserName {
  readonly user: string
  readonly db: string
}

export function isSame(one: UserName, other: UserName): boolean {
  return one.user === other.user && one.db === other.db
}

export class Users {
  readonly #store: Store

  constructor(store: Store) {
    this.#store = store
  }

  all(): User[] {
    return (this.#store.find('admin', collection)?.documents() ?? []).map((doc) => v.parse(User, doc))
  }

  find({ user, db }: UserName): User | undefined {
    const doc = this.#store.find('admin', collection)?.find(`${db}.${user}`)
    return doc === undefined ? undefined : v.parse(User, doc)
  }

  /** @throws {Refusal} UserNotFound */
  get(name: UserName): User {
    const user = this.find(name)
    if (user === undefined) throw userNotFound(`Could not find user "${name.user}" for db "${name.db}"`)
    return user
  }

  /** @throws {Refusal} 51003 when it is there already; RoleNotFound for a role that is not */
  create(name: UserName, what: Omit<User, '_id' | 'userId' | 'user' | 'db'>): void {
    assertRoles(what.roles)
    if (this.find(name)) {
      throw new Refusal(51003, 'Location51003', `User "${name.user}@${name.db}" already exists`)
    }
    const id = { _id: `${name.db}.${name.user}`, userId: new UUID().toBinary() }
    this.#put({ ...id, user: name.user, db: name.db, ...what })
  }

  /** @throws {Refusal} UserNotFound; RoleNotFound for a role that is not */
  update(name: UserName, changes: Partial<Omit<User, '_id' | 'userId' | 'user' | 'db'>>): void {
    assertRoles(changes.roles ?? [])
    this.#put({ ...this.get(name), ...changes })
  }

  /** @throws {Refusal} UserNotFound */
  drop(name: UserName): void {
    const doc = this.#store.find('admin', collection)?.find(`${name.db}.${name.user}`)
    if (doc === undefined) throw userNotFound(`User '${name.user}@${name.db}' not found`)
    this.#store.remove('admin', this.#store.ensure('admin', collection), doc)
  }

  #put(user: User): void {
    const doc: Doc = { ...user }
    this.#store.put('admin', this.#store.ensure('admin', collection), doc)
  }
}

/** @returns all that the roles may do together */
export function privilegesOfRoles(roles: readonly RoleName[]): Privilege[] {
  return roles.flatMap((role) => privilegesOf(role) ?? [])
}

function assertRoles(roles: readonly RoleName[]): void {
  for (const { role, db } of roles) {
    if (privilegesOf({ role, db }) !== undefined) continue
    if (db === 'admin' && /^(backup|restore)$/.test(role)) throw notImplemented(`the role ${role}`)
    throw new Refusal(31, 'RoleNotFound', `Could not find role: ${role}@${db}`)
  }
}
