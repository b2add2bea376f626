/**
 * MySQL: a real server process per database. Where no MySQL can be had on this machine, a MariaDB server stands for it:
 * it speaks the same protocol, and is alike in what the broker and its bindings use.
 */
import { execFile } from 'node:child_process'
import { access, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Account, giveTo, writeFor } from '../machine/account.ts'
import {
  findMariaDb,
  findMySqlProgram,
  type MySqlProgram,
  mariaDbObtainable,
  mySqlObtainable,
} from './mysql/programs.ts'
import { changesBetween } from './mysql/settings.ts'
import { copyTemplate, dataTemplate, smallAndQuick } from './mysql/template.ts'
import type { Engine, Instance, Running, ServerTls } from './parts/engine.ts'
import { engineOf } from './parts/engine-of.ts'
import { startServer, untilAccepting } from './parts/server.ts'

const execute = promisify(execFile)

const mySqlPort = 3306

const startSeconds = 30

/** What is needed to run a server. */
interface Installation {
  readonly program: MySqlProgram
  readonly template: string
  /** settings below those of the user */
  readonly base: string
}

/**
 * @param home Folder for data; made when absent. When we are root it must be reachable for the user `nobody`.
 * @param find the program to run; a real MySQL where there is one
 */
export function mysqlEngine(home: string, find = findMySqlProgram): Engine {
  return mysqlLikeEngine({ kind: 'MySQL', folder: 'mysql', available: mySqlObtainable, find }, home)
}

/** MariaDB's own server, for its own kind. */
export function mariadbEngine(home: string): Engine {
  return mysqlLikeEngine(
    { kind: 'MariaDB', folder: 'mariadb', available: mariaDbObtainable, find: findMariaDb },
    home,
  )
}

/** A kind that these servers run. */
export interface Make extends Pick<Engine, 'kind' | 'available'> {
  /** where its data is, below the folder of all engines */
  readonly folder: string
  /** settings below those of the user that no other kind has, as lines of its file */
  settings?(program: MySqlProgram): readonly string[]
  find(): Promise<MySqlProgram | { readonly missing: string }>
}

/** @param make what a kind has of its own whose servers speak MySQL's protocol */
export function mysqlLikeEngine(make: Make, home: string): Engine {
  const { kind, folder, available } = make
  return engineOf(home, {
    kind,
    port: mySqlPort,
    folder,
    available,
    async install(account) {
      const program = await make.find()
      if ('missing' in program) throw new Error(program.missing)
      const template = await dataTemplate(program, home, account)
      return { program, template, base: baseSettings(program, make) }
    },
    fill: ({ program, template }, account, folder) =>
      copyTemplate(template, join(folder, dataOf(program)), account),
    launch,
  })
}

/** Neither make reads the other's data. */
const dataOf = ({ make }: MySqlProgram): string => `data-${make.toLowerCase()}`

async function launch(
  { program, base }: Installation,
  account: Account | undefined,
  folder: string,
  instance: Instance,
): Promise<Running> {
  const data = join(folder, dataOf(program))
  await access(data).catch(() => {
    throw new Error(`the data of ${instance.name} was written by another make of server than ${program.make}`)
  })
  const configFile = join(folder, 'my.cnf')
  await writeFile(configFile, base + instance.config, { mode: 0o644 })
  const temporary = await temporaryFolder(folder, account)
  const secrets = await writeSecrets(account, folder, instance)
  const server = await startServer(
    [
      ...program.command,
      ...[`--defaults-file=${configFile}`, ...program.options, `--datadir=${data}`],
      // the socket in the data folder, whose whole path may be too long for one
      ...[`--bind-address=${instance.address}`, `--port=${mySqlPort}`, `--init-file=${secrets}`],
      ...['--socket=server.sock', `--pid-file=${join(data, 'server.pid')}`, '--skip-name-resolve'],
      `--tmpdir=${temporary}`,
      ...tlsOptions(instance, folder),
    ],
    { account, folder, environment: program.environment, signals: ['TERM', 'KILL'] },
  )
  let { password } = instance
  let { config } = instance
  const ask = (statement: string) => askOnce(instance, password, statement)
  await untilAccepting(server, {
    title: program.make,
    seconds: startSeconds,
    pause: 20,
    check: () => ask('SELECT 1'),
    complaints: serverMessages,
    isWrongPassword,
  }).finally(() => rm(secrets, { force: true }))
  return {
    exited: server.exited,
    async check() {
      await ask('SELECT 1')
    },
    async setPassword(next) {
      await ask(passwordStatement(instance.username, next))
      password = next
    },
    async reload(next) {
      await judge(program, account, folder, base + next)
      await writeFile(configFile, base + next)
      const changes = changesBetween(base, config, next)
      config = next
      if (changes === 'restart') return 'restart'
      let applied = true
      for (const { name, value } of changes) {
        // The start would take it: what cannot be changed before then has to wait for it.
        await ask(`SET GLOBAL ${name} = ${value}`).catch(() => {
          applied = false
        })
      }
      return applied ? 'applied' : 'restart'
    },
    stop: () => server.stop(),
  }
}

/** A server that starts removes the temporary tables that it finds, whose ever they are: each gets a folder of its own. */
async function temporaryFolder(folder: string, account: Account | undefined): Promise<string> {
  const temporary = join(folder, 'tmp')
  await mkdir(temporary, { recursive: true, mode: 0o750 })
  await giveTo(account, temporary)
  return temporary
}

/** Below those of the user. MariaDB is told what MySQL does by itself. */
function baseSettings(program: MySqlProgram, make: Make): string {
  const alike = [
    'character-set-server=utf8mb4',
    'event-scheduler=ON',
    'sql-mode=ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION',
    'log-bin=binlog',
    'server-id=1',
    'binlog-format=ROW',
  ]
  const own = [
    'mysqlx=OFF',
    'secure-file-priv=NULL',
    'auto-generate-certs=OFF',
    'innodb-log-writer-threads=OFF',
  ]
  const lines = [
    ...smallAndQuick(program).map((option) => option.replace(/^--/, '')),
    ...(program.make === 'MariaDB' ? alike : own),
    ...(make.settings?.(program) ?? []),
  ]
  return `[mysqld]\n${lines.join('\n')}\n`
}

/** @returns a file with the statements that make the administrator what it should be, run before any connection */
async function writeSecrets(
  account: Account | undefined,
  folder: string,
  instance: Instance,
): Promise<string> {
  const user = `${quoted(instance.username)}@'%'`
  const file = join(folder, 'init.sql')
  const statements = [
    'SET sql_log_bin = 0',
    "SET sql_mode = ''",
    `CREATE USER IF NOT EXISTS ${user} IDENTIFIED BY ${quoted(instance.password)}`,
    passwordStatement(instance.username, instance.password),
    `GRANT ALL PRIVILEGES ON *.* TO ${user} WITH GRANT OPTION`,
  ]
  await rm(file, { force: true })
  await writeFor(account, file, statements.map((statement) => `${statement};\n`).join(''))
  if (instance.tls) await writeTls(account, folder, instance.tls)
  return file
}

/** One statement: the next connection already needs the new password. */
function passwordStatement(username: string, password: string): string {
  const users = ['%', 'localhost'].map(
    (host) => `${quoted(username)}@'${host}' IDENTIFIED BY ${quoted(password)}`,
  )
  return `ALTER USER IF EXISTS ${users.join(', ')}`
}

async function writeTls(account: Account | undefined, folder: string, tls: ServerTls): Promise<void> {
  await mkdir(join(folder, 'tls'), { recursive: true, mode: 0o755 })
  for (const part of ['ca', 'cert', 'key'] as const) {
    await writeFor(account, join(folder, 'tls', `${part}.pem`), tls[part])
  }
}

function tlsOptions({ tls, spec }: Instance, folder: string): string[] {
  if (tls === undefined) return []
  const files = ['ca', 'cert', 'key'].map((part) => `--ssl-${part}=${join(folder, 'tls', `${part}.pem`)}`)
  return spec.requireSSL === true ? [...files, '--require-secure-transport=ON'] : files
}

/** Lets a second process read the settings and say what it thinks of them. */
async function judge(
  program: MySqlProgram,
  account: Account | undefined,
  folder: string,
  config: string,
): Promise<void> {
  const trial = join(folder, 'trial.cnf')
  await writeFile(trial, config, { mode: 0o644 })
  const [file, ...parameters] = program.command
  const look = program.make === 'MySQL' ? ['--validate-config'] : ['--help', '--verbose']
  try {
    await execute(file, [...parameters, `--defaults-file=${trial}`, ...program.options, ...look], {
      cwd: folder,
      env: program.environment,
      maxBuffer: 10 * 2 ** 20,
      ...account,
    })
  } catch (error) {
    const words = serverMessages(error instanceof Error && 'stderr' in error ? String(error.stderr) : '')
    throw new Error(`${program.make} refuses the settings: ${words || 'it does not say why'}`, {
      cause: error,
    })
  } finally {
    await rm(trial, { force: true })
  }
}

/** One statement on a connection of its own: what a client of the database would meet. */
async function askOnce(instance: Instance, password: string, statement: string): Promise<void> {
  const { createConnection } = await import('mysql2/promise')
  const connection = await createConnection({
    host: instance.address,
    port: mySqlPort,
    user: instance.username,
    password,
    connectTimeout: 5000,
    ...(instance.tls === undefined ? {} : { ssl: { ca: instance.tls.ca, verifyIdentity: false } }),
  })
  try {
    await connection.query({ sql: statement, timeout: 10_000 })
  } finally {
    connection.destroy()
  }
}

function isWrongPassword(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ER_ACCESS_DENIED_ERROR'
}

/** A string constant, on one line; for sessions whose sql_mode leaves the backslash its meaning. */
function quoted(text: string): string {
  if (/[\0\n\r]/.test(text)) throw new Error('names and passwords must not contain line breaks')
  return `'${text.replace(/[\\']/g, String.raw`\$&`)}'`
}

/** What went wrong, out of the server's log: without times, codes and our folders. */
function serverMessages(log: string): string {
  const messages = log
    .split('\n')
    .map(
      (line) =>
        /\[ERROR\] (?:\[MY-\d+\] \[\w+\] )?(.*)$/.exec(line)?.[1] ??
        /^(?:error|mysqld|mariadbd): (.*)$/i.exec(line)?.[1],
    )
    .filter((text) => text !== undefined && !/^Aborting\.?$/.test(text))
    .map((text = '') =>
      text
        .replace(/\/[^\s'"]*\/([^\s'"/]+)/g, '$1')
        .replace(/^(Buffered error: )?((mysqld|mariadbd): )?/, ''),
    )
  return [...new Set(messages)].join('; ')
}
