import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Account, writeFor } from '../machine/account.ts'
import { startedIn } from '../machine/orphan.ts'
import { openMemcached } from './memcached/session.ts'
import type { Engine, Instance, Running } from './parts/engine.ts'
import { programEngine } from './parts/engine-of.ts'
import { startServer, untilAccepting } from './parts/server.ts'
import { environmentOf, type Program } from './programs/debian-program.ts'

const wanted = { programs: ['memcached'], packages: ['memcached'] } as const

const memcachedPort = 11211

const startSeconds = 30

/** As many users as Memcached reads; it says nothing of those beyond. */
const mostUsers = 8

/**
 * Memcached, a real server process for each database. What it holds is gone when it ends.
 * @param home Folder for settings and logs; made when absent. When we are root it must be reachable for the user
 *   `nobody`.
 */
export function memcachedEngine(home: string): Engine {
  return programEngine(home, { kind: 'Memcached', port: memcachedPort, wanted, folder: 'memcached', launch })
}

async function launch(
  program: Program,
  account: Account | undefined,
  folder: string,
  instance: Instance,
): Promise<Running> {
  const { username, address, tls, config } = instance
  let password = instance.password
  let users = usersIn(instance.acl ?? [])
  await writeUsers(account, folder, username, password, users)
  const server = await startServer(
    [program.program, ...options(config), ...(await ours(account, folder, instance))],
    { account, folder, environment: environmentOf(program) },
  )
  const check = async () => {
    const session = await openMemcached({ address, port: memcachedPort, username, password, ca: tls?.ca })
    try {
      await session.send('version')
    } finally {
      session.close()
    }
  }
  const accepting = () =>
    untilAccepting(server, {
      title: 'Memcached',
      seconds: startSeconds,
      pause: 20,
      check,
      complaints: (log) => log.trim().split('\n')[0] ?? '',
    })
  await accepting()

  /** The server reads its users when it starts, and once a second when it was told to. */
  const rereadUsers = async () => {
    await writeUsers(account, folder, username, password, users)
    const started = await startedIn(folder)
    if (!started) throw new Error(`no Memcached was started in ${folder}`)
    process.kill(started.pid, 'SIGHUP')
    await sleep(1100)
    await accepting()
  }
  return {
    exited: server.exited,
    check,
    async setPassword(next) {
      password = next
      await rereadUsers()
    },
    // Options of a command line are judged, and take effect, at the next start.
    reload: async (next) => (options(next).join(' ') === options(config).join(' ') ? 'applied' : 'restart'),
    async syncAcl(lines, deleteUsers) {
      users = new Map([...users, ...usersIn(lines)].filter(([name]) => !deleteUsers.includes(name)))
      await rereadUsers()
    },
    stop: () => server.stop(),
  }
}

/** @returns the words of a memcached.conf: options of the command line, separated by blanks or line ends */
function options(config: string): string[] {
  return config
    .split('\n')
    .filter((line) => !line.trimStart().startsWith('#'))
    .flatMap((line) => line.split(/\s+/))
    .filter((word) => word !== '')
}

/** What makes this server this instance: it comes last, so it wins. */
async function ours(
  account: Account | undefined,
  folder: string,
  { address, tls }: Instance,
): Promise<string[]> {
  const common = ['-l', address, '-p', String(memcachedPort), '-U', '0', '-Y', join(folder, 'users')]
  if (!tls) return common
  await writeFor(account, join(folder, 'cert.pem'), tls.cert)
  await writeFor(account, join(folder, 'key.pem'), tls.key)
  const files = `ssl_chain_cert=${join(folder, 'cert.pem')},ssl_key=${join(folder, 'key.pem')}`
  return [...common, '-Z', '-o', files]
}

/** @param lines `user:password` each */
function usersIn(lines: readonly string[]): Map<string, string> {
  return new Map(
    lines.map((line) => {
      const [, name = '', password = ''] = /^([^:\s]+):(.+)$/.exec(line) ?? []
      if (name === '')
        throw new Error('a user of Memcached is written as name:password, without blanks in the name')
      return [name, password]
    }),
  )
}

async function writeUsers(
  account: Account | undefined,
  folder: string,
  username: string,
  password: string,
  users: ReadonlyMap<string, string>,
): Promise<void> {
  const others = [...users].filter(([name]) => name !== username)
  const lines = [[username, password], ...others].map((pair) => pair.join(':'))
  if (lines.some((line) => /\s/.test(line)))
    throw new Error('users and passwords of Memcached must not contain blanks: its protocol ends them there')
  if (lines.length > mostUsers)
    throw new Error(`Memcached knows ${mostUsers} users at most, not ${lines.length}`)
  await writeFor(account, join(folder, 'users'), `${lines.join('\n')}\n`)
}
