/** Kafka, a kind that the catalog offers only once an operator adds it, from provision to deprovision over HTTP. */
import { randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import { Kafka, logLevel } from 'kafkajs'
import { resolveServiceNames } from '../../sandbox/broker/names.ts'
import { databaseName } from '../../shared/kubedb/records/names.ts'
import type { JsonObject } from '../../shared/values/json.ts'
import { useBroker } from '../support/broker.ts'
import { catalogWith } from '../support/catalog-parts.ts'
import { at, textAt } from '../support/cluster.ts'
import { assertDeprovisioned, assertUnbound } from '../support/kind-life.ts'
import { offerOf } from '../support/offers.ts'
import { brief, credentialsIn, platformOf } from '../support/platform.ts'
import { runPrograms } from '../support/programs.ts'

const broker = useBroker(test)
const { cluster } = broker
test.before('names of Services resolve', () => resolveServiceNames(cluster.names))

const small = offerOf('kafka', 'small')
const large = offerOf('kafka', 'large-ha')
const traces = { plural: 'kafkas', also: ['services'] }

/** What an application makes of its credentials. */
const clientOf = (credentials: JsonObject) =>
  new Kafka({
    brokers: textAt(credentials, 'bootstrapServers').split(','),
    sasl: {
      mechanism: 'plain',
      username: textAt(credentials, 'username'),
      password: textAt(credentials, 'password'),
    },
    retry: { retries: 2 },
    logLevel: logLevel.NOTHING,
  })

async function publish(credentials: JsonObject, topic: string, value: string): Promise<void> {
  const producer = clientOf(credentials).producer()
  await producer.connect()
  await producer.send({ topic, messages: [{ value }] }).finally(() => producer.disconnect())
}

/** @returns the first so many messages of a topic */
async function read(credentials: JsonObject, topic: string, count: number): Promise<string[]> {
  const consumer = clientOf(credentials).consumer({ groupId: randomUUID() })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  const found: string[] = []
  await new Promise<void>((resolve, reject) => {
    consumer
      .run({
        eachMessage: async ({ message }) => {
          found.push(String(message.value))
          if (found.length === count) resolve()
        },
      })
      .catch(reject)
  })
  await consumer.disconnect()
  return found
}

/** @returns how a broker describes itself */
async function describe(credentials: JsonObject): Promise<number> {
  const admin = clientOf(credentials).admin()
  await admin.connect()
  return admin
    .describeCluster()
    .then(({ brokers }) => brokers.length)
    .finally(() => admin.disconnect())
}

/** Has KubeDB make another password. */
async function rotate(instanceId: string): Promise<void> {
  const path = cluster.databasesPath('kafkaopsrequests')
  const name = databaseName(instanceId, 40)
  await cluster.admin('POST', path, {
    apiVersion: 'ops.kubedb.com/v1alpha1',
    kind: 'KafkaOpsRequest',
    metadata: { name: 'rotate', namespace: cluster.namespaces.databases },
    spec: { databaseRef: { name }, type: 'RotateAuth' },
  })
  for (;;) {
    const phase = at((await cluster.admin('GET', `${path}/rotate`)).body, 'status', 'phase')
    if (phase === 'Successful') return
    if (phase === 'Failed') throw new Error('the password was not changed')
    await sleep(200)
  }
}

test.serial('Kafka is not offered until its part is in the catalog', async (t) => {
  const early = await platformOf(broker, small).provision(randomUUID())
  t.is(early.status, 400, brief(early))
  await writeFile(broker.catalogFile, catalogWith(['kafka.yaml']))
  t.true((await broker.get('/v2/catalog')).text.includes(small.serviceId))
})

test('a single node: provisioned, bound, used, changed, unbound, deprovisioned', async (t) => {
  const platform = platformOf(broker, small)
  const instanceId = await platform.instance()
  const [one, other] = [randomUUID(), randomUUID()]
  const bound = await platform.bind(instanceId, one, { asynchronous: false })
  t.is(bound.status, 201, brief(bound))
  const credentials = credentialsIn(bound)
  t.like(credentials, {
    type: 'kafka',
    port: 9092,
    securityProtocol: 'SASL_PLAINTEXT',
    saslMechanism: 'PLAIN',
    bootstrapServers: `${textAt(credentials, 'hosts', 0)}:9092`,
  })
  t.deepEqual(credentialsIn(await platform.bind(instanceId, other)), credentials)
  for (const role of ['readOnly', 'readWrite']) {
    const refused = await platform.bind(instanceId, randomUUID(), { parameters: { role } })
    t.is(refused.status, 400, brief(refused))
    t.regex(textAt(refused.body, 'description'), /role/)
  }
  await runPrograms(t, cluster, credentials, 'kafka', { js: 'kafkajs', python: 'confluent_kafka' })
  await publish(credentials, 'notes', 'first')
  await t.throwsAsync(describe({ ...credentials, password: 'wrong' }), { message: /Authentication failed/ })

  const wanted = { configuration: { 'message.max.bytes': 2048 }, memory: '2Gi', storage: '20Gi' }
  const changed = await platform.settle(instanceId, await platform.update(instanceId, wanted))
  t.is(changed.body.state, 'succeeded', brief(changed))
  await publish(credentials, 'notes', 'second')
  await t.throwsAsync(publish(credentials, 'notes', 'x'.repeat(4096)), undefined, 'the new limit holds')
  t.deepEqual(await read(credentials, 'notes', 2), ['first', 'second'], 'events outlive a restart')

  await rotate(instanceId)
  const now = credentialsIn(await platform.fetchBinding(instanceId, one))
  t.not(now.password, credentials.password)
  t.is(await describe(now), 1)
  await t.throwsAsync(describe(credentials), { message: /Authentication failed/ })

  for (const id of [one, other]) await assertUnbound(t, platform, instanceId, id)
  t.is((await platform.fetchBinding(instanceId, one)).status, 404)
  await assertDeprovisioned(t, broker, platform, instanceId, traces, [credentials, now])
})

test('brokers and controllers: bound by the names of the brokers, and given one more', async (t) => {
  const platform = platformOf(broker, large)
  const instanceId = await platform.instance()
  const name = databaseName(instanceId, 40)
  const brokers = (count: number) =>
    Array.from(
      { length: count },
      (_, index) => `${name}-broker-${index}.${name}-pods.${cluster.namespaces.databases}.svc`,
    )
  const bindingId = randomUUID()
  const credentials = credentialsIn(await platform.bind(instanceId, bindingId))
  t.deepEqual(credentials.hosts, brokers(3))
  await publish(credentials, 'notes', 'first')
  const grown = await platform.settle(instanceId, await platform.update(instanceId, { replicas: 4 }))
  t.is(grown.body.state, 'succeeded', brief(grown))
  t.deepEqual(credentialsIn(await platform.fetchBinding(instanceId, bindingId)).hosts, brokers(4))
  t.deepEqual(await read(credentials, 'notes', 1), ['first'])
  const smaller = await platform.update(instanceId, { storage: '1Gi' })
  t.is(smaller.status, 400, brief(smaller))
  await assertUnbound(t, platform, instanceId, bindingId)
  await assertDeprovisioned(t, broker, platform, instanceId, traces, [credentials])
})
