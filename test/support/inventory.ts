/** What there really is of a service instance: in the cluster, and inside its PostgreSQL server. */
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { Client } from 'pg'
import * as v from 'valibot'
import { BindingInfo } from '../../shared/kubedb/records/binding-record.ts'
import { InstanceOperation } from '../../shared/kubedb/records/instance-record.ts'
import {
  annotations,
  databaseName,
  hash26,
  instanceLabel,
  recordTypes,
} from '../../shared/kubedb/records/names.ts'
import { type JsonObject, JsonObject as JsonObjectSchema } from '../../shared/values/json.ts'
import { at, type TestCluster, textAt } from './cluster.ts'

export interface Inventory {
  /** users that can log in, read before anything else */
  logins: string[]
  /** all users of bindings, those locked out included */
  users: string[]
  bindings: BindingInfo[]
  /** of the instance record; undefined where there is none */
  operation: InstanceOperation | undefined
  /** UIDs */
  databases: string[]
  /** names of OpsRequests that have not ended */
  opsRequests: string[]
  /** pods, disks and the administrator's Secret */
  offshoots: string[]
}

/** A thing that somebody should have removed. */
export function isEmpty(inventory: Inventory): boolean {
  const { operation, logins, users, bindings, databases, opsRequests, offshoots } = inventory
  return (
    operation === undefined &&
    [logins, users, bindings, databases, opsRequests, offshoots].every((list) => list.length === 0)
  )
}

/** Users first, then the records: a user made in between has its record already. */
export async function inventoryOf(cluster: TestCluster, instanceId: string): Promise<Inventory> {
  const { logins, users } = await usersOf(cluster, instanceId)
  const label = `labelSelector=${instanceLabel}%3D${hash26(instanceId)}`
  const records = await list(cluster, `${cluster.recordsPath()}?${label}`)
  const instance = records.find((record) => at(record, 'spec', 'type') === recordTypes.instance)
  const bindings = bindingsIn(records)
  const databases = await list(cluster, `${cluster.databasesPath('postgreses')}?${label}`)
  const requests = await list(cluster, `${cluster.databasesPath('postgresopsrequests')}?${label}`)
  const ofDatabase = `labelSelector=app.kubernetes.io%2Finstance%3D${databaseName(instanceId, 40)}`
  const offshoots = await Promise.all(
    ['pods', 'persistentvolumeclaims', 'secrets'].map((plural) =>
      list(cluster, `${cluster.databasesPath(plural)}?${ofDatabase}`),
    ),
  )
  return {
    logins,
    users,
    bindings,
    operation: instance && v.parse(InstanceOperation, annotation(instance, annotations.operation)),
    databases: databases.map((database) => textAt(database, 'metadata', 'uid')),
    opsRequests: requests
      .filter(
        (request) => !['Successful', 'Failed', 'Skipped'].includes(String(at(request, 'status', 'phase'))),
      )
      .map((request) => textAt(request, 'metadata', 'name')),
    offshoots: offshoots.flat().map((one) => textAt(one, 'metadata', 'name')),
  }
}

/** @returns what the records say of the bindings of an instance */
export async function bindingsOf(cluster: TestCluster, instanceId: string): Promise<BindingInfo[]> {
  const label = `labelSelector=${instanceLabel}%3D${hash26(instanceId)}`
  return bindingsIn(await list(cluster, `${cluster.recordsPath()}?${label}`))
}

const bindingsIn = (records: readonly JsonObject[]): BindingInfo[] =>
  records
    .filter((record) => at(record, 'spec', 'type') === recordTypes.binding)
    .map((record) => v.parse(BindingInfo, annotation(record, annotations.binding)))

/**
 * @returns users that can log in and have no record. Looked at twice: one that was about to be removed at the first
 *   look may have lost its record by then, and is gone at the second
 */
export async function orphansOf(cluster: TestCluster, instanceId: string): Promise<string[]> {
  const { logins, bindings } = await inventoryOf(cluster, instanceId)
  const known = bindings.map((one) => one.user)
  const suspects = logins.filter((user) => !known.includes(user))
  if (suspects.length === 0) return []
  const still = await usersOf(cluster, instanceId)
  return suspects.filter((user) => still.logins.includes(user))
}

async function list(cluster: TestCluster, path: string): Promise<JsonObject[]> {
  const { status, body, text } = await cluster.admin('GET', path)
  if (status !== 200) throw new Error(`GET ${path}: ${status} ${text}`)
  return v.parse(v.array(JsonObjectSchema), at(body, 'items'))
}

const annotation = (object: JsonObject, name: string): unknown =>
  JSON.parse(textAt(object, 'metadata', 'annotations', name))

const Names = v.record(v.string(), v.string())

/** @returns the address behind a Service's name; undefined while there is no such Service */
export function addressOf(cluster: TestCluster, host: string): string | undefined {
  return v.parse(Names, JSON.parse(readFileSync(cluster.names, 'utf8')))[host]
}

const User = v.object({ rolname: v.string(), rolcanlogin: v.boolean() })

/** @returns the users of bindings, as the server itself knows them; none where it does not run */
export async function usersOf(
  cluster: TestCluster,
  instanceId: string,
): Promise<{ logins: string[]; users: string[] }> {
  const rows = await asAdministrator(cluster, instanceId, async (client) => {
    const result = await client.query(
      "SELECT rolname, rolcanlogin FROM pg_roles WHERE rolname ~ '^b[a-z2-7]{26}$' ORDER BY rolname",
    )
    return v.parse(v.array(User), result.rows)
  })
  return {
    logins: (rows ?? []).filter((row) => row.rolcanlogin).map((row) => row.rolname),
    users: (rows ?? []).map((row) => row.rolname),
  }
}

/** @returns what `act` does, with a connection past all proxies; undefined where no server runs */
export async function asAdministrator<T>(
  cluster: TestCluster,
  instanceId: string,
  act: (client: Client) => Promise<T>,
): Promise<T | undefined> {
  const name = databaseName(instanceId, 40)
  const host = addressOf(cluster, `${name}.${cluster.namespaces.databases}.svc`)
  if (host === undefined) return undefined
  const secret = await cluster.admin('GET', `${cluster.databasesPath('secrets')}/${name}-auth`)
  if (secret.status === 404) return undefined
  const password = Buffer.from(textAt(secret.body, 'data', 'password'), 'base64').toString('utf8')
  const client = new Client({ host, port: 5432, user: 'postgres', password, database: 'postgres' })
  // The server may be on its way out.
  client.on('error', () => undefined)
  try {
    await client.connect()
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED') return undefined
    throw error
  }
  try {
    return await act(client)
  } finally {
    await client.end()
  }
}

/** @returns whether an application can log in with the credentials of a binding and use the database */
export async function canUse(cluster: TestCluster, credentials: JsonObject): Promise<boolean> {
  const text = (key: string) => textAt(credentials, key)
  const client = new Client({
    host: addressOf(cluster, text('host')) ?? text('host'),
    port: Number(credentials.port),
    user: text('username'),
    password: text('password'),
    database: text('database'),
  })
  client.on('error', () => undefined)
  try {
    await client.connect()
    await client.query('CREATE TEMPORARY TABLE used (at timestamptz); INSERT INTO used VALUES (now())')
    return true
  } catch {
    return false
  } finally {
    await client.end().catch(() => undefined)
  }
}

const Database = v.object({ spec: JsonObjectSchema, status: v.optional(JsonObjectSchema, {}) })

/** @returns the KubeDB resource of the instance */
export async function databaseObject(
  cluster: TestCluster,
  instanceId: string,
): Promise<v.InferOutput<typeof Database>> {
  const path = `${cluster.databasesPath('postgreses')}/${databaseName(instanceId, 40)}`
  const { status, body, text } = await cluster.admin('GET', path)
  if (status !== 200) throw new Error(`GET ${path}: ${status} ${text}`)
  return v.parse(Database, body)
}

/** @throws when the operator does not bring the database to this phase within a minute */
export async function phaseIs(cluster: TestCluster, instanceId: string, phase: string): Promise<void> {
  for (const end = Date.now() + 60_000; Date.now() < end; await delay(100)) {
    const { status } = await databaseObject(cluster, instanceId)
    if (status.phase === phase) return
  }
  throw new Error(`the database of ${instanceId} is not ${phase} after a minute`)
}

/** @returns what the server of an instance shows its clients, and its key; PEM */
export async function encryptionOf(
  cluster: TestCluster,
  instanceId: string,
  alias: string,
): Promise<{ ca: string; cert: string; key: string }> {
  const secret = await secretOf(cluster, `${databaseName(instanceId, 40)}-${alias}-cert`)
  return { ca: secret('ca.crt'), cert: secret('tls.crt'), key: secret('tls.key') }
}

/** @returns what a Secret of an instance's namespace holds, by key */
export async function secretOf(cluster: TestCluster, name: string): Promise<(key: string) => string> {
  const { status, body, text } = await cluster.admin('GET', `${cluster.databasesPath('secrets')}/${name}`)
  if (status !== 200) throw new Error(`the Secret ${name}: ${status} ${text}`)
  return (key) => Buffer.from(textAt(at(body, 'data'), key), 'base64').toString('utf8')
}
