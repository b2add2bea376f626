import { type Connection, createConnection } from 'mysql2/promise'
import type { JsonObject } from '../../shared/values/json.ts'
import { textAt } from './cluster.ts'

/** What an application does on MySQL's protocol with nothing but the URI of its binding. */
export async function usingMySql<T>(
  credentials: JsonObject,
  work: (client: Connection) => Promise<T>,
): Promise<T> {
  const client = await createConnection(textAt(credentials, 'uri'))
  // a session that is ended is told by its next statement
  client.on('error', () => undefined)
  try {
    return await work(client)
  } finally {
    client.destroy()
  }
}
