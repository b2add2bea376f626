/** Databases for applications outside the cluster. */
import { randomUUID } from 'node:crypto'
import { createServer, connect as open } from 'node:net'
import { pipeline } from 'node:stream'
import test, { type ExecutionContext } from 'ava'
import { Client } from 'pg'
import { databaseName } from '../../shared/kubedb/names.ts'
import { openBroker } from '../support/broker.ts'
import { textAt, useCluster } from '../support/cluster.ts'
import { addressOf } from '../support/inventory.ts'
import { credentialsIn, platformOf } from '../support/platform.ts'

const cluster = useCluster(test)

/** Does what kube-proxy does on a node, which the sandbox has none of: leads a node port to the server. */
async function forward(t: ExecutionContext, port: number, to: string): Promise<void> {
  const server = createServer((incoming) => {
    const outgoing = open({ host: to, port: 5432 })
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
