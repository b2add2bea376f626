/** One binding's account: what it is in the server, and what it must be. */
import * as v from 'valibot'
import type { Role } from '../../../../values/nouns.ts'
import type { Account } from '../../database.ts'
import { granted, identifier, literal } from './quoting.ts'
import type { Session } from './session.ts'
import { type Plugin, verifierMatches, verifierOf } from './verifier.ts'

/** Everything that a GRANT on a database can hold, but the right to pass it on. */
const everything = [
  ...['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'CREATE', 'DROP', 'REFERENCES', 'INDEX', 'ALTER'],
  ...['CREATE TEMPORARY TABLES', 'LOCK TABLES', 'EXECUTE', 'CREATE VIEW', 'SHOW VIEW', 'CREATE ROUTINE'],
  ...['ALTER ROUTINE', 'EVENT', 'TRIGGER'],
]

/** What each role may do inside the application's database; outside of it nobody may do anything. */
export const privileges: Record<Role, readonly string[]> = {
  owner: everything,
  readWrite: [
    ...['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'EXECUTE', 'SHOW VIEW'],
    ...['CREATE TEMPORARY TABLES', 'LOCK TABLES'],
  ],
  readOnly: ['SELECT', 'SHOW VIEW'],
}

export interface AccountState {
  /** from which it may connect; `%` is everywhere */
  hosts: string[]
  /** of the account at `%`: its verifier, and what SHOW CREATE USER and SHOW GRANTS tell */
  verifier: Buffer
  definition: string
  grants: string[]
  /** granted to it, in backticks */
  roles: string[]
}

const Text = v.pipe(
  v.record(v.string(), v.string()),
  v.transform((row) => Object.values(row)[0] ?? ''),
)

/** @returns what the server knows of the account, or undefined when it has none of that name */
export async function readAccount(session: Session, name: string): Promise<AccountState | undefined> {
  const rows = await session.rows(
    v.object({ host: v.string(), verifier: v.nullable(v.string()) }),
    'SELECT Host AS host, HEX(authentication_string) AS verifier FROM mysql.user WHERE User = ?',
    [name],
  )
  const hosts = rows.map(({ host }) => host)
  if (hosts.length === 0) return undefined
  const verifier = Buffer.from(rows.find(({ host }) => host === '%')?.verifier ?? '', 'hex')
  if (!hosts.includes('%')) return { hosts, verifier, definition: '', grants: [], roles: [] }
  const user = account(name)
  const [definition = ''] = await session.rows(Text, `SHOW CREATE USER ${user}`)
  const grants = await session.rows(Text, `SHOW GRANTS FOR ${user}`)
  const roles = await session.rows(
    v.object({ name: v.string(), host: v.nullable(v.string()) }),
    session.plugin === 'caching_sha2_password'
      ? "SELECT FROM_USER AS name, FROM_HOST AS host FROM mysql.role_edges WHERE TO_USER = ? AND TO_HOST = '%'"
      : "SELECT Role AS name, NULL AS host FROM mysql.roles_mapping WHERE User = ? AND Host = '%'",
    [name],
  )
  return {
    hosts,
    verifier,
    definition,
    grants,
    roles: roles.map(({ name, host }) => (host === null ? identifier(name) : account(name, host))),
  }
}

/** @returns whether the account can log in with its password, and holds its role and nothing else */
export function isRight(session: Session, state: AccountState, wanted: Account, database: string): boolean {
  return (
    state.hosts.length === 1 &&
    state.roles.length === 0 &&
    isDefined(state, session.plugin, wanted) &&
    holdsRole(session, state.grants, wanted, database)
  )
}

/** Limits of zero are none. */
const unlimited = '( REQUIRE NONE)?( WITH( MAX_[A-Z_]+ 0)+)?'
const proven = "(0x[0-9A-F]+|'([^'\\\\]|\\\\.|'')*')"
/** What follows the account's name, in words that no verifier can bring in. */
const definitions: Record<Plugin, RegExp> = {
  caching_sha2_password: new RegExp(
    `^ IDENTIFIED WITH 'caching_sha2_password' AS ${proven}${unlimited} PASSWORD EXPIRE NEVER ACCOUNT UNLOCK` +
      '( PASSWORD HISTORY [A-Z0-9 ]+ PASSWORD REUSE INTERVAL [A-Z0-9 ]+ PASSWORD REQUIRE CURRENT [A-Z]+)?$',
  ),
  mysql_native_password: new RegExp(
    `^ IDENTIFIED BY PASSWORD '\\*[0-9A-F]{40}'${unlimited} PASSWORD EXPIRE NEVER$`,
  ),
}

function isDefined({ definition, verifier }: AccountState, plugin: Plugin, wanted: Account): boolean {
  const start = `CREATE USER ${account(wanted.name)}`
  return (
    definition.startsWith(start) &&
    definitions[plugin].test(definition.slice(start.length)) &&
    verifierMatches(verifier, wanted.password, plugin)
  )
}

function holdsRole(session: Session, grants: readonly string[], wanted: Account, database: string): boolean {
  const user = account(wanted.name)
  const usage = `GRANT USAGE ON *.* TO ${user}`
  const start = 'GRANT '
  const end = ` ON ${granted(database, session.wildcards)}.* TO ${user}`
  // MariaDB tells the password's verifier here too
  const rest = grants.filter(
    (line) => line !== usage && !line.startsWith(`${usage} IDENTIFIED BY PASSWORD '`),
  )
  const [line, ...more] = rest
  if (line === undefined || more.length > 0 || rest.length !== grants.length - 1) return false
  if (!line.startsWith(start) || !line.endsWith(end)) return false
  const held = line.slice(start.length, -end.length).split(', ')
  // MySQL's name for all there are; MariaDB has more of them than a role has
  if (session.plugin === 'caching_sha2_password' && held.join() === 'ALL PRIVILEGES')
    return wanted.role === 'owner'
  const right = privileges[wanted.role]
  return held.length === right.length && held.every((privilege) => right.includes(privilege))
}

/**
 * @param state what is there; undefined when nothing is
 * @returns the statements that make the account what it should be, in order. Each can be repeated; the password is in
 * none of them, and what was locked is unlocked last
 */
export function repair(
  session: Session,
  state: AccountState | undefined,
  wanted: Account,
  database: string,
): string[] {
  const user = account(wanted.name)
  const proof = identified(session.plugin, verifierOf(wanted.password, session.plugin))
  const grant = `GRANT ${privileges[wanted.role].join(', ')} ON ${granted(database, session.wildcards)}.* TO ${user}`
  const others = (state?.hosts ?? []).filter((host) => host !== '%')
  const dropOthers = others.map((host) => `DROP USER IF EXISTS ${account(wanted.name, host)}`)
  if (!state?.hosts.includes('%')) {
    return [...dropOthers, `CREATE USER ${user} ${proof} PASSWORD EXPIRE NEVER`, grant]
  }
  const limits = ['QUERIES_PER_HOUR', 'UPDATES_PER_HOUR', 'CONNECTIONS_PER_HOUR', 'USER_CONNECTIONS']
  const none = `REQUIRE NONE WITH ${limits.map((limit) => `MAX_${limit} 0`).join(' ')}`
  const login =
    session.plugin === 'caching_sha2_password' ? ' FAILED_LOGIN_ATTEMPTS 0 PASSWORD_LOCK_TIME 0' : ''
  const grants = holdsRole(session, state.grants, wanted, database)
    ? []
    : [`REVOKE ALL PRIVILEGES, GRANT OPTION FROM ${user}`, grant]
  return [
    ...dropOthers,
    ...state.roles.map((role) => `REVOKE ${role} FROM ${user}`),
    ...grants,
    `ALTER USER ${user} ${proof} ${none} PASSWORD EXPIRE NEVER${login} ACCOUNT UNLOCK`,
  ]
}

/** @returns the part of a statement that says how an account proves who it is */
export function identified(plugin: Plugin, verifier: string): string {
  return plugin === 'caching_sha2_password'
    ? `IDENTIFIED WITH caching_sha2_password AS ${literal(verifier)}`
    : `IDENTIFIED BY PASSWORD ${literal(verifier)}`
}

/** @returns the account as statements name it */
export function account(name: string, host = '%'): string {
  return `${identifier(name)}@${identifier(host)}`
}
