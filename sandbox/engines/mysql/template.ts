/** A freshly made data folder, copied for every new database: making one takes seconds. */

import { execFile, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { chmod, mkdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { type Account, giveTo } from '../../machine/account.ts'
import { settle } from '../programs/cache.ts'
import type { MySqlProgram } from './programs.ts'

const execute = promisify(execFile)

/** Bounds what is written and kept in memory; the same when a template is made and when a server runs on a copy. */
const small = {
  MySQL: ['--innodb-buffer-pool-size=16M', '--innodb-redo-log-capacity=8M', '--innodb-flush-method=nosync'],
  MariaDB: ['--innodb-buffer-pool-size=8M', '--innodb-log-file-size=4M', '--innodb-flush-method=nosync'],
} as const

const scripts = [
  'mysql_system_tables.sql',
  'mysql_performance_tables.sql',
  'mysql_system_tables_data.sql',
  'maria_add_gis_sp_bootstrap.sql',
  'mysql_sys_schema.sql',
]

/** Users of this machine's addresses and the nameless ones would be chosen before `root` at any host. */
const onlyLocal = "DELETE FROM mysql.global_priv WHERE User = '' OR Host <> 'localhost';"

/**
 * @param home where the template is kept; the account can reach it
 * @returns the template's folder, which is made when it is not there yet
 */
export async function dataTemplate(
  program: MySqlProgram,
  home: string,
  account: Account | undefined,
): Promise<string> {
  const template = join(home, `${program.make.toLowerCase()}-${program.version}-template`)
  if (await exists(template)) return template
  const draft = join(home, `.template-${randomUUID()}`)
  await mkdir(draft, { mode: 0o750 })
  await giveTo(account, draft)
  try {
    await (program.make === 'MySQL'
      ? initialize(program, draft, account)
      : bootstrap(program, draft, account))
    await settle(draft, template)
  } catch (error) {
    await rm(draft, { recursive: true, force: true })
    throw error
  }
  return template
}

async function initialize(program: MySqlProgram, data: string, account: Account | undefined): Promise<void> {
  const [file, ...parameters] = program.command
  const options = ['--initialize-insecure', `--datadir=${data}`, '--auto-generate-certs=OFF', ...small.MySQL]
  await execute(file, [...parameters, '--no-defaults', ...program.options, ...options], {
    cwd: data,
    env: program.environment,
    ...account,
  })
}

/** What mariadb-install-db does; the script itself wants programs of other packages. */
async function bootstrap(program: MySqlProgram, data: string, account: Account | undefined): Promise<void> {
  const folder = join(program.root, 'usr/share/mysql')
  const parts = await Promise.all(scripts.map((name) => readFile(join(folder, name), 'utf8')))
  const statements = [
    'CREATE DATABASE mysql;',
    'USE mysql;',
    'SET @auth_root_socket = NULL;',
    ...parts,
    onlyLocal,
  ]
  const [file, ...parameters] = program.command
  const options = [
    '--bootstrap',
    '--skip-networking',
    `--datadir=${data}`,
    `--tmpdir=${data}`,
    '--log-warnings=0',
    ...small.MariaDB,
  ]
  const server = spawn(file, [...parameters, '--no-defaults', ...program.options, ...options], {
    cwd: data,
    env: program.environment,
    stdio: ['pipe', 'ignore', 'pipe'],
    ...account,
  })
  // It ends early when it does not like what it reads, and says why.
  server.stdin.on('error', () => undefined)
  server.stdin.end(`${statements.join('\n')}\n`)
  const ended = new Promise<number | null>((resolve, reject) => {
    server.once('error', reject)
    server.once('exit', resolve)
  })
  const [said, code] = await Promise.all([text(server.stderr), ended])
  if (code !== 0) throw new Error(`MariaDB made no data folder: ${said.split('\n').slice(-4).join(' ')}`)
}

/** Options that keep a server small and quick: nobody's only copy of anything lives in a sandbox. */
export function smallAndQuick({ make }: MySqlProgram): readonly string[] {
  const common = ['--innodb-doublewrite=OFF', '--innodb-flush-log-at-trx-commit=0', '--sync-binlog=0']
  // Several servers would exhaust what the kernel has for asynchronous reads.
  const native = make === 'MariaDB' ? ['--innodb-use-native-aio=OFF'] : ['--performance-schema=OFF']
  return [...small[make], ...common, ...native]
}

/** A copy of the template. */
export async function copyTemplate(
  template: string,
  data: string,
  account: Account | undefined,
): Promise<void> {
  await execute('cp', ['-r', template, data], {
    env: { PATH: process.env.PATH ?? '/usr/bin:/bin' },
    ...account,
  })
  await chmod(data, 0o750)
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
