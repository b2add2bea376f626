/** The end of a binding's user: it is gone, and so is what it was doing. What it wrote belongs to the database. */
import { setTimeout as sleep } from 'node:timers/promises'
import * as v from 'valibot'
import { isObject } from '../../../../values/json.ts'
import { type Admin, Unreachable } from '../../database.ts'
import { readAccount } from './account.ts'
import { codeOf, failure, userNotFound } from './failure.ts'
import { Session } from './session.ts'
import { userDatabase } from './user-database.ts'

/** milliseconds for all other members together */
const memberTime = 4000
/** milliseconds kept back for the steps that follow */
const reserve = 500

/**
 * Removes the user; nothing happens when there is none but that its sessions end. Its connections stay open, for
 * MongoDB cannot close them; each is asked for a log-in again at its next command.
 *
 * @param session with whoever takes writes
 * @throws {Unreachable} when its operations do not end in time
 */
export async function removeAccount(session: Session, admin: Admin, name: string): Promise<void> {
  try {
    await session.write({ dropUser: name })
  } catch (error) {
    // a person was first, or another function
    if (codeOf(error) !== userNotFound) throw error
  }
  await endSessions(session, admin, name, admin.deadline)
  const deadline = Math.min(admin.deadline, Date.now() + memberTime)
  await Promise.all(admin.members.map((member) => endSessionsOn(member, { ...admin, deadline }, name)))
}

/**
 * Every mongos keeps what it knows of users for up to half a minute: it is told to forget it.
 *
 * @throws {Unreachable} when no mongos that is left out can be reached in time
 */
export async function forgetUsers(admin: Admin): Promise<void> {
  if (!isSharded(admin)) return
  const deadline = Math.min(admin.deadline, Date.now() + memberTime)
  await Promise.all(
    admin.members.map((member) =>
      bestEffort(member, { ...admin, deadline }, (session) => session.run({ invalidateUserCache: 1 })),
    ),
  )
}

const Operations = v.object({
  cursor: v.object({ firstBatch: v.array(v.object({ opid: v.union([v.number(), v.string()]) })) }),
})

/** Ends the user's sessions on one server, and what it does outside of sessions. */
async function endSessions(session: Session, admin: Admin, name: string, deadline: number): Promise<void> {
  if (isSharded(admin)) await session.run({ invalidateUserCache: 1 })
  await session.run({ killAllSessions: [{ user: name, db: userDatabase }] })
  for (let pause = 5; ; pause = Math.min(2 * pause, 200)) {
    const left = await operationsOf(session, name)
    if (left.length === 0) return
    if (Date.now() + pause + reserve > deadline) {
      throw new Unreachable(`${left.length} operation(s) of the user did not end in time`)
    }
    for (const op of left) await session.run({ killOp: 1, op })
    await sleep(pause)
  }
}

async function operationsOf(session: Session, name: string): Promise<(number | string)[]> {
  const { cursor } = await session.ask(Operations, {
    aggregate: 1,
    pipeline: [
      { $currentOp: { allUsers: true } },
      { $match: { 'effectiveUsers.user': name, 'effectiveUsers.db': userDatabase } },
      { $project: { opid: 1 } },
    ],
    cursor: {},
  })
  return cursor.firstBatch.map(({ opid }) => opid)
}

/**
 * Members of a replica set and mongos have sessions of their own. Best effort: a member that does not answer must not
 * keep the binding alive on the others, and it lets the user in no longer than it is behind them.
 */
function endSessionsOn(member: string, admin: Admin, name: string): Promise<void> {
  return bestEffort(member, admin, async (session) => {
    if (isSharded(admin)) await session.run({ invalidateUserCache: 1 })
    for (let pause = 10; await readAccount(session, name); pause = Math.min(2 * pause, 200)) {
      if (Date.now() + pause + reserve > admin.deadline) break
      await sleep(pause)
    }
    await endSessions(session, admin, name, admin.deadline)
  })
}

async function bestEffort(
  member: string,
  admin: Admin,
  work: (session: Session) => Promise<void>,
): Promise<void> {
  try {
    const session = await Session.open(admin, member)
    try {
      await work(session)
    } finally {
      await session.close()
    }
  } catch (error) {
    const told = failure(error, 'end its sessions')
    if (!(told instanceof Unreachable)) throw told
  }
}

function isSharded(admin: Admin): boolean {
  return isObject(admin.spec.shardTopology)
}
