/** One server process, from its folder of settings to the moment it answers. */
import { execFile } from 'node:child_process'
import { createHash, createPrivateKey, randomInt, randomUUID } from 'node:crypto'
import { access, chmod, cp, mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { type Account, giveTo } from '../../machine/account.ts'
import type { ServerTls } from '../parts/engine.ts'
import { ask } from '../parts/request.ts'
import { type Server, startServer } from '../parts/server.ts'
import { draftIn, programCache } from '../programs/cache.ts'
import type { Distribution } from './distribution.ts'
import { complaints, javaParameters, loggingFile, type ServerSettings, serverFile } from './settings.ts'

const execute = promisify(execFile)

const startSeconds = 120

export interface Installation extends Distribution {
  readonly account: Account | undefined
  /** loaded classes as an earlier start left them: a start takes half the time */
  readonly archive: string
}

/** @returns the installation with an archive of its classes, which a first start makes */
export async function withArchive(
  distribution: Distribution,
  account: Account | undefined,
  cacheFolder?: string,
): Promise<Installation> {
  const cache = await programCache(cacheFolder)
  const { program, version } = distribution.java
  const key = createHash('sha256')
    .update(`${distribution.server} ${program} ${version}`)
    .digest('hex')
    .slice(0, 12)
  const archive = join(cache, `opensearch-classes-${key}.jsa`)
  const installation = { ...distribution, account, archive }
  if (await exists(archive)) return installation
  const folder = draftIn(cache, randomUUID())
  await mkdir(folder, { mode: 0o755 })
  try {
    const draft = join(folder, 'classes.jsa')
    // Another process may be at it too.
    const address = `127.63.${randomInt(1, 255)}.${randomInt(1, 255)}`
    const settings = {
      dialect: 'opensearch',
      name: 'classes',
      folder,
      address,
      port: 9200,
      https: false,
      config: '',
    } as const
    await writeSettings(installation, settings, undefined, {})
    // It writes the archive as it ends, which takes a busy machine its time.
    const options = { patience: 180 }
    const server = await spawnServer(installation, settings, [`-XX:ArchiveClassesAtExit=${draft}`], options)
    await untilAnswering(server, `http://${address}:9200`).finally(() => server.stop())
    await chmod(draft, 0o644)
    await rename(draft, archive)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  return installation
}

/** Writes what the server reads at its start. `security` is read only when it starts on an empty disk. */
export async function writeSettings(
  { server, identity, account }: Installation,
  settings: ServerSettings,
  tls: ServerTls | undefined,
  security: Record<string, string>,
): Promise<void> {
  const config = join(settings.folder, 'config')
  await rm(config, { recursive: true, force: true })
  await mkdir(join(settings.folder, 'tmp'), { recursive: true })
  await cp(join(server, 'plugins/opensearch-security/config'), join(config, 'opensearch-security'), {
    recursive: true,
  })
  await cp(identity, config, { recursive: true })
  const files = {
    'opensearch.yml': serverFile(settings),
    'log4j2.properties': loggingFile,
    ...(tls === undefined
      ? {}
      : {
          'http.crt': tls.cert,
          'http-ca.crt': tls.ca,
          'http.key': createPrivateKey(tls.key).export({ type: 'pkcs8', format: 'pem' }),
        }),
    ...Object.fromEntries(
      Object.entries(security).map(([name, text]) => [`opensearch-security/${name}`, text]),
    ),
  }
  for (const [name, text] of Object.entries(files)) await writeFile(join(config, name), text, { mode: 0o600 })
  // The server writes its keystore beside its settings.
  if (account) {
    const owner = `${account.uid}:${account.gid}`
    await execute('chown', ['-R', owner, config, join(settings.folder, 'tmp')])
    await giveTo(account, settings.folder)
  }
  await execute('chmod', ['-R', 'u+rwX', config])
}

/** Starts the process, and does not wait. */
export function spawnServer(
  { server, java, account }: Installation,
  { folder }: ServerSettings,
  archive: readonly string[],
  options: { patience?: number } = {},
): Promise<Server> {
  return startServer([java.program, ...javaParameters(server, folder, archive)], {
    ...options,
    account,
    folder,
    environment: { PATH: '/usr/bin:/bin', LC_ALL: 'C.UTF-8' },
    // A JVM started in the background of a shell does not hear SIGINT.
    signals: ['TERM', 'KILL'],
  })
}

/**
 * Waits until the security plugin knows its users.
 * @throws {Error} with the server's words when it ends, or takes too long
 */
export async function untilAnswering(server: Server, url: string, ca?: string): Promise<void> {
  for (const end = Date.now() + startSeconds * 1000; ; await sleep(50)) {
    const reason = server.gone()
    if (reason !== undefined) {
      const words = complaints(await server.said())
      throw new Error(`OpenSearch did not start: ${words === '' ? reason : words}`)
    }
    const status = await ask(`${url}/_plugins/_security/health`, { ca }).then(
      (answer) => (answer.status === 200 && answer.text.includes('"UP"') ? 200 : answer.status),
      () => 0,
    )
    if (status === 200) return
    if (Date.now() > end) throw new Error(`OpenSearch did not answer within ${startSeconds} s`)
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
