import { execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { exitOf, guarded, messageOf } from './control-plane-process.ts'

const sources = join(import.meta.dirname, 'control-plane')

/** How often a long build says that it is still there, in milliseconds. */
const progressEvery = 5_000

/** A build that has not touched its lock for this long, in milliseconds, was killed. */
const lockIsStaleAfter = 30_000

/**
 * The control plane's program, built from sandbox/control-plane on first use and kept in the user's cache
 * under a hash of its sources.
 *
 * @param progress takes a line for people at the start of a build and every few seconds of it
 * @returns the path of the program
 * @throws if Go is missing or too old, the cache cannot be written, or the build fails
 */
export async function controlPlaneProgram(progress: (line: string) => void): Promise<string> {
  const folder = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'kubedb-service-broker')
  const program = join(folder, `control-plane-${await sourcesHash()}`)
  if (await exists(program)) return program
  await requireGo()
  try {
    await mkdir(folder, { recursive: true })
  } catch (error) {
    throw new Error(
      `The cache folder ${folder} cannot be made (${messageOf(error)}); XDG_CACHE_HOME names another.`,
    )
  }
  const started = Date.now()
  progress('Building the control plane (kube-apiserver and etcd, from Go modules): some minutes, only once.')
  const ticker = setInterval(() => {
    progress(`Building the control plane: ${Math.round((Date.now() - started) / 1000)} s`)
  }, progressEvery)
  try {
    await buildOnce(program)
  } finally {
    clearInterval(ticker)
  }
  return program
}

/** Builds unless another process is building the same program: then waits for that one. */
async function buildOnce(program: string): Promise<void> {
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
    if (!(await exists(program))) await build(program)
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

async function build(program: string): Promise<void> {
  // All that a build leaves when it is cut off is in here, and goes with the next one.
  const unfinished = `${program}.part`
  await rm(unfinished, { recursive: true, force: true })
  try {
    await mkdir(unfinished)
    const output = join(unfinished, 'control-plane')
    const flags = ['-trimpath', '-buildvcs=false', '-ldflags=-s -w', '-o', output]
    const [command, ...args] = guarded('go', ['build', ...flags, '.'])
    const child = spawn(command, args, {
      cwd: sources,
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
      throw new Error(
        `The control plane could not be built (${exit.reason}):\n${lines.slice(-15).join('\n')}`,
      )
    }
    await rename(output, program)
  } finally {
    await rm(unfinished, { recursive: true, force: true })
  }
}

async function sourcesHash(): Promise<string> {
  const hash = createHash('sha256').update(`${process.platform} ${process.arch}\n`)
  const names = (await readdir(sources)).filter((name) => /\.go$|^go\.(mod|sum)$/.test(name))
  for (const name of names.sort()) {
    hash.update(`${name}\n`).update(await readFile(join(sources, name)))
  }
  return hash.digest('hex').slice(0, 16)
}

/** Asks Go itself whether it can build the module: it may also fetch a newer Go of its own accord. */
async function requireGo(): Promise<void> {
  try {
    await promisify(execFile)('go', ['version'], { cwd: sources })
  } catch (error) {
    const wanted = /^go (\S+)/m.exec(await readFile(join(sources, 'go.mod'), 'utf8'))?.[1]
    const found = isCode(error, 'ENOENT') ? 'no Go was found' : messageOf(error)
    throw new Error(
      `The sandbox's control plane has to be built once with Go ≥ ${wanted}, but ${found}: ` +
        'install Go (https://go.dev/dl), or set KUBEBUILDER_ASSETS to a folder with etcd and kube-apiserver.',
    )
  }
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
