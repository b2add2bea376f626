/** The least that serves HTTP. */
import { createServer } from 'node:http'
import { variable } from './environment.ts'

process.on('SIGTERM', () => process.exit(0))
createServer((_, response) => response.end('{}')).listen(Number(variable('PORT')))
