/** Real PostgreSQL servers for tests of what happens inside them, in the versions that this machine has. */
import { execFile, execFileSync } from 'node:child_process'
import { realpathSync } from 'node:fs'
import { chmod, mkdtemp, open, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { Client } from 'pg'
import { copyPostgresBinaries, findPostgresPackage } from '../../sandbox/engines/postgres/binaries.ts'
import { engineAccount, giveTo, writeFor } from '../../sandbox/machine/account.ts'
import { freePort } from '../../sandbox/machine/free-port.ts'
import { startGuarded } from '../../sandbox/machine/guarded-process.ts'
import type { Admin } from '../../shared/kubedb/databases/database.ts'
import { adminOf } from '../support/admin.ts'

const run = promisify(execFile)
const password = 'Of the administrator: "\'\\ü'

/** A version of PostgreSQL: its folder of programs, or a function that makes one. */
export interface Installation {
  readonly title: string
  programs(home: string): Promise<string>
}

/** @returns the version from npm, and the one on PATH where there is one (else a line says so) */
export function installations(): Installation[] {
  const found: Installation[] = []
  const shipped = findPostgresPackage()
  if ('missing' in shipped) console.error(`skipped: ${shipped.missing}`)
  else {
    found.push({
      title: 'PostgreSQL from npm',
      programs: async (home) =>
        join(await copyPostgresBinaries(shipped.folder, home, await engineAccount()), 'bin'),
    })
  }
  const program = (process.env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, 'postgres'))
    .find(isProgram)
  if (program === undefined)
    console.error('skipped: tests with an older PostgreSQL, for there is none on PATH')
  else {
    const folder = dirname(realpathSync(program))
    const title = execFileSync(program, ['--version'], { encoding: 'utf8' }).split(' ').slice(1, 3).join(' ')
    found.push({
      title: `PostgreSQL ${title.replace(/[^0-9.]/g, '')} of this machine`,
      programs: async () => folder,
    })
  }
  return found
}

function isProgram(path: string): boolean {
  try {
    return execFileSync(path, ['--version']).length > 0
  } catch {
    return false
  }
}

export interface Server {
  readonly port: number
  /** what a bind would pass to `connect` */
  admin(changes?: Partial<Admin>): Admin
  /** @returns the rows of the last statement, as the administrator or as the user given */
  query(statement: string, as?: { user?: string; password?: string; database?: string }): Promise<unknown[]>
  /** @returns an open connection as the administrator or as the user given; to be ended by the caller */
  client(as?: { user?: string; password?: string; database?: string }): Promise<Client>
  /** what the server has written so far */
  log(): Promise<string>
  /** Starts a streaming replica of this server. */
  standby(): Promise<Server>
  stop(): Promise<void>
}

/** One folder for all servers of a test file. */
export class Servers {
  readonly #installation: Installation
  readonly #running: Server[] = []
  #home: Promise<string> | undefined
  #template: Promise<string> | undefined

  constructor(installation: Installation) {
    this.#installation = installation
  }

  /**
   * Starts a server with nothing in it.
   *
   * @param settings lines for postgresql.conf
   * @param files to put into the data folder, e.g. a certificate
   */
  async start(settings = '', files: Record<string, string> = {}): Promise<Server> {
    this.#home ??= makeHome()
    this.#template ??= this.#makeTemplate(await this.#home)
    const data = join(await this.#home, `data-${this.#running.length}-${Date.now()}`)
    await copyData(await this.#template, data)
    await writeOwn(join(data, 'test.conf'), settings)
    for (const [name, content] of Object.entries(files)) await writeOwn(join(data, name), content)
    return this.#launch(data)
  }

  async stop(): Promise<void> {
    await Promise.all(this.#running.map((server) => server.stop()))
    if (this.#home !== undefined) await rm(await this.#home, { recursive: true, force: true })
  }

  async #makeTemplate(home: string): Promise<string> {
    const account = await engineAccount()
    const programs = await this.#installation.programs(home)
    const data = join(home, 'template')
    const secret = join(home, 'password')
    await writeOwn(secret, password)
    await run(
      join(programs, 'initdb'),
      [
        ...[
          '--pgdata',
          data,
          '--username',
          'postgres',
          '--pwfile',
          secret,
          '--no-sync',
          '--encoding',
          'UTF8',
        ],
        ...['--locale', 'C', '--auth', 'scram-sha-256'],
      ],
      { cwd: home, ...account },
    )
    await writeOwn(
      join(data, 'postgresql.conf'),
      [
        "listen_addresses = '127.0.0.1'",
        "unix_socket_directories = ''",
        'fsync = off',
        'shared_buffers = 16MB',
        'max_connections = 100',
        'wal_level = replica',
        "include_if_exists = 'test.conf'",
      ].join('\n'),
    )
    return data
  }

  async #launch(data: string): Promise<Server> {
    const account = await engineAccount()
    const port = await freePort()
    const programs = await this.#installation.programs(await (this.#home ?? makeHome()))
    const logFile = `${data}.log`
    const log = await open(logFile, 'a')
    const process = startGuarded(join(programs, 'postgres'), ['-D', data, '-p', String(port)], {
      account,
      folder: dirname(data),
      log: log.fd,
      environment: { LC_ALL: 'C' },
    })
    await log.close()
    const server: Server = {
      port,
      admin: (changes) =>
        adminOf({ port, query: 'sslmode=disable', username: 'postgres', password, ...changes }),
      client: async (as = {}) => {
        const login = { user: 'postgres', password, database: 'postgres', ...as }
        const client = new Client({ host: '127.0.0.1', port, ssl: false, ...login })
        // tests end sessions: the next statement tells
        client.on('error', () => undefined)
        await client.connect()
        return client
      },
      query: async (statement, as) => {
        const client = await server.client(as)
        try {
          const result: unknown = await client.query(statement)
          const last: unknown = Array.isArray(result) ? result.at(-1) : result
          return typeof last === 'object' && last !== null && 'rows' in last && Array.isArray(last.rows)
            ? last.rows
            : []
        } finally {
          await client.end()
        }
      },
      log: () => readFile(logFile, 'utf8'),
      standby: async () => {
        const primary = `host=127.0.0.1 port=${port} user=postgres password=${quoted(password)}`
        const copy = `${data}-standby`
        const backup = await server.client()
        const [start, stop] = programsOfBackup((await server.query('SHOW server_version_num'))[0])
        await backup.query(`SELECT ${start}('test', true)`)
        await copyData(data, copy)
        await rm(join(copy, 'postmaster.pid'), { force: true })
        const label = await backup.query(`SELECT labelfile FROM ${stop}`)
        await backup.end()
        await writeOwn(join(copy, 'backup_label'), String(label.rows[0].labelfile))
        await writeOwn(join(copy, 'standby.signal'), '')
        await writeOwn(join(copy, 'test.conf'), `primary_conninfo = ${quoted(primary)}`)
        return this.#launch(copy)
      },
      stop: () => process.stop(),
    }
    this.#running.push(server)
    await untilReady(server, process.exited)
    return server
  }
}

/** Functions to begin and end a copy of a running server; they were renamed in 15. */
function programsOfBackup(row: unknown): [string, string] {
  const version = Number(typeof row === 'object' && row !== null && Object.values(row)[0])
  return version >= 150000
    ? ['pg_backup_start', 'pg_backup_stop(false)']
    : ['pg_start_backup', 'pg_stop_backup(false)']
}

function quoted(text: string): string {
  return `'${text.replace(/['\\]/g, String.raw`\$&`)}'`
}

async function untilReady(server: Server, exited: Promise<string>): Promise<void> {
  let gone: string | undefined
  exited.then((reason) => {
    gone = reason
  })
  for (let waited = 0; ; waited += 30) {
    try {
      await server.query('SELECT 1')
      return
    } catch (error) {
      if (gone !== undefined || waited > 20_000) {
        throw new Error(`PostgreSQL did not start: ${gone}; ${await server.log()}`, { cause: error })
      }
      await sleep(30)
    }
  }
}

async function makeHome(): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'postgres-users-'))
  await chmod(home, 0o755)
  await giveTo(await engineAccount(), home)
  return home
}

async function copyData(from: string, to: string): Promise<void> {
  await run('cp', ['-r', from, to], { ...(await engineAccount()) })
  await chmod(to, 0o700)
}

async function writeOwn(file: string, content: string): Promise<void> {
  await writeFor(await engineAccount(), file, content)
}
