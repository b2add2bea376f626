/** Asks the API server once, and MySQL once. */
import { createServer } from 'node:http'
import { createConnection } from 'mysql2'
import { variable } from './environment.ts'
import { readRecord } from './record.ts'

process.on('SIGTERM', () => process.exit(0))
createServer(async (_, response) => {
  const name = await readRecord()
  const connection = createConnection({
    host: variable('ENGINE_HOST'),
    port: Number(variable('ENGINE_PORT')),
    user: variable('ENGINE_USER'),
    password: variable('ENGINE_PASSWORD'),
  })
  connection.query('SELECT 1', (error) => {
    if (error) throw error
    connection.end(() => response.end(name))
  })
}).listen(Number(variable('PORT')))
