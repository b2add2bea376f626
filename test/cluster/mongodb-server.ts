/** Stand-ins for MongoDB's server, for tests of what happens inside them: on their own, as replica set, as mongos. */
import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MongoClient, type MongoClientOptions, MongoError, MongoServerError } from 'mongodb'
import { resolveServiceNames } from '../../sandbox/broker/names.ts'
import { mongodbEngine } from '../../sandbox/engines/mongodb.ts'
import type { Instance, Running } from '../../sandbox/engines/parts/engine.ts'
import { openLoopbackAddresses } from '../../sandbox/machine/loopback.ts'
import { openNamesFile } from '../../sandbox/operator/databases/names-file.ts'
import type { Admin } from '../../shared/kubedb/databases/database.ts'
import type { JsonObject } from '../../shared/values/json.ts'
import { adminOf } from '../support/admin.ts'

export type Shape = 'standalone' | 'replicaSet' | 'sharded'

/** Who a client logs in as; the administrator without it. */
export interface Login {
  readonly name: string
  readonly password: string
  /** database of the user; `admin` without it */
  readonly source?: string
}

export interface MongoServer {
  readonly instance: Instance
  readonly running: Running
  /** what a bind would pass to `connect` */
  admin(changes?: Partial<Admin>): Admin
  /** @returns a client, connected, that `stop` of the servers closes: to the whole database, or to one member */
  client(as?: Login, options?: MongoClientOptions, member?: number): Promise<MongoClient>
  /** Ends the process and starts another on its data. */
  restart(changes?: Partial<Instance>): Promise<MongoServer>
  /** Ends the process at once, as a machine that fails does. */
  kill(): Promise<void>
  /** @returns name and content of everything that the server keeps on disk */
  files(): Promise<[name: string, content: string][]>
}

const administrator = { username: 'root', password: 'Of the administrator: "\'\\ü@:/%' }
const specs: { [shape in Shape]: JsonObject } = {
  standalone: { version: '8.0.17' },
  replicaSet: { version: '8.0.17', replicas: 3, replicaSet: { name: 'rs0' } },
  sharded: { version: '8.0.17', shardTopology: { mongos: { replicas: 2 } } },
}
const memberCount = { standalone: 1, replicaSet: 3, sharded: 2 }

/** One folder for all servers of a test file. Names of members resolve in this process while it lives. */
export class MongoServers {
  readonly #running = new Set<Running>()
  readonly #clients: MongoClient[] = []
  #count = 0
  #prepared: Promise<{ home: string; names: Awaited<ReturnType<typeof openNamesFile>> }> | undefined

  async start(shape: Shape, changes: Partial<Instance> = {}): Promise<MongoServer> {
    this.#prepared ??= prepare()
    const { home, names } = await this.#prepared
    const database = `mongo-${++this.#count}`
    const addresses = await openLoopbackAddresses(join(home, `${database}.json`))
    const pods = Array.from({ length: memberCount[shape] }, (_, ordinal) =>
      shape === 'sharded' ? `${database}-mongos-${ordinal}` : `${database}-${ordinal}`,
    )
    const governing = shape === 'sharded' ? `${database}-mongos-pods` : `${database}-pods`
    const hosts = pods.map((pod) => `${pod}.${governing}.test.svc`)
    const members = await Promise.all(hosts.map((host) => addresses.addressOf(host, 27017)))
    const [address = ''] = members
    await names.set(database, {
      [`${database}.test.svc`]: address,
      ...Object.fromEntries(hosts.map((host, index) => [host, members[index] ?? ''])),
    })
    const place = { name: `test/${database}`, volume: 'first', address, members, spec: specs[shape] }
    return this.#launch(shape, hosts, { ...place, ...administrator, config: '', ...changes })
  }

  async stop(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()))
    await Promise.all([...this.#running].map((running) => running.stop()))
    if (this.#prepared !== undefined) await rm((await this.#prepared).home, { recursive: true, force: true })
  }

  async #launch(shape: Shape, hosts: string[], instance: Instance): Promise<MongoServer> {
    const { home } = (await this.#prepared) ?? { home: '' }
    const running = await mongodbEngine(home).start(instance)
    this.#running.add(running)
    const [namespace = '', name = ''] = instance.name.split('/')
    const service = `${name}.${namespace}.svc`
    const folder = join(home, 'mongodb', instance.name.replace('/', '_'))
    return {
      instance,
      running,
      admin: (changes) =>
        adminOf({
          ...{ name, namespace, spec: instance.spec, port: 27017, host: service, ...administrator },
          hosts: shape === 'replicaSet' ? hosts : [service],
          members: shape === 'standalone' ? [] : hosts,
          ...changes,
        }),
      client: async (as, options = {}, member) => {
        const login = as ?? { name: instance.username, password: instance.password }
        const whole = shape === 'replicaSet' && member === undefined
        const list = member === undefined ? (whole ? hosts : [service]) : [hosts[member]]
        const client = new MongoClient(`mongodb://${list.map((host) => `${host}:27017`).join(',')}/`, {
          auth: { username: login.name, password: login.password },
          authSource: as?.source ?? 'admin',
          serverSelectionTimeoutMS: 3000,
          ...(whole ? { replicaSet: 'rs0' } : { directConnection: true }),
          ...options,
        })
        this.#clients.push(client)
        return client.connect()
      },
      kill: async () => {
        process.kill(Number.parseInt(await readFile(join(folder, 'server.pid'), 'utf8'), 10), 'SIGKILL')
        await running.exited
      },
      files: async () => {
        const names = await readdir(folder)
        return Promise.all(
          names.map(
            async (file): Promise<[string, string]> => [file, await readFile(join(folder, file), 'latin1')],
          ),
        )
      },
      restart: async (more = {}) => {
        await running.stop()
        this.#running.delete(running)
        return this.#launch(shape, hosts, { ...instance, ...more })
      },
    }
  }
}

async function prepare() {
  const home = await mkdtemp(join(tmpdir(), 'mongodb-'))
  await chmod(home, 0o755)
  const file = join(home, 'names.json')
  const names = await openNamesFile(file)
  resolveServiceNames(file)
  return { home, names }
}

/** @returns `ok`, or the code of MongoDB with which the work ended */
export async function outcome(work: Promise<unknown>): Promise<'ok' | number> {
  try {
    await work
    return 'ok'
  } catch (error) {
    if (error instanceof MongoServerError && typeof error.code === 'number') return error.code
    throw error
  }
}

/** @returns the message with which the work was refused */
export async function refusal(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return ''
  } catch (error) {
    if (error instanceof MongoError) return error.message
    throw error
  }
}
