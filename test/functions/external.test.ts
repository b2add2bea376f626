/** Databases for applications outside the cluster. */
import { randomUUID } from 'node:crypto'
import { createServer, connect as open } from 'node:net'
import { pipeline } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { createClient } from '@redis/client'
import test, { type ExecutionContext } from 'ava'
import { Client } from 'pg'
import { databaseName } from '../../shared/kubedb/records/names.ts'
import { openBroker } from '../support/broker.ts'
import { textAt, useCluster } from '../support/cluster.ts'
import { addressOf, phaseIs } from '../support/inventory.ts'
import { offerOf } from '../support/offers.ts'
import { credentialsIn, platformOf } from '../support/platform.ts'
import { setSwitches } from '../support/switches.ts'

/** The plan `small` of Redis. */
const redis = offerOf('redis', 'small')

const cluster = useCluster(test)
/** where no load balancer gets an address */
const waiting = useCluster(test)

/** Does what kube-proxy does on a node, which the sandbox has none of: leads a node port to the server. */
async function forward(t: ExecutionContext, port: number, to: string, inside = 5432): Promise<void> {
  const server = createServer((incoming) => {
    const outgoing = open({ host: to, port: inside })
    pipeline(incoming, outgoing, () => undefined)
    pipeline(outgoing, incoming, () => undefined)
  })
  await new Promise<void>((listening, failed) => {
    server.once('error', failed)
    server.listen({ host: '127.0.0.1', port }, listening)
  })
  t.teardown(() => server.close())
}

test('with NODE_HOST the credentials lead through a port of the nodes', async (t) => {
  const broker = await openBroker(t, {
    cluster,
    environment: { ADDRESSES: 'external', NODE_HOST: '127.0.0.1' },
  })
  const platform = platformOf(broker)
  const instanceId = await platform.instance()
  const bindingId = randomUUID()
  const credentials = credentialsIn(await platform.bind(instanceId, bindingId))
  t.is(credentials.host, '127.0.0.1')
  t.deepEqual(credentials.hosts, ['127.0.0.1'])
  const port = Number(credentials.port)
  t.true(port >= 30_000 && port <= 32_767, `${port}`)
  t.deepEqual(credentialsIn(await platform.fetchBinding(instanceId, bindingId)), credentials)

  const inside = addressOf(cluster, `${databaseName(instanceId, 40)}.${cluster.namespaces.databases}.svc`)
  t.truthy(inside)
  await forward(t, port, inside ?? '')
  const client = new Client({ connectionString: textAt(credentials, 'uri') })
  await client.connect()
  const { rows } = await client.query<{ user: string }>('SELECT current_user::text AS user')
  await client.end()
  t.is(rows.length, 1)
})

test('a binding that is made meanwhile has the address outside, too, when its polls have made it', async (t) => {
  const broker = await openBroker(t, {
    cluster,
    environment: { ADDRESSES: 'external', NODE_HOST: '127.0.0.1' },
  })
  const platform = platformOf(broker, redis)
  const instanceId = await platform.instance()
  const bindingId = randomUUID()
  const begun = await platform.bind(instanceId, bindingId)
  t.is(begun.status, 202, begun.text)
  t.is((await platform.settleBinding(instanceId, bindingId, begun)).body.state, 'succeeded')
  const credentials = credentialsIn(await platform.fetchBinding(instanceId, bindingId))
  t.is(credentials.host, '127.0.0.1')
  const inside = addressOf(cluster, `${databaseName(instanceId, 40)}.${cluster.namespaces.databases}.svc`)
  await forward(t, Number(credentials.port), inside ?? '', 6379)
  const client = createClient({ url: textAt(credentials, 'uri') })
  await client.connect()
  t.is(await client.set('a', 'b'), 'OK')
  client.destroy()
})

test('a provision waits for the address of its load balancer, and says so', async (t) => {
  const broker = await openBroker(t, { cluster: waiting, environment: { ADDRESSES: 'external' } })
  const platform = platformOf(broker)
  await setSwitches(waiting, { 'no-load-balancer': 'on' })
  const instanceId = randomUUID()
  const begun = await platform.provision(instanceId)
  await phaseIs(waiting, instanceId, 'Ready')
  const { body } = await platform.poll(instanceId, begun)
  t.is(body.state, 'in progress')
  t.regex(String(body.description), /is Ready; its load balancer has no address yet$/)
  t.is((await platform.bind(instanceId, randomUUID())).status, 422)
  t.is((await platform.provision(instanceId)).status, 202)

  await setSwitches(waiting, {})
  // Whoever asks again learns that it is there, without a poll.
  let again = await platform.provision(instanceId)
  for (let tries = 1; again.status === 202 && tries < 100; tries++) {
    await delay(100)
    again = await platform.provision(instanceId)
  }
  t.is(again.status, 200, again.text)
  t.is((await platform.settle(instanceId, begun)).body.state, 'succeeded')
  const { host } = credentialsIn(await platform.bind(instanceId, randomUUID()))
  t.regex(String(host), /^127\./)
})
