/** Asks the API server once for every request. */
import { createServer } from 'node:http'
import { variable } from './environment.ts'
import { readRecord } from './record.ts'

process.on('SIGTERM', () => process.exit(0))
createServer(async (_, response) => {
  response.end(await readRecord())
}).listen(Number(variable('PORT')))
