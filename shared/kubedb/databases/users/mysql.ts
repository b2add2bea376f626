/**
 * The users of bindings inside MySQL and MariaDB. This file brings the mysql2 driver with it: import it only where users
 * are made or removed.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import * as v from 'valibot'
import type { Account, Admin, Users } from '../database.ts'
import { oneAfterTheOther } from './in-turn.ts'
import { isRight, readAccount, repair } from './mysql/account.ts'
import { failure, isConflict } from './mysql/failure.ts'
import { prepare } from './mysql/preparation.ts'
import { removeAccount } from './mysql/removal.ts'
import { type ServerAdmin, Session } from './mysql/session.ts'
import { unmatched } from './mysql/verifier.ts'

/** Names that the broker gives; everything else in the server belongs to others. */
const ours = /^b[a-z2-7]{26}$(?!\n)/
const attempts = 10

/**
 * Opens an administrator's connection. Calls on the result are carried out one after the other.
 *
 * @param to with all privileges and the right to grant them; all work ends by `deadline` or when `signal` aborts
 * @param engine what the server is called in sentences
 * @throws {Unreachable} when the server does not take the connection within five seconds
 */
export async function connect(to: Admin, engine: string): Promise<Users> {
  const admin: ServerAdmin = { ...to, engine }
  const session = await Session.open(admin)
  const inTurn = oneAfterTheOther((error, doing) => failure(error, doing, engine))

  return {
    list: () => inTurn('list users', () => list(session)),
    works: (account) => inTurn('check the user', () => works(session, admin, account)),
    create: (account) => inTurn('create the user', () => create(session, admin, account)),
    drop: (name) => inTurn('drop the user', () => drop(session, admin, name)),
    close: () => session.close(),
  }
}

/** Without those that are kept for what they defined: nobody can be them. */
async function list(session: Session): Promise<string[]> {
  const rows = await session.rows(
    v.object({ name: v.string() }),
    `SELECT DISTINCT User AS name FROM mysql.user
     WHERE User LIKE 'b%' AND CHAR_LENGTH(User) = 27 AND authentication_string <> ? ORDER BY User`,
    [unmatched[session.plugin]],
  )
  return rows.map(({ name }) => name).filter((name) => ours.test(name))
}

async function works(session: Session, admin: Admin, account: Account): Promise<boolean> {
  const state = await readAccount(session, account.name)
  return state !== undefined && isRight(session, state, account, admin.database)
}

async function create(session: Session, admin: Admin, account: Account): Promise<void> {
  assertOurs(account.name)
  await prepare(session, admin.database)
  for (let attempt = 1; ; attempt++) {
    try {
      const state = await readAccount(session, account.name)
      if (state !== undefined && isRight(session, state, account, admin.database)) return
      for (const statement of repair(session, state, account, admin.database)) await session.run(statement)
      return
    } catch (error) {
      if (!isConflict(error) || attempt === attempts) throw error
      await sleep(20 * attempt)
    }
  }
}

async function drop(session: Session, admin: ServerAdmin, name: string): Promise<void> {
  assertOurs(name)
  await removeAccount(session, admin, name)
}

function assertOurs(name: string): void {
  if (!ours.test(name)) {
    throw new Error(
      `"${name}" is not a user of this broker; its names are b and 26 characters of a-z and 2-7`,
    )
  }
}
