/** Asks the API server once, and PostgreSQL once. */
import { createServer } from 'node:http'
import { Client } from 'pg'
import { variable } from './environment.ts'
import { readRecord } from './record.ts'

process.on('SIGTERM', () => process.exit(0))
createServer(async (_, response) => {
  const name = await readRecord()
  const client = new Client({
    host: variable('ENGINE_HOST'),
    port: Number(variable('ENGINE_PORT')),
    user: variable('ENGINE_USER'),
    password: variable('ENGINE_PASSWORD'),
    database: 'postgres',
  })
  await client.connect()
  await client.query('SELECT 1')
  await client.end()
  response.end(name)
}).listen(Number(variable('PORT')))
