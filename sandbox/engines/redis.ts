import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createClient, ErrorReply } from '@redis/client'
import { type Account, writeFor } from '../machine/account.ts'
import type { Engine, Instance, Running } from './parts/engine.ts'
import { programEngine } from './parts/engine-of.ts'
import { startServer, untilAccepting } from './parts/server.ts'
import { environmentOf, type Program } from './programs/debian-program.ts'
import { compareRedisSettings, parseRedisSettings } from './redis/settings.ts'

const wanted = { programs: ['redis-server'], packages: ['redis-server'] } as const

const redisPort = 6379

const startSeconds = 30

/** All slots of a cluster; one server has them all. */
const lastSlot = 16383

/** Data outlives the process, not a power cut: nobody's only copy of anything lives in a sandbox. */
const defaults = `
appendonly yes
appendfsync no
save ""
`

/**
 * Redis, a real server process for each database.
 * @param home Folder for data; made when absent. When we are root it must be reachable for the user `nobody`.
 */
export function redisEngine(home: string): Engine {
  return programEngine(home, { kind: 'Redis', port: redisPort, wanted, folder: 'redis', launch })
}

async function launch(
  program: Program,
  account: Account | undefined,
  folder: string,
  instance: Instance,
): Promise<Running> {
  await writeFor(account, join(folder, 'user.conf'), `${instance.config}\n`)
  await writeFor(account, join(folder, 'users.acl'), aclFile(instance))
  await writeFor(account, join(folder, 'redis.conf'), await configuration(account, folder, instance))
  const environment = environmentOf(program)
  const server = await startServer([program.program, join(folder, 'redis.conf')], {
    account,
    folder,
    environment,
  })
  let password = instance.password
  const ask = <T>(work: (send: Send) => Promise<T>) => withSession(instance, password, work)
  const check = () => ask((send) => assertAccepting(send, instance.spec)).catch(patientWithStrangers)
  await untilAccepting(server, { title: 'Redis', seconds: startSeconds, pause: 20, check, complaints })

  let settings = parseRedisSettings(instance.config)
  const waiting = new Set<string>()
  return {
    exited: server.exited,
    async check() {
      await ask((send) => send('PING'))
    },
    async setPassword(next) {
      await ask((send) => send('ACL', 'SETUSER', 'default', 'resetpass', hashed(next)))
      password = next
    },
    async reload(config) {
      const next = parseRedisSettings(config)
      const { changed, removed } = compareRedisSettings(settings, next)
      const later = await ask((send) => setSettings(send, changed))
      settings = next
      for (const name of [...removed, ...later]) waiting.add(name)
      return waiting.size > 0 ? 'restart' : 'applied'
    },
    async syncAcl(lines, deleteUsers) {
      await ask(async (send) => {
        for (const [name, rules] of lines.map(aclUser)) await send('ACL', 'SETUSER', name, 'reset', ...rules)
        if (deleteUsers.length > 0) await send('ACL', 'DELUSER', ...deleteUsers)
      })
    },
    stop: () => server.stop(),
  }
}

/** The user's settings beat the defaults, and what makes this server this instance beats them. */
async function configuration(
  account: Account | undefined,
  folder: string,
  { address, spec, tls }: Instance,
): Promise<string> {
  const lines = [
    defaults,
    'include user.conf',
    `dir ${JSON.stringify(folder)}`,
    'aclfile users.acl',
    'daemonize no',
    'logfile ""',
    `bind ${address}`,
    'protected-mode no',
  ]
  if (tls) {
    const files = { ca: tls.ca, cert: tls.cert, key: tls.key }
    for (const [name, pem] of Object.entries(files)) await writeFor(account, join(folder, `${name}.pem`), pem)
    lines.push('port 0', `tls-port ${redisPort}`, 'tls-auth-clients optional')
    lines.push('tls-ca-cert-file ca.pem', 'tls-cert-file cert.pem', 'tls-key-file key.pem')
  } else {
    lines.push(`port ${redisPort}`)
  }
  if (spec.mode === 'Cluster') {
    // Clients connect to what the cluster announces: an address, which needs no resolving.
    lines.push('cluster-enabled yes', 'cluster-config-file nodes.conf', `cluster-announce-ip ${address}`)
  }
  return `${lines.join('\n')}\n`
}

function aclFile({ password, acl = [] }: Instance): string {
  return [`user default on ${hashed(password)} ~* &* +@all`, ...acl, ''].join('\n')
}

/** A password as ACL rules take it: any character may be in it. */
function hashed(password: string): string {
  return `#${createHash('sha256').update(password).digest('hex')}`
}

/** A line of an ACL file. */
function aclUser(line: string): [name: string, rules: string[]] {
  const [keyword, name = '', ...rules] = line.split(/\s+/)
  if (keyword !== 'user' || name === '')
    throw new Error(`an ACL line must begin with "user <name>": ${keyword}`)
  return [name, rules]
}

type Send = (...words: string[]) => Promise<unknown>

/** A connection of its own: what a client of the database would meet. */
async function withSession<T>(
  { address, tls }: Instance,
  password: string,
  work: (send: Send) => Promise<T>,
): Promise<T> {
  const socket = {
    host: address,
    port: redisPort,
    connectTimeout: 5000,
    socketTimeout: 10_000,
    reconnectStrategy: false,
  } as const
  const client = createClient({
    socket: tls ? { ...socket, tls: true, ca: tls.ca } : socket,
    username: 'default',
    password,
    RESP: 2,
    commandOptions: { timeout: 10_000 },
  })
  // A connection that breaks while idle must not end the process; the command tells.
  client.on('error', () => undefined)
  await client.connect()
  try {
    return await work((...words) => client.sendCommand(words))
  } finally {
    client.destroy()
  }
}

/** A stranger's server on the address may know another password; ours is then gone at once. */
async function patientWithStrangers(error: unknown): Promise<never> {
  if (error instanceof ErrorReply && error.message.startsWith('WRONGPASS')) await sleep(300)
  throw error
}

async function assertAccepting(send: Send, spec: Instance['spec']): Promise<void> {
  await send('PING')
  if (spec.mode === 'Cluster') await ensureCluster(send)
}

/** Throws until the cluster of this one server takes commands. */
async function ensureCluster(send: Send): Promise<void> {
  const info = String(await send('CLUSTER', 'INFO'))
  if (info.includes('cluster_slots_assigned:0')) await send('CLUSTER', 'ADDSLOTSRANGE', '0', String(lastSlot))
  if (!info.includes('cluster_state:ok')) throw new Error('the cluster is not up yet')
}

/**
 * All at once or not at all, save what takes effect at the next start only.
 * @returns the names of these
 */
async function setSettings(send: Send, changed: readonly [string, string][]): Promise<string[]> {
  const later: string[] = []
  for (;;) {
    const now = changed.filter(([name]) => !later.includes(name))
    if (now.length === 0) return later
    try {
      await send('CONFIG', 'SET', ...now.flat())
      return later
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      const immutable = /argument '([^']+)'\) - can't set immutable config/.exec(message)?.[1]
      if (immutable === undefined) throw new Error(`Redis refuses redis.conf: ${message}`, { cause: error })
      later.push(immutable)
    }
  }
}

/** What went wrong, out of the server's log: without times, process ids and our folders. */
function complaints(log: string): string {
  const [, fatal] = /\*\*\* FATAL CONFIG FILE ERROR[^\n]*\n([\s\S]*)/.exec(log) ?? []
  if (fatal !== undefined) return fatal.trim().split('\n').join('; ')
  const lines = [...log.matchAll(/^\d+:\S+ \d.*? # (.*)$/gm)].map(([, text = '']) => text)
  return lines.filter((text) => !/^(oO0|Redis version=|Configuration loaded|WARNING)/.test(text)).join('; ')
}
