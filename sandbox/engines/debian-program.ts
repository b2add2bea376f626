import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { access, chmod, constants, mkdir, readdir, rm } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { settle } from './postgres-binaries.ts'

const execute = promisify(execFile)

/** A program of a Debian package: where it is, or the sentence that says what to install. */
export type Found =
  | { program: string /** for LD_LIBRARY_PATH; '' when the system's own */; libraries: string }
  | { missing: string }

/** What to look for. */
export interface Wanted {
  /** names of the program, the first found on PATH or in the package serves, e.g. redis-server */
  readonly programs: readonly string[]
  /** Debian packages that hold the program and the libraries that a small system lacks */
  readonly packages: readonly string[]
}

/**
 * Finds a server program on PATH, or unpacks its Debian packages into `home`, once, without installing anything and
 * without root: nothing of it is started by the system.
 *
 * @param home folder for unpacked packages; made when absent
 */
export async function debianProgram(wanted: Wanted, home: string): Promise<Found> {
  const [name = ''] = wanted.programs
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  for (const program of wanted.programs) {
    for (const folder of folders) {
      const path = join(folder, program)
      if (await isExecutable(path)) return { program: path, libraries: '' }
    }
  }
  const unpacked = join(home, `debian-${name}`)
  try {
    if (!(await exists(unpacked))) await unpack(wanted.packages, unpacked, home)
  } catch (error) {
    const why = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)
    return {
      missing: `${name} is not on PATH and its Debian package cannot be unpacked (${why}): install ${wanted.packages.join(' ')}`,
    }
  }
  for (const program of wanted.programs) {
    for (const folder of ['usr/sbin', 'usr/bin']) {
      const path = join(unpacked, folder, program)
      if (await isExecutable(path)) return { program: path, libraries: await librariesIn(unpacked) }
    }
  }
  return { missing: `${name} is not in the Debian packages ${wanted.packages.join(' ')}: install it` }
}

async function unpack(packages: readonly string[], folder: string, home: string): Promise<void> {
  const draft = join(home, `.unpack-${randomUUID()}`)
  await mkdir(draft, { recursive: true, mode: 0o755 })
  try {
    await execute('apt-get', ['download', '-qq', ...packages], { cwd: draft })
    for (const file of (await readdir(draft)).filter((one) => one.endsWith('.deb'))) {
      await execute('dpkg', ['-x', join(draft, file), draft])
      await rm(join(draft, file))
    }
    await chmod(draft, 0o755)
    await settle(draft, folder)
  } catch (error) {
    await rm(draft, { recursive: true, force: true })
    throw error
  }
}

async function librariesIn(folder: string): Promise<string> {
  const base = join(folder, 'usr/lib')
  const entries = await readdir(base).catch(() => [])
  return [base, ...entries.filter((one) => one.includes('linux-gnu')).map((one) => join(base, one))].join(
    delimiter,
  )
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
