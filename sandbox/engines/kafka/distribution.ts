/** The program of Kafka: the jars of a whole server, as Maven's central repository has them. */
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { draftIn, programCache, settle } from '../programs/cache.ts'
import { findJava, type Java, lastWords, onPath } from '../programs/java.ts'

const execute = promisify(execFile)

const release = '4.2.0'
/** Another list of parts is another folder of the cache. */
const folderName = `kafka-${release}-1`

const javas = { oldest: 17, newest: 99 }

/** Milliseconds for the download. */
const patience = 300_000

export interface Distribution {
  /** folder of its jars */
  readonly jars: string
  readonly java: Java
}

/** @returns true, or the sentence that says what to install */
export async function available(cache?: string): Promise<true | string> {
  if (process.platform !== 'linux')
    return 'the Kafka engine needs Linux: it uses a loopback address for each database'
  if ((await findJava(javas)) === undefined)
    return `Kafka needs Java ${javas.oldest} or later: install openjdk-17-jre-headless`
  const fetched = (await readdir(await programCache(cache))).includes(folderName)
  if (!fetched && (await onPath('mvn')) === undefined)
    return 'Kafka is fetched from Maven’s central repository, and mvn is not on PATH: install maven'
  return true
}

/**
 * Fetches the server once, into a cache that outlives a run. Several processes may do so at the same time.
 *
 * @throws {Error} saying what is missing or failed
 */
export async function distribution(cacheFolder?: string): Promise<Distribution> {
  const java = await findJava(javas)
  const ready = await available(cacheFolder)
  if (ready !== true || java === undefined) throw new Error(String(ready))
  const cache = await programCache(cacheFolder)
  const folder = join(cache, folderName)
  if (!(await readdir(cache)).includes(folderName)) await fetchInto(folder, cache)
  return { jars: join(folder, 'jars'), java }
}

async function fetchInto(folder: string, cache: string): Promise<void> {
  const draft = draftIn(cache, randomUUID())
  await mkdir(draft, { recursive: true, mode: 0o755 })
  try {
    await writeFile(join(draft, 'pom.xml'), pom)
    const parameters = ['-DincludeScope=runtime', `-DoutputDirectory=${join(draft, 'jars')}`]
    await execute('mvn', ['-q', '-B', 'dependency:copy-dependencies', ...parameters], {
      cwd: draft,
      timeout: patience,
    })
    await rm(join(draft, 'target'), { recursive: true, force: true })
    // Whatever our umask made of it.
    await execute('chmod', ['-R', 'a+rX,go-w', draft])
    await settle(draft, folder)
  } catch (error) {
    await rm(draft, { recursive: true, force: true })
    throw new Error(`Kafka cannot be fetched with Maven: ${lastWords(error)}`, { cause: error })
  }
}

const dependency = (group: string, name: string, version: string) =>
  `<dependency><groupId>${group}</groupId><artifactId>${name}</artifactId><version>${version}</version></dependency>`

const pom = `<project><modelVersion>4.0.0</modelVersion>
<groupId>sandbox</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>
${dependency('org.apache.kafka', 'kafka_2.13', release)}
${dependency('org.slf4j', 'slf4j-simple', '1.7.36')}
</dependencies>
<build><plugins><plugin><groupId>org.apache.maven.plugins</groupId><artifactId>maven-dependency-plugin</artifactId>
<version>3.8.1</version></plugin></plugins></build></project>
`
