/** MongoDB from provision to deprovision, over HTTP: on its own, as replica set and sharded. */
import { randomUUID } from 'node:crypto'
import test from 'ava'
import { MongoClient } from 'mongodb'
import { resolveServiceNames } from '../../sandbox/broker/names.ts'
import type { JsonObject } from '../../shared/values/json.ts'
import { outcome } from '../cluster/mongodb-server.ts'
import { openBroker, useBroker } from '../support/broker.ts'
import { at, textAt } from '../support/cluster.ts'
import { assertDeprovisioned, assertUnbound, bound } from '../support/kind-life.ts'
import { offerOf } from '../support/offers.ts'
import { credentialsIn, platformOf } from '../support/platform.ts'
import { runPrograms } from '../support/programs.ts'

const broker = useBroker(test)
const { cluster } = broker
test.before('names of Services resolve', () => resolveServiceNames(cluster.names))

const denied = 13
const wrongPassword = 18

/** What an application does with nothing but the URI of its binding. */
async function using<T>(credentials: JsonObject, work: (client: MongoClient) => Promise<T>): Promise<T> {
  const ca = at(credentials, 'rootCert')
  const client = new MongoClient(textAt(credentials, 'uri'), {
    serverSelectionTimeoutMS: 3000,
    ...(typeof ca === 'string' ? { ca } : {}),
  })
  try {
    return await work(client)
  } finally {
    await client.close()
  }
}

for (const plan of ['small', 'demo-mongodb-cluster', 'large-sharded']) {
  test(`${plan}: provisioned, bound, used, unbound, deprovisioned`, async (t) => {
    const platform = platformOf(broker, offerOf('mongodb', plan))
    const instanceId = await platform.instance()
    const [writing, reading] = [randomUUID(), randomUUID()]
    const owner = await bound(t, platform, instanceId, writing, 'owner')
    const reader = await bound(t, platform, instanceId, reading, 'readOnly')
    t.deepEqual(credentialsIn(await platform.fetchBinding(instanceId, writing)), owner)
    t.deepEqual(
      credentialsIn(await platform.bind(instanceId, writing, { parameters: { role: 'owner' } })),
      owner,
    )

    await using(owner, (client) => client.db().collection('notes').insertOne({ line: 'first' }))
    await using(reader, async (client) => {
      const notes = client.db().collection('notes')
      t.is((await notes.findOne())?.line, 'first')
      t.is(await outcome(notes.insertOne({ line: 'second' })), denied)
      // an open connection is of no use to a binding that is gone
      await assertUnbound(t, platform, instanceId, reading)
      t.is(await outcome(notes.findOne()), denied)
    })
    t.is(await using(reader, (client) => outcome(client.db().collection('notes').findOne())), wrongPassword)
    t.is((await platform.fetchBinding(instanceId, reading)).status, 404)
    t.is(await using(owner, (client) => client.db().collection('notes').countDocuments()), 1)

    await assertDeprovisioned(t, broker, platform, instanceId, { plural: 'mongodbs' }, [owner, reader])
    await t.throwsAsync(using(owner, (client) => client.db().collection('notes').findOne()))
  })
}

test('the programs in the docs work with nothing but the credentials', async (t) => {
  const outside = await openBroker(t, { cluster, environment: { ADDRESSES: 'external' } })
  const platform = platformOf(outside, offerOf('mongodb', 'small'))
  const instanceId = await platform.instance()
  const credentials = await bound(t, platform, instanceId, randomUUID(), 'readWrite')
  await runPrograms(t, cluster, credentials, 'mongodb', { js: 'mongodb', python: 'pymongo' })
  await platform.settle(instanceId, await platform.deprovision(instanceId))
})
