import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { Client, DatabaseError } from 'pg'
import * as v from 'valibot'
import { equal } from '../../shared/values/json.ts'
import { type Account, writeFor } from '../machine/account.ts'
import type { Engine, Instance, Running } from './parts/engine.ts'
import { engineOf } from './parts/engine-of.ts'
import { startServer, untilAccepting } from './parts/server.ts'
import { copyPostgresBinaries, findPostgresPackage } from './postgres/binaries.ts'
import { settle } from './programs/cache.ts'

const execute = promisify(execFile)

/** What our own environment says to PostgreSQL's programs (PGDATA, PGPORT, LANG) is meant for others. */
const environment = { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C.UTF-8' }

const postgresPort = 5432

const startSeconds = 30

/** Small and fast: nobody's only copy of anything lives in a sandbox. `user.conf` comes last and wins. */
const settings = `
autovacuum_naptime = 5min
datestyle = 'iso, mdy'
fsync = off
full_page_writes = off
huge_pages = off
io_method = sync
jit = off
log_line_prefix = '%m [%p] '
max_connections = 100
max_logical_replication_workers = 0
max_wal_size = 256MB
min_wal_size = 8MB
password_encryption = scram-sha-256
shared_buffers = 16MB
timezone = 'UTC'
include_if_exists = 'user.conf'
`

const access = `
host all all 127.0.0.0/8 scram-sha-256
host replication all 127.0.0.0/8 scram-sha-256
`

/** With TLS the mode in the spec says whether clients may do without it, as it does to KubeDB. */
const encryptedAccess = access.replaceAll('host ', 'hostssl ')
const lenientModes = ['allow', 'prefer']

/** What is needed to run any of the programs. */
interface Installation {
  readonly programs: string
  /** A freshly made data folder, copied for every new database: initdb takes longer. */
  readonly template: string
}

/**
 * PostgreSQL, a real server process per database, from the programs that the npm package ships.
 * @param home Folder for programs and data; made when absent. When we are root it must be reachable
 *   for the user `nobody`.
 */
export function postgresEngine(home: string): Engine {
  return engineOf(home, {
    kind: 'Postgres',
    port: postgresPort,
    folder: 'postgres',
    async available() {
      const found = findPostgresPackage()
      return 'missing' in found ? found.missing : true
    },
    async install(account) {
      const found = findPostgresPackage()
      if ('missing' in found) throw new Error(found.missing)
      const programs = await copyPostgresBinaries(found.folder, home, account)
      const template = `${programs}-template`
      if (!(await exists(template))) await makeTemplate(programs, template, home, account)
      return { programs, template }
    },
    fill: (installed, account, folder, { password }) => makeData(installed, account, folder, password),
    launch: startWithPassword,
  })
}

async function makeTemplate(
  programs: string,
  template: string,
  home: string,
  account: Account | undefined,
): Promise<void> {
  const draft = join(home, `.template-${randomUUID()}`)
  const parameters = ['--pgdata', draft, '--username', 'postgres', '--auth', 'reject', '--encoding', 'UTF8']
  const locale = ['--locale-provider', 'builtin', '--locale', 'C.UTF-8', '--wal-segsize', '1', '--no-sync']
  await execute(join(programs, 'bin', 'initdb'), [...parameters, ...locale], {
    cwd: home,
    env: environment,
    ...account,
  })
  await writeFile(join(draft, 'postgresql.conf'), settings)
  await writeFile(join(draft, 'pg_hba.conf'), access)
  await settle(draft, template)
}

async function startWithPassword(
  installed: Installation,
  account: Account | undefined,
  folder: string,
  instance: Instance,
): Promise<Running> {
  const data = join(folder, 'data')
  // Left by a server that was killed; its process id may name a stranger by now.
  await rm(join(data, 'postmaster.pid'), { force: true })
  try {
    return await launch(installed, account, folder, instance)
  } catch (error) {
    if (!isWrongPassword(error)) throw error
    // The Secret changed while the server was down: the Secret is right.
    await setPasswordOffline(installed, account, data, instance.password)
    return await launch(installed, account, folder, instance)
  }
}

/** A copy of the template. */
async function makeData(
  installed: Installation,
  account: Account | undefined,
  folder: string,
  password: string,
): Promise<void> {
  const data = join(folder, 'data')
  await execute('cp', ['-r', installed.template, data], { env: environment, ...account })
  await setPasswordOffline(installed, account, data, password)
}

/** Single-user mode: no server, no network, no old password needed. */
async function setPasswordOffline(
  { programs }: Installation,
  account: Account | undefined,
  data: string,
  password: string,
): Promise<void> {
  await writeConfig(account, data, '')
  const running = execute(join(programs, 'bin', 'postgres'), ['--single', '-D', data, 'postgres'], {
    cwd: data,
    env: environment,
    ...account,
  })
  running.child.stdin?.end(`ALTER ROLE postgres PASSWORD ${quoted(password)}\n`)
  const { stderr } = await running
  const complaint = serverMessages(stderr)
  if (complaint !== '') throw new Error(`PostgreSQL refused the password: ${complaint}`)
}

async function launch(
  { programs }: Installation,
  account: Account | undefined,
  folder: string,
  instance: Instance,
): Promise<Running> {
  const data = join(folder, 'data')
  await writeConfig(account, data, instance.config)
  const tls = await tlsParameters(account, folder, instance)
  const program = join(programs, 'bin', 'postgres')
  const server = await startServer(
    [program, '-D', data, '-h', instance.address, '-p', String(postgresPort), '-k', '', ...tls],
    { account, folder, environment },
  )
  let password = instance.password
  const ask = (query: string) => askOnce(instance, password, query)
  await untilAccepting(server, {
    title: 'PostgreSQL',
    seconds: startSeconds,
    pause: 20,
    check: () => ask('SELECT 1'),
    complaints: serverMessages,
    isWrongPassword,
  })
  return {
    exited: server.exited,
    async check() {
      await ask('SELECT now()')
    },
    async setPassword(next) {
      await ask(`ALTER ROLE postgres PASSWORD ${quoted(next)}`)
      password = next
    },
    async reload(config) {
      const before = await readFile(join(data, 'user.conf'), 'utf8')
      await writeConfig(account, data, config)
      const problems = v.parse(v.array(FileSetting), await ask(fileSettings))
      // What may change only at a start is judged there, right or wrong.
      const refused = problems.filter(({ context }) => context !== 'postmaster')
      if (refused.length > 0) {
        await writeConfig(account, data, before)
        throw new Error(`PostgreSQL refuses user.conf: ${refused.map(describe).join('; ')}`)
      }
      const loaded = await ask('SELECT pg_conf_load_time()::text AS time')
      await ask('SELECT pg_reload_conf()')
      for (const end = Date.now() + 5000; Date.now() < end; await sleep(20))
        if (!equal(await ask('SELECT pg_conf_load_time()::text AS time'), loaded)) break
      const waiting = await ask('SELECT name FROM pg_settings WHERE pending_restart')
      return problems.length + waiting.length > 0 ? 'restart' : 'applied'
    },
    stop: () => server.stop(),
  }
}

/** Writes the certificate where the server alone can read its key, and answers the settings that name it. */
async function tlsParameters(
  account: Account | undefined,
  folder: string,
  { spec, tls }: Instance,
): Promise<string[]> {
  if (!tls) return []
  const isLenient = typeof spec.sslMode === 'string' && lenientModes.includes(spec.sslMode)
  const contents = {
    ssl_ca_file: tls.ca,
    ssl_cert_file: tls.cert,
    ssl_key_file: tls.key,
    hba_file: isLenient ? access : encryptedAccess,
  }
  const settings = ['ssl=on']
  for (const [setting, text] of Object.entries(contents)) {
    const file = join(folder, setting)
    await rm(file, { force: true })
    await writeFor(account, file, text)
    settings.push(`${setting}=${file}`)
  }
  return settings.flatMap((setting) => ['-c', setting])
}

/** The lines of user.conf that the running server would not take. */
const fileSettings = `
  SELECT f.name, f.sourceline, f.error, s.context
  FROM pg_file_settings f LEFT JOIN pg_settings s ON s.name = f.name
  WHERE f.error IS NOT NULL AND f.sourcefile LIKE '%/user.conf'`

const FileSetting = v.object({
  name: v.nullable(v.string()),
  sourceline: v.nullable(v.number()),
  error: v.string(),
  context: v.nullable(v.string()),
})

function describe({ name, sourceline, error }: v.InferOutput<typeof FileSetting>): string {
  return `line ${sourceline ?? '?'}${name === null ? '' : ` (${name})`}: ${error}`
}

/** One statement on a connection of its own: what a client of the database would meet. */
async function askOnce({ address, tls }: Instance, password: string, query: string): Promise<unknown[]> {
  const client = new Client({
    host: address,
    port: postgresPort,
    user: 'postgres',
    password,
    database: 'postgres',
    // Said, lest PGSSLMODE in the environment decide.
    ssl: tls ? { ca: tls.ca } : false,
    connectionTimeoutMillis: 5000,
    query_timeout: 10_000,
  })
  // A connection that breaks while idle must not end the process; the query tells.
  client.on('error', () => undefined)
  try {
    await client.connect()
    return (await client.query(query)).rows
  } finally {
    await client.end()
  }
}

function isWrongPassword(error: unknown): boolean {
  return error instanceof DatabaseError && error.code === '28P01'
}

/** A string literal for SQL. Throws on what a line of single-user mode cannot carry. */
function quoted(text: string): string {
  if (/[\0\n\r]/.test(text)) throw new Error('the password must not contain line breaks')
  return text.includes('\\') ? ` E'${text.replace(/[\\']/g, '$&$&')}'` : `'${text.replaceAll("'", "''")}'`
}

/** What went wrong, out of the server's log: without times, process ids and our folders. */
function serverMessages(log: string): string {
  return log
    .split('\n')
    .map((line) => /\b(LOG|ERROR|FATAL|PANIC):\s+(.*)$/.exec(line))
    .filter((match) => match !== null)
    .filter(
      ([, level, text = '']) => level !== 'LOG' || /parameter|syntax error|could not|invalid/.test(text),
    )
    .map(([, , text = '']) => text.replace(/"\/[^"]*\/([^"/]+)"/g, '"$1"'))
    .join('; ')
}

async function writeConfig(account: Account | undefined, data: string, config: string): Promise<void> {
  const file = join(data, 'user.conf')
  await writeFor(account, file, config.endsWith('\n') ? config : `${config}\n`)
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
