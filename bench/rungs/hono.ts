/** The same as a web application. */
import { createServer } from 'node:http'
import { Hono } from 'hono'
import { listener } from '../../shared/http/listener.ts'
import { variable } from './environment.ts'
import { readRecord } from './record.ts'

process.on('SIGTERM', () => process.exit(0))
const app = new Hono()
app.use(async (c) => c.json({ name: await readRecord() }))
const refusals = {
  malformed: () => ({ status: 400, body: {} }),
  failed: () => ({ status: 500, body: {} }),
}
createServer(listener(app, refusals)).listen(Number(variable('PORT')))
