/** Server programs that Debian packages: found on this machine, or unpacked without installing anything. */
import { execFile } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { access, chmod, constants, mkdir, readdir, rm, stat } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { settle } from './postgres-binaries.ts'
import { draftIn, programCache } from './program-cache.ts'

const execute = promisify(execFile)

/** Milliseconds for all downloads of one program. */
const patience = 240_000

/** What to look for. */
export interface Wanted {
  /** names of the program, in the order of preference, e.g. redis-server */
  readonly programs: readonly [string, ...string[]]
  /** Debian packages that hold it; what they depend on and this system lacks comes along */
  readonly packages: readonly string[]
}

/** A program and where its other files are. */
export interface Program {
  /** absolute path */
  readonly program: string
  /** what `/` is to the package: its files are in `usr/share` and so on below it */
  readonly root: string
  /** for LD_LIBRARY_PATH; empty when the system's own libraries are all it needs */
  readonly libraries: string
}

/** A program, or the sentence that says what to install. */
export type Found = Program | { readonly missing: string }

/**
 * Finds a program on PATH or where servers are installed, else in its Debian packages, which are unpacked once into
 * a cache: without root, and with nothing started by the system. Several processes may do so at the same time.
 *
 * @param cache folder for unpacked packages; the engines' account must be able to reach it
 */
export async function debianProgram(wanted: Wanted, cache?: string): Promise<Found> {
  return (await installedProgram(wanted)) ?? (await unpackedProgram(wanted, cache))
}

/** @returns what finds a program, and does not look again once it has been found */
export function foundOnce(wanted: Wanted): () => Promise<Found> {
  let found: Promise<Found> | undefined
  return async () => {
    found ??= debianProgram(wanted)
    const result = await found
    if ('missing' in result) found = undefined
    return result
  }
}

/** @returns the program that this machine has already */
export async function installedProgram({ programs }: Wanted): Promise<Program | undefined> {
  const onPath = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')
  const folders = [...onPath, '/usr/local/sbin', '/usr/sbin']
  const program = await firstExecutable(programs.flatMap((name) => folders.map((one) => join(one, name))))
  return program === undefined ? undefined : { program, root: '/', libraries: '' }
}

/** @returns the program out of its packages, which are downloaded when the cache does not have them */
export async function unpackedProgram(wanted: Wanted, cache?: string): Promise<Found> {
  const [name] = wanted.programs
  try {
    const folder = await programCache(cache)
    // Another list of packages is another folder.
    const key = createHash('sha256').update(JSON.stringify(wanted.packages)).digest('hex').slice(0, 12)
    const root = join(folder, `${name}-${key}`)
    if (!(await isFolder(root))) await unpack(wanted.packages, root, folder)
    const places = wanted.programs.flatMap((one) =>
      ['usr/sbin', 'usr/bin'].map((bin) => join(root, bin, one)),
    )
    const program = await firstExecutable(places)
    if (program !== undefined) return { program, root, libraries: await librariesIn(root) }
    return { missing: `${name} is not in the Debian packages ${wanted.packages.join(' ')}: install it` }
  } catch (error) {
    return { missing: `${name} is not on PATH, and ${reason(error, wanted.packages)}` }
  }
}

async function unpack(packages: readonly string[], root: string, cache: string): Promise<void> {
  const draft = draftIn(cache, randomUUID())
  await mkdir(draft, { mode: 0o755 })
  try {
    const names = await missingPackages(packages)
    const bounds = ['-o', 'Acquire::Retries=2', '-o', 'Acquire::http::Timeout=30']
    await execute('apt-get', ['download', '-qq', ...bounds, ...names], { cwd: draft, timeout: patience })
    for (const file of (await readdir(draft)).filter((one) => one.endsWith('.deb'))) {
      await execute('dpkg-deb', ['--extract', join(draft, file), draft])
      await rm(join(draft, file))
    }
    // The packages' own root folder may have come with other permissions.
    await chmod(draft, 0o755)
    await settle(draft, root)
  } catch (error) {
    await rm(draft, { recursive: true, force: true })
    throw error
  }
}

/** The packages and those that they depend on, without what is installed; apt works it out for any release. */
async function missingPackages(packages: readonly string[]): Promise<string[]> {
  const plan = ['install', '--simulate', '--reinstall', '-qq', '--no-install-recommends']
  const { stdout } = await execute('apt-get', [...plan, ...packages], { timeout: patience })
  return [...stdout.matchAll(/^Inst (\S+)/gm)].map(([, name = '']) => name)
}

async function librariesIn(root: string): Promise<string> {
  const folders: string[] = []
  for (const base of [join(root, 'usr/lib'), join(root, 'lib')]) {
    const entries = await readdir(base).catch(() => [])
    folders.push(...entries.filter((one) => one.includes('-linux-gnu')).map((one) => join(base, one)))
  }
  return folders.join(delimiter)
}

/** @returns what went wrong and what to do about it */
function reason(error: unknown, packages: readonly string[]): string {
  const cure = `install the package${packages.length === 1 ? '' : 's'} ${packages.join(' ')}`
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ENOENT') return `this system has no apt-get to fetch its Debian package with: ${cure}`
  const said = error instanceof Error && 'stderr' in error ? String(error.stderr) : ''
  const complaint = said.split('\n').find((line) => line.startsWith('E: '))
  if (complaint !== undefined && /Unable to locate|no candidate|has no installation/.test(complaint)) {
    return `apt does not know its Debian package: run "apt-get update" as root and try again, or ${cure}`
  }
  const why = complaint?.slice(3) ?? (error instanceof Error ? error.message.split('\n')[0] : String(error))
  return `its Debian package cannot be unpacked (${why}): run "apt-get update" as root and try again, or ${cure}`
}

async function firstExecutable(paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) if (await isExecutableFile(path)) return path
  return undefined
}

async function isExecutableFile(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK)
    return (await stat(path)).isFile()
  } catch {
    return false
  }
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (state) => state.isDirectory(),
    () => false,
  )
}
