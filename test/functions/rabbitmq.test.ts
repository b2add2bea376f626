/** RabbitMQ, a kind that the catalog offers only once an operator adds it, from provision to deprovision over HTTP. */
import { randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { type ChannelModel, connect } from 'amqplib'
import test from 'ava'
import { resolveServiceNames } from '../../sandbox/names.ts'
import { databaseName, hash26, instanceLabel } from '../../shared/kubedb/records/names.ts'
import type { JsonObject } from '../../shared/values/json.ts'
import { type OsbAnswer, useBroker } from '../support/broker.ts'
import { catalogWith } from '../support/catalog-parts.ts'
import { at, textAt } from '../support/cluster.ts'
import { offerOf } from '../support/offers.ts'
import { credentialsIn, platformOf } from '../support/platform.ts'
import { runPrograms } from '../support/programs.ts'

const broker = useBroker(test)
const { cluster } = broker
test.before('names of Services resolve', () => resolveServiceNames(cluster.names))

const small = offerOf('rabbitmq', 'small')

const brief = ({ status, text }: OsbAnswer) => `${status} ${text.slice(0, 300)}`

/** What an application does with nothing but the URI of its binding. */
async function using<T>(credentials: JsonObject, work: (client: ChannelModel) => Promise<T>): Promise<T> {
  const client = await connect(textAt(credentials, 'uri'))
  // what ends a connection is told by `close`
  client.on('error', () => undefined)
  try {
    return await work(client)
  } finally {
    await client.close().catch(() => undefined)
  }
}

/** Does something on a channel of its own, which a refusal would end. */
async function trying(
  client: ChannelModel,
  work: (channel: Awaited<ReturnType<ChannelModel['createConfirmChannel']>>) => Promise<unknown>,
): Promise<unknown> {
  const channel = await client.createConfirmChannel()
  channel.on('error', () => undefined)
  try {
    return await work(channel)
  } finally {
    await channel.close().catch(() => undefined)
  }
}

/** A message is confirmed, or the channel ends with the refusal. */
const publish = (client: ChannelModel, exchange: string, key: string, text: string) =>
  trying(
    client,
    (channel) =>
      new Promise((resolve, reject) => {
        channel.once('error', reject)
        channel.publish(exchange, key, Buffer.from(text), { persistent: true }, (error) =>
          error ? reject(error) : resolve('confirmed'),
        )
      }),
  )

const take = (client: ChannelModel, queue: string) =>
  trying(client, async (channel) => {
    const message = await channel.get(queue, { noAck: true })
    return message === false ? undefined : message.content.toString()
  })

const refused = { message: /ACCESS_REFUSED|403/ }

async function remaining(instanceId: string): Promise<unknown[]> {
  const label = `labelSelector=${instanceLabel}%3D${hash26(instanceId)}`
  const ofDatabase = `labelSelector=app.kubernetes.io%2Finstance%3D${databaseName(instanceId, 40)}`
  const paths = [
    `${cluster.recordsPath()}?${label}`,
    `/apis/kubedb.com/v1alpha2/namespaces/${cluster.namespaces.databases}/rabbitmqs?${label}`,
    ...['pods', 'secrets', 'services', 'persistentvolumeclaims'].map(
      (one) => `${cluster.databasesPath(one)}?${ofDatabase}`,
    ),
  ]
  const found = await Promise.all(paths.map((path) => cluster.admin('GET', path)))
  return found.flatMap(({ body }) => at(body, 'items') ?? [])
}

test('RabbitMQ: provisioned, bound in every role, used, changed, unbound, deprovisioned', async (t) => {
  await writeFile(broker.catalogFile, catalogWith(['rabbitmq.yaml']))
  const platform = platformOf(broker, small)
  const instanceId = await platform.instance({ database: 'orders' })
  const ids = { owner: randomUUID(), readWrite: randomUUID(), readOnly: randomUUID() }
  const bound = async (id: string, role: string) => {
    const answer = await platform.bind(instanceId, id, { asynchronous: false, parameters: { role } })
    t.is(answer.status, 201, brief(answer))
    return credentialsIn(answer)
  }
  const owner = await bound(ids.owner, 'owner')
  const writer = await bound(ids.readWrite, 'readWrite')
  const reader = await bound(ids.readOnly, 'readOnly')
  t.like(owner, { type: 'rabbitmq', protocol: 'amqp', vhost: 'orders', port: 5672 })
  t.deepEqual(credentialsIn(await platform.fetchBinding(instanceId, ids.owner)), owner)
  t.is(
    (await platform.bind(instanceId, ids.owner, { asynchronous: false, parameters: { role: 'owner' } }))
      .status,
    200,
  )
  t.true((await remaining(instanceId)).length > 0)

  await runPrograms(t, cluster, owner, 'rabbitmq', { js: 'amqplib', python: 'pika' })

  await using(owner, async (client) => {
    await trying(client, async (channel) => {
      await channel.assertExchange('news', 'fanout', { durable: true })
      await channel.assertQueue('jobs', { durable: true })
    })
    t.is(await publish(client, '', 'jobs', 'first'), 'confirmed')
  })
  await using(writer, async (client) => {
    t.is(await take(client, 'jobs'), 'first')
    t.is(await publish(client, '', 'jobs', 'second'), 'confirmed')
    await t.throwsAsync(
      trying(client, (channel) => channel.assertQueue('another')),
      refused,
    )
    await t.throwsAsync(
      trying(client, (channel) => channel.deleteQueue('jobs')),
      refused,
    )
  })
  await using(reader, async (client) => {
    await t.throwsAsync(publish(client, '', 'jobs', 'third'), refused)
    await trying(client, async (channel) => {
      const { queue } = await channel.assertQueue('', { exclusive: true })
      await channel.bindQueue(queue, 'news', '')
      await using(writer, (other) => publish(other, 'news', '', 'told to all'))
      t.is(await take(client, queue), 'told to all')
    })
  })
  const elsewhere = `${textAt(owner, 'uri').replace(/[^/]*$/, '')}%2F`
  await t.throwsAsync(connect(elsewhere), undefined, 'the virtual host that is not theirs')

  const wanted = { configuration: { max_message_size: 65536 }, memory: '2Gi', storage: '20Gi' }
  const changed = await platform.settle(instanceId, await platform.update(instanceId, wanted))
  t.is(changed.body.state, 'succeeded', brief(changed))
  const early = await platform.update(instanceId, { tls: 'main' })
  t.is(early.status, 400, brief(early))

  const ended = await using(reader, async (client) => {
    t.is(await take(client, 'jobs'), 'second', 'messages outlive a restart')
    const close = new Promise<string>((resolve) => client.once('close', (error) => resolve(String(error))))
    // Many of them: some end by themselves while the broker has them ended.
    const others = await Promise.all(Array.from({ length: 40 }, () => connect(textAt(reader, 'uri'))))
    const closed = others.map(
      (other) => new Promise<string>((resolve) => other.once('close', (error) => resolve(String(error)))),
    )
    for (const other of others) other.on('error', () => undefined)
    const parting = await platform.unbind(instanceId, ids.readOnly, { asynchronous: false })
    t.is(parting.status, 200, brief(parting))
    for (const reason of await Promise.all(closed)) t.regex(reason, /CONNECTION.FORCED/)
    return close
  })
  t.regex(ended, /CONNECTION.FORCED/, 'an open connection is of no use to a binding that is gone')
  await t.throwsAsync(connect(textAt(reader, 'uri')), { message: /403/ })
  await using(writer, async (client) => {
    await t.throwsAsync(publish(client, '', 'jobs', 'x'.repeat(65537)), undefined, 'the new limit holds')
  })

  for (const id of [ids.owner, ids.readWrite])
    t.is((await platform.unbind(instanceId, id, { asynchronous: false })).status, 200)
  t.is((await platform.unbind(instanceId, ids.owner, { asynchronous: false })).status, 410)
  const end = await platform.settle(instanceId, await platform.deprovision(instanceId))
  t.is(end.status, 410, brief(end))
  t.deepEqual(await remaining(instanceId), [])
  for (const { password } of [owner, writer, reader])
    t.false(broker.lines.some((line) => line.includes(String(password))))
})
