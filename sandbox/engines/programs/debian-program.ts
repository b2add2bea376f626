/** Server programs that Debian packages: found on this machine, or unpacked without installing anything. */
import { execFile } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { access, chmod, constants, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { draftIn, programCache, settle } from './cache.ts'

const execute = promisify(execFile)

/** Milliseconds for all downloads of one program. */
const patience = 240_000

/** What to look for. */
export interface Wanted {
  /** names of the program, in the order of preference, e.g. redis-server */
  readonly programs: readonly [string, ...string[]]
  /** Debian packages that hold it; what they depend on and this system lacks comes along */
  readonly packages: readonly string[]
  /** a release of Debian that has the packages, e.g. sid; without one it is the release that this system is */
  readonly release?: string
  /** packages that they depend on and the program does without, from another release */
  readonly without?: RegExp
}

/** A program and where its other files are. */
export interface Program {
  /** absolute path */
  readonly program: string
  /** what to run: the program, or the loader of its own C library with it as first parameter */
  readonly command: readonly [string, ...string[]]
  /** what `/` is to the package: its files are in `usr/share` and so on below it */
  readonly root: string
  /** for LD_LIBRARY_PATH; empty when the system's own libraries are all it needs */
  readonly libraries: string
}

/** A program, or the sentence that says what to install. */
export type Found = Program | { readonly missing: string }

/** The environment that a program needs, and nothing else of ours. */
export function environmentOf({ libraries }: Program): Record<string, string> {
  return {
    PATH: process.env.PATH ?? '/usr/bin:/bin',
    ...(libraries === '' ? {} : { LD_LIBRARY_PATH: libraries }),
  }
}

/**
 * Finds a program on PATH or where servers are installed, else in its Debian packages, which are unpacked once into
 * a cache: without root, and with nothing started by the system. Several processes may do so at the same time.
 *
 * @param cache folder for unpacked packages; the engines' account must be able to reach it
 */
export async function debianProgram(wanted: Wanted, cache?: string): Promise<Found> {
  return (await installedProgram(wanted)) ?? (await unpackedProgram(wanted, cache))
}

/**
 * @returns `true` when {@link debianProgram} may be expected to find the program, without downloading anything yet;
 *   else the sentence that says what to install
 */
export async function isObtainable(wanted: Wanted, cache?: string): Promise<true | string> {
  if ((await installedProgram(wanted)) !== undefined) return true
  if (await isFolder(rootOf(wanted, await programCache(cache)))) return true
  const folders = (process.env.PATH ?? '').split(delimiter)
  if ((await firstExecutable(folders.map((folder) => join(folder, 'apt-get')))) !== undefined) return true
  return `${wanted.programs[0]} is not on PATH, and this system has no apt-get to fetch its Debian package with: ${cure(wanted)}`
}

/** @returns the program that this machine has already */
export async function installedProgram({ programs }: Wanted): Promise<Program | undefined> {
  const onPath = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')
  const folders = [...onPath, '/usr/local/sbin', '/usr/sbin']
  const program = await firstExecutable(programs.flatMap((name) => folders.map((one) => join(one, name))))
  return program === undefined ? undefined : { program, command: [program], root: '/', libraries: '' }
}

/** @returns the program out of its packages, which are downloaded when the cache does not have them */
export async function unpackedProgram(wanted: Wanted, cache?: string): Promise<Found> {
  const [name] = wanted.programs
  try {
    const folder = await programCache(cache)
    const root = rootOf(wanted, folder)
    if (!(await isFolder(root))) await unpack(wanted, root, folder)
    const places = wanted.programs.flatMap((one) =>
      ['usr/sbin', 'usr/bin'].map((bin) => join(root, bin, one)),
    )
    const program = await firstExecutable(places)
    if (program !== undefined) return unpackedAt(root, program)
    return { missing: `${name} is not in the Debian packages ${wanted.packages.join(' ')}: install it` }
  } catch (error) {
    return { missing: `${name} is not on PATH, and ${reason(error, wanted)}` }
  }
}

/** Another list of packages is another folder. */
function rootOf({ programs: [name], packages, release }: Wanted, cache: string): string {
  const key = createHash('sha256')
    .update(JSON.stringify([packages, release]))
    .digest('hex')
    .slice(0, 12)
  return join(cache, `${name}-${key}`)
}

async function unpack(wanted: Wanted, root: string, cache: string): Promise<void> {
  const draft = draftIn(cache, randomUUID())
  await mkdir(draft, { mode: 0o755 })
  try {
    const apt = await aptFor(wanted.release, draft)
    const names = (await missingPackages(wanted, apt)).filter((name) => !wanted.without?.test(name))
    await apt(['download', '-qq', ...bounds, ...names], draft)
    for (const file of (await readdir(draft)).filter((one) => one.endsWith('.deb'))) {
      await execute('dpkg-deb', ['--extract', join(draft, file), draft])
      await rm(join(draft, file))
    }
    await rm(join(draft, lists), { recursive: true, force: true })
    // The packages' own root folder may have come with other permissions.
    await chmod(draft, 0o755)
    await settle(draft, root)
  } catch (error) {
    await rm(draft, { recursive: true, force: true })
    throw error
  }
}

type Apt = (parameters: readonly string[], folder?: string) => Promise<string>

const bounds = ['-o', 'Acquire::Retries=1', '-o', 'Acquire::http::Timeout=20']

/** In a draft: what apt knows of another release. */
const lists = '.apt'

/** @returns apt-get as it is set up here, or with the packages of another release, of which nothing is installed */
async function aptFor(release: string | undefined, draft: string): Promise<Apt> {
  const withConfiguration =
    (file: string | undefined): Apt =>
    async (parameters, folder) => {
      const env = { ...process.env, ...(file === undefined ? {} : { APT_CONFIG: file }) }
      return (await execute('apt-get', parameters, { cwd: folder, env, timeout: patience })).stdout
    }
  const own = withConfiguration(undefined)
  if (release === undefined) return own
  // The mirror that this system uses, whose keys it trusts.
  const known = await own(['indextargets', '--format', '$(REPO_URI)', 'Origin: Debian', 'Label: Debian'])
  const [mirror = ''] = known.split('\n')
  if (mirror === '') throw new Error('this system has no source of Debian packages')
  const place = join(draft, lists)
  await mkdir(join(place, 'lists', 'partial'), { recursive: true, mode: 0o755 })
  await mkdir(join(place, 'cache', 'archives', 'partial'), { recursive: true, mode: 0o755 })
  await writeFile(join(place, 'sources.list'), `deb ${mirror} ${release} main\n`)
  await writeFile(join(place, 'status'), '')
  const settings = {
    'Dir::Etc::sourcelist': join(place, 'sources.list'),
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::State::lists': join(place, 'lists'),
    'Dir::State::status': join(place, 'status'),
    'Dir::Cache': join(place, 'cache'),
    'Acquire::Languages': 'none',
    'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled': 'false',
  }
  const file = join(place, 'apt.conf')
  await writeFile(
    file,
    Object.entries(settings)
      .map(([name, value]) => `${name} "${value}";\n`)
      .join(''),
  )
  const other = withConfiguration(file)
  await other(['update', '-qq', ...bounds])
  return other
}

/** The packages and those that they depend on, without what is installed; apt works it out for any release. */
async function missingPackages({ packages }: Wanted, apt: Apt): Promise<string[]> {
  const plan = ['install', '--simulate', '--reinstall', '-qq', '--no-install-recommends']
  return [...(await apt([...plan, ...packages])).matchAll(/^Inst (\S+)/gm)].map(([, name = '']) => name)
}

/** A program that came with a C library of its own starts by way of that library's loader. */
async function unpackedAt(root: string, program: string): Promise<Program> {
  const folders = await libraryFolders(root)
  const libraries = folders.join(delimiter)
  for (const folder of folders) {
    const loader = (await readdir(folder)).find((name) => /^ld-linux[-a-z0-9_]*\.so\.\d$/.test(name))
    if (loader === undefined) continue
    // The system's own programs, started by this one, must not be given these libraries.
    return {
      program,
      command: [join(folder, loader), '--library-path', libraries, program],
      root,
      libraries: '',
    }
  }
  return { program, command: [program], root, libraries }
}

async function libraryFolders(root: string): Promise<string[]> {
  const folders: string[] = []
  for (const base of [join(root, 'usr/lib'), join(root, 'lib')]) {
    const entries = await readdir(base).catch(() => [])
    folders.push(...entries.filter((one) => one.includes('-linux-gnu')).map((one) => join(base, one)))
  }
  return folders
}

const cure = ({ packages }: Wanted) =>
  `install the package${packages.length === 1 ? '' : 's'} ${packages.join(' ')}`

/** @returns what went wrong and what to do about it */
function reason(error: unknown, wanted: Wanted): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ENOENT') {
    return `this system has no apt-get to fetch its Debian package with: ${cure(wanted)}`
  }
  const said = error instanceof Error && 'stderr' in error ? String(error.stderr) : ''
  const complaint = said.split('\n').find((line) => line.startsWith('E: '))
  if (complaint !== undefined && /Unable to locate|no candidate|has no installation/.test(complaint)) {
    return `apt does not know its Debian package: run "apt-get update" as root and try again, or ${cure(wanted)}`
  }
  const why = complaint?.slice(3) ?? (error instanceof Error ? error.message.split('\n')[0] : String(error))
  return `its Debian package cannot be unpacked (${why}): run "apt-get update" as root and try again, or ${cure(wanted)}`
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
