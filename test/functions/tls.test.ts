/** Databases that speak TLS: what an application is given lets it check whom it talks to. */
import { randomUUID } from 'node:crypto'
import { rootCertificates } from 'node:tls'
import { createClient } from '@redis/client'
import test, { type ExecutionContext } from 'ava'
import { MongoClient } from 'mongodb'
import { createConnection } from 'mysql2/promise'
import { Client } from 'pg'
import { resolveServiceNames } from '../../sandbox/broker/names.ts'
import { openMemcached } from '../../sandbox/engines/memcached/session.ts'
import type { JsonObject } from '../../shared/values/json.ts'
import { openBroker } from '../support/broker.ts'
import { textAt, useCluster } from '../support/cluster.ts'
import { type Offer, offerOf } from '../support/offers.ts'
import { credentialsIn, type Platform, platformOf } from '../support/platform.ts'
import { offerTls } from '../support/tls-offer.ts'

const cluster = useCluster(test)

// An application in the cluster knows the database by the name that its certificate has.
test.before('names of Services', () => resolveServiceNames(cluster.names))

interface Engine {
  title: string
  /** a plan with one server */
  offer: Offer
  /** Logs in and asks something. `ca` undefined: trusts what everybody trusts. Throws what the driver throws. */
  use(credentials: JsonObject, ca: string | undefined): Promise<unknown>
}

const text = (credentials: JsonObject, key: string) => textAt(credentials, key)

const engines: readonly Engine[] = [
  {
    title: 'PostgreSQL',
    offer: offerOf('postgresql', 'small'),
    async use(credentials, ca) {
      const client = new Client({
        host: text(credentials, 'host'),
        port: Number(credentials.port),
        user: text(credentials, 'username'),
        password: text(credentials, 'password'),
        database: text(credentials, 'database'),
        ssl: ca === undefined ? {} : { ca },
      })
      client.on('error', () => undefined)
      await client.connect()
      // Sessions are shown to those whose they are: to the user, not to the group it works as.
      await client.query('SET ROLE NONE')
      const { rows } = await client.query('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()')
      await client.end()
      return rows
    },
  },
  {
    title: 'MySQL',
    offer: offerOf('mysql', 'small'),
    async use(credentials, ca) {
      const client = await createConnection({
        host: text(credentials, 'host'),
        port: Number(credentials.port),
        user: text(credentials, 'username'),
        password: text(credentials, 'password'),
        database: text(credentials, 'database'),
        ssl: { verifyIdentity: true, ...(ca === undefined ? {} : { ca }) },
      })
      const [rows] = await client.query("SHOW STATUS LIKE 'Ssl_version'")
      await client.end()
      return rows
    },
  },
  {
    title: 'MongoDB',
    offer: offerOf('mongodb', 'small'),
    async use(credentials, ca) {
      const client = new MongoClient(text(credentials, 'uri'), {
        serverSelectionTimeoutMS: 4000,
        ...(ca === undefined ? {} : { ca }),
      })
      try {
        return await client.db().command({ ping: 1 })
      } finally {
        await client.close()
      }
    },
  },
  {
    title: 'Redis',
    offer: offerOf('redis', 'small'),
    async use(credentials, ca) {
      const client = createClient({
        url: text(credentials, 'uri'),
        socket: { tls: true, reconnectStrategy: false, ...(ca === undefined ? {} : { ca }) },
      })
      client.on('error', () => undefined)
      await client.connect()
      const answer = await client.ping()
      client.destroy()
      return answer
    },
  },
  {
    title: 'Memcached',
    offer: offerOf('memcached', 'small'),
    async use(credentials, ca = rootCertificates.join('\n')) {
      const session = await openMemcached({
        address: text(credentials, 'host'),
        port: Number(credentials.port),
        username: text(credentials, 'username'),
        password: text(credentials, 'password'),
        ca,
      })
      const answer = await session.send('version')
      session.close()
      return answer
    },
  },
]

async function bound(t: ExecutionContext, platform: Platform, instanceId: string): Promise<JsonObject> {
  const bindingId = randomUUID()
  const begun = await platform.bind(instanceId, bindingId)
  const end = await platform.settleBinding(instanceId, bindingId, begun)
  t.true(end.status === 201 || end.body.state === 'succeeded', `${end.status} ${end.text.slice(0, 300)}`)
  return credentialsIn(await platform.fetchBinding(instanceId, bindingId))
}

for (const { title, offer, use } of engines) {
  test(`${title}: an issuer of the plan makes certificates that applications can check`, async (t) => {
    t.timeout(240_000)
    const broker = await openBroker(t, { cluster })
    await offerTls(broker, offer)
    const platform = platformOf(broker, offer)
    const unknown = await platform.provision(randomUUID(), { tls: 'another' })
    t.is(unknown.status, 400, unknown.text)
    t.regex(String(unknown.body.description), /^parameters\.tls: .*internal/)

    const instanceId = await platform.instance({ tls: 'internal' })
    const credentials = await bound(t, platform, instanceId)
    const rootCert = text(credentials, 'rootCert')
    t.regex(rootCert, /^-----BEGIN CERTIFICATE-----/)
    t.truthy(await use(credentials, rootCert))
    const error = await t.throwsAsync(use(credentials, undefined))
    t.regex(
      `${error?.message} ${String(error?.cause)}`,
      /certificate/i,
      'its CA is none that everybody trusts',
    )
    t.is((await platform.settle(instanceId, await platform.deprovision(instanceId))).status, 410)
  })
}

test('TLS can be given to a database that has none, and taken away again', async (t) => {
  t.timeout(240_000)
  const [postgres] = engines
  if (!postgres) throw new Error('no engine')
  const { offer, use } = postgres
  const broker = await openBroker(t, { cluster })
  await offerTls(broker, offer)
  const platform = platformOf(broker, offer)
  const instanceId = await platform.instance()
  const change = async (parameters: JsonObject) => {
    const end = await platform.settle(instanceId, await platform.update(instanceId, parameters))
    t.is(end.body.state, 'succeeded', end.text)
  }
  t.regex(text(await bound(t, platform, instanceId), 'uri'), /sslmode=disable$/)
  await change({ tls: 'internal' })
  const secured = await bound(t, platform, instanceId)
  t.regex(text(secured, 'uri'), /sslmode=require$/)
  t.deepEqual(await use(secured, text(secured, 'rootCert')), [{ ssl: true }])
  await change({ tls: null })
  t.regex(text(await bound(t, platform, instanceId), 'uri'), /sslmode=disable$/)
})
