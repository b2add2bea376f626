/** Applications that find their database by a library: one in Java, Go, and what the docs say in JavaScript and Python. */
import { execFile } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { glob, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import * as v from 'valibot'
import { draftIn, programCache, settle } from '../../sandbox/engines/programs/cache.ts'
import { findJava, lastWords, onPath } from '../../sandbox/engines/programs/java.ts'
import { goProgram } from '../../sandbox/machine/go-program.ts'

const execute = promisify(execFile)
const root = join(import.meta.dirname, '../..')
const sources = join(root, 'test/libraries')

/** Milliseconds for what is fetched or built once. */
const patience = 420_000

/** An application, and what it is to do. */
export interface Row {
  /** by which it finds its database */
  library: string
  /** of the database, such as redis */
  kind: string
  /** where those of `kind` are several */
  driver?: 'mariadb' | 'opensearch' | undefined
  /** the environment variables that the platform sets */
  environment: Readonly<Record<string, string>>
  /** of application.properties in Java; the program in JavaScript and Python, which opens `client` */
  lines: string
  does: 'write' | 'read'
  /** name of the table, key, queue, topic or index */
  note: string
}

/** What a row ended with: what it has read, or how it failed. */
export type End = { answer: string } | { error: string }

/** Runs rows; in which order does not matter. */
export type Runner = (rows: readonly Row[]) => Promise<End[]>

/** How programs know the names of the cluster: a file like /etc/hosts, which is that for them. */
export interface Names {
  hostsFile: string
}

const ownHosts = 'mount --bind "$0" /etc/hosts && exec "$@"'

function withNames({ hostsFile }: Names, command: string, args: readonly string[]): [string, string[]] {
  return ['unshare', ['--map-root-user', '--mount', 'sh', '-c', ownHosts, hostsFile, command, ...args]]
}

/** @returns true, or why programs here cannot be given names of their own */
export async function canHaveNames(names: Names): Promise<true | string> {
  const [command, args] = withNames(names, 'true', [])
  return execute(command, args).then(
    () => true as const,
    (error) => `a program cannot have an /etc/hosts of its own here: ${lastWords(error)}`,
  )
}

/** @returns a runner, or why there is none on this machine */
export async function nodeRunner(names: Names): Promise<Runner> {
  return inOneProcess(names, async (rows) => ({
    command: process.execPath,
    args: [join(sources, 'node/main.ts'), rows],
    // Packages are found from where a program lies.
    packages: join(root, 'node_modules'),
  }))
}

export async function pythonRunner(names: Names): Promise<Runner | string> {
  const python = await onPath('python3')
  if (python === undefined) return 'programs in Python need python3'
  const requirements = join(sources, 'python/requirements.txt')
  const { stdout } = await execute(python, ['-c', 'import sys; print(*sys.version_info[:2])'])
  const site = await once(`python-${stdout.trim().replace(' ', '.')}`, [requirements], async (draft) => {
    const install = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps']
    await execute(python, [...install, '--target', draft, '-r', requirements], { timeout: patience })
  })
  if (typeof site !== 'string') return `programs in Python need pip and its packages: ${site.missing}`
  const environment = {
    PYTHONPATH: [site, join(sources, 'python')].join(delimiter),
    PYTHONDONTWRITEBYTECODE: '1',
  }
  const main = join(sources, 'python/main.py')
  return inOneProcess(names, async (rows) => ({ command: python, args: [main, rows], environment }))
}

export async function goRunner(names: Names): Promise<Runner | string> {
  const wanted = {
    name: 'libraries',
    sources: join(sources, 'go'),
    package: '.',
    announcement: 'Building the program of the libraries in Go: a minute, only once.',
    without: '.',
  }
  if ((await onPath('go')) === undefined) return 'the program in Go needs Go'
  const program = await goProgram(wanted, (line) => console.log(`# ${line}`))
  return inOneProcess(names, async (rows) => ({ command: program, args: [rows] }))
}

export async function javaRunner(names: Names): Promise<Runner | string> {
  const java = await findJava({ oldest: 17, newest: 25 })
  const maven = await onPath('mvn')
  if (java === undefined || maven === undefined) return 'the program in Java needs Java 17 or later and Maven'
  const folder = join(sources, 'java')
  const files: string[] = []
  for await (const file of glob('**/*.{java,xml}', { cwd: folder })) files.push(join(folder, file))
  const program = await once('java-libraries', files.sort(), async (draft) => {
    await execute(
      maven,
      [
        ...['-q', '-B', '-f', join(folder, 'pom.xml'), `-DbuildDirectory=${join(draft, 'build')}`],
        ...['compile', 'dependency:copy-dependencies', `-DoutputDirectory=${join(draft, 'jars')}`],
      ],
      { timeout: patience },
    )
  })
  if (typeof program !== 'string') return `the program in Java cannot be built with Maven: ${program.missing}`
  const jars = (await readdir(join(program, 'jars'))).map((name) => join(program, 'jars', name))
  /** @param other the driver that is not on the class path: java-cfenv takes that of MariaDB for MySQL where it is there */
  const applications = (other: RegExp) => {
    const classPath = [join(program, 'build/classes'), ...jars.filter((jar) => !other.test(jar))]
    return inOneProcess(names, async (rows) => ({
      command: java.program,
      args: [
        ...['-Xmx320m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xshare:auto'],
        ...['--add-opens', 'java.base/java.util=ALL-UNNAMED'],
        ...['--add-opens', 'java.base/java.lang=ALL-UNNAMED'],
        ...['-cp', classPath.join(delimiter), 'libraries.Main', rows],
      ],
    }))
  }
  const [mysql, mariadb] = [applications(/mariadb-java/), applications(/mysql-connector/)]
  return async (rows) => {
    const [ofMariadb, others] = [true, false].map((wanted) =>
      rows.filter(({ driver }) => (driver === 'mariadb') === wanted),
    )
    const ends = new Map<Row, End>()
    for (const [some, runner] of [
      [others, mysql],
      [ofMariadb, mariadb],
    ] as const) {
      const found = some === undefined || some.length === 0 ? [] : await runner(some)
      for (const [index, end] of found.entries()) {
        const row = some?.[index]
        if (row !== undefined) ends.set(row, end)
      }
    }
    return rows.map((row) => ends.get(row) ?? { error: 'no answer' })
  }
}

/** How the program of a language is started. */
interface Program {
  command: string
  args: readonly string[]
  environment?: Readonly<Record<string, string>>
  /** a folder that it finds as node_modules where it runs */
  packages?: string
}

const LineOfRow = v.union([v.object({ answer: v.nullable(v.string()) }), v.object({ error: v.string() })])

/**
 * @param programOf takes the name of a file with the rows
 * @returns what runs all rows in one process: each has the environment variables of its own, one after the other
 */
function inOneProcess(names: Names, programOf: (rows: string) => Promise<Program>): Runner {
  return async (rows) => {
    const folder = await mkdtemp(join(tmpdir(), 'library-program-'))
    try {
      const file = join(folder, 'rows.json')
      await writeFile(file, JSON.stringify(rows))
      const { command, args, environment = {}, packages } = await programOf(file)
      if (packages !== undefined) await symlink(packages, join(folder, 'node_modules'))
      const options = {
        cwd: folder,
        env: { PATH: process.env.PATH ?? '', HOME: folder, ...environment },
        timeout: patience,
        maxBuffer: 16 << 20,
      }
      const { said, trouble } = await execute(...withNames(names, command, args), options).then(
        ({ stdout, stderr }) => ({ said: stdout, trouble: stderr }),
        (error: unknown) => ({ said: outputOf(error, 'stdout'), trouble: `${error}` }),
      )
      const ends = said
        .split('\n')
        .filter((line) => line.startsWith('row '))
        .map((line) => v.parse(LineOfRow, JSON.parse(line.slice(4))))
        .map((end) => ('error' in end ? end : { answer: String(end.answer) }))
      return rows.map((_, index) => ends[index] ?? { error: `the program ended before: ${trouble}` })
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }
}

const outputOf = (error: unknown, name: 'stdout'): string =>
  error instanceof Error && name in error ? String(Reflect.get(error, name)) : ''

/**
 * @param files what is made hangs on their contents
 * @param make puts it into the folder
 * @returns the folder in the cache, made at its first use; or what is missing for that
 */
async function once(
  name: string,
  files: readonly string[],
  make: (draft: string) => Promise<void>,
): Promise<string | { missing: string }> {
  const hash = createHash('sha256')
  for (const file of files) hash.update(await readFile(file)).update('\0')
  const cache = await programCache()
  const folder = join(cache, `${name}-${hash.digest('hex').slice(0, 12)}`)
  if ((await readdir(cache)).includes(folder.slice(cache.length + 1))) return folder
  const draft = draftIn(cache, randomUUID())
  await mkdir(draft, { recursive: true })
  try {
    await make(draft)
    await settle(draft, folder)
    return folder
  } catch (error) {
    await rm(draft, { recursive: true, force: true })
    return { missing: lastWords(error) }
  }
}
