/** Redis as applications use it: from nothing but the credentials of a binding. */
import { createClient, createCluster } from '@redis/client'
import type { JsonObject } from '../../shared/values/json.ts'
import { type TestCluster, textAt } from './cluster.ts'
import { addressOf } from './inventory.ts'

/** The `uri` of a binding, with the name in it replaced by what it stands for. */
function uriOf(cluster: TestCluster, credentials: JsonObject): string {
  const uri = new URL(textAt(credentials, 'uri'))
  uri.hostname = addressOf(cluster, uri.hostname) ?? uri.hostname
  return uri.href
}

export type RedisConnection = Awaited<ReturnType<typeof openRedis>>

/** @throws in the server's words when it does not let the user in */
export async function openRedis(cluster: TestCluster, credentials: JsonObject) {
  const client = createClient({
    url: uriOf(cluster, credentials),
    socket: { reconnectStrategy: false, connectTimeout: 5000 },
  })
  client.on('error', () => undefined)
  await client.connect()
  return client
}

/** A client of a cluster, which finds its way by what the servers announce. */
export async function openRedisCluster(cluster: TestCluster, credentials: JsonObject) {
  const client = createCluster({
    rootNodes: [{ url: uriOf(cluster, credentials) }],
    defaults: { username: textAt(credentials, 'username'), password: textAt(credentials, 'password') },
  })
  client.on('error', () => undefined)
  await client.connect()
  return client
}

/** @returns what the server answers, or the first word of its refusal */
export async function tellRedis(client: RedisConnection, command: string): Promise<unknown> {
  try {
    return await client.sendCommand(command.split(' '))
  } catch (error) {
    return error instanceof Error ? error.message.split(' ')[0] : String(error)
  }
}

/** @returns whether the server lets the credentials in */
export async function opensRedis(cluster: TestCluster, credentials: JsonObject): Promise<boolean> {
  try {
    ;(await openRedis(cluster, credentials)).destroy()
    return true
  } catch (error) {
    if (error instanceof Error && /WRONGPASS|ECONNREFUSED|ENOTFOUND/.test(error.message)) return false
    throw error
  }
}
