/**
 * The users of bindings inside Elasticsearch and OpenSearch, by the security API of whichever the server is. Import it
 * only where users are made or removed.
 */
import { randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Account, type Admin, Unreachable, type Users } from '../database.ts'
import { open, server } from './elasticsearch/client.ts'
import { openSearch } from './elasticsearch/open-search.ts'
import type { Security } from './elasticsearch/security.ts'
import { xPack } from './elasticsearch/x-pack.ts'
import type { HttpClient } from './http-client/client.ts'
import { failure, isConflict } from './http-client/failure.ts'
import { oneAfterTheOther } from './in-turn.ts'

/** Names that the broker gives; everything else in the server belongs to others. */
const ours = /^b[a-z2-7]{26}$/

/** Attempts at a write that others' writes make fail: all users of OpenSearch are one document. */
const attempts = 60
/** milliseconds */
const longestPause = 400

/**
 * Finds out what the server is. Calls on the result are carried out one after the other.
 *
 * @param admin the administrator; all work ends by `deadline` or when `signal` aborts
 * @param encrypted whether the server speaks https
 * @throws {Unreachable} when the server does not answer within five seconds
 */
export async function connect(admin: Admin, encrypted: boolean): Promise<Users> {
  const { client, product } = await open(admin, encrypted)
  const security = product === 'OpenSearch' ? openSearch(client) : xPack(client)
  const inTurn = oneAfterTheOther((error, doing) => failure(server, error, doing))
  const patiently = (attempt: () => Promise<void>) => untilNoConflict(client, admin.signal, attempt)

  return {
    list: () =>
      inTurn('list users', async () => (await security.users()).filter((name) => ours.test(name)).sort()),
    works: (account) => inTurn('check the user', () => works(security, account)),
    create: (account) =>
      inTurn('create the user', async () => {
        assertOurs(account.name)
        await patiently(() => security.prepare())
        await patiently(() => security.put(account))
      }),
    drop: (name) =>
      inTurn('drop the user', async () => {
        assertOurs(name)
        await patiently(() => security.drop(name))
      }),
    async close() {
      client.close()
    },
  }
}

/** A role that somebody changed is made right with the user. */
async function works(security: Security, account: Account): Promise<boolean> {
  const [user, roles] = await Promise.all([security.works(account), security.prepared()])
  return user && roles
}

async function untilNoConflict(
  client: HttpClient,
  signal: AbortSignal,
  attempt: () => Promise<void>,
): Promise<void> {
  for (let count = 1; ; count++) {
    try {
      return await attempt()
    } catch (error) {
      // Chance keeps two that collided from colliding again.
      const pause = randomInt(10, Math.min(longestPause, 40 * count))
      if (!isConflict(error) || count === attempts || pause > client.left) throw error
      await sleep(pause, undefined, { signal }).catch(() => {
        throw new Unreachable('the caller has gone away')
      })
    }
  }
}

function assertOurs(name: string): void {
  if (!ours.test(name)) {
    throw new Error(
      `"${name}" is not a user of this broker; its names are b and 26 characters of a-z and 2-7`,
    )
  }
}
