/** MongoDB from provision to deprovision, over HTTP: on its own, as replica set and sharded. */
import { randomUUID } from 'node:crypto'
import test, { type ExecutionContext } from 'ava'
import { MongoClient } from 'mongodb'
import { resolveServiceNames } from '../../sandbox/names.ts'
import { databaseName, hash26, instanceLabel } from '../../shared/kubedb/records/names.ts'
import type { JsonObject } from '../../shared/values/json.ts'
import { outcome } from '../cluster/mongodb-server.ts'
import { type OsbAnswer, openBroker, useBroker } from '../support/broker.ts'
import { at, textAt } from '../support/cluster.ts'
import { offerOf } from '../support/offers.ts'
import { credentialsIn, type Platform, platformOf } from '../support/platform.ts'
import { runPrograms } from '../support/programs.ts'

const broker = useBroker(test)
const { cluster } = broker
test.before('names of Services resolve', () => resolveServiceNames(cluster.names))

const denied = 13
const wrongPassword = 18

const brief = ({ status, text }: OsbAnswer) => `${status} ${text.slice(0, 300)}`

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

async function bound(
  t: ExecutionContext,
  platform: Platform,
  instanceId: string,
  bindingId: string,
  role: string,
): Promise<JsonObject> {
  const answer = await platform.bind(instanceId, bindingId, { asynchronous: false, parameters: { role } })
  t.is(answer.status, 201, brief(answer))
  return credentialsIn(answer)
}

async function remaining(instanceId: string): Promise<unknown[]> {
  const label = `labelSelector=${instanceLabel}%3D${hash26(instanceId)}`
  const ofDatabase = `labelSelector=app.kubernetes.io%2Finstance%3D${databaseName(instanceId, 40)}`
  const paths = [
    `${cluster.recordsPath()}?${label}`,
    `${cluster.databasesPath('mongodbs')}?${label}`,
    ...['pods', 'secrets', 'persistentvolumeclaims'].map(
      (one) => `${cluster.databasesPath(one)}?${ofDatabase}`,
    ),
  ]
  const found = await Promise.all(paths.map((path) => cluster.admin('GET', path)))
  return found.flatMap(({ body }) => at(body, 'items') ?? [])
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
      const parting = await platform.unbind(instanceId, reading, { asynchronous: false })
      t.is(parting.status, 200, brief(parting))
      t.is(await outcome(notes.findOne()), denied)
    })
    t.is(await using(reader, (client) => outcome(client.db().collection('notes').findOne())), wrongPassword)
    t.is((await platform.fetchBinding(instanceId, reading)).status, 404)
    t.is(await using(owner, (client) => client.db().collection('notes').countDocuments()), 1)

    const end = await platform.settle(instanceId, await platform.deprovision(instanceId))
    t.is(end.status, 410, brief(end))
    t.deepEqual(await remaining(instanceId), [])
    await t.throwsAsync(using(owner, (client) => client.db().collection('notes').findOne()))
    for (const credentials of [owner, reader]) {
      const secret = textAt(credentials, 'password')
      t.false(broker.lines.some((line) => line.includes(secret)))
    }
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
