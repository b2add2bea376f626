/**
 * The users of bindings inside RabbitMQ, by the API of its management plugin, which KubeDB publishes at a Service of its
 * own. Import it only where users are made or removed.
 */
import { setTimeout as delay } from 'node:timers/promises'
import * as v from 'valibot'
import type { Account, Admin, Users } from '../database.ts'
import { HttpClient } from './http-client/client.ts'
import { failure, Refusal, unreachable } from './http-client/failure.ts'
import { oneAfterTheOther } from './in-turn.ts'
import { algorithm, hashOf, isHashOf, permissionsOf, samePermissions } from './rabbitmq/account.ts'

/** Names that the broker gives; everything else in the server belongs to others. */
const ours = /^b[a-z2-7]{26}$(?!\n)/

/** What it is called in sentences. */
const server = "RabbitMQ's management"
const managementPort = 15672

/** milliseconds */
const connectTimeout = 5000

const Named = v.looseObject({ name: v.string() })
const User = v.looseObject({
  password_hash: v.string(),
  hashing_algorithm: v.optional(v.string(), ''),
  // older releases separate them by commas
  tags: v.union([v.array(v.string()), v.string()]),
})
const Permissions = v.array(
  v.looseObject({ vhost: v.string(), configure: v.string(), write: v.string(), read: v.string() }),
)

/** Answers to writes have no body that says anything. */
const anything = v.unknown()

/**
 * Asks who the administrator is, within five seconds. Calls on the result are carried out one after the other.
 *
 * @param admin whose user has the tag `administrator`; all work ends by `deadline` or when `signal` aborts
 * @throws {Unreachable} when the server does not answer, or does not know the password
 */
export async function connect(admin: Admin): Promise<Users> {
  const host = `${admin.name}-dashboard.${admin.namespace}.svc`
  const client = new HttpClient(admin, { server, host, port: managementPort, encrypted: false })
  try {
    await client.ask(Named, 'GET', '/api/whoami', { timeout: connectTimeout })
  } catch (error) {
    client.close()
    throw unreachable(server, error, { username: admin.username, host })
  }
  const inTurn = oneAfterTheOther((error, doing) => failure(server, error, doing))
  const { database } = admin
  return {
    list: () => inTurn('list users', () => list(client)),
    works: (account) => inTurn('check the user', () => works(client, database, account)),
    create: (account) => inTurn('create the user', () => create(client, database, account)),
    drop: (name) => inTurn('drop the user', () => drop(client, name)),
    async close() {
      client.close()
    },
  }
}

const part = (name: string) => encodeURIComponent(name)

async function list(client: HttpClient): Promise<string[]> {
  const users = await client.ask(v.array(Named), 'GET', '/api/users?columns=name')
  return users
    .map(({ name }) => name)
    .filter((name) => ours.test(name))
    .sort()
}

async function works(client: HttpClient, vhost: string, account: Account): Promise<boolean> {
  const path = `/api/users/${part(account.name)}`
  const user = await client.find(User, 'GET', path)
  if (user === undefined || user.tags.length > 0) return false
  if (user.hashing_algorithm !== algorithm || !isHashOf(account.password, user.password_hash)) return false
  const permissions = await client.find(Permissions, 'GET', `${path}/permissions`)
  const [only, ...others] = permissions ?? []
  return only?.vhost === vhost && others.length === 0 && samePermissions(only, permissionsOf(account.role))
}

/** The user first can do nothing, then what its role may. */
async function create(client: HttpClient, vhost: string, account: Account): Promise<void> {
  assertOurs(account.name)
  if (await works(client, vhost, account)) return
  const { name, password, role } = account
  // To make it again would take its description and tags away.
  if ((await client.find(Named, 'GET', `/api/vhosts/${part(vhost)}`)) === undefined) {
    await client.ask(anything, 'PUT', `/api/vhosts/${part(vhost)}`, { body: {} })
  }
  await client.ask(anything, 'PUT', `/api/users/${part(name)}`, {
    body: { password_hash: hashOf(password), hashing_algorithm: algorithm, tags: '' },
  })
  const others = await client.ask(Permissions, 'GET', `/api/users/${part(name)}/permissions`)
  for (const other of others.filter((one) => one.vhost !== vhost)) {
    await client.find(anything, 'DELETE', `/api/permissions/${part(other.vhost)}/${part(name)}`)
  }
  await client.ask(anything, 'PUT', `/api/permissions/${part(vhost)}/${part(name)}`, {
    body: { ...permissionsOf(role) },
  })
}

/** RabbitMQ ends the connections that it knows when the user goes; one that was being made just then is ended after. */
async function drop(client: HttpClient, name: string): Promise<void> {
  assertOurs(name)
  await client.find(anything, 'DELETE', `/api/users/${part(name)}`)
  for (let tries = 1; ; tries++) {
    try {
      await client.find(anything, 'DELETE', `/api/connections/username/${part(name)}`)
      return
    } catch (error) {
      // One of them has ended by itself just when it was to be ended. Soon none is left of those.
      if (tries === 10 || !(error instanceof Refusal && error.status === 500)) throw error
      await delay(100)
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
