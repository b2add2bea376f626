import { readFileSync } from 'node:fs'
import { Agent, get } from 'node:https'
import { text } from 'node:stream/consumers'
import { variable } from './environment.ts'

let agent: Agent | undefined

/** @returns name of the instance record, read from the API server */
export function readRecord(): Promise<string> {
  const directory = variable('SERVICE_ACCOUNT_DIRECTORY')
  agent ??= new Agent({ ca: readFileSync(`${directory}/ca.crt`), keepAlive: true })
  const options = {
    agent,
    host: variable('KUBERNETES_SERVICE_HOST'),
    port: variable('KUBERNETES_SERVICE_PORT'),
    path: variable('RECORD_PATH'),
    headers: { authorization: `Bearer ${readFileSync(`${directory}/token`, 'utf8')}` },
  }
  return new Promise((resolve, reject) => {
    get(options, (answer) => {
      text(answer).then((body) => resolve(String(JSON.parse(body).metadata.name)), reject)
    }).on('error', reject)
  })
}
