import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { hash } from 'bcryptjs'
import { at } from '../../shared/kubedb/databases/parts/spec.ts'
import { available, distribution } from './opensearch/distribution.ts'
import {
  type Installation,
  spawnServer,
  untilAnswering,
  withArchive,
  writeSettings,
} from './opensearch/server.ts'
import { type Dialect, securityFiles, steward, userSettings } from './opensearch/settings.ts'
import { startFront } from './opensearch/xpack/front.ts'
import type { Engine, Instance, Running } from './parts/engine.ts'
import { engineOf } from './parts/engine-of.ts'
import { ask } from './parts/request.ts'

const clientPort = 9200
/** where the server listens when the front has the clients' port */
const innerPort = 9201
const stewardFile = 'steward'

/** Of the sandbox's own passwords, which are random: any number of rounds will do. */
const rounds = 4

/**
 * KubeDB's kind Elasticsearch: a real OpenSearch server with its security plugin per database. Databases of an `xpack`
 * version get a front before it that speaks as Elasticsearch does; no registry has Elasticsearch itself.
 *
 * @param home Folder for data; made when absent. When we are root it must be reachable for the user `nobody`.
 * @param cache Folder for the programs; see `programCache`.
 */
export function opensearchEngine(home: string, cache?: string): Engine {
  return engineOf(home, {
    kind: 'Elasticsearch',
    port: clientPort,
    folder: 'opensearch',
    available: () => available(cache),
    install: async (account) => withArchive(await distribution(cache), account, cache),
    fill: (_installed, _account, folder) => makeSteward(folder),
    launch: (installed, _account, folder, instance) => launch(installed, folder, instance),
  })
}

async function makeSteward(folder: string): Promise<void> {
  await writeFile(join(folder, stewardFile), randomBytes(24).toString('base64url'), { mode: 0o600 })
}

/** `opensearch-2.19.2` is OpenSearch; `xpack-9.2.3` is Elasticsearch. */
export function dialectOf(instance: Pick<Instance, 'spec'>): { dialect: Dialect; version: string } {
  const [, distributionName, version = ''] =
    /^([a-z]+)-(.*)$/.exec(String(at(instance.spec, 'version'))) ?? []
  if (distributionName === 'opensearch') return { dialect: 'opensearch', version }
  if (distributionName === 'xpack') return { dialect: 'xpack', version }
  throw new Error(
    `the sandbox runs versions opensearch-… and xpack-… of kind Elasticsearch, not ${at(instance.spec, 'version')}`,
  )
}

async function launch(installation: Installation, folder: string, instance: Instance): Promise<Running> {
  const { dialect, version } = dialectOf(instance)
  const { address, username, tls, config } = instance
  const front = dialect === 'xpack'
  const settings = {
    dialect,
    name: instance.name.split('/').at(-1) ?? instance.name,
    folder,
    address,
    port: front ? innerPort : clientPort,
    https: tls !== undefined && !front,
    config,
  }
  const stewardPassword = await readFile(join(folder, stewardFile), 'utf8')
  const hashes = {
    administrator: await hash(instance.password, rounds),
    steward: await hash(stewardPassword, rounds),
  }
  await writeSettings(
    installation,
    settings,
    settings.https ? tls : undefined,
    securityFiles(dialect, username, hashes),
  )
  const server = await spawnServer(installation, settings, [`-XX:SharedArchiveFile=${installation.archive}`])
  const inner = `${settings.https ? 'https' : 'http'}://${address}:${settings.port}`
  const outer = `${tls ? 'https' : 'http'}://${address}:${clientPort}`
  const login = { user: steward, password: stewardPassword }
  let password = instance.password
  const setPassword = async (next: string) => {
    const body = { hash: await hash(next, rounds), backend_roles: ['admin'] }
    for (let attempt = 1; ; attempt++) {
      const url = `${inner}/_plugins/_security/api/internalusers/${username}`
      const { status, text } = await ask(url, { method: 'PUT', login, body, ca: tls?.ca })
      if (status < 300) break
      // somebody else changed a user at the same time
      if (status !== 409 || attempt === 20) throw new Error(`OpenSearch refused the password: ${text}`)
      await sleep(50 * attempt)
    }
    password = next
  }
  const check = async () => {
    const url = `${outer}/_cluster/health`
    const { status, text } = await ask(url, { login: { user: username, password }, ca: tls?.ca })
    if (status !== 200) throw new Error(`${status} ${text}`)
  }
  let closeFront = async () => {}
  try {
    await untilAnswering(server, inner, tls?.ca)
    if (front) {
      closeFront = await startFront({
        address,
        port: clientPort,
        inner,
        login,
        version,
        tls,
        administrator: username,
      })
    }
    // The Secret may have changed while the server was down: the Secret is right.
    await check().catch(async () => {
      await setPassword(password)
      await check()
    })
  } catch (error) {
    await closeFront()
    await server.stop()
    throw error
  }
  let current = config
  return {
    exited: server.exited.then(async (reason) => {
      await closeFront()
      return reason
    }),
    check,
    setPassword,
    async reload(next) {
      const wanted = userSettings(next, dialect)
      const same = JSON.stringify(wanted) === JSON.stringify(userSettings(current, dialect))
      current = next
      return same ? 'applied' : 'restart'
    },
    async stop() {
      await closeFront()
      await server.stop()
    },
  }
}
