/** Databases that speak TLS: what an application is given lets it check whom it talks to. */
import { randomUUID } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { rootCertificates } from 'node:tls'
import { createClient } from '@redis/client'
import test, { type ExecutionContext } from 'ava'
import { MongoClient } from 'mongodb'
import { createConnection } from 'mysql2/promise'
import { Client } from 'pg'
import { openMemcached } from '../../sandbox/engines/memcached-session.ts'
import { resolveServiceNames } from '../../sandbox/names.ts'
import type { JsonObject } from '../../shared/json.ts'
import { openBroker, type TestBroker } from '../support/broker.ts'
import { textAt, useCluster } from '../support/cluster.ts'
import { credentialsIn, type Platform, platformOf } from '../support/platform.ts'

const cluster = useCluster(test)

// An application in the cluster knows the database by the name that its certificate has.
test.before('names of Services', () => resolveServiceNames(cluster.names))

interface Engine {
  title: string
  serviceId: string
  /** a plan with one server */
  planId: string
  /** Logs in and asks something. `ca` undefined: trusts what everybody trusts. Throws what the driver throws. */
  use(credentials: JsonObject, ca: string | undefined): Promise<unknown>
}

const text = (credentials: JsonObject, key: string) => textAt(credentials, key)

const engines: readonly Engine[] = [
  {
    title: 'PostgreSQL',
    serviceId: '2010d83f-d908-4d9f-879c-ce8f5f527f2a',
    planId: '252027a9-3bde-4afa-a251-4457ef08594e',
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
    serviceId: '938a70c5-f2bc-4658-82dd-566bed7797e9',
    planId: '1b3719fb-1f02-42b7-98f3-c59f24bcd36e',
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
    serviceId: 'd690058d-666c-45d8-ba98-fcb9fb47742e',
    planId: 'af555bf0-45a1-4caa-a501-c49d783684bc',
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
    serviceId: 'ccfd1c81-e59f-4875-a39f-75ba55320ce0',
    planId: '16367535-3dc7-4c94-b932-16c1ba832ebe',
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
    serviceId: 'd88856cb-fe3f-4473-ba8b-641480da810f',
    planId: 'fdce5e49-fa2d-480b-911d-3b399343c971',
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

/** The catalog with an issuer in a plan, as whoever runs a broker puts it there. */
async function offerTls(broker: TestBroker, planId: string): Promise<void> {
  const whole = await readFile(broker.catalogFile, 'utf8')
  const mark = '\n        parameters:\n'
  const at = whole.indexOf(mark, whole.indexOf(`id: ${planId}`))
  if (at < 0) throw new Error(`the plan ${planId} is not in the catalog as this test expects it`)
  const end = at + mark.length
  const issuer = '          tls: { issuers: { internal: { kind: ClusterIssuer, name: internal-ca } } }\n'
  await writeFile(broker.catalogFile, whole.slice(0, end) + issuer + whole.slice(end))
}

async function bound(t: ExecutionContext, platform: Platform, instanceId: string): Promise<JsonObject> {
  const bindingId = randomUUID()
  const begun = await platform.bind(instanceId, bindingId)
  const end = await platform.settleBinding(instanceId, bindingId, begun)
  t.true(end.status === 201 || end.body.state === 'succeeded', `${end.status} ${end.text.slice(0, 300)}`)
  return credentialsIn(await platform.fetchBinding(instanceId, bindingId))
}

for (const { title, serviceId, planId, use } of engines) {
  test(`${title}: an issuer of the plan makes certificates that applications can check`, async (t) => {
    t.timeout(240_000)
    const broker = await openBroker(t, { cluster })
    await offerTls(broker, planId)
    const platform = platformOf(broker, { serviceId, planId })
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
  const { serviceId, planId, use } = postgres
  const broker = await openBroker(t, { cluster })
  await offerTls(broker, planId)
  const platform = platformOf(broker, { serviceId, planId })
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
