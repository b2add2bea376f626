/** The programs in the docs, run as an application runs them: with nothing but the credentials of a binding. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { ExecutionContext } from 'ava'
import type { JsonObject } from '../../shared/values/json.ts'
import type { TestCluster } from './cluster.ts'
import { addressOf } from './inventory.ts'

const run = promisify(execFile)
const root = join(import.meta.dirname, '../..')

/** What the programs to run import: a page may have several in one language. */
export interface Drivers {
  /** package of npm, or a module of Node */
  readonly js: string
  /** module of Python; where it is missing, the package `python3-<module>` of Debian has it */
  readonly python: string
}

/**
 * Runs a program in JavaScript and one in Python. Each has to write a line to the database and print what it read
 * back. Without the Python module its program is passed over, and the reason printed.
 *
 * @param page e.g. `mysql`, for docs/bindings/mysql.md
 * @param credentials of a binding that may write; names of the cluster in them are replaced by their addresses, for
 *   a program has no resolver that knows them
 */
export async function runPrograms(
  t: ExecutionContext,
  cluster: TestCluster,
  credentials: JsonObject,
  page: string,
  drivers: Drivers,
): Promise<void> {
  const text = readFileSync(join(root, `docs/bindings/${page}.md`), 'utf8')
  const json = JSON.stringify(credentials).replace(
    /[a-z0-9][a-z0-9.-]*\.svc\b/g,
    (name) => addressOf(cluster, name) ?? name,
  )
  const options = { cwd: root, env: { ...process.env, CREDENTIALS: json }, timeout: 60_000 }
  const js = programIn(text, 'js', `from '${drivers.js}'`)
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', js], options)
  t.is(stdout.trim(), 'from JavaScript')

  const program = programIn(text, 'python', drivers.python)
  const python = await pythonWith(drivers.python)
  if (python === undefined) {
    const debian = `Debian: python3-${drivers.python.replaceAll('_', '-')}`
    console.error(
      `skipped: the program of ${page}.md in Python, for no python3 has ${drivers.python} (${debian})`,
    )
    return
  }
  const printed = await run(python, ['-c', program], options)
  t.is(printed.stdout.trim(), 'from Python')
}

/** @returns the program of the page in that language that holds the words */
function programIn(text: string, language: string, words: string): string {
  const programs = [...text.matchAll(new RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\`$`, 'gm'))]
  const [program, ...more] = programs.map(([, found = '']) => found).filter((found) => found.includes(words))
  if (program === undefined || more.length > 0) {
    throw new Error(`the page has ${more.length > 0 ? 'several programs' : 'no program'} with ${words}`)
  }
  return program
}

/** @returns a Python that has the module; undefined where there is none */
async function pythonWith(module: string): Promise<string | undefined> {
  for (const python of ['python3', '/usr/bin/python3']) {
    const there = await run(python, ['-c', `import ${module}`]).then(
      () => true,
      () => false,
    )
    if (there) return python
  }
  return undefined
}
