/** One binding's login role: what it is in the server, and what it must be. */
import * as v from 'valibot'
import type { Account } from '../../database.ts'
import { scramMatches, scramVerifier } from '../scram.ts'
import { groups } from './groups.ts'
import { identifier, literal } from './quoting.ts'
import type { Session } from './session.ts'

const State = v.object({
  oid: v.number(),
  login: v.boolean(),
  /** no attribute that an application must not have, none that keeps it out */
  plain: v.boolean(),
  /** when the log-in ends, in seconds since the epoch as text; null: never */
  ends: v.nullable(v.string()),
  verifier: v.nullable(v.string()),
  memberships: v.array(
    v.object({
      group: v.string(),
      /** null: the server does not tell grants of several grantors apart (before 16) */
      grantor: v.nullable(v.string()),
      /** usable by inheritance and by SET ROLE, not to be passed on */
      plain: v.boolean(),
    }),
  ),
  /** settings of `role` at log-in: everywhere (null) or in one database */
  starts: v.array(v.object({ database: v.nullable(v.string()), setting: v.string() })),
})
export type AccountState = v.InferOutput<typeof State>

// columns that older servers lack are read by way of jsonb
const statement = `
  SELECT jsonb_build_object(
    'oid', a.oid::bigint,
    'login', a.rolcanlogin,
    'plain', a.rolinherit AND a.rolconnlimit = -1 AND NOT (
      a.rolsuper OR a.rolcreatedb OR a.rolcreaterole OR a.rolreplication OR a.rolbypassrls),
    'ends', CASE WHEN coalesce(a.rolvaliduntil, 'infinity') <> 'infinity' THEN extract(epoch FROM a.rolvaliduntil)::text END,
    'verifier', a.rolpassword,
    'memberships', (
      SELECT coalesce(jsonb_agg(jsonb_build_object(
        'group', g.rolname,
        'grantor', CASE WHEN to_jsonb(m) ? 'inherit_option' THEN grantor.rolname END,
        'plain', NOT m.admin_option AND coalesce((to_jsonb(m)->>'inherit_option')::boolean, true)
          AND coalesce((to_jsonb(m)->>'set_option')::boolean, true))), '[]')
      FROM pg_auth_members m
      JOIN pg_authid g ON g.oid = m.roleid
      LEFT JOIN pg_authid grantor ON grantor.oid = m.grantor
      WHERE m.member = a.oid),
    'starts', (
      SELECT coalesce(jsonb_agg(jsonb_build_object('database', d.datname, 'setting', setting)), '[]')
      FROM pg_db_role_setting s
      LEFT JOIN pg_database d ON d.oid = s.setdatabase
      CROSS JOIN unnest(s.setconfig) AS setting
      WHERE s.setrole = a.oid AND setting LIKE 'role=%')
  ) AS state
  FROM pg_authid a WHERE a.rolname = $1`

/** @returns what the server knows of the account, or undefined when it has none of that name */
export async function readAccount(session: Session, name: string): Promise<AccountState | undefined> {
  const [row] = await session.rows(v.object({ state: State }), statement, [name])
  return row?.state
}

/** @returns whether the account can log in with its password, and holds its role and nothing else */
export function isRight(state: AccountState, account: Account): boolean {
  const [membership, ...more] = state.memberships
  const start = startRole(account)
  return (
    state.login &&
    state.plain &&
    sameEnd(state.ends, account.expiresAt) &&
    more.length === 0 &&
    membership?.group === groups[account.role] &&
    membership.plain &&
    state.starts.length === (start === undefined ? 0 : 1) &&
    state.starts.every(({ database, setting }) => database === null && setting === `role=${start}`) &&
    scramMatches(state.verifier, account.password)
  )
}

function sameEnd(ends: string | null, expiresAt: string | undefined): boolean {
  if (ends === null || expiresAt === undefined) return ends === null && expiresAt === undefined
  return Math.round(Number(ends) * 1000) === Date.parse(expiresAt)
}

/**
 * @param state what is there; undefined when nothing is
 * @returns the statements that make the account what it should be, to run as one transaction. They hold a verifier,
 * never the password
 */
export function repair(state: AccountState | undefined, account: Account): string {
  const name = identifier(account.name)
  const start = startRole(account)
  return [
    ...(state === undefined ? [`CREATE ROLE ${name}`] : []),
    `ALTER ROLE ${name} WITH LOGIN INHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
       CONNECTION LIMIT -1 VALID UNTIL ${literal(account.expiresAt ?? 'infinity')} PASSWORD ${literal(scramVerifier(account.password))}`,
    ...(state === undefined ? [] : leaveGroups(state, name)),
    `GRANT ${groups[account.role]} TO ${name}`,
    ...(state?.starts ?? []).map(
      ({ database }) =>
        `ALTER ROLE ${name} ${database === null ? '' : `IN DATABASE ${identifier(database)}`} RESET role`,
    ),
    ...(start === undefined ? [] : [`ALTER ROLE ${name} SET role = ${literal(start)}`]),
  ].join(';\n')
}

/**
 * @returns the statements that keep the account out and take all rights from it. Without its memberships, what it
 * granted falls together with what was granted to it: a member of the owner group may always grant
 */
export function disarm(state: AccountState, name: string): string {
  return [`ALTER ROLE ${identifier(name)} NOLOGIN`, ...leaveGroups(state, identifier(name))].join(';\n')
}

function leaveGroups(state: AccountState, name: string): string[] {
  return state.memberships.map(({ group, grantor }) => {
    const by = grantor === null ? '' : `GRANTED BY ${identifier(grantor)}`
    return `REVOKE ${identifier(group)} FROM ${name} ${by} CASCADE`
  })
}

/** An owner works as the group, so what one binding makes belongs to all of them, now and after it is gone. */
function startRole(account: Account): string | undefined {
  return account.role === 'owner' ? groups.owner : undefined
}
