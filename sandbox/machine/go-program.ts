import { execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import * as v from 'valibot'
import { exitOf, guarded, messageOf } from './daemon.ts'
import { userCache } from './user-cache.ts'

/** How often a long build says that it is still there, in milliseconds. */
const progressEvery = 5_000

/** A build that has not touched its lock for this long, in milliseconds, was killed. */
const lockIsStaleAfter = 30_000

/** A module of somebody else, which is built in its own folder: only there count `replace` lines of its go.mod. */
export interface GoModule {
  path: string
  version: string
  /** of its files, as in a go.sum */
  sum: string
}

/** A program that is built from Go modules. */
export interface GoProgram {
  /** of the file in the cache, and what progress and errors call it: `helm` */
  name: string
  /** folder with go.mod, go.sum and perhaps sources; or a module */
  sources: string | GoModule
  /** what of it is built: a path below the folder, or a package of another module */
  package: string
  /** texts that the linker puts into variables, by package and name: `k8s.io/component-base/version.gitVersion` */
  variables?: Readonly<Record<string, string>>
  /** a line for people at the start of a build */
  announcement: string
  /** completes the sentence that the program has to be built once with Go, which is missing */
  without: string
}

/**
 * A program, built from Go modules on first use and kept in the user's cache under a hash of its sources.
 *
 * @param progress takes a line for people at the start of a build and every few seconds of it
 * @returns the path of the program
 * @throws if Go is missing or too old, the cache cannot be written, or the build fails
 */
export async function goProgram(wanted: GoProgram, progress: (line: string) => void): Promise<string> {
  const folder = userCache()
  const program = join(folder, `${wanted.name}-${await sourcesHash(wanted)}`)
  if (await exists(program)) return program
  await requireGo(wanted)
  try {
    await mkdir(folder, { recursive: true })
  } catch (error) {
    throw new Error(
      `The cache folder ${folder} cannot be made (${messageOf(error)}); XDG_CACHE_HOME names another.`,
    )
  }
  const started = Date.now()
  progress(wanted.announcement)
  const ticker = setInterval(() => {
    progress(`Building ${wanted.name}: ${Math.round((Date.now() - started) / 1000)} s`)
  }, progressEvery)
  try {
    await buildOnce(wanted, program)
  } finally {
    clearInterval(ticker)
  }
  return program
}

/** Builds unless another process is building the same program: then waits for that one. */
async function buildOnce(wanted: GoProgram, program: string): Promise<void> {
  const lock = `${program}.lock`
  while (!(await takeLock(lock))) {
    await sleep(500)
    if (await exists(program)) return
  }
  const heartbeat = setInterval(() => {
    // Losing the lock to a cleaned cache costs at worst a second build at the same time.
    utimes(lock, new Date(), new Date()).catch(() => undefined)
  }, lockIsStaleAfter / 6)
  try {
    if (!(await exists(program))) await build(wanted, program)
  } finally {
    clearInterval(heartbeat)
    await rm(lock, { force: true })
  }
}

async function takeLock(lock: string): Promise<boolean> {
  try {
    const file = await open(lock, 'wx')
    await file.close()
    return true
  } catch (error) {
    if (!isCode(error, 'EEXIST')) throw error
  }
  const age = await stat(lock).then(
    (found) => Date.now() - found.mtimeMs,
    () => 0,
  )
  if (age > lockIsStaleAfter) await rm(lock, { force: true })
  return false
}

async function build(wanted: GoProgram, program: string): Promise<void> {
  // All that a build leaves when it is cut off is in here, and goes with the next one.
  const unfinished = `${program}.part`
  await rm(unfinished, { recursive: true, force: true })
  try {
    await mkdir(unfinished)
    const output = join(unfinished, wanted.name)
    const linked = ['-s', '-w', ...variablesOf(wanted)].join(' ')
    const flags = ['-trimpath', '-buildvcs=false', `-ldflags=${linked}`, '-o', output]
    const [command, ...args] = guarded('go', ['build', ...flags, wanted.package])
    const child = spawn(command, args, {
      cwd: await folderOf(wanted.sources),
      env: { ...process.env, CGO_ENABLED: '0', GOTMPDIR: unfinished },
      stdio: ['pipe', 'ignore', 'pipe'],
    })
    let said = ''
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      said = (said + chunk).slice(-4_000)
    })
    const exit = await exitOf(child)
    if (exit.code !== 0) {
      const lines = said.split('\n').filter((line) => line !== '' && !line.startsWith('go: downloading'))
      throw new Error(`${wanted.name} could not be built (${exit.reason}):\n${lines.slice(-15).join('\n')}`)
    }
    await rename(output, program)
  } finally {
    await rm(unfinished, { recursive: true, force: true })
  }
}

function variablesOf({ variables = {} }: GoProgram): string[] {
  return Object.entries(variables).map(([name, value]) => `-X=${name}=${value}`)
}

const Downloaded = v.object({ Dir: v.string(), Sum: v.string() })

/** @returns where the sources are; a module is fetched into Go's own cache */
async function folderOf(sources: GoProgram['sources']): Promise<string> {
  if (typeof sources === 'string') return sources
  const named = `${sources.path}@${sources.version}`
  const { stdout } = await promisify(execFile)('go', ['mod', 'download', '-json', named], { cwd: tmpdir() })
  const { Dir, Sum } = v.parse(Downloaded, JSON.parse(stdout))
  if (Sum !== sources.sum) throw new Error(`${named} has the sum ${Sum} instead of ${sources.sum}`)
  return Dir
}

async function sourcesHash(wanted: GoProgram): Promise<string> {
  const { sources } = wanted
  const machine = [process.platform, process.arch, ...variablesOf(wanted)].join(' ')
  const hash = createHash('sha256').update(`${machine}\n`)
  // What a module is follows from its sum: it need not be fetched to look for the program.
  if (typeof sources !== 'string') return hash.update(sources.sum).digest('hex').slice(0, 16)
  const all = await readdir(sources, { recursive: true })
  const names = all.filter((name) => /\.go$|^go\.(mod|sum)$/.test(name))
  for (const name of names.sort()) {
    hash.update(`${name}\n`).update(await readFile(join(sources, name)))
  }
  return hash.digest('hex').slice(0, 16)
}

/** Asks Go itself whether it can build the module: it may also fetch a newer Go of its own accord. */
async function requireGo({ name, sources, without }: GoProgram): Promise<void> {
  try {
    await promisify(execFile)('go', ['version'], { cwd: typeof sources === 'string' ? sources : tmpdir() })
  } catch (error) {
    const wanted = typeof sources === 'string' ? ` ≥ ${await goVersionIn(sources)}` : ''
    const found = isCode(error, 'ENOENT') ? 'no Go was found' : messageOf(error)
    throw new Error(
      `${name} has to be built once with Go${wanted}, but ${found}: install Go (https://go.dev/dl)${without}`,
    )
  }
}

async function goVersionIn(folder: string): Promise<string | undefined> {
  return /^go (\S+)/m.exec(await readFile(join(folder, 'go.mod'), 'utf8'))?.[1]
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
