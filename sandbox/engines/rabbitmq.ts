import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Account, giveTo, writeFor } from '../machine/account.ts'
import type { Engine, Instance, Running } from './parts/engine.ts'
import { programEngine } from './parts/engine-of.ts'
import { ask } from './parts/request.ts'
import { startServer, untilAccepting } from './parts/server.ts'
import { environmentOf, type Program } from './programs/debian-program.ts'

const wanted = {
  programs: ['rabbitmq-server'],
  packages: ['rabbitmq-server'],
  // for scripts and a cron job that nobody runs
  without: /^(adduser|passwd|logrotate|libpopt0|socat|libwrap0|(lib)?python3.*)$/,
} as const

const amqpPort = 5672
const managementPort = 15672
const distributionPort = 25672

const startSeconds = 120

/** It stops in some hundredths of a second, and then waits for a process of its own that does not end. */
const shutdownMilliseconds = 1000

/**
 * The same for every database: what is stored belongs to the node of that name. No two of them ever meet, as none asks
 * a port mapper for others.
 */
const node = 'rabbit@localhost'

/**
 * RabbitMQ with its management's API, a real server process for each database; one for all nodes of a cluster.
 * @param home Folder for data; made when absent. When we are root it must be reachable for the user `nobody`.
 */
export function rabbitmqEngine(home: string): Engine {
  return programEngine(home, { kind: 'RabbitMQ', port: amqpPort, wanted, folder: 'rabbitmq', launch })
}

async function launch(
  program: Program,
  account: Account | undefined,
  folder: string,
  instance: Instance,
): Promise<Running> {
  const { address, username, config } = instance
  let password = instance.password
  await mkdir(join(folder, 'data'), { recursive: true, mode: 0o700 })
  await giveTo(account, join(folder, 'data'))
  await writeFor(account, join(folder, 'enabled_plugins'), '[rabbitmq_management].\n')
  await writeFor(account, join(folder, 'definitions.json'), definitions(username, password))
  await writeFor(account, join(folder, 'rabbitmq.conf'), configuration(folder, address, config))
  const { command, environment } = await invocation(program, folder, address)
  const server = await startServer(command, { account, folder, environment, signals: ['TERM', 'KILL'] })
  const api = `http://${address}:${managementPort}/api`
  const manage = async (method: string, path: string, body?: { [key: string]: string }) => {
    const login = { user: username, password }
    const { status, text } = await ask(`${api}/${path}`, { method, login, ...(body ? { body } : {}) })
    if (status >= 300) throw new Error(`${status} ${text}`)
  }
  await untilAccepting(server, {
    title: 'RabbitMQ',
    seconds: startSeconds,
    pause: 50,
    check: () => manage('GET', `health/checks/port-listener/${amqpPort}`),
    complaints,
  })
  let current = config
  return {
    exited: server.exited,
    check: () => manage('GET', 'whoami'),
    async setPassword(next) {
      await manage('PUT', `users/${encodeURIComponent(username)}`, { ...hashed(next), tags: 'administrator' })
      password = next
    },
    async reload(next) {
      const same = settings(next).join('\n') === settings(current).join('\n')
      current = next
      return same ? 'applied' : 'restart'
    },
    stop: () => server.stop(),
  }
}

/** The program that Debian's scripts start in the end, without the port mapper that Erlang starts and leaves behind. */
async function invocation(
  program: Program,
  folder: string,
  address: string,
): Promise<{ command: [string, ...string[]]; environment: Record<string, string> }> {
  const erlang = join(program.root, 'usr/lib/erlang')
  const servers = join(program.root, 'usr/lib/rabbitmq/lib')
  const [binaries, home] = await Promise.all([
    theOnly(erlang, /^erts-\d/),
    theOnly(servers, /^rabbitmq_server-\d/),
  ])
  const { PATH = '', ...environment } = environmentOf(program)
  const bin = join(binaries, 'bin')
  const place = `{${address.replaceAll('.', ',')}}`
  return {
    command: [
      join(bin, 'erlexec'),
      ...['-noinput', '-boot', 'start_sasl', '-s', 'rabbit', 'boot'],
      ...['-sname', node, '-start_epmd', 'false', '-erl_epmd_port', String(distributionPort)],
      ...['-kernel', 'inet_dist_use_interface', place],
      ...['-kernel', 'inet_dist_listen_min', String(distributionPort)],
      ...['-kernel', 'inet_dist_listen_max', String(distributionPort)],
      ...['-kernel', 'prevent_overlapping_partitions', 'false'],
      ...['-syslog', 'logger', '[]', '-syslog', 'syslog_error_logger', 'false'],
      ...['-shutdown_time', String(shutdownMilliseconds)],
      // small, and idle while nothing is asked of it
      ...['+B', 'i', '+S', '2:2', '+sbwt', 'none', '+sbwtdcpu', 'none', '+sbwtdio', 'none'],
    ],
    environment: {
      ...environment,
      PATH: `${bin}:${PATH}`,
      // Erlang makes its cookie there.
      HOME: folder,
      LC_ALL: 'C.UTF-8',
      ROOTDIR: erlang,
      BINDIR: bin,
      EMU: 'beam',
      PROGNAME: 'erl',
      ERL_LIBS: join(home, 'plugins'),
      RABBITMQ_HOME: home,
      RABBITMQ_NODENAME: node,
      RABBITMQ_DIST_PORT: String(distributionPort),
      RABBITMQ_LOGS: '-',
      RABBITMQ_LOG_BASE: join(folder, 'data'),
      RABBITMQ_MNESIA_BASE: join(folder, 'data'),
      RABBITMQ_MNESIA_DIR: join(folder, 'data/node'),
      RABBITMQ_FEATURE_FLAGS_FILE: join(folder, 'data/feature_flags'),
      RABBITMQ_GENERATED_CONFIG_DIR: join(folder, 'data/config'),
      RABBITMQ_PLUGINS_DIR: join(home, 'plugins'),
      RABBITMQ_PLUGINS_EXPAND_DIR: join(folder, 'data/plugins'),
      RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'enabled_plugins'),
      RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq.conf'),
      RABBITMQ_ADVANCED_CONFIG_FILE: join(folder, 'advanced.config'),
    },
  }
}

async function theOnly(folder: string, name: RegExp): Promise<string> {
  const found = (await readdir(folder).catch(() => [])).find((one) => name.test(one))
  if (found === undefined)
    throw new Error(
      `the rabbitmq-server here is not Debian's: ${folder} lacks what it comes with; install that one`,
    )
  return join(folder, found)
}

/** The user's settings beat the defaults, and what makes this server this instance beats them. */
function configuration(folder: string, address: string, config: string): string {
  return [
    // a sandbox shares the machine's disk
    'disk_free_limit.absolute = 50MB',
    'vm_memory_high_watermark.absolute = 256MB',
    ...settings(config),
    `listeners.tcp.1 = ${address}:${amqpPort}`,
    `management.tcp.ip = ${address}`,
    `management.tcp.port = ${managementPort}`,
    'loopback_users = none',
    `load_definitions = ${join(folder, 'definitions.json')}`,
    'log.console = true',
    'log.console.level = warning',
    'log.file = false',
    '',
  ].join('\n')
}

/** @returns the lines of a rabbitmq.conf that say something */
function settings(config: string): string[] {
  const lines = config.split('\n').map((line) => line.trim())
  return lines.filter((line) => line !== '' && !line.startsWith('#'))
}

/** Read at every start: the administrator's password is that of the Secret, whatever it was before. */
function definitions(name: string, password: string): string {
  const all = { configure: '.*', write: '.*', read: '.*' }
  return JSON.stringify({
    users: [{ name, ...hashed(password), tags: 'administrator' }],
    vhosts: [{ name: '/' }],
    permissions: [{ user: name, vhost: '/', ...all }],
  })
}

/** A password as RabbitMQ stores it. */
function hashed(password: string): { password_hash: string; hashing_algorithm: string } {
  const salt = randomBytes(4)
  const hash = createHash('sha256').update(salt).update(password).digest()
  return {
    password_hash: Buffer.concat([salt, hash]).toString('base64'),
    hashing_algorithm: 'rabbit_password_hashing_sha256',
  }
}

/** What went wrong, out of the server's log: the first of it, which the rest follows from. */
function complaints(log: string): string {
  const lines = [...log.matchAll(/^\S+ \S+ \[error\] <[\d.]+> +(?:- )?(\S.*)$/gm)].map(
    ([, text = '']) => text,
  )
  const boot = lines.indexOf('BOOT FAILED')
  return (boot < 0 ? lines : lines.slice(0, boot)).slice(0, 5).join('; ')
}
