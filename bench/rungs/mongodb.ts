/** Asks the API server once, and MongoDB once. */
import { createServer } from 'node:http'
import { MongoClient } from 'mongodb'
import { variable } from './environment.ts'
import { readRecord } from './record.ts'

process.on('SIGTERM', () => process.exit(0))
createServer(async (_, response) => {
  const name = await readRecord()
  const address = `mongodb://${variable('ENGINE_HOST')}:${variable('ENGINE_PORT')}/?directConnection=true`
  const client = new MongoClient(address, {
    auth: { username: variable('ENGINE_USER'), password: variable('ENGINE_PASSWORD') },
    authSource: 'admin',
    maxPoolSize: 1,
  })
  await client.connect()
  await client.db('admin').command({ ping: 1 })
  await client.close()
  response.end(name)
}).listen(Number(variable('PORT')))
