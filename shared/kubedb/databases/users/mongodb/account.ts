/** One binding's user: what it is in the server, and what it must be. */
import { createHash, createHmac, pbkdf2, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import type { Document } from 'mongodb'
import * as v from 'valibot'
import type { Role } from '../../../../values/nouns.ts'
import type { Account } from '../../database.ts'
import type { Session } from './session.ts'
import { userDatabase } from './user-database.ts'

const derive = promisify(pbkdf2)

/** The only way for bindings to log in: with it the server keeps nothing from which the password follows. */
const mechanism = 'SCRAM-SHA-256'
/** Beyond this, computing a verifier would hold up the process; servers are set to 15,000. */
const mostIterations = 200_000

/**
 * Built-in roles on the application's database. An owner is no dbOwner: that one makes users, who would outlive its
 * binding.
 */
const roles: { readonly [role in Role]: readonly string[] } = {
  owner: ['readWrite', 'dbAdmin'],
  readWrite: ['readWrite'],
  readOnly: ['read'],
}

const Verifier = v.object({
  iterationCount: v.number(),
  salt: v.string(),
  storedKey: v.string(),
  serverKey: v.string(),
})
type Verifier = v.InferOutput<typeof Verifier>

const State = v.object({
  roles: v.array(v.object({ role: v.string(), db: v.string() })),
  credentials: v.optional(v.record(v.string(), v.unknown()), {}),
  authenticationRestrictions: v.optional(v.array(v.unknown()), []),
})
export type AccountState = v.InferOutput<typeof State>

/** @returns what the server knows of the user, or undefined when it has none of that name */
export async function readAccount(session: Session, name: string): Promise<AccountState | undefined> {
  const { users } = await session.ask(v.object({ users: v.array(State) }), {
    usersInfo: { user: name, db: userDatabase },
    showCredentials: true,
    showAuthenticationRestrictions: true,
  })
  return users[0]
}

/**
 * @param database the application's
 * @returns whether the user can log in with its password, from anywhere, and holds its role and nothing else
 */
export async function isRight(state: AccountState, account: Account, database: string): Promise<boolean> {
  const wanted = rolesOf(account.role, database)
  const verifier = v.safeParse(Verifier, state.credentials[mechanism])
  return (
    state.roles.length === wanted.length &&
    wanted.every(({ role, db }) => state.roles.some((held) => held.role === role && held.db === db)) &&
    state.authenticationRestrictions.length === 0 &&
    Object.keys(state.credentials).length === 1 &&
    verifier.success &&
    (await isOf(verifier.output, account.password))
  )
}

/**
 * @returns the fields that make a user what it should be, for `createUser` and `updateUser` alike. The password is
 *   in them: the server takes no verifier for SCRAM-SHA-256. It leaves `pwd` out of its logs
 */
export function rightFields(account: Account, database: string): Document {
  return {
    pwd: account.password,
    roles: rolesOf(account.role, database),
    mechanisms: [mechanism],
    authenticationRestrictions: [],
  }
}

function rolesOf(role: Role, db: string): { role: string; db: string }[] {
  return roles[role].map((one) => ({ role: one, db }))
}

/** RFC 5802: the stored keys follow from the password, and not the other way round. */
async function isOf(verifier: Verifier, password: string): Promise<boolean> {
  const { iterationCount, salt } = verifier
  if (!(iterationCount > 0 && iterationCount <= mostIterations)) return false
  const salted = await derive(password, Buffer.from(salt, 'base64'), iterationCount, 32, 'sha256')
  const clientKey = createHmac('sha256', salted).update('Client Key').digest()
  const storedKey = createHash('sha256').update(clientKey).digest()
  const serverKey = createHmac('sha256', salted).update('Server Key').digest()
  return isSame(verifier.storedKey, storedKey) && isSame(verifier.serverKey, serverKey)
}

function isSame(base64: string, wanted: Buffer): boolean {
  const bytes = Buffer.from(base64, 'base64')
  return bytes.length === wanted.length && timingSafeEqual(bytes, wanted)
}
