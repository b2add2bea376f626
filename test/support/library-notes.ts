/** The places for notes that the applications of the libraries write and read: made by an owner, past all libraries. */
import { Client as SearchClient } from '@opensearch-project/opensearch'
import { createClient, createCluster } from '@redis/client'
import { connect } from 'amqplib'
import { MongoClient } from 'mongodb'
import { createConnection } from 'mysql2/promise'
import { Client } from 'pg'
import type { JsonObject } from '../../shared/values/json.ts'
import { textAt } from './cluster.ts'

/** Makes tables, queues and the like; where there is a text, it is written there too. */
export type Prepare = (
  credentials: JsonObject,
  notes: readonly { name: string; text?: string }[],
) => Promise<void>

const caOf = ({ rootCert }: JsonObject): string | undefined =>
  typeof rootCert === 'string' ? rootCert : undefined

/** @returns the options that drivers of SQL databases call the same */
const loginOf = (credentials: JsonObject) => ({
  host: textAt(credentials, 'host'),
  port: Number(credentials.port),
  user: textAt(credentials, 'username'),
  password: textAt(credentials, 'password'),
  database: textAt(credentials, 'database'),
})

const create = (name: string) => `CREATE TABLE ${name} (line VARCHAR(40) PRIMARY KEY)`
const insert = (name: string, text: string) => `INSERT INTO ${name} VALUES ('${text}')`

export const preparations = {
  async postgresql(credentials, notes) {
    const ca = caOf(credentials)
    const client = new Client({ ...loginOf(credentials), ssl: ca === undefined ? false : { ca } })
    await client.connect()
    for (const { name, text } of notes) {
      await client.query(create(name))
      if (text !== undefined) await client.query(insert(name, text))
    }
    await client.end()
  },

  async mysql(credentials, notes) {
    const ca = caOf(credentials)
    const client = await createConnection({
      ...loginOf(credentials),
      ...(ca === undefined ? {} : { ssl: { ca } }),
    })
    for (const { name, text } of notes) {
      await client.query(create(name))
      if (text !== undefined) await client.query(insert(name, text))
    }
    await client.end()
  },

  async mongodb(credentials, notes) {
    const ca = caOf(credentials)
    const client = new MongoClient(textAt(credentials, 'uri'), ca === undefined ? {} : { ca })
    for (const { name, text } of notes)
      if (text !== undefined) await client.db().collection(name).insertOne({ line: text })
    await client.close()
  },

  async redis(credentials, notes) {
    const url = textAt(credentials, 'uri')
    const ca = caOf(credentials)
    const [username, password] = [textAt(credentials, 'username'), textAt(credentials, 'password')]
    const socket = ca === undefined ? {} : { tls: true as const, ca }
    const client = credentials.cluster
      ? createCluster({ rootNodes: [{ url }], defaults: { username, password, socket } })
      : createClient({ url, socket })
    client.on('error', () => undefined)
    await client.connect()
    for (const { name, text } of notes) if (text !== undefined) await client.set(name, text)
    await client.close()
  },

  async rabbitmq(credentials, notes) {
    const client = await connect(textAt(credentials, 'uri'))
    const channel = await client.createConfirmChannel()
    for (const { name, text } of notes) {
      await channel.assertQueue(name)
      if (text !== undefined) channel.sendToQueue(name, Buffer.from(text), { contentType: 'text/plain' })
    }
    await channel.waitForConfirms()
    await client.close()
  },

  // Whoever writes makes the topic.
  async kafka() {},

  async elasticsearch(credentials, notes) {
    const client = new SearchClient({
      node: textAt(credentials, 'uri'),
      ssl: { ca: textAt(credentials, 'rootCert') },
    })
    for (const { name, text } of notes)
      if (text !== undefined) await client.index({ index: name, id: '1', body: { line: text } })
    await client.close()
  },
} satisfies Record<string, Prepare>
