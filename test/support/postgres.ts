import { Client, type ClientConfig } from 'pg'

/** @returns the rows of one statement, over a connection of its own */
export async function rowsOf(config: ClientConfig, statement: string): Promise<Record<string, unknown>[]> {
  const client = new Client(config)
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(statement)).rows
  } finally {
    await client.end()
  }
}
