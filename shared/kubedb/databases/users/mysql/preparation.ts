/** What a bind sets up in a server before it makes its account. */
import * as v from 'valibot'
import { identifier } from './quoting.ts'
import type { Session } from './session.ts'

/** Of the servers themselves. */
const reserved = ['mysql', 'sys', 'information_schema', 'performance_schema']

const State = v.object({ present: v.number(), distrustful: v.number() })

const question = `SELECT
  EXISTS (SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ?) AS present,
  @@GLOBAL.log_bin AND NOT @@GLOBAL.log_bin_trust_function_creators AS distrustful`

/**
 * Makes the application's database, and lets owners make functions and triggers. One short query when nothing is
 * missing.
 *
 * @throws {Error} when `database` cannot be the name of an application's database
 */
export async function prepare(session: Session, database: string): Promise<void> {
  assertDatabaseName(database)
  const [state] = await session.rows(State, question, [database])
  // with IF NOT EXISTS the loser of a race succeeds too
  if (!state?.present) await session.run(`CREATE DATABASE IF NOT EXISTS ${identifier(database)}`)
  // A server with a binary log (MySQL's default) else demands the most powerful privilege of whoever makes a trigger.
  // With rows in the log, as is the default, nothing can differ on a replica.
  if (state?.distrustful) {
    const lasting = session.plugin === 'caching_sha2_password' ? 'PERSIST' : 'GLOBAL'
    await session.run(`SET ${lasting} log_bin_trust_function_creators = ON`)
  }
}

function assertDatabaseName(name: string): void {
  const length = [...name].length
  if (length < 1 || length > 64 || /[\0/\\.]|\s$/.test(name)) {
    throw new Error(
      `the application's database needs a name of 1 to 64 characters without NUL, slashes and dots that does not end in a space; "${name}" has ${length}`,
    )
  }
  if (reserved.includes(name.toLowerCase())) {
    throw new Error(`database "${name}" is the server's own and cannot be the application's`)
  }
}
