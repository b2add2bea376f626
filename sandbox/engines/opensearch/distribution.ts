/** The programs of OpenSearch: a whole server and its security plugin. */
import { execFile } from 'node:child_process'
import { copyFile, mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Java } from '../programs/java.ts'
import * as maven from '../programs/maven.ts'

const execute = promisify(execFile)

/** The server and its plugins must be of one release. */
const release = '2.19.4'
const server = `opensearch-${release}`

const wanted: maven.Wanted = {
  title: 'OpenSearch',
  folder: `${server}-1`,
  // with a security manager, which newer releases do not have any more
  oldest: 17,
  newest: 23,
  project: (folder) => ({
    executions: execution('programs', folder, programs) + execution('modules', folder, modules),
    goals: ['dependency:unpack@programs', 'dependency:copy@modules'],
  }),
  async finish(folder, java) {
    await addReindex(join(folder, server))
    await makeIdentity(join(folder, 'identity'), java)
  },
}

type Item = readonly [group: string, name: string, version: string, type: string, folder: string]

const securityPlugin = `${server}/plugins/opensearch-security`
const reindex = `${server}/modules/reindex`
const programs: readonly Item[] = [
  ['org.opensearch.distribution.integ-test-zip', 'opensearch', release, 'zip', '.'],
  ['org.opensearch.plugin', 'opensearch-security', `${release}.0`, 'zip', securityPlugin],
]
const modules: readonly Item[] = [
  ['org.opensearch.plugin', 'reindex-client', release, 'jar', reindex],
  ['org.opensearch', 'opensearch-ssl-config', release, 'jar', reindex],
]

function execution(id: string, folder: string, items: readonly Item[]): string {
  const elements = items.map(
    ([group, name, version, type, place]) =>
      `<artifactItem><groupId>${group}</groupId><artifactId>${name}</artifactId><version>${version}</version>` +
      `<type>${type}</type><outputDirectory>${join(folder, place)}</outputDirectory></artifactItem>`,
  )
  return `<execution><id>${id}</id><configuration><artifactItems>${elements.join('')}</artifactItems></configuration></execution>`
}

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
export function available(cache?: string): Promise<true | string> {
  return maven.available(wanted, cache)
}

/** Fetches server and plugins once. Throws what is missing or failed. */
export async function distribution(cache?: string): Promise<Distribution> {
  const { folder, java } = await maven.fetched(wanted, cache)
  return { server: join(folder, server), identity: join(folder, 'identity'), java }
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
