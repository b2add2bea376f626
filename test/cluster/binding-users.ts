/** Users of bindings inside a server, as the tests of every engine make them, remove them and meet its refusals. */
import { randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import type { ExecutionContext } from 'ava'
import { type Account, type Admin, Unreachable, type Users } from '../../shared/kubedb/databases/database.ts'
import { base32 } from '../../shared/kubedb/records/names.ts'
import type { Role } from '../../shared/values/nouns.ts'
import type { Relay } from './relay.ts'

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

/** A server whose administrator can send it statements. */
interface Queried extends Administered {
  query(statement: string): Promise<unknown>
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

  async function bind(server: Administered, role?: Role, changes?: Partial<Admin>): Promise<Account> {
    const made = account(role)
    await using(server.admin(changes), (users) => users.create(made))
    return made
  }

  function unbind(server: Administered, { name }: Account, changes?: Partial<Admin>): Promise<void> {
    return using(server.admin(changes), (users) => users.drop(name))
  }

  return {
    using,
    bind,
    unbind,

    async bindEach(server: Administered): Promise<Record<Role, Account>> {
      return {
        owner: await bind(server),
        readWrite: await bind(server, 'readWrite'),
        readOnly: await bind(server, 'readOnly'),
      }
    },

    /** One account, by so many connections at once. */
    async createAtOnce(server: Administered, times: number): Promise<Account> {
      const made = account()
      await Promise.all(
        Array.from({ length: times }, () => using(server.admin(), (users) => users.create(made))),
      )
      return made
    },

    /** Asserts that accounts of all roles, all made at once, are listed, work, and can all be dropped at once. */
    async assertAllAtOnce(
      t: ExecutionContext,
      server: Administered,
      count: number,
      meanwhile: (accounts: readonly Account[]) => Promise<void> = async () => {},
    ): Promise<void> {
      const accounts = Array.from({ length: count }, (_, index) => account(roles[index % roles.length]))
      await Promise.all(accounts.map((made) => using(server.admin(), (users) => users.create(made))))
      t.deepEqual(
        await using(server.admin(), (users) => users.list()),
        accounts.map(({ name }) => name).sort(),
      )
      await using(server.admin(), async (users) => {
        for (const made of accounts) t.true(await users.works(made))
      })
      await meanwhile(accounts)
      await Promise.all(accounts.map((made) => unbind(server, made)))
      t.deepEqual(await using(server.admin(), (users) => users.list()), [])
    },

    /** Asserts that an account works, does not once it is damaged, and does again when it is made again. */
    async assertRepaired(
      t: ExecutionContext,
      server: Administered,
      made: Account,
      damage: () => Promise<void>,
      what: string,
    ): Promise<void> {
      await using(server.admin(), async (users) => {
        t.true(await users.works(made), what)
        await damage()
        t.false(await users.works(made), what)
        await users.create(made)
        t.true(await users.works(made), what)
      })
    },

    /** Asserts that nothing works but what was made, with its password and its role. */
    async assertOnlyItselfWorks(t: ExecutionContext, server: Administered): Promise<void> {
      const made = await bind(server, 'readWrite')
      await using(server.admin(), async (users) => {
        t.false(await users.works(account()))
        t.false(await users.works({ ...made, password: 'f'.repeat(32) }))
        t.false(await users.works({ ...made, role: 'owner' }))
        t.false(await users.works({ ...made, role: 'readOnly' }))
        t.true(await users.works(made))
      })
    },

    /** Asserts that the names of others, and names nearly as the broker's, are neither made, dropped nor listed. */
    async assertLeavesOthersAlone(
      t: ExecutionContext,
      server: Administered,
      others: string[],
    ): Promise<void> {
      const nearly = ['', `b${'a'.repeat(27)}`, `b${'A'.repeat(26)}`, `b${'a'.repeat(26)}\n`]
      const message = /is not a user of this broker/
      await using(server.admin(), async (users) => {
        for (const name of [...others, ...nearly]) {
          await t.throwsAsync(users.drop(name), { message })
          await t.throwsAsync(users.create({ ...account(), name }), { message })
        }
        const listed = await users.list()
        for (const name of others) t.false(listed.includes(name))
      })
    },

    /** @returns an account whose password was sent in every way there is: when made, repaired, checked, dropped */
    async wholeLife(server: Queried, damage: (name: string) => string): Promise<Account> {
      const made = account()
      await using(server.admin(), async (users) => {
        await users.create(made)
        await server.query(damage(made.name))
        await users.create(made)
        await users.works(made)
        await users.drop(made.name)
      })
      return made
    },

    /**
     * Asserts that whatever a call leaves that is cut off at one of its messages, the next call mends.
     *
     * @param relay before the server
     * @param through the relay
     * @param prepare makes everything as it is before the call
     * @param least messages that the call has
     */
    async assertMended(
      t: ExecutionContext,
      call: 'create' | 'drop',
      { server, relay, through, prepare, least }: Cut,
    ): Promise<void> {
      const work = (users: Users) =>
        call === 'create' ? users.create(conspicuous) : users.drop(conspicuous.name)
      await prepare()
      relay.relayAll()
      await using(server.admin(through), work)
      const messages = relay.seen
      t.true(messages > least)
      // the last message is the good-bye
      for (let count = 0; count < messages - 1; count++) {
        for (const forwardsNext of [false, true]) {
          const what = `message ${count}, ${forwardsNext ? 'after' : 'before'} it got through`
          relay.relayAll()
          await prepare()
          const caller = new AbortController()
          relay.silentAfter(count, forwardsNext, () => setTimeout(() => caller.abort(), 20))
          const admin = server.admin({ ...through, signal: caller.signal })
          await assertUnreachable(t, using(admin, work), /gone away/, 5000, what)
          await using(server.admin(), async (users) => {
            await work(users)
            t.deepEqual(await users.list(), call === 'create' ? [conspicuous.name] : [], what)
            t.is(await users.works(conspicuous), call === 'create', what)
          })
        }
      }
    },
  }
}

/** A server, and the relay before it that is to fall silent. */
interface Cut {
  server: Administered
  relay: Relay
  through: Partial<Admin>
  prepare(): Promise<void>
  least: number
}

/** @returns whether a connection still answers */
export function isAlive(client: { query(statement: string): Promise<unknown> }): Promise<boolean> {
  return client.query('SELECT 1').then(
    () => true,
    () => false,
  )
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
