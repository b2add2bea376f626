/**
 * A stand-in for MongoDB's server, which no package registry has: it speaks MongoDB's wire protocol to MongoDB's own
 * drivers, with users, roles and SCRAM-SHA-256 as the real one, and the everyday commands on data. What it does not
 * know it refuses, saying so. A process of its own for every database; all members of a replica set, or all mongos of
 * a sharded cluster, are that one process. The folder `mongodb/` beside this file has its parts.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Document, MongoClient } from 'mongodb'
import { equal, isObject } from '../../shared/values/json.ts'
import { readConfiguration } from './mongodb/parts/configuration.ts'
import { listening } from './mongodb/parts/listening.ts'
import { makeCredentials } from './mongodb/parts/scram.ts'
import type { Settings } from './mongodb/parts/settings.ts'
import type { Topology } from './mongodb/parts/topology.ts'
import type { Engine, Instance, Running } from './parts/engine.ts'
import { engineOf } from './parts/engine-of.ts'
import { type Server, startServer } from './parts/server.ts'

const mongodbPort = 27017
const program = fileURLToPath(new URL('mongodb/main.ts', import.meta.url))
const startSeconds = 30

/** @param home folder for data; made when absent */
export function mongodbEngine(home: string): Engine {
  return engineOf(home, {
    kind: 'MongoDB',
    port: mongodbPort,
    folder: 'mongodb',
    available: async () => true,
    install: async () => undefined,
    async launch(_installed, _account, folder, instance) {
      const settings = settingsOf(instance)
      await writeFile(join(folder, 'settings.json'), JSON.stringify(settings), { mode: 0o600 })
      return start(folder, instance)
    },
  })
}

async function start(folder: string, instance: Instance): Promise<Running> {
  const server = await launch(folder)
  let { password } = instance
  let configuration = readConfiguration(instance.config)
  const admin = (command: Document) => asAdministrator(instance, password, command)
  try {
    await admin({ ping: 1 })
  } catch (error) {
    await server.stop()
    throw error
  }
  return {
    exited: server.exited,
    check: () => admin({ connectionStatus: 1 }),
    async setPassword(next) {
      await admin({ updateUser: instance.username, pwd: next })
      password = next
    },
    async reload(config) {
      const before = configuration
      configuration = readConfiguration(config)
      // mongod reads its file only when it starts
      return equal(Object.fromEntries(before), Object.fromEntries(configuration)) ? 'applied' : 'restart'
    },
    stop: () => server.stop(),
  }
}

/** @throws {Error} in the real server's words when it would refuse its settings file */
function settingsOf(instance: Instance): Settings {
  const configuration = readConfiguration(instance.config)
  const certless = configuration.get('net.tls.allowConnectionsWithoutCertificates')
  const { tls, spec } = instance
  if (!tls && certless !== undefined) {
    throw new Error('need to enable TLS via the sslMode/tlsMode flag when using TLS configuration parameters')
  }
  const topology = topologyOf(instance)
  const own = topology.type === 'standalone' ? undefined : instance.members
  return {
    addresses: own === undefined ? [instance.address] : [...own],
    port: mongodbPort,
    version: /\d+\.\d+(\.\d+)?/.exec(String(spec.version))?.[0] ?? '8.0.0',
    topology,
    administrator: { user: instance.username, credentials: makeCredentials(instance.password) },
    testCommands: configuration.get('setParameter.enableTestCommands') === true,
    ...(tls && spec.sslMode !== 'disabled'
      ? {
          tls: {
            ...tls,
            required: (spec.sslMode ?? 'requireSSL') === 'requireSSL',
            certificates: certless === true ? 'optional' : 'demanded',
          },
        }
      : {}),
  }
}

/**
 * Where all names of a database lead to one address, a client cannot be told which member it reached: a replica set
 * then says that it has one member. Clients that are given all the names find it under any of them.
 */
function topologyOf({ name, spec, members }: Instance): Topology {
  const [namespace = '', database = ''] = name.split('/')
  if (isObject(spec.shardTopology)) return { type: 'sharded' }
  const { replicaSet } = spec
  if (!isObject(replicaSet)) return { type: 'standalone' }
  const names = Array.from(
    { length: members?.length ?? 1 },
    (_, ordinal) => `${database}-${ordinal}.${database}-pods.${namespace}.svc:${mongodbPort}`,
  )
  return { type: 'replicaSet', name: String(replicaSet.name ?? 'rs0'), members: names }
}

/** Starts the process and waits until it listens, which it says in its log. */
async function launch(folder: string): Promise<Server> {
  const server = await startServer([process.execPath, program, folder], {
    account: undefined,
    folder,
    environment: { PATH: process.env.PATH ?? '/usr/bin:/bin' },
  })
  for (const end = Date.now() + startSeconds * 1000; ; await sleep(15)) {
    const words = (await server.said()).trim()
    if (words.startsWith(listening)) return server
    if (server.gone() === undefined && Date.now() < end) continue
    const why = words || server.gone() || `it did not listen within ${startSeconds} s`
    await server.stop()
    throw new Error(`MongoDB did not start: ${why}`)
  }
}

/** One command on a connection of its own: what a client of the database would meet. */
async function asAdministrator(
  { address, username, tls }: Instance,
  password: string,
  command: Document,
): Promise<void> {
  const client = new MongoClient(`mongodb://${address}:${mongodbPort}`, {
    auth: { username, password },
    authSource: 'admin',
    directConnection: true,
    serverSelectionTimeoutMS: 5000,
    // As KubeDB's operator does: whether others are let in without one says a setting that may come later.
    ...(tls ? { tls: true, ca: tls.ca, cert: tls.cert, key: tls.key } : {}),
  })
  try {
    await client.connect()
    await client.db('admin').command(command)
  } finally {
    await client.close()
  }
}
