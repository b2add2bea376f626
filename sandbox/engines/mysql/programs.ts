/** Servers that speak MySQL's protocol: a real MySQL where one can be had, else MariaDB's, which stands for it. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import {
  installedProgram,
  isObtainable,
  type Program,
  unpackedProgram,
  type Wanted,
} from '../programs/debian-program.ts'

const execute = promisify(execFile)

/** Debian's stable releases have no MySQL. */
const wantedMySql: Wanted = {
  programs: ['mysqld'],
  packages: ['mysql-server-core'],
  release: 'sid',
  // for scripts that nobody runs
  without: /^(perl|libperl|libgdbm|libdb5)/,
}

const wantedMariaDb: Wanted = { programs: ['mariadbd'], packages: ['mariadb-server-core'] }

/** A program and how it is run. */
export interface MySqlProgram extends Program {
  readonly make: 'MySQL' | 'MariaDB'
  /** e.g. 9.7.4 */
  readonly version: string
  /** where it finds its own files */
  readonly options: readonly string[]
  readonly environment: Readonly<Record<string, string>>
}

/** What our own environment says to MySQL's programs (MYSQL_HOST, TZ) is meant for others. */
const environment = { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C' }

/** @returns `true` when a server may be expected to be had, or the sentence that says what to install */
export async function mySqlObtainable(): Promise<true | string> {
  if ((await isObtainable(wantedMySql)) === true) return true
  return mariaDbObtainable()
}

/** @returns `true` when MariaDB's server may be expected to be had, or the sentence that says what to install */
export function mariaDbObtainable(): Promise<true | string> {
  return isObtainable(wantedMariaDb)
}

/** @returns MySQL, else MariaDB; or why there is neither */
export async function findMySqlProgram(): Promise<MySqlProgram | { readonly missing: string }> {
  const real = await findMySql()
  if (!('missing' in real)) return real
  const other = await findMariaDb()
  return 'missing' in other ? { missing: `${real.missing}; ${other.missing}` } : other
}

/** @returns a MySQL of this machine, else the one of Debian's unstable release */
export async function findMySql(): Promise<MySqlProgram | { readonly missing: string }> {
  // a program of that name may be MariaDB's
  const installed = await described(await installedProgram(wantedMySql))
  if (installed?.make === 'MySQL') return installed
  const unpacked = await unpackedProgram(wantedMySql)
  if ('missing' in unpacked) return unpacked
  return (await described(unpacked)) ?? { missing: `${unpacked.program} does not run on this machine` }
}

/** @returns a MariaDB server of this machine, else the one of its Debian release */
export async function findMariaDb(): Promise<MySqlProgram | { readonly missing: string }> {
  const found = (await installedProgram(wantedMariaDb)) ?? (await unpackedProgram(wantedMariaDb))
  if ('missing' in found) return found
  return (await described(found)) ?? { missing: `${found.program} does not run on this machine` }
}

async function described(found: Program | undefined): Promise<MySqlProgram | undefined> {
  if (found === undefined) return undefined
  const surroundings = { ...environment, LD_LIBRARY_PATH: found.libraries }
  const [program, ...parameters] = found.command
  const said = await execute(program, [...parameters, '--no-defaults', '--version'], {
    env: surroundings,
  }).then(
    ({ stdout }) => stdout,
    () => '',
  )
  const version = /Ver ([0-9]+\.[0-9]+\.[0-9]+)/.exec(said)?.[1]
  if (version === undefined) return undefined
  const usr = join(found.root, 'usr')
  // an installed program knows where it was installed
  const options = [
    `--basedir=${usr}`,
    `--lc-messages-dir=${join(usr, 'share/mysql')}`,
    `--plugin-dir=${join(usr, 'lib/mysql/plugin')}`,
  ]
  return {
    ...found,
    make: said.includes('MariaDB') ? 'MariaDB' : 'MySQL',
    version,
    options: found.root === '/' ? [] : options,
    environment: surroundings,
  }
}
