/** Java and Maven of this machine: some servers are written in the one and fetched by the other. */
import { execFile } from 'node:child_process'
import { access, constants, readdir } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'

const execute = promisify(execFile)

export interface Java {
  readonly program: string
  /** e.g. 17.0.15 */
  readonly version: string
}

/** @returns a Java of one of these major versions, that of JAVA_HOME first */
export async function findJava(majors: {
  readonly oldest: number
  readonly newest: number
}): Promise<Java | undefined> {
  const jvms = '/usr/lib/jvm'
  const homes = (await readdir(jvms).catch(() => [])).sort().map((name) => join(jvms, name, 'bin/java'))
  const wanted = [
    ...(process.env.JAVA_HOME ? [join(process.env.JAVA_HOME, 'bin/java')] : []),
    ...(await Promise.all([onPath('java')])).filter((path) => path !== undefined),
    ...homes,
  ]
  for (const program of wanted) {
    const version = await versionOf(program)
    const major = Number(version?.split('.')[0])
    if (version !== undefined && major >= majors.oldest && major <= majors.newest) return { program, version }
  }
  return undefined
}

async function versionOf(program: string): Promise<string | undefined> {
  try {
    const { stderr } = await execute(program, ['-version'])
    return /version "([0-9][^"]*)"/.exec(stderr)?.[1]
  } catch {
    return undefined
  }
}

/** @returns where a program is, if it is on PATH */
export async function onPath(name: string): Promise<string | undefined> {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, name)
    const there = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (there) return path
  }
  return undefined
}

/** @returns what Maven said went wrong */
export function lastWords(error: unknown): string {
  const said = error instanceof Error && 'stdout' in error ? String(error.stdout) : ''
  const complaint = /\[ERROR\] (.*)/.exec(said)?.[1]
  return complaint ?? (error instanceof Error ? error.message : String(error))
}
