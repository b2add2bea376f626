import { randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import { type Account, giveTo, writeFor } from '../machine/account.ts'
import type { GuardedProcess } from '../machine/guarded-process.ts'
import { available, type Distribution, distribution } from './kafka/distribution.ts'
import type { Engine, Instance, Running } from './parts/engine.ts'
import { engineOf } from './parts/engine-of.ts'
import { startServer, untilAccepting } from './parts/server.ts'

const clientPort = 9092
const controllerPort = 9093
const localPort = 29092

const startSeconds = 120

/**
 * Kafka without ZooKeeper, a real server process for each database; one for all nodes of a cluster, whatever their
 * roles. It tells clients its address, which needs no resolving, where KubeDB's tell the names of their pods.
 *
 * @param home Folder for data; made when absent. When we are root it must be reachable for the user `nobody`.
 * @param cache Folder for the program; see `programCache`.
 */
export function kafkaEngine(home: string, cache?: string): Engine {
  return engineOf(home, {
    kind: 'Kafka',
    port: clientPort,
    folder: 'kafka',
    available: () => available(cache),
    install: () => distribution(cache),
    fill: (_, account, folder) => format(account, folder),
    launch: run,
  })
}

/** What Kafka's own tool writes into an empty disk. */
async function format(account: Account | undefined, folder: string): Promise<void> {
  const data = join(folder, 'data')
  await mkdir(data, { mode: 0o700 })
  const cluster = randomBytes(16).toString('base64url')
  await writeFor(account, join(data, 'meta.properties'), `version=1\ncluster.id=${cluster}\nnode.id=0\n`)
  await giveTo(account, data)
}

async function run(
  found: Distribution,
  account: Account | undefined,
  folder: string,
  instance: Instance,
): Promise<Running> {
  let password = instance.password
  const check = () => ask(instance, password)
  let server = await launch(found, account, folder, instance, check)
  let ended: (reason: string) => void = () => undefined
  const exited = new Promise<string>((resolve) => {
    ended = resolve
  })
  const watch = (process: GuardedProcess) =>
    process.exited.then((reason) => {
      // Another one may have taken its place.
      if (process === server) ended(reason)
    })
  watch(server)
  return {
    exited,
    check,
    /** Who may log in by PLAIN stands in the server's settings. */
    async setPassword(next) {
      const old = server
      password = next
      // Until the other one runs, nothing has ended that was not told to.
      server = { exited: new Promise(() => undefined), stop: async () => undefined }
      await old.stop()
      try {
        server = await launch(found, account, folder, { ...instance, password }, check)
      } catch (error) {
        ended(String(error))
        throw error
      }
      watch(server)
    },
    reload: async (next) => (settings(next) === settings(instance.config) ? 'applied' : 'restart'),
    stop: () => server.stop(),
  }
}

async function launch(
  { jars, java }: Distribution,
  account: Account | undefined,
  folder: string,
  instance: Instance,
  check: () => Promise<void>,
): Promise<GuardedProcess> {
  await writeFor(account, join(folder, 'server.properties'), configuration(folder, instance))
  const parameters = [
    ...['-Xms64m', '-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-XX:-UsePerfData'],
    ...['-Dorg.slf4j.simpleLogger.defaultLogLevel=warn', `-Djava.io.tmpdir=${folder}`],
    ...['-cp', join(jars, '*'), 'kafka.Kafka', join(folder, 'server.properties')],
  ]
  const server = await startServer([java.program, ...parameters], {
    account,
    folder,
    environment: { PATH: '/usr/bin:/bin', LC_ALL: 'C.UTF-8' },
    // A JVM started in the background of a shell does not hear SIGINT.
    signals: ['TERM', 'KILL'],
  })
  await untilAccepting(server, { title: 'Kafka', seconds: startSeconds, pause: 100, check, complaints })
  return server
}

/** The user's settings beat the defaults, and what makes this server this instance beats them. */
function configuration(folder: string, { address, username, password, config }: Instance): string {
  const listeners = { BROKER: clientPort, LOCAL: localPort, CONTROLLER: controllerPort }
  const names = Object.keys(listeners)
  const at = (of: readonly (readonly [string, number])[]) =>
    of.map(([name, port]) => `${name}://${address}:${port}`).join(',')
  const login = property(jaas(username, password))
  return [
    'group.initial.rebalance.delay.ms=0',
    'offsets.topic.num.partitions=1',
    'transaction.state.log.num.partitions=1',
    settings(config),
    // One server, whatever the number of nodes.
    'default.replication.factor=1',
    'min.insync.replicas=1',
    'offsets.topic.replication.factor=1',
    'transaction.state.log.replication.factor=1',
    'transaction.state.log.min.isr=1',
    'share.coordinator.state.topic.replication.factor=1',
    'share.coordinator.state.topic.min.isr=1',
    'process.roles=broker,controller',
    'node.id=0',
    `listeners=${at(Object.entries(listeners))}`,
    `advertised.listeners=${at(Object.entries(listeners).filter(([name]) => name !== 'CONTROLLER'))}`,
    'controller.listener.names=CONTROLLER',
    `controller.quorum.voters=0@${address}:${controllerPort}`,
    `listener.security.protocol.map=${names.map((name) => `${name}:SASL_PLAINTEXT`).join(',')}`,
    'inter.broker.listener.name=LOCAL',
    'sasl.enabled.mechanisms=PLAIN',
    'sasl.mechanism.inter.broker.protocol=PLAIN',
    'sasl.mechanism.controller.protocol=PLAIN',
    ...names.map((name) => `listener.name.${name.toLowerCase()}.plain.sasl.jaas.config=${login}`),
    `log.dirs=${join(folder, 'data')}`,
    '',
  ].join('\n')
}

/** @returns the lines of a file of properties that say something */
function settings(config: string): string {
  const lines = config.split('\n').map((line) => line.trim())
  return lines.filter((line) => line !== '' && !/^[#!]/.test(line)).join('\n')
}

/** Who this server is to others of its kind, and the one user that it knows. */
function jaas(username: string, password: string): string {
  const quoted = (text: string) => `"${text.replace(/["\\]/g, '\\$&')}"`
  const [name, secret] = [quoted(username), quoted(password)]
  return `org.apache.kafka.common.security.plain.PlainLoginModule required username=${name} password=${secret} user_${username}=${secret};`
}

const property = (value: string) => value.replaceAll('\\', '\\\\')

/** What a client of the database would meet. */
async function ask({ address, username }: Instance, password: string): Promise<void> {
  const kafka = new Kafka({
    brokers: [`${address}:${clientPort}`],
    sasl: { mechanism: 'plain', username, password },
    connectionTimeout: 5000,
    requestTimeout: 10_000,
    retry: { retries: 0 },
    logLevel: logLevel.NOTHING,
  })
  const admin = kafka.admin()
  await admin.connect()
  try {
    await admin.describeCluster()
  } finally {
    await admin.disconnect()
  }
}

/** What went wrong, out of the server's log: without classes. */
function complaints(log: string): string {
  const said = /^(?:Caused by: )?(?:[\w.$]+(?:Exception|Error)): (.+)$/m.exec(log)?.[1] ?? ''
  return said.trim()
}
