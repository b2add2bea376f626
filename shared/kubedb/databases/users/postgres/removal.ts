/** The end of a binding's login role: its sessions end, what it owns stays with the owner group, then it is gone. */
import { setTimeout as sleep } from 'node:timers/promises'
import * as v from 'valibot'
import { type Admin, Unreachable } from '../../database.ts'
import { type AccountState, disarm, readAccount } from './account.ts'
import { codeOf, isConflict } from './failure.ts'
import { createGroups, groups, maintenanceDatabase } from './groups.ts'
import { identifier, literal } from './quoting.ts'
import { Session } from './session.ts'

const attempts = 5
/** milliseconds for all standbys together */
const standbyTime = 4000
/** milliseconds kept back for the steps that follow */
const reserve = 500

/**
 * Removes the role; nothing happens when there is none. Killed half-way, it is locked out and can be removed again.
 *
 * @param maintenance a session in the maintenance database of the primary
 * @throws {Unreachable} when its sessions do not end in time
 */
export async function removeAccount(maintenance: Session, admin: Admin, name: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      const state = await readAccount(maintenance, name)
      if (state !== undefined) await remove(maintenance, admin, name, state)
      // log-ins that were under way, and sessions of a role that a person dropped
      await endSessions(maintenance, orphans, [admin.database], admin.deadline)
      return
    } catch (error) {
      // new dependencies came up while others were being removed, or somebody removes it too
      if ((!isConflict(error) && codeOf(error) !== '2BP01') || attempt === attempts) throw error
      await sleep(50 * attempt)
    }
  }
}

async function remove(maintenance: Session, admin: Admin, name: string, state: AccountState): Promise<void> {
  // committed on its own, so that no new session can take the place of an ended one
  await maintenance.run(disarm(state, name))
  await endSessions(maintenance, ofRole, [state.oid], admin.deadline)
  await endSessionsOnStandbys(admin, state.oid)
  await handOver(maintenance, admin, name, state.oid)
  await maintenance.run(`DROP ROLE ${identifier(name)}`)
}

const ofRole = 'usesysid = $1'
const orphans =
  'datname = $1 AND usesysid IS NOT NULL AND NOT EXISTS (SELECT FROM pg_authid a WHERE a.oid = usesysid)'

/** Ends the sessions until there are none: ending one takes effect only when it comes to look. */
async function endSessions(
  session: Session,
  condition: string,
  values: readonly unknown[],
  deadline: number,
): Promise<void> {
  for (let pause = 5; ; pause = Math.min(2 * pause, 200)) {
    const left = await session.rows(
      v.object({ pid: v.number() }),
      `SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${condition}`,
      values,
    )
    if (left.length === 0) return
    if (Date.now() + pause + reserve > deadline) {
      throw new Unreachable(`${left.length} session(s) of the user did not end in time`)
    }
    await sleep(pause)
  }
}

async function endSessionsOnStandbys(admin: Admin, oid: number): Promise<void> {
  const deadline = Math.min(admin.deadline, Date.now() + standbyTime)
  const others = new Set(
    admin.hosts.filter((host) => host !== admin.host && host !== `${admin.host}:${admin.port}`),
  )
  await Promise.all(
    [...others].map((host) => endSessionsOnStandby({ ...admin, ...address(host, admin), deadline }, oid)),
  )
}

/**
 * Best effort: a standby that does not answer, or lags so far that it still lets the role log in, must not keep the
 * binding alive on the primary.
 */
async function endSessionsOnStandby(admin: Admin, oid: number): Promise<void> {
  try {
    const session = await Session.open(admin, maintenanceDatabase)
    try {
      for (let pause = 10; await canLogIn(session, oid); pause = Math.min(2 * pause, 200)) {
        if (Date.now() + pause + reserve > admin.deadline) break
        await sleep(pause)
      }
      await endSessions(session, ofRole, [oid], admin.deadline)
    } finally {
      await session.close()
    }
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error
  }
}

async function canLogIn(session: Session, oid: number): Promise<boolean> {
  const rows = await session.rows(v.object({}), 'SELECT 1 FROM pg_authid WHERE oid = $1 AND rolcanlogin', [
    oid,
  ])
  return rows.length > 0
}

/** `host` or `host:port` */
function address(text: string, admin: Admin): { host: string; port: number } {
  const [, host, port] = /^([^:]+):(\d+)$/.exec(text) ?? []
  return host === undefined ? { host: text, port: admin.port } : { host, port: Number(port) }
}

const Place = v.object({ database: v.string(), reachable: v.boolean(), version: v.number() })

/** Gives what the role owns to the owner group and removes its privileges, in each database that mentions it. */
async function handOver(maintenance: Session, admin: Admin, name: string, oid: number): Promise<void> {
  // shared objects (database 0) are dealt with from any database
  const places = await maintenance.rows(
    Place,
    `SELECT d.datname AS database, d.datallowconn AS reachable,
       current_setting('server_version_num')::int AS version
     FROM pg_database d
     WHERE d.oid IN (
       SELECT CASE dbid WHEN 0 THEN (SELECT oid FROM pg_database WHERE datname = current_database()) ELSE dbid END
       FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND refobjid = $1
     ) OR d.datname IN (SELECT database FROM pg_prepared_xacts WHERE owner = $2)`,
    [oid, name],
  )
  if (places.length > 0) await createGroups(maintenance)
  for (const { database, reachable, version } of places) {
    if (!reachable) {
      throw new Error(
        `user ${name} owns something in database ${identifier(database)}, which takes no connections; allow them (ALTER DATABASE … ALLOW_CONNECTIONS true) and unbind again`,
      )
    }
    const session = await Session.open(admin, database, version)
    try {
      await handOverHere(session, name)
    } finally {
      await session.close()
    }
  }
}

async function handOverHere(session: Session, name: string): Promise<void> {
  // a transaction that the binding prepared and left behind ends as its sessions did; its locks would block the rest
  const prepared = await session.rows(
    v.object({ gid: v.string() }),
    'SELECT gid FROM pg_prepared_xacts WHERE owner = $1 AND database = current_database()',
    [name],
  )
  for (const { gid } of prepared) await session.run(`ROLLBACK PREPARED ${literal(gid)}`)
  const role = identifier(name)
  await session.run(`REASSIGN OWNED BY ${role} TO ${groups.owner}; DROP OWNED BY ${role}`)
}
