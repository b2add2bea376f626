/** Users of bindings inside a server, as the tests of every engine make them, remove them and meet its refusals. */
import { randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import type { ExecutionContext } from 'ava'
import { type Account, type Admin, Unreachable, type Users } from '../../shared/kubedb/databases/database.ts'
import { base32 } from '../../shared/kubedb/records/names.ts'
import type { Role } from '../../shared/values/nouns.ts'

export const roles: readonly Role[] = ['owner', 'readWrite', 'readOnly']

/** @returns what nobody has yet, named as the broker names it */
export function account(role: Role = 'owner'): Account {
  return { name: `b${base32(randomBytes(20)).slice(0, 26)}`, password: randomBytes(16).toString('hex'), role }
}

/** Its password is found wherever it may have gone. */
export const conspicuous: Account = { name: `b${'a'.repeat(26)}`, password: 'K9'.repeat(16), role: 'owner' }

interface Administered {
  admin(changes?: Partial<Admin>): Admin
}

/** @param connect of an engine's driver */
export function usersOver(connect: (admin: Admin) => Promise<Users>) {
  /** Does something over one connection of the administrator. */
  async function using<T>(admin: Admin, work: (users: Users) => Promise<T>): Promise<T> {
    const users = await connect(admin)
    try {
      return await work(users)
    } finally {
      await users.close()
    }
  }
  return {
    using,
    async bind(server: Administered, role?: Role, changes?: Partial<Admin>): Promise<Account> {
      const made = account(role)
      await using(server.admin(changes), (users) => users.create(made))
      return made
    },
    unbind: (server: Administered, { name }: Account, changes?: Partial<Admin>): Promise<void> =>
      using(server.admin(changes), (users) => users.drop(name)),
  }
}

/**
 * Asserts that the server is told to be out of reach.
 *
 * @param within milliseconds until it is told
 * @param what of the test this is about
 * @param secrets that are nowhere in the error, in clear
 * @returns the error
 */
export async function assertUnreachable(
  t: ExecutionContext,
  work: Promise<unknown>,
  message: RegExp,
  within: number,
  what = '',
  secrets: readonly string[] = ['Of the administrator', conspicuous.password],
): Promise<Error> {
  const start = Date.now()
  const error = await t.throwsAsync(work, { instanceOf: Unreachable }, what)
  t.true(Date.now() - start < within, `${what}: took ${Date.now() - start} ms`)
  t.regex(error.message, message, what)
  const all = inspect(error, { depth: 12, showHidden: true })
  for (const secret of secrets) t.false(all.includes(secret), `${what}: ${secret}`)
  return error
}
