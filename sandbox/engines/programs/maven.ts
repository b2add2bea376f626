/** Server programs that Maven's central repository has, which run on Java. */
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { draftIn, programCache, settle } from './cache.ts'
import { findJava, type Java, lastWords, onPath } from './java.ts'

const execute = promisify(execFile)

/** Milliseconds for the download. */
const patience = 300_000

/** What is fetched. */
export interface Wanted {
  /** as sentences call it */
  readonly title: string
  /** its folder in the cache: another list of parts is another folder */
  readonly folder: string
  /** versions of Java that it runs on */
  readonly oldest: number
  readonly newest?: number
  /** what Maven is told to get it into a folder */
  project(folder: string): Project
  /** what else there is to do in that folder */
  finish?(folder: string, java: Java): Promise<void>
}

export interface Project {
  readonly goals: readonly string[]
  /** elements of the project's `dependencies`, and of the dependency plugin's `executions` */
  readonly dependencies?: string
  readonly executions?: string
}

/** @returns true, or the sentence that says what to install */
export async function available(wanted: Wanted, cache?: string): Promise<true | string> {
  const { title, folder, oldest, newest } = wanted
  if (process.platform !== 'linux')
    return `the ${title} engine needs Linux: it uses a loopback address for each database`
  if ((await javaFor(wanted)) === undefined)
    return `${title} needs Java ${oldest} ${newest ? `to ${newest}` : 'or later'}: install openjdk-17-jre-headless`
  const fetched = (await readdir(await programCache(cache))).includes(folder)
  if (!fetched && (await onPath('mvn')) === undefined)
    return `${title} is fetched from Maven’s central repository, and mvn is not on PATH: install maven`
  return true
}

function javaFor({ oldest, newest = Number.POSITIVE_INFINITY }: Wanted): Promise<Java | undefined> {
  return findJava({ oldest, newest })
}

/**
 * Fetches it once, into a cache that outlives a run. Several processes may do so at the same time.
 *
 * @throws {Error} saying what is missing or failed
 */
export async function fetched(wanted: Wanted, cacheFolder?: string): Promise<{ folder: string; java: Java }> {
  const java = await javaFor(wanted)
  const ready = await available(wanted, cacheFolder)
  if (ready !== true || java === undefined) throw new Error(String(ready))
  const cache = await programCache(cacheFolder)
  const folder = join(cache, wanted.folder)
  if (!(await readdir(cache)).includes(wanted.folder)) await fetchInto(folder, cache, wanted, java)
  return { folder, java }
}

async function fetchInto(folder: string, cache: string, wanted: Wanted, java: Java): Promise<void> {
  const draft = draftIn(cache, randomUUID())
  await mkdir(draft, { recursive: true, mode: 0o755 })
  try {
    const project = wanted.project(draft)
    await writeFile(join(draft, 'pom.xml'), pom(wanted.title, project))
    await execute('mvn', ['-q', '-B', ...project.goals], { cwd: draft, timeout: patience })
    await wanted.finish?.(draft, java)
    await rm(join(draft, 'target'), { recursive: true, force: true })
    // Whatever our umask made of it.
    await execute('chmod', ['-R', 'a+rX,go-w', draft])
    await settle(draft, folder)
  } catch (error) {
    await rm(draft, { recursive: true, force: true })
    throw new Error(`${wanted.title} cannot be fetched with Maven: ${lastWords(error)}`, { cause: error })
  }
}

function pom(title: string, { dependencies = '', executions = '' }: Project): string {
  return `<project><modelVersion>4.0.0</modelVersion>
<groupId>sandbox</groupId><artifactId>${title.toLowerCase()}</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>${dependencies}</dependencies>
<build><plugins><plugin><groupId>org.apache.maven.plugins</groupId><artifactId>maven-dependency-plugin</artifactId>
<version>3.8.1</version><executions>${executions}</executions></plugin></plugins></build></project>
`
}
