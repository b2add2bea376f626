/** Real servers for tests of what happens inside them: MySQL, and MariaDB, which stands for it where there is none. */
import { randomInt } from 'node:crypto'
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise'
import { findMariaDb, findMySql } from '../../sandbox/engines/mysql/programs.ts'
import { mysqlEngine } from '../../sandbox/engines/mysql.ts'
import type { Engine, Running, ServerTls } from '../../sandbox/engines/parts/engine.ts'
import type { Admin } from '../../shared/kubedb/databases/database.ts'
import { adminOf } from '../support/admin.ts'

const password = 'Of the administrator: "\'\\ü'

export const makes = [
  { title: 'MySQL', find: findMySql },
  { title: 'MariaDB', find: findMariaDb },
] as const
export type Make = (typeof makes)[number]

export interface Login {
  user?: string
  password?: string
  database?: string
  host?: string
}

export interface Server {
  readonly address: string
  /** what a bind would pass to `connect` */
  admin(changes?: Partial<Admin>): Admin
  /** @returns the rows of the statement as arrays, as the administrator or as the user given */
  query(statement: string, as?: Login): Promise<unknown[][]>
  /** @returns an open connection as the administrator or as the user given; to be ended by the caller */
  client(as?: Login): Promise<Connection>
  /** what the server has written so far */
  log(): Promise<string>
  stop(): Promise<void>
}

/** One folder for all servers of a test file. */
class Servers {
  readonly #make: Make
  readonly #running: Running[] = []
  #engine: Promise<{ home: string; engine: Engine }> | undefined

  constructor(make: Make) {
    this.#make = make
  }

  /**
   * Starts a server with nothing in it.
   *
   * @param settings lines for its option file
   */
  async start(settings = '', tls?: ServerTls): Promise<Server> {
    this.#engine ??= this.#prepare()
    const { home, engine } = await this.#engine
    const address = `127.${randomInt(10, 60)}.${randomInt(256)}.${randomInt(1, 255)}`
    const name = `test/${address}`
    const running = await engine.start({
      name,
      volume: 'first',
      address,
      username: 'root',
      password,
      config: `[mysqld]\n${settings}\n`,
      spec: {},
      ...(tls === undefined ? {} : { tls }),
    })
    this.#running.push(running)
    const server: Server = {
      address,
      admin: (changes) => adminOf({ host: address, port: 3306, username: 'root', password, ...changes }),
      client: (as = {}) => createConnection({ host: address, user: 'root', password, ...as }),
      async query(statement, as) {
        const client = await server.client(as)
        try {
          const [rows] = await client.query<RowDataPacket[]>({ sql: statement, rowsAsArray: true })
          return Array.isArray(rows) ? rows.map((row) => [...Object.values(row)]) : []
        } finally {
          client.destroy()
        }
      },
      log: () => readFile(join(home, 'mysql', name.replace('/', '_'), 'server.log'), 'utf8'),
      stop: () => running.stop(),
    }
    return server
  }

  async stop(): Promise<void> {
    await Promise.all(this.#running.map((server) => server.stop()))
    if (this.#engine !== undefined) await rm((await this.#engine).home, { recursive: true, force: true })
  }

  async #prepare(): Promise<{ home: string; engine: Engine }> {
    const home = await mkdtemp(join(tmpdir(), 'mysql-users-'))
    await chmod(home, 0o755)
    return { home, engine: mysqlEngine(home, this.#make.find) }
  }
}

/** @returns what declares tests of a make, named by it: where there is none on this machine, they say so and do nothing */
export function testWith({ title, find }: Make) {
  return (what: string, work: (t: ExecutionContext) => Promise<void>) =>
    test.serial(`${title}: ${what}`, async (t) => {
      const found = await find()
      if (!('missing' in found)) return work(t)
      t.log(`skipped: ${found.missing}`)
      t.pass()
    })
}

/** @returns the same with servers, which end with the test file */
export function testsWith(make: Make) {
  const servers = new Servers(make)
  test.after.always(`${make.title}: end the servers`, () => servers.stop())
  return { servers, testServer: testWith(make) }
}
