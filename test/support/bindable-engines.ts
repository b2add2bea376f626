/** Engines in which every binding has a user of its own over a connection: what tests about all of them need to know. */
import { connect } from 'amqplib'
import { hash } from 'bcryptjs'
import { MongoClient } from 'mongodb'
import { createConnection, type RowDataPacket } from 'mysql2/promise'
import { Client } from 'pg'
import * as v from 'valibot'
import { opensearchEngine } from '../../sandbox/engines/opensearch.ts'
import { ask } from '../../sandbox/engines/parts/request.ts'
import { rabbitmqEngine } from '../../sandbox/engines/rabbitmq.ts'
import { databaseName } from '../../shared/kubedb/records/names.ts'
import type { Json, JsonObject } from '../../shared/values/json.ts'
import { type TestCluster, textAt } from './cluster.ts'
import type { Way } from './fault-lane.ts'
import { addressOf, encryptionOf, secretOf } from './inventory.ts'
import { type Offer, offerOf } from './offers.ts'
import { httpProtocol } from './wire/http.ts'
import { mongodbProtocol } from './wire/mongodb.ts'
import { mysqlProtocol } from './wire/mysql.ts'
import { postgresProtocol } from './wire/postgres.ts'
import type { Protocol } from './wire/wire.ts'

/** A server, and who is allowed everything in it. Past all proxies. */
export interface Inside {
  address: string
  username: string
  password: string
  /** PEM, where it speaks TLS */
  ca: string | undefined
}

export interface BindableEngine {
  title: string
  offer: Offer
  /** of its KubeDB kind */
  plural: string
  /** of an instance */
  parameters: JsonObject
  protocol: Protocol
  /** requests that a server on a busy machine takes at once within a short budget */
  atOnce: number
  /** some of its statements are sent at the same time, on connections of their own */
  sideBySide: boolean
  /** file of examples/catalog without which it is not on offer */
  part?: string
  /** into the server that its users are made in */
  way?: Way
  /** @returns true, or why there are no instances on this machine */
  available(): Promise<true | string>
  /** @returns the names of all users of bindings, as the server itself knows them, in alphabetical order */
  users(inside: Inside): Promise<string[]>
  /** as many users as can be made within some seconds */
  many: number
  /** Makes users, as many as there are names; what they may do does not matter. */
  makeUsers(inside: Inside, names: readonly string[]): Promise<void>
  /** Makes it a server that nobody has ever been bound to; without it the first bind does what every bind does. */
  forget?(inside: Inside): Promise<void>
  /** Logs in with the credentials of an owner and writes. Throws what the server or driver throws. */
  use(inside: Inside, credentials: JsonObject): Promise<void>
}

const ours = /^b[a-z2-7]{26}$/

const here = async (): Promise<true> => true

async function withPostgres<T>(
  { address, username, password }: Inside,
  act: (client: Client) => Promise<T>,
  database = 'postgres',
): Promise<T> {
  const client = new Client({ host: address, port: 5432, user: username, password, database })
  // A session that is ended is told by its next statement.
  client.on('error', () => undefined)
  try {
    await client.connect()
    return await act(client)
  } finally {
    await client.end().catch(() => undefined)
  }
}

const Role = v.object({ rolname: v.string() })

const postgres: BindableEngine = {
  title: 'PostgreSQL',
  plural: 'postgreses',
  offer: offerOf('postgresql', 'small'),
  parameters: {},
  protocol: postgresProtocol,
  atOnce: 6,
  sideBySide: false,
  many: 300,
  available: here,
  users: (inside) =>
    withPostgres(inside, async (client) => {
      const { rows } = await client.query(
        "SELECT rolname FROM pg_roles WHERE rolname ~ '^b[a-z2-7]{26}$' ORDER BY rolname",
      )
      return v.parse(v.array(Role), rows).map(({ rolname }) => rolname)
    }),
  makeUsers: (inside, names) =>
    withPostgres(inside, async (client) => {
      await client.query(names.map((name) => `CREATE ROLE ${name} LOGIN`).join(';'))
    }),
  forget: (inside) =>
    withPostgres(inside, async (client) => {
      await client.query('DROP DATABASE IF EXISTS app WITH (FORCE)')
      const { rows } = await client.query(
        "SELECT rolname FROM pg_roles WHERE rolname ~ '^(osb_|b[a-z2-7]{26}$)'",
      )
      for (const { rolname } of v.parse(v.array(Role), rows))
        await client.query(`DROP OWNED BY ${rolname}; DROP ROLE ${rolname}`)
      for (const name of ['postgres', 'template1'])
        await client.query(`GRANT CONNECT, TEMPORARY ON DATABASE ${name} TO PUBLIC`)
    }),
  use: (inside, credentials) =>
    withPostgres(
      { ...inside, ...login(credentials) },
      async (client) => {
        await client.query('CREATE TEMPORARY TABLE used (at timestamptz); INSERT INTO used VALUES (now())')
      },
      textAt(credentials, 'database'),
    ),
}

async function mysqlAs<T>(
  { address, username, password }: Inside,
  act: (ask: (statement: string) => Promise<unknown[]>) => Promise<T>,
  database?: string,
): Promise<T> {
  const client = await createConnection({
    host: address,
    port: 3306,
    user: username,
    password,
    ...(database === undefined ? {} : { database }),
  })
  client.on('error', () => undefined)
  try {
    return await act(async (statement) => {
      const [rows] = await client.query<RowDataPacket[]>(statement)
      return Array.isArray(rows) ? rows.map((row) => Object.values(row)[0]) : []
    })
  } finally {
    client.destroy()
  }
}

const mysqlUsers = "SELECT DISTINCT User FROM mysql.user WHERE User REGEXP '^b[a-z2-7]{26}$' ORDER BY User"

const mysql: BindableEngine = {
  title: 'MySQL',
  plural: 'mysqls',
  offer: offerOf('mysql', 'small'),
  parameters: {},
  protocol: mysqlProtocol,
  atOnce: 6,
  sideBySide: false,
  many: 300,
  available: here,
  users: (inside) => mysqlAs(inside, async (ask) => v.parse(v.array(v.string()), await ask(mysqlUsers))),
  makeUsers: (inside, names) =>
    mysqlAs(inside, async (ask) => {
      await ask(`CREATE USER ${names.map((name) => `'${name}'@'%'`).join(', ')}`)
    }),
  forget: (inside) =>
    mysqlAs(inside, async (ask) => {
      await ask('DROP DATABASE IF EXISTS app')
      for (const name of await ask(mysqlUsers)) await ask(`DROP USER '${String(name)}'@'%'`)
    }),
  use: (inside, credentials) =>
    mysqlAs(
      { ...inside, ...login(credentials) },
      async (ask) => {
        await ask('CREATE TEMPORARY TABLE used (at datetime)')
        await ask('INSERT INTO used VALUES (now())')
      },
      textAt(credentials, 'database'),
    ),
}

async function mongodbAs<T>(
  { address, username, password }: Inside,
  act: (client: MongoClient) => Promise<T>,
): Promise<T> {
  const client = new MongoClient(`mongodb://${address}:27017/?directConnection=true`, {
    auth: { username, password },
    authSource: 'admin',
    serverSelectionTimeoutMS: 3000,
  })
  try {
    return await act(client)
  } finally {
    await client.close()
  }
}

const UsersInfo = v.object({ users: v.array(v.object({ user: v.string() })) })

const mongodb: BindableEngine = {
  title: 'MongoDB',
  plural: 'mongodbs',
  offer: offerOf('mongodb', 'small'),
  parameters: {},
  protocol: mongodbProtocol,
  atOnce: 6,
  sideBySide: false,
  many: 300,
  available: here,
  users: (inside) =>
    mongodbAs(inside, async (client) => {
      const { users } = v.parse(UsersInfo, await client.db('admin').command({ usersInfo: 1 }))
      return users
        .map(({ user }) => user)
        .filter((user) => ours.test(user))
        .sort()
    }),
  makeUsers: (inside, names) =>
    mongodbAs(inside, async (client) => {
      const make = (name: string) =>
        client.db('admin').command({ createUser: name, pwd: 'x', roles: [], mechanisms: ['SCRAM-SHA-256'] })
      await Promise.all(names.map(make))
    }),
  use: (inside, credentials) =>
    mongodbAs({ ...inside, ...login(credentials) }, async (client) => {
      await client.db(textAt(credentials, 'database')).collection('used').insertOne({ at: new Date() })
    }),
}

const search = {
  plural: 'elasticsearches',
  offer: offerOf('elasticsearch', 'demo-elasticsearch'),
  protocol: httpProtocol(9200),
  // All users of OpenSearch are one document: who writes it at the same time as another has to write it again.
  atOnce: 2,
  sideBySide: true,
  way: { certificate: 'http' },
  available: () => opensearchEngine('/nowhere').available(),
  async use(inside: Inside, credentials: JsonObject): Promise<void> {
    const as = { ...inside, ...login(credentials) }
    await searchAs(as, 'PUT', '/used/_doc/1', { at: new Date().toISOString() })
  },
}

/** @throws when it is answered with anything but success, or with a status that is not allowed for */
async function searchAs(
  { address, username, password, ca }: Inside,
  method: string,
  path: string,
  body?: Json,
  allowed: readonly number[] = [],
): Promise<unknown> {
  const { status, text } = await ask(`https://${address}:9200${path}`, {
    method,
    login: { user: username, password },
    ca,
    ...(body === undefined ? {} : { body }),
  })
  if (status < 300) return JSON.parse(text)
  if (allowed.includes(status)) return undefined
  throw new Error(`${method} ${path}: ${status} ${text.slice(0, 300)}`)
}

const roles = ['osb_owner', 'osb_read_write', 'osb_read_only']

const namesIn = (found: unknown): string[] =>
  Object.keys(v.parse(v.record(v.string(), v.unknown()), found))
    .filter((name) => ours.test(name))
    .sort()

const elasticsearch: BindableEngine = {
  ...search,
  title: 'Elasticsearch',
  // The sandbox's has OpenSearch behind it, and takes one user after the other.
  many: 60,
  parameters: { version: 'xpack-9.2.3' },
  users: async (inside) => namesIn(await searchAs(inside, 'GET', '/_security/user')),
  async makeUsers(inside, names) {
    const user = { password: 'not for anybody', roles: [] }
    for (const name of names) await searchAs(inside, 'PUT', `/_security/user/${name}`, user)
  },
  async forget(inside) {
    for (const name of await elasticsearch.users(inside))
      await searchAs(inside, 'DELETE', `/_security/user/${name}`)
    for (const role of roles) await searchAs(inside, 'DELETE', `/_security/role/${role}`, undefined, [404])
  },
}

const security = '/_plugins/_security/api'

const opensearch: BindableEngine = {
  ...search,
  title: 'OpenSearch',
  many: 300,
  parameters: { version: 'opensearch-2.19.2' },
  users: async (inside) => namesIn(await searchAs(inside, 'GET', `${security}/internalusers`)),
  async makeUsers(inside, names) {
    // The server would hash each password for a quarter of a second.
    const value = { hash: await hash('not for anybody', 4), backend_roles: [], attributes: {} }
    const additions = names.map((name) => ({ op: 'add', path: `/${name}`, value }))
    await searchAs(inside, 'PATCH', `${security}/internalusers`, additions)
  },
  async forget(inside) {
    for (const name of await opensearch.users(inside))
      await searchAs(inside, 'DELETE', `${security}/internalusers/${name}`)
    for (const role of roles) await searchAs(inside, 'DELETE', `${security}/roles/${role}`, undefined, [404])
  },
}

const virtualHost = 'orders'

/** @throws when it is answered with anything but success, or not being there */
async function manage(
  { address, username, password }: Inside,
  method: string,
  path: string,
  body?: Json,
): Promise<unknown> {
  const login = { user: username, password }
  const url = `http://${address}:15672/api${path}`
  const { status, text } = await ask(url, { method, login, ...(body === undefined ? {} : { body }) })
  if (status >= 300 && status !== 404) throw new Error(`${method} ${path}: ${status} ${text.slice(0, 300)}`)
  return text === '' ? undefined : JSON.parse(text)
}

const rabbitmq: BindableEngine = {
  title: 'RabbitMQ',
  plural: 'rabbitmqs',
  part: 'rabbitmq.yaml',
  offer: offerOf('rabbitmq', 'small'),
  parameters: { database: virtualHost },
  protocol: httpProtocol(15672),
  way: { service: '-dashboard' },
  atOnce: 6,
  sideBySide: false,
  many: 300,
  available: () => rabbitmqEngine('/nowhere').available(),
  async users(inside) {
    const found = v.parse(v.array(v.looseObject({ name: v.string() })), await manage(inside, 'GET', '/users'))
    return found
      .map(({ name }) => name)
      .filter((name) => ours.test(name))
      .sort()
  },
  async makeUsers(inside, names) {
    for (const name of names) await manage(inside, 'PUT', `/users/${name}`, { password_hash: '', tags: '' })
  },
  async forget(inside) {
    for (const name of await rabbitmq.users(inside)) await manage(inside, 'DELETE', `/users/${name}`)
    await manage(inside, 'DELETE', `/vhosts/${virtualHost}`)
  },
  async use({ address }, credentials) {
    const client = await connect({
      hostname: address,
      vhost: textAt(credentials, 'vhost'),
      ...login(credentials),
    })
    client.on('error', () => undefined)
    try {
      const channel = await client.createConfirmChannel()
      await channel.assertQueue('used', { durable: true })
      channel.sendToQueue('used', Buffer.from(new Date().toISOString()))
      await channel.waitForConfirms()
    } finally {
      await client.close()
    }
  },
}

export const bindableEngines: readonly BindableEngine[] = [
  postgres,
  mysql,
  mongodb,
  elasticsearch,
  opensearch,
  rabbitmq,
]

const login = (credentials: JsonObject) => ({
  username: textAt(credentials, 'username'),
  password: textAt(credentials, 'password'),
})

/** @returns the way past all proxies into the server of an instance */
export async function insideOf(
  cluster: TestCluster,
  { way }: BindableEngine,
  instanceId: string,
): Promise<Inside> {
  const name = databaseName(instanceId, 40)
  const address = addressOf(cluster, `${name}.${cluster.namespaces.databases}.svc`)
  if (address === undefined) throw new Error(`no server of ${instanceId} runs`)
  const secret = await secretOf(cluster, `${name}-auth`)
  const certificate = way?.certificate
  const ca = certificate === undefined ? undefined : (await encryptionOf(cluster, instanceId, certificate)).ca
  return { address, username: secret('username'), password: secret('password'), ca }
}
