/** The programs of OpenSearch: a whole server and its security plugin, as Maven's central repository has them. */
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { copyFile, mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { draftIn, programCache, settle } from '../programs/cache.ts'
import { findJava, type Java, lastWords, onPath } from '../programs/java.ts'

const execute = promisify(execFile)

/** The server and its plugins must be of one release. Another list of parts is another folder of the cache. */
const release = '2.19.4'
const folderName = `opensearch-${release}-1`

/** Java with a security manager, which newer releases do not have any more. */
const javas = { oldest: 17, newest: 23 }

/** Milliseconds for the download. */
const patience = 300_000

/** Password of the keystores between nodes; there is one node, on loopback. */
export const storePassword = 'changeit'

export interface Distribution {
  /** OPENSEARCH_HOME */
  readonly server: string
  /** holds `node.p12` and `trust.p12`: the certificate that nodes show each other */
  readonly identity: string
  readonly java: Java
}

/** @returns true, or the sentence that says what to install */
export async function available(cache?: string): Promise<true | string> {
  if (process.platform !== 'linux')
    return 'the OpenSearch engine needs Linux: it uses a loopback address for each database'
  if ((await findJava(javas)) === undefined)
    return `OpenSearch needs Java ${javas.oldest} to ${javas.newest}: install openjdk-17-jre-headless`
  const fetched = (await readdir(await programCache(cache))).includes(folderName)
  if (!fetched && (await onPath('mvn')) === undefined)
    return 'OpenSearch is fetched from Maven’s central repository, and mvn is not on PATH: install maven'
  return true
}

/**
 * Fetches server and plugins once, into a cache that outlives a run. Several processes may do so at the same time.
 *
 * @throws {Error} saying what is missing or failed
 */
export async function distribution(cacheFolder?: string): Promise<Distribution> {
  const java = await findJava(javas)
  const ready = await available(cacheFolder)
  if (ready !== true || java === undefined) throw new Error(String(ready))
  const cache = await programCache(cacheFolder)
  const folder = join(cache, folderName)
  if (!(await readdir(cache)).includes(folderName)) await fetchInto(folder, cache, java)
  return { server: join(folder, `opensearch-${release}`), identity: join(folder, 'identity'), java }
}

async function fetchInto(folder: string, cache: string, java: Java): Promise<void> {
  const draft = draftIn(cache, randomUUID())
  await mkdir(draft, { recursive: true, mode: 0o755 })
  try {
    await writeFile(join(draft, 'pom.xml'), pom(draft))
    const goals = ['dependency:unpack@programs', 'dependency:copy@modules']
    await execute('mvn', ['-q', '-B', ...goals], { cwd: draft, timeout: patience })
    await addReindex(join(draft, `opensearch-${release}`))
    await makeIdentity(join(draft, 'identity'), java)
    await rm(join(draft, 'target'), { recursive: true, force: true })
    // Whatever our umask made of it.
    await execute('chmod', ['-R', 'a+rX,go-w', draft])
    await settle(draft, folder)
  } catch (error) {
    await rm(draft, { recursive: true, force: true })
    throw new Error(`OpenSearch cannot be fetched with Maven: ${lastWords(error)}`, { cause: error })
  }
}

function pom(folder: string): string {
  const item = (group: string, name: string, version: string, type: string, output: string) =>
    `<artifactItem><groupId>${group}</groupId><artifactId>${name}</artifactId><version>${version}</version>` +
    `<type>${type}</type><outputDirectory>${join(folder, output)}</outputDirectory></artifactItem>`
  const server = `opensearch-${release}`
  const programs = [
    item('org.opensearch.distribution.integ-test-zip', 'opensearch', release, 'zip', '.'),
    item(
      'org.opensearch.plugin',
      'opensearch-security',
      `${release}.0`,
      'zip',
      `${server}/plugins/opensearch-security`,
    ),
  ]
  const reindex = `${server}/modules/reindex`
  const modules = [
    item('org.opensearch.plugin', 'reindex-client', release, 'jar', reindex),
    item('org.opensearch', 'opensearch-ssl-config', release, 'jar', reindex),
  ]
  const execution = (id: string, items: string[]) =>
    `<execution><id>${id}</id><configuration><artifactItems>${items.join('')}</artifactItems></configuration></execution>`
  return `<project><modelVersion>4.0.0</modelVersion>
<groupId>sandbox</groupId><artifactId>opensearch</artifactId><version>1</version><packaging>pom</packaging>
<build><plugins><plugin><groupId>org.apache.maven.plugins</groupId><artifactId>maven-dependency-plugin</artifactId>
<version>3.8.1</version><executions>${execution('programs', programs)}${execution('modules', modules)}</executions>
</plugin></plugins></build></project>
`
}

/** The module of `_reindex`, `_delete_by_query` and `_update_by_query`, which this distribution leaves out. */
async function addReindex(server: string): Promise<void> {
  const module = join(server, 'modules/reindex')
  const plugin = join(server, 'plugins/opensearch-security')
  const needed =
    /^(opensearch-rest-client|httpclient|httpcore|httpasyncclient|httpcore-nio|commons-(codec|logging))-\d/
  for (const jar of (await readdir(plugin)).filter((name) => needed.test(name)))
    await copyFile(join(plugin, jar), join(module, jar))
  const descriptor = {
    description: 'Copies, updates and deletes documents by query',
    version: release,
    name: 'reindex',
    classname: 'org.opensearch.index.reindex.ReindexPlugin',
    'java.version': '11',
    'opensearch.version': release,
  }
  const lines = Object.entries(descriptor).map(([key, value]) => `${key}=${value}\n`)
  await writeFile(join(module, 'plugin-descriptor.properties'), lines.join(''))
}

/** The security plugin demands certificates between nodes, even where there is only one. */
async function makeIdentity(folder: string, java: Java): Promise<void> {
  await mkdir(folder, { mode: 0o755 })
  const keytool = join(java.program, '..', 'keytool')
  const run = (text: string) =>
    execute(keytool, [...text.split(' '), '-storetype', 'PKCS12', '-storepass', storePassword], {
      cwd: folder,
    })
  await run(
    '-genkeypair -alias node -keyalg EC -groupname secp256r1 -dname CN=node -validity 3650 -keystore node.p12',
  )
  await run('-exportcert -rfc -alias node -file node.pem -keystore node.p12')
  await run('-importcert -noprompt -alias node -file node.pem -keystore trust.p12')
}
