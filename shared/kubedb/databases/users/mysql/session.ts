/** An administrator's connection that ends by a deadline, whatever the server does. */
import { connect, type Socket } from 'node:net'
import { type Connection, createConnection } from 'mysql2'
import * as v from 'valibot'
import { type Admin, Unreachable } from '../../database.ts'
import { ServerError, told, unreachable } from './failure.ts'
import { type Attempt, tlsAttempts } from './tls.ts'
import type { Plugin } from './verifier.ts'

/** milliseconds */
const connectTimeout = 5000
const farewellTimeout = 500
/** seconds */
const lockTimeout = 3

/** An administrator of a server, and what the server is called in sentences. */
export interface ServerAdmin extends Admin {
  readonly engine: string
}

/** What the server is. */
const Server = v.object({ version: v.string(), wildcards: v.number() })

/**
 * Statements are written for an empty sql_mode. Comments hide from each make what it does not know: MySQL does not
 * read `M!`, MariaDB passes over MySQL's versions from 5.7 to 9.9.
 */
const opening = `SET SESSION sql_mode = '', autocommit = 1, lock_wait_timeout = ${lockTimeout},
  innodb_lock_wait_timeout = ${lockTimeout} /*!80000 , max_execution_time = 0 */ /*M! , max_statement_time = 0 */`
const asking = `SELECT VERSION() AS version, 1 /*!80016 AND NOT @@partial_revokes */ AS wildcards`

export class Session {
  readonly #engine: string
  readonly #connection: Connection
  readonly #stop: (reason: Unreachable) => void
  readonly #ended: Promise<void>
  readonly #opened: Promise<void>
  /** why no statement can be sent any more */
  #lost: Unreachable | undefined
  #plugin: Plugin = 'caching_sha2_password'
  #wildcards = true

  private constructor(admin: ServerAdmin, tls: Attempt) {
    this.#engine = admin.engine
    const socket: Socket = connect({ host: admin.host, port: admin.port, noDelay: true, keepAlive: true })
    this.#connection = createConnection({
      // for the name in the certificate
      host: admin.host,
      port: admin.port,
      user: admin.username,
      password: admin.password,
      stream: () => socket,
      ...(tls === undefined ? {} : { ssl: tls }),
      // the deadline ends it
      connectTimeout: 0,
      supportBigNumbers: true,
    })
    this.#opened = new Promise((resolve, reject) => {
      this.#connection.once('connect', () => resolve())
      // an error between two statements would end the process if nobody listened
      this.#connection.on('error', (error) => {
        reject(error)
        this.#lost ??= unreachable(told(error), admin)
      })
    })
    this.#opened.catch(() => undefined)
    this.#stop = (reason) => {
      this.#lost ??= reason
      socket.destroy()
    }
    const late = new Unreachable(
      `${admin.engine} at ${admin.host} did not answer before the request's deadline`,
    )
    const deadline = setTimeout(() => this.#stop(late), Math.max(0, admin.deadline - Date.now()))
    const abort = () => this.#stop(new Unreachable('the caller has gone away'))
    admin.signal.addEventListener('abort', abort, { once: true })
    this.#ended = new Promise((resolve) => {
      socket.once('close', () => {
        clearTimeout(deadline)
        admin.signal.removeEventListener('abort', abort)
        resolve()
      })
    })
  }

  /**
   * Connects within five seconds, by the deadline, and with the encryption that the AppBinding asks for.
   *
   * @throws {Unreachable} when that fails, saying why
   */
  static async open(admin: ServerAdmin): Promise<Session> {
    let refusal: unknown
    for (const tls of attempts(admin)) {
      if (admin.signal.aborted) throw new Unreachable('the caller has gone away')
      const session = new Session(admin, tls)
      const late = new Unreachable(
        `${admin.engine} at ${admin.host} did not answer within ${connectTimeout / 1000} s`,
      )
      const timer = setTimeout(() => session.#stop(late), connectTimeout)
      try {
        await session.#opened
        await session.#prepare()
        return session
      } catch (error) {
        session.#stop(unreachable(told(error), admin))
        refusal = session.#lost
        if (!speaksNoTls(error)) throw refusal
      } finally {
        clearTimeout(timer)
      }
    }
    throw refusal
  }

  /** How accounts of bindings prove who they are on this server. */
  get plugin(): Plugin {
    return this.#plugin
  }

  /** Whether `_` and `%` in the database of a GRANT stand for other characters. */
  get wildcards(): boolean {
    return this.#wildcards
  }

  async #prepare(): Promise<void> {
    await this.run(opening)
    const [server] = await this.rows(Server, asking)
    if (server?.version.includes('MariaDB')) this.#plugin = 'mysql_native_password'
    this.#wildcards = server?.wildcards !== 0
  }

  /**
   * Runs one statement.
   *
   * @throws {Unreachable} when the connection is lost, {ServerError} when the server refuses
   */
  async run(statement: string): Promise<void> {
    await this.#send(statement, [])
  }

  /**
   * @param row what each row must look like
   * @param values for the question marks in the statement
   * @throws as `run`
   */
  async rows<T extends v.GenericSchema>(
    row: T,
    statement: string,
    values: readonly unknown[] = [],
  ): Promise<v.InferOutput<T>[]> {
    return v.parse(v.array(row), await this.#send(statement, values))
  }

  /** Says good-bye, and does not wait for a server that does not answer. */
  async close(): Promise<void> {
    const closed = new Unreachable('the connection is closed')
    const timer = setTimeout(() => this.#stop(closed), farewellTimeout)
    const open = this.#lost === undefined
    this.#lost ??= closed
    if (open) this.#connection.end(() => this.#stop(closed))
    else this.#stop(closed)
    await this.#ended
    clearTimeout(timer)
  }

  async #send(statement: string, values: readonly unknown[]): Promise<unknown> {
    if (this.#lost !== undefined) throw this.#lost
    try {
      return await new Promise((resolve, reject) => {
        this.#connection.query(statement, [...values], (error, result) => {
          if (error) reject(error)
          else resolve(result)
        })
      })
    } catch (error) {
      // a refused statement leaves the connection as it is; anything else came from the connection
      const refusal = told(error)
      if (refusal instanceof ServerError && this.#lost === undefined) throw refusal
      throw this.#lost ?? new Unreachable(`${this.#engine} closed the connection`)
    }
  }
}

function attempts(admin: ServerAdmin): readonly Attempt[] {
  try {
    return tlsAttempts(admin.query, admin.caBundle)
  } catch (error) {
    throw unreachable(error, admin)
  }
}

/** Whether another attempt without encryption may fare better (`PREFERRED`). */
function speaksNoTls(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'HANDSHAKE_NO_SSL_SUPPORT'
}
