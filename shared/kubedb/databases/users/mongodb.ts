/**
 * The users of bindings inside MongoDB. This file brings the mongodb driver with it: import it only where users are
 * made or removed.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import * as v from 'valibot'
import type { Account, Admin, Users } from '../database.ts'
import { oneAfterTheOther } from './in-turn.ts'
import { isRight, readAccount, rightFields } from './mongodb/account.ts'
import { failure, isConflict } from './mongodb/failure.ts'
import { forgetUsers, removeAccount } from './mongodb/removal.ts'
import { Session } from './mongodb/session.ts'

/** Names that the broker gives; everything else in the server belongs to others. */
const ours = '^b[a-z2-7]{26}$'
const attempts = 10

/** Databases in which MongoDB keeps users, settings and its own log. */
const reserved = ['admin', 'config', 'local']

/**
 * Opens an administrator's connection. Calls on the result are carried out one after the other.
 *
 * @param admin a user of `admin` with the role `root`; all work ends by `deadline` or when `signal` aborts
 * @throws {Unreachable} when no server takes the connection within five seconds
 */
export async function connect(admin: Admin): Promise<Users> {
  const session = await Session.open(admin)
  const inTurn = oneAfterTheOther(failure)

  return {
    list: () => inTurn('list users', () => list(session)),
    works: (account) => inTurn('check the user', () => works(session, admin, account)),
    create: (account) => inTurn('create the user', () => create(session, admin, account)),
    drop: (name) => inTurn('drop the user', () => drop(session, admin, name)),
    close: () => session.close(),
  }
}

async function list(session: Session): Promise<string[]> {
  const { users } = await session.ask(v.object({ users: v.array(v.object({ user: v.string() })) }), {
    usersInfo: 1,
    filter: { user: { $regex: ours } },
  })
  return users.map(({ user }) => user).sort()
}

async function works(session: Session, admin: Admin, account: Account): Promise<boolean> {
  const state = await readAccount(session, account.name)
  return state !== undefined && (await isRight(state, account, admin.database))
}

async function create(session: Session, admin: Admin, account: Account): Promise<void> {
  assertOurs(account.name)
  assertDatabaseName(admin.database)
  for (let attempt = 1; ; attempt++) {
    const state = await readAccount(session, account.name)
    if (state !== undefined && (await isRight(state, account, admin.database))) return
    const fields = rightFields(account, admin.database)
    try {
      if (state === undefined) return await session.write({ createUser: account.name, ...fields })
      await session.write({ updateUser: account.name, ...fields })
      return await forgetUsers(admin)
    } catch (error) {
      if (!isConflict(error) || attempt === attempts) throw error
      await sleep(20 * attempt)
    }
  }
}

async function drop(session: Session, admin: Admin, name: string): Promise<void> {
  assertOurs(name)
  for (let attempt = 1; ; attempt++) {
    try {
      return await removeAccount(session, admin, name)
    } catch (error) {
      if (!isConflict(error) || attempt === attempts) throw error
      await sleep(20 * attempt)
    }
  }
}

function assertOurs(name: string): void {
  if (!new RegExp(ours).test(name)) {
    throw new Error(
      `"${name}" is not a user of this broker; its names are b and 26 characters of a-z and 2-7`,
    )
  }
}

/** A role on one of MongoDB's own databases would reach all others. */
function assertDatabaseName(name: string): void {
  const long = Buffer.byteLength(name) > 63
  if (name === '' || long || /[/\\. "$*<>:|?\0]/.test(name) || reserved.includes(name.toLowerCase())) {
    throw new Error(
      `"${name}" cannot be the application's database: MongoDB takes up to 63 bytes without any of /\\. "$*<>:|?, and ${reserved.join(', ')} are its own`,
    )
  }
}
