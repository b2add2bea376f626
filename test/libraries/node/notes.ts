/** What applications in JavaScript do with what a page's program has opened: write a note and read it. */
import type { Client as ElasticsearchClient } from '@elastic/elasticsearch'
import type { Client as OpenSearchClient } from '@opensearch-project/opensearch'
import type { RedisClientType, RedisClusterType } from '@redis/client'
import type { ChannelModel } from 'amqplib'
import type { Kafka } from 'kafkajs'
import type { Db, MongoClient } from 'mongodb'
import type { Connection, RowDataPacket } from 'mysql2/promise'
import type { Client as PostgresClient } from 'pg'

const text = 'from JavaScript'

/** What the program of a page leaves. */
interface Opened<Client> {
  client: Client
}

/** Whether to write, and the name of the table, key, queue, topic or index. */
interface Wish {
  writes: boolean
  note: string
}

async function postgresql({ client }: Opened<PostgresClient>, { writes, note }: Wish): Promise<unknown> {
  await client.connect()
  if (writes) await client.query(`INSERT INTO ${note} VALUES ($1)`, [text])
  const { rows } = await client.query(`SELECT line FROM ${note}`)
  await client.end()
  return rows[0].line
}

async function mysql({ client }: Opened<Connection>, { writes, note }: Wish): Promise<unknown> {
  if (writes) await client.query(`INSERT INTO ${note} VALUES (?)`, [text])
  const [rows] = await client.query<RowDataPacket[]>(`SELECT line FROM ${note}`)
  await client.end()
  return rows[0]?.line
}

async function mongodb(
  { client, database }: Opened<MongoClient> & { database: Db },
  { writes, note }: Wish,
): Promise<unknown> {
  const notes = database.collection(note)
  if (writes) await notes.insertOne({ line: text })
  const found = await notes.findOne({})
  await client.close()
  return found?.line
}

async function redis(
  { client }: Opened<RedisClientType | RedisClusterType>,
  { writes, note }: Wish,
): Promise<unknown> {
  client.on('error', () => undefined)
  await client.connect()
  if (writes) await client.set(note, text)
  const found = await client.get(note)
  await client.close()
  return found
}

async function rabbitmq({ client }: Opened<ChannelModel>, { writes, note }: Wish): Promise<unknown> {
  const channel = await client.createConfirmChannel()
  if (writes) {
    channel.sendToQueue(note, Buffer.from(text))
    await channel.waitForConfirms()
  }
  const message = await channel.get(note, { noAck: true })
  await client.close()
  return message ? message.content.toString() : undefined
}

async function kafka({ client }: Opened<Kafka>, { writes, note }: Wish): Promise<unknown> {
  if (writes) {
    const producer = client.producer()
    await producer.connect()
    await producer.send({ topic: note, messages: [{ value: text }] })
    await producer.disconnect()
  }
  const consumer = client.consumer({ groupId: note })
  await consumer.connect()
  await consumer.subscribe({ topic: note, fromBeginning: true })
  const found = await new Promise((resolve) => {
    consumer.run({ eachMessage: async ({ message }) => resolve(message.value?.toString()) })
  })
  await consumer.disconnect()
  return found
}

async function elasticsearch(
  { client }: Opened<ElasticsearchClient>,
  { writes, note }: Wish,
): Promise<unknown> {
  if (writes) await client.index({ index: note, id: '1', document: { line: text } })
  const found = await client.get<{ line: string }>({ index: note, id: '1' })
  await client.close()
  return found._source?.line
}

async function opensearch({ client }: Opened<OpenSearchClient>, { writes, note }: Wish): Promise<unknown> {
  if (writes) await client.index({ index: note, id: '1', body: { line: text } })
  const { body } = await client.get({ index: note, id: '1' })
  await client.close()
  return body._source?.line
}

/** By what a row calls its client. */
export const uses = { postgresql, mysql, mongodb, redis, rabbitmq, kafka, elasticsearch, opensearch }
