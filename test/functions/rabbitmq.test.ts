/** RabbitMQ, a kind that the catalog offers only once an operator adds it, from provision to deprovision over HTTP. */
import { randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { type ChannelModel, connect } from 'amqplib'
import test from 'ava'
import { resolveServiceNames } from '../../sandbox/broker/names.ts'
import type { JsonObject } from '../../shared/values/json.ts'
import { useBroker } from '../support/broker.ts'
import { catalogWith } from '../support/catalog-parts.ts'
import { textAt } from '../support/cluster.ts'
import { assertDeprovisioned, assertUnbound, bound, remaining } from '../support/kind-life.ts'
import { offerOf } from '../support/offers.ts'
import { brief, credentialsIn, platformOf } from '../support/platform.ts'
import { runPrograms } from '../support/programs.ts'

const broker = useBroker(test)
const { cluster } = broker
test.before('names of Services resolve', () => resolveServiceNames(cluster.names))

const small = offerOf('rabbitmq', 'small')
const traces = { plural: 'rabbitmqs', also: ['services'] }

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

test('RabbitMQ: provisioned, bound in every role, used, changed, unbound, deprovisioned', async (t) => {
  await writeFile(broker.catalogFile, catalogWith(['rabbitmq.yaml']))
  const platform = platformOf(broker, small)
  const instanceId = await platform.instance({ database: 'orders' })
  const ids = { owner: randomUUID(), readWrite: randomUUID(), readOnly: randomUUID() }
  const owner = await bound(t, platform, instanceId, ids.owner, 'owner')
  const writer = await bound(t, platform, instanceId, ids.readWrite, 'readWrite')
  const reader = await bound(t, platform, instanceId, ids.readOnly, 'readOnly')
  t.like(owner, { type: 'rabbitmq', protocol: 'amqp', vhost: 'orders', port: 5672 })
  t.deepEqual(credentialsIn(await platform.fetchBinding(instanceId, ids.owner)), owner)
  t.is(
    (await platform.bind(instanceId, ids.owner, { asynchronous: false, parameters: { role: 'owner' } }))
      .status,
    200,
  )
  t.true((await remaining(cluster, instanceId, traces)).length > 0)

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
    await assertUnbound(t, platform, instanceId, ids.readOnly)
    for (const reason of await Promise.all(closed)) t.regex(reason, /CONNECTION.FORCED/)
    return close
  })
  t.regex(ended, /CONNECTION.FORCED/, 'an open connection is of no use to a binding that is gone')
  await t.throwsAsync(connect(textAt(reader, 'uri')), { message: /403/ })
  await using(writer, async (client) => {
    await t.throwsAsync(publish(client, '', 'jobs', 'x'.repeat(65537)), undefined, 'the new limit holds')
  })

  for (const id of [ids.owner, ids.readWrite]) await assertUnbound(t, platform, instanceId, id)
  t.is((await platform.unbind(instanceId, ids.owner, { asynchronous: false })).status, 410)
  await assertDeprovisioned(t, broker, platform, instanceId, traces, [owner, writer, reader])
})
