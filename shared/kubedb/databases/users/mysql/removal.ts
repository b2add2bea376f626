/**
 * The end of a binding's account: no login, its sessions end, then it is gone.
 *
 * An account that views, routines, triggers or events name as their definer is kept, for they run with its privileges
 * and would fail without it (error 1449): locked, and with a verifier that no password has. Such an account is nobody's
 * user any more; the first removal that finds nothing defined by it drops it.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import * as v from 'valibot'
import { Unreachable } from '../../database.ts'
import { account, identified } from './account.ts'
import { isConflict, ServerError } from './failure.ts'
import { type ServerAdmin, Session } from './session.ts'
import { unmatched } from './verifier.ts'

const attempts = 5
/** milliseconds for all members together */
const memberTime = 4000
/** milliseconds kept back for the steps that follow */
const reserve = 500

const noSuchThread = 1094

/**
 * Removes the account; nothing happens when there is none. Killed half-way, it is locked out and can be removed again.
 *
 * @throws {Unreachable} when its sessions do not end in time
 */
export async function removeAccount(session: Session, admin: ServerAdmin, name: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await remove(session, admin, name)
      break
    } catch (error) {
      // somebody removes it too
      if (!isConflict(error) || attempt === attempts) throw error
      await sleep(50 * attempt)
    }
  }
  // log-ins that were under way, and sessions of an account that a person dropped
  await endSessions(session, name, admin.deadline)
  await dropUnused(session)
}

async function remove(session: Session, admin: ServerAdmin, name: string): Promise<void> {
  const hosts = await hostsOf(session, name)
  if (hosts.length === 0) return
  for (const host of hosts) await session.run(`ALTER USER ${account(name, host)} ACCOUNT LOCK`)
  await endSessions(session, name, admin.deadline)
  await endSessionsOnMembers(admin, name)
  for (const host of hosts) {
    if (await definesSomething(session, name, host)) {
      const proof = identified(session.plugin, unmatched[session.plugin])
      await session.run(`ALTER USER ${account(name, host)} ${proof} ACCOUNT LOCK`)
    } else {
      await session.run(`DROP USER IF EXISTS ${account(name, host)}`)
    }
  }
}

async function hostsOf(session: Session, name: string): Promise<string[]> {
  const rows = await session.rows(
    v.object({ host: v.string() }),
    'SELECT Host AS host FROM mysql.user WHERE User = ?',
    [name],
  )
  return rows.map(({ host }) => host)
}

async function definesSomething(session: Session, name: string, host: string): Promise<boolean> {
  const places = ['VIEWS', 'ROUTINES', 'TRIGGERS', 'EVENTS']
  const each = places.map((place) => `EXISTS (SELECT 1 FROM information_schema.${place} WHERE DEFINER = ?)`)
  const definer = `${name}@${host}`
  const [row] = await session.rows(
    v.object({ found: v.number() }),
    `SELECT ${each.join(' OR ')} AS found`,
    places.map(() => definer),
  )
  return row?.found === 1
}

/** Accounts that were kept for what they defined, and define nothing any more. */
async function dropUnused(session: Session): Promise<void> {
  const kept = await session.rows(
    v.object({ name: v.string(), host: v.string() }),
    'SELECT User AS name, Host AS host FROM mysql.user WHERE authentication_string = ?',
    [unmatched[session.plugin]],
  )
  for (const { name, host } of kept) {
    if (await definesSomething(session, name, host)) continue
    await session.run(`DROP USER IF EXISTS ${account(name, host)}`)
  }
}

/** Ends the sessions until there are none: ending one takes effect only when it comes to look, and has to undo its work. */
async function endSessions(session: Session, name: string, deadline: number): Promise<void> {
  for (let pause = 5; ; pause = Math.min(2 * pause, 200)) {
    // events run as their definer, at a host of `%`: they belong to the application, and start again
    const left = await session.rows(
      v.object({ id: v.union([v.number(), v.string()]) }),
      "SELECT ID AS id FROM information_schema.PROCESSLIST WHERE USER = ? AND HOST <> '%'",
      [name],
    )
    if (left.length === 0) return
    for (const { id } of left) await end(session, id)
    if (Date.now() + pause + reserve > deadline) {
      throw new Unreachable(`${left.length} session(s) of the user did not end in time`)
    }
    await sleep(pause)
  }
}

async function end(session: Session, id: number | string): Promise<void> {
  try {
    await session.run(`KILL CONNECTION ${id}`)
  } catch (error) {
    if (!(error instanceof ServerError && error.number === noSuchThread)) throw error
  }
}

async function endSessionsOnMembers(admin: ServerAdmin, name: string): Promise<void> {
  const deadline = Math.min(admin.deadline, Date.now() + memberTime)
  await Promise.all(
    admin.members.map((member) =>
      endSessionsOnMember({ ...admin, ...address(member, admin), deadline }, name),
    ),
  )
}

/**
 * Best effort: a member that does not answer, or lags so far that it still lets the account log in, must not keep the
 * binding alive on the others. What it replays later drops the account there too.
 */
async function endSessionsOnMember(admin: ServerAdmin, name: string): Promise<void> {
  try {
    const session = await Session.open(admin)
    try {
      for (let pause = 10; !(await isShutOut(session, name)); pause = Math.min(2 * pause, 200)) {
        if (Date.now() + pause + reserve > admin.deadline) break
        await sleep(pause)
      }
      await endSessions(session, name, admin.deadline)
    } finally {
      await session.close()
    }
  } catch (error) {
    if (!(error instanceof Unreachable) && !isConflict(error)) throw error
  }
}

async function isShutOut(session: Session, name: string): Promise<boolean> {
  for (const host of await hostsOf(session, name)) {
    const rows = await session.rows(
      v.record(v.string(), v.string()),
      `SHOW CREATE USER ${account(name, host)}`,
    )
    if (!rows.every((row) => Object.values(row).every((text) => text.includes(' ACCOUNT LOCK')))) return false
  }
  return true
}

/** `host` or `host:port` */
function address(text: string, admin: ServerAdmin): { host: string; port: number } {
  const [, host, port] = /^([^:]+):(\d+)$/.exec(text) ?? []
  return host === undefined ? { host: text, port: admin.port } : { host, port: Number(port) }
}
