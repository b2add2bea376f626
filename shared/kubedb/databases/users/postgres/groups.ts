/**
 * What the first bind on an instance sets up: the application's database, and three roles without login that carry
 * all privileges. Bindings are members of exactly one of them, so a bind or unbind touches no object's privileges.
 *
 * - `osb_owner` owns the database, schema public and everything that owner bindings make.
 * - `osb_read_write` reads and writes rows, uses sequences, calls functions, and may make temporary tables.
 * - `osb_read_only` reads.
 *
 * Default privileges give the latter two access to whatever osb_owner makes, new schemas included. What a binding
 * makes after an explicit `SET ROLE NONE` is its own affair until it is unbound; then osb_owner gets it.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import * as v from 'valibot'
import type { Role } from '../../../../values/nouns.ts'
import type { Admin } from '../../database.ts'
import { isConflict } from './failure.ts'
import { identifier } from './quoting.ts'
import { Session } from './session.ts'

export const groups = {
  owner: 'osb_owner',
  readWrite: 'osb_read_write',
  readOnly: 'osb_read_only',
} as const satisfies Record<Role, string>

/** The database that every server has and no binding may connect to: advisory locks taken here are ours alone. */
export const maintenanceDatabase = 'postgres'

/** Any number that nothing else locks. Raising `version` makes every instance go through the set-up once more. */
const lockKey = 7_302_625_301
const version = 1
const marker = `osb.kubedb.com: set-up ${version} of database `
const attempts = 10

const State = v.object({
  /** the last step was done, for the database that now has the name */
  done: v.boolean(),
  /** databases that let everybody connect or make temporary tables */
  open: v.array(v.string()),
})

/**
 * Sets up what is missing. One short query when nothing is.
 *
 * @param maintenance a session in the maintenance database
 * @throws {Error} when `admin.database` cannot be the name of an application's database
 */
export async function prepare(maintenance: Session, admin: Admin): Promise<void> {
  assertDatabaseName(admin.database)
  if (isPrepared(await read(maintenance, admin.database))) return
  // however long the others need: the statement timeout ends the wait
  await maintenance.run(`
    SET lock_timeout = 0; SELECT pg_advisory_lock(${lockKey}); RESET lock_timeout`)
  try {
    for (let attempt = 1; ; attempt++) {
      try {
        return await setUp(maintenance, admin)
      } catch (error) {
        if (!isConflict(error) || attempt === attempts) throw error
        await sleep(50 * attempt)
      }
    }
  } finally {
    await maintenance.run(`SELECT pg_advisory_unlock(${lockKey})`)
  }
}

/** Creates the group roles that are missing, and takes from the others what groups must not have. */
export async function createGroups(maintenance: Session): Promise<void> {
  const names = Object.values(groups)
  const present = await maintenance.rows(
    v.object({ name: v.string(), powerful: v.boolean() }),
    `SELECT rolname AS name, ${powerful} AS powerful FROM pg_authid WHERE rolname = ANY($1)`,
    [names],
  )
  const missing = names.filter((name) => present.every((group) => group.name !== name))
  const wrong = present.filter((group) => group.powerful)
  if (missing.length === 0 && wrong.length === 0) return
  await maintenance.run(
    [
      ...missing.map((name) => `CREATE ROLE ${name}`),
      ...wrong.map(
        ({ name }) =>
          `ALTER ROLE ${name} NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS`,
      ),
    ].join('; '),
  )
}

/** what a group must not have */
const powerful = '(rolcanlogin OR rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls)'

async function setUp(maintenance: Session, admin: Admin): Promise<void> {
  const state = await read(maintenance, admin.database)
  if (isPrepared(state)) return
  if (!state.done) {
    await createGroups(maintenance)
    await createDatabase(maintenance, admin.database)
  }
  const database = identifier(admin.database)
  const { open } = await read(maintenance, admin.database)
  await maintenance.run(
    [
      ...open.map((name) => `REVOKE CONNECT, TEMPORARY ON DATABASE ${identifier(name)} FROM PUBLIC`),
      `ALTER DATABASE ${database} OWNER TO ${groups.owner}`,
      `GRANT CONNECT, TEMPORARY ON DATABASE ${database} TO ${groups.readWrite}`,
      `GRANT CONNECT ON DATABASE ${database} TO ${groups.readOnly}`,
    ].join('; '),
  )
  if (state.done) return
  const [server] = await maintenance.rows(v.object({ version: v.number(), database: v.number() }), facts, [
    admin.database,
  ])
  if (server === undefined) throw new Error(`database ${database} vanished during its set-up`)
  const inside = await Session.open(admin, admin.database, server.version)
  try {
    await setUpInside(inside)
  } finally {
    await inside.close()
  }
  await maintenance.run(`COMMENT ON ROLE ${groups.owner} IS '${marker}${server.database}'`)
}

const facts = `
  SELECT current_setting('server_version_num')::int AS version, oid AS database FROM pg_database WHERE datname = $1`

async function createDatabase(maintenance: Session, name: string): Promise<void> {
  const found = await maintenance.rows(v.object({}), 'SELECT 1 FROM pg_database WHERE datname = $1', [name])
  if (found.length === 0) await maintenance.run(`CREATE DATABASE ${identifier(name)} OWNER ${groups.owner}`)
}

/** Privileges inside the application's database: what is there already, and what owners will make. */
async function setUpInside(session: Session): Promise<void> {
  const { owner, readWrite, readOnly } = groups
  const both = `${readWrite}, ${readOnly}`
  const rows = await session.rows(
    v.object({ nspname: v.string() }),
    `SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'`,
  )
  const schemas = rows.map(({ nspname }) => nspname)
  const makesLargeObjects = 'FUNCTION lo_creat(integer), lo_create(oid), lo_from_bytea(oid, bytea)'
  const defaults = `ALTER DEFAULT PRIVILEGES FOR ROLE ${owner} GRANT`
  await session.run(
    [
      ...(schemas.includes('public')
        ? [`ALTER SCHEMA public OWNER TO ${owner}`, 'REVOKE CREATE ON SCHEMA public FROM PUBLIC']
        : []),
      ...schemas
        .map(identifier)
        .flatMap((schema) => [
          `GRANT ALL ON SCHEMA ${schema} TO ${owner}`,
          `GRANT USAGE ON SCHEMA ${schema} TO ${both}`,
          `GRANT ALL ON ALL TABLES IN SCHEMA ${schema} TO ${owner}`,
          `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${schema} TO ${readWrite}`,
          `GRANT SELECT ON ALL TABLES IN SCHEMA ${schema} TO ${readOnly}`,
          `GRANT ALL ON ALL SEQUENCES IN SCHEMA ${schema} TO ${owner}`,
          `GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA ${schema} TO ${readWrite}`,
          `GRANT SELECT ON ALL SEQUENCES IN SCHEMA ${schema} TO ${readOnly}`,
          `GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA ${schema} TO ${owner}, ${readWrite}`,
        ]),
      `${defaults} USAGE ON SCHEMAS TO ${both}`,
      `${defaults} SELECT, INSERT, UPDATE, DELETE ON TABLES TO ${readWrite}`,
      `${defaults} SELECT ON TABLES TO ${readOnly}`,
      `${defaults} USAGE, SELECT, UPDATE ON SEQUENCES TO ${readWrite}`,
      `${defaults} SELECT ON SEQUENCES TO ${readOnly}`,
      `${defaults} EXECUTE ON FUNCTIONS TO ${readWrite}`,
      // whoever can call these can store data without a privilege on any table
      `REVOKE EXECUTE ON ${makesLargeObjects} FROM PUBLIC`,
      `GRANT EXECUTE ON ${makesLargeObjects} TO ${owner}, ${readWrite}`,
    ].join('; '),
  )
}

async function read(maintenance: Session, database: string): Promise<v.InferOutput<typeof State>> {
  const [row] = await maintenance.rows(
    v.object({ state: State }),
    `SELECT jsonb_build_object(
       'done', EXISTS (
         SELECT FROM pg_database d JOIN pg_authid o ON o.oid = d.datdba
         WHERE d.datname = $1 AND o.rolname = $2 AND shobj_description(o.oid, 'pg_authid') = $3 || d.oid
       ) AND (
         SELECT count(*) = cardinality($4::text[]) FROM pg_authid
         WHERE rolname = ANY($4) AND NOT ${powerful}),
       'open', (
         SELECT coalesce(jsonb_agg(datname), '[]') FROM pg_database
         WHERE datallowconn AND has_database_privilege('public', oid, 'CONNECT, TEMPORARY'))
     ) AS state`,
    [database, groups.owner, marker, Object.values(groups)],
  )
  if (row === undefined) throw new Error('PostgreSQL answered a SELECT without FROM with no row')
  return row.state
}

function isPrepared(state: v.InferOutput<typeof State>): boolean {
  return state.done && state.open.length === 0
}

function assertDatabaseName(name: string): void {
  const length = Buffer.byteLength(name)
  if (length < 1 || length > 63 || name.includes('\0')) {
    throw new Error(
      `the application's database needs a name of 1 to 63 bytes without NUL; "${name}" has ${length}`,
    )
  }
  if (name === 'template0' || name === 'template1') {
    throw new Error(
      `database "${name}" is PostgreSQL's template for new ones and cannot be the application's`,
    )
  }
}
