/** An administrator's connection that ends by a deadline, whatever the server does. */
import { Socket } from 'node:net'
import { Client, DatabaseError } from 'pg'
import * as v from 'valibot'
import { type Admin, Unreachable } from '../../database.ts'
import { codeOf, unreachable } from './failure.ts'
import { type Attempt, tlsAttempts } from './tls.ts'

/** milliseconds */
const connectTimeout = 5000
const lockTimeout = 3000
const farewellTimeout = 500

export class Session {
  readonly #client: Client
  readonly #stop: (reason: Unreachable) => void
  readonly #ended: Promise<void>
  /** why no statement can be sent any more */
  #lost: Unreachable | undefined

  private constructor(admin: Admin, database: string, tls: Attempt, version: number) {
    const socket = new Socket()
    this.#client = new Client({
      host: admin.host,
      port: admin.port,
      user: admin.username,
      password: admin.password,
      database,
      ssl: tls,
      stream: () => socket,
      application_name: 'kubedb-service-broker',
      options: serverOptions(admin.deadline, version),
    })
    this.#stop = (reason) => {
      this.#lost ??= reason
      socket.destroy()
    }
    // without a listener an error between two statements would end the process
    this.#client.on('error', (error) => {
      this.#lost ??= unreachable(error, admin)
    })
    const late = new Unreachable(`PostgreSQL at ${admin.host} did not answer before the request's deadline`)
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
   * Connects within five seconds, by the deadline, and with the encryption that `query` asks for.
   *
   * @param version of the server as `server_version_num`, where it is known: newer ones have more timeouts to lift
   * @throws {Unreachable} when that fails, saying why
   */
  static async open(admin: Admin, database: string, version = 0): Promise<Session> {
    let refusal: unknown
    for (const tls of attempts(admin)) {
      if (admin.signal.aborted) throw new Unreachable('the caller has gone away')
      const session = new Session(admin, database, tls, version)
      const timer = setTimeout(
        () =>
          session.#stop(
            new Unreachable(`PostgreSQL at ${admin.host} did not answer within ${connectTimeout / 1000} s`),
          ),
        connectTimeout,
      )
      try {
        await session.#client.connect()
        return session
      } catch (error) {
        session.#stop(unreachable(error, admin))
        refusal = session.#lost
        if (!aboutEncryption(error)) throw refusal
      } finally {
        clearTimeout(timer)
      }
    }
    throw refusal
  }

  /**
   * Runs one or several statements; several are one transaction.
   *
   * @throws {Unreachable} when the connection is lost, {DatabaseError} when the server refuses
   */
  async run(statements: string): Promise<void> {
    await this.#send(() => this.#client.query(statements))
  }

  /**
   * @param row what each row must look like
   * @throws as `run`
   */
  async rows<T extends v.GenericSchema>(
    row: T,
    statement: string,
    values: readonly unknown[] = [],
  ): Promise<v.InferOutput<T>[]> {
    const result = await this.#send(() => this.#client.query(statement, [...values]))
    return v.parse(v.array(row), result.rows)
  }

  /** Says good-bye, and does not wait for a server that does not answer. */
  async close(): Promise<void> {
    const timer = setTimeout(() => this.#stop(new Unreachable('the connection is closed')), farewellTimeout)
    this.#lost ??= new Unreachable('the connection is closed')
    await this.#client.end()
    await this.#ended
    clearTimeout(timer)
  }

  async #send<T>(query: () => Promise<T>): Promise<T> {
    if (this.#lost !== undefined) throw this.#lost
    try {
      return await query()
    } catch (error) {
      // a refused statement leaves the connection as it is; anything else came from the connection
      if (error instanceof DatabaseError) throw error
      throw this.#lost ?? new Unreachable('PostgreSQL closed the connection', { cause: error })
    }
  }
}

function attempts(admin: Admin): readonly Attempt[] {
  try {
    return tlsAttempts(admin.query, admin.caBundle)
  } catch (error) {
    throw unreachable(error, admin)
  }
}

/** Whether another attempt with or without encryption may fare better (libpq's allow and prefer). */
function aboutEncryption(error: unknown): boolean {
  const code = codeOf(error)
  if (error instanceof DatabaseError) return code === '28000'
  const message = error instanceof Error ? error.message : ''
  return /\bSSL\b/.test(message) || /^(EPROTO|ERR_SSL|ERR_TLS)/.test(code)
}

/**
 * Settings from the start packet beat those that the owner of a database can attach to it: his search path must not
 * lead an administrator to his functions, nor his timeouts or roles hinder the administrator's work.
 */
function serverOptions(deadline: number, version: number): string {
  const settings: Record<string, string | number> = {
    search_path: 'pg_catalog,pg_temp',
    role: 'none',
    default_transaction_read_only: 'off',
    default_transaction_isolation: String.raw`read\ committed`,
    // a commit waits for no standby: a missing one would hold it for ever
    synchronous_commit: 'local',
    statement_timeout: Math.max(1, deadline - Date.now()),
    lock_timeout: lockTimeout,
    idle_in_transaction_session_timeout: 0,
    // a lock must not outlive a function whose node is gone
    tcp_keepalives_idle: 10,
    tcp_keepalives_interval: 5,
    tcp_keepalives_count: 3,
  }
  if (version >= 140000) settings.idle_session_timeout = 0
  if (version >= 170000) settings.transaction_timeout = 0
  return Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value}`)
    .join(' ')
}
