/**
 * The users of bindings inside PostgreSQL. This file brings the pg driver with it: import it only where users are
 * made or removed.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import * as v from 'valibot'
import type { Account, Admin, Users } from '../database.ts'
import { oneAfterTheOther } from './in-turn.ts'
import { isRight, readAccount, repair } from './postgres/account.ts'
import { failure, isConflict } from './postgres/failure.ts'
import { maintenanceDatabase, prepare } from './postgres/groups.ts'
import { removeAccount } from './postgres/removal.ts'
import { Session } from './postgres/session.ts'

/** Names that the broker gives; everything else in the server belongs to others. */
const ours = '^b[a-z2-7]{26}$'
const attempts = 10

/**
 * Opens an administrator's connection. Calls on the result are carried out one after the other.
 *
 * @param admin a superuser; all work ends by `deadline` or when `signal` aborts
 * @throws {Unreachable} when the server does not take the connection within five seconds
 */
export async function connect(admin: Admin): Promise<Users> {
  const session = await Session.open(admin, maintenanceDatabase)
  const inTurn = oneAfterTheOther(failure)

  return {
    list: () => inTurn('list users', () => list(session)),
    works: (account) => inTurn('check the user', () => works(session, account)),
    create: (account) => inTurn('create the user', () => create(session, admin, account)),
    drop: (name) => inTurn('drop the user', () => drop(session, admin, name)),
    close: () => session.close(),
  }
}

async function list(session: Session): Promise<string[]> {
  const rows = await session.rows(
    v.object({ rolname: v.string() }),
    'SELECT rolname FROM pg_authid WHERE rolname ~ $1 ORDER BY rolname',
    [ours],
  )
  return rows.map(({ rolname }) => rolname)
}

async function works(session: Session, account: Account): Promise<boolean> {
  const state = await readAccount(session, account.name)
  return state !== undefined && isRight(state, account)
}

async function create(session: Session, admin: Admin, account: Account): Promise<void> {
  assertOurs(account.name)
  await prepare(session, admin)
  for (let attempt = 1; ; attempt++) {
    const state = await readAccount(session, account.name)
    if (state !== undefined && isRight(state, account)) return
    try {
      return await session.run(repair(state, account))
    } catch (error) {
      if (!isConflict(error) || attempt === attempts) throw error
      await sleep(20 * attempt)
    }
  }
}

async function drop(session: Session, admin: Admin, name: string): Promise<void> {
  assertOurs(name)
  await removeAccount(session, admin, name)
}

function assertOurs(name: string): void {
  if (!new RegExp(ours).test(name)) {
    throw new Error(
      `"${name}" is not a user of this broker; its names are b and 26 characters of a-z and 2-7`,
    )
  }
}
