/** MySQL from provision to deprovision, over HTTP: a server on its own, and a group. */
import { randomUUID } from 'node:crypto'
import test, { type ExecutionContext } from 'ava'
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise'
import { resolveServiceNames } from '../../sandbox/names.ts'
import { databaseName, hash26, instanceLabel } from '../../shared/kubedb/records/names.ts'
import type { JsonObject } from '../../shared/values/json.ts'
import { type OsbAnswer, useBroker } from '../support/broker.ts'
import { at, textAt } from '../support/cluster.ts'
import { offerOf } from '../support/offers.ts'
import { credentialsIn, type Platform, platformOf } from '../support/platform.ts'
import { runPrograms } from '../support/programs.ts'

const broker = useBroker(test)
const { cluster } = broker
test.before('names of Services resolve', () => resolveServiceNames(cluster.names))

const brief = ({ status, text }: OsbAnswer) => `${status} ${text.slice(0, 300)}`

/** What an application does with nothing but the URI of its binding. */
async function using<T>(credentials: JsonObject, work: (client: Connection) => Promise<T>): Promise<T> {
  const client = await createConnection(textAt(credentials, 'uri'))
  // a session that is ended is told by its next statement
  client.on('error', () => undefined)
  try {
    return await work(client)
  } finally {
    client.destroy()
  }
}

async function rows(client: Connection, statement: string): Promise<unknown[]> {
  const [found] = await client.query<RowDataPacket[]>(statement)
  return found.map((row) => Object.values(row)[0])
}

async function bound(
  t: ExecutionContext,
  platform: Platform,
  instanceId: string,
  bindingId: string,
  role: string,
): Promise<JsonObject> {
  const answer = await platform.bind(instanceId, bindingId, { asynchronous: false, parameters: { role } })
  t.is(answer.status, 201, brief(answer))
  return credentialsIn(answer)
}

async function remaining(instanceId: string): Promise<unknown[]> {
  const label = `labelSelector=${instanceLabel}%3D${hash26(instanceId)}`
  const ofDatabase = `labelSelector=app.kubernetes.io%2Finstance%3D${databaseName(instanceId, 40)}`
  const paths = [
    `${cluster.recordsPath()}?${label}`,
    `${cluster.databasesPath('mysqls')}?${label}`,
    ...['pods', 'secrets', 'persistentvolumeclaims'].map(
      (one) => `${cluster.databasesPath(one)}?${ofDatabase}`,
    ),
  ]
  const found = await Promise.all(paths.map((path) => cluster.admin('GET', path)))
  return found.flatMap(({ body }) => at(body, 'items') ?? [])
}

for (const plan of ['small', 'large-ha']) {
  test(`${plan}: provisioned, bound, used, changed, unbound, deprovisioned`, async (t) => {
    const platform = platformOf(broker, offerOf('mysql', plan))
    const instanceId = await platform.instance()
    const [first, second, third] = [randomUUID(), randomUUID(), randomUUID()]
    const owner = await bound(t, platform, instanceId, first, 'owner')
    const writer = await bound(t, platform, instanceId, second, 'readWrite')
    const reader = await bound(t, platform, instanceId, third, 'readOnly')
    t.deepEqual(credentialsIn(await platform.fetchBinding(instanceId, first)), owner)
    const again = await platform.bind(instanceId, first, { parameters: { role: 'owner' } })
    t.deepEqual(credentialsIn(again), owner)

    await using(owner, async (client) => {
      await client.query('CREATE TABLE notes (line varchar(20))')
      await client.query('CREATE VIEW lines_seen AS SELECT line FROM notes')
    })
    await using(writer, async (client) => {
      await client.query("INSERT INTO notes VALUES ('first')")
      await t.throwsAsync(client.query('DROP TABLE notes'), { code: 'ER_TABLEACCESS_DENIED_ERROR' })
    })
    await using(reader, async (client) => {
      t.deepEqual(await rows(client, 'SELECT line FROM lines_seen'), ['first'])
      await t.throwsAsync(client.query('DELETE FROM notes'), { code: 'ER_TABLEACCESS_DENIED_ERROR' })
    })

    await runPrograms(t, cluster, owner, 'mysql', { js: 'mysql2/promise', python: 'pymysql' })

    const change = { cpu: plan === 'small' ? '600m' : '2500m', configuration: { max_connections: 77 } }
    const changed = await platform.settle(instanceId, await platform.update(instanceId, change))
    t.is(changed.body.state, 'succeeded', brief(changed))

    await using(reader, async (client) => {
      t.deepEqual(await rows(client, 'SELECT @@max_connections'), [77])
      const parting = await platform.unbind(instanceId, third, { asynchronous: false })
      t.is(parting.status, 200, brief(parting))
      // an open connection is of no use to a binding that is gone
      await t.throwsAsync(client.query('SELECT 1'))
    })
    await t.throwsAsync(
      using(reader, (client) => rows(client, 'SELECT 1')),
      { code: 'ER_ACCESS_DENIED_ERROR' },
    )
    t.is((await platform.fetchBinding(instanceId, third)).status, 404)

    // what the owner defined is the application's
    const parting = await platform.unbind(instanceId, first, { asynchronous: false })
    t.is(parting.status, 200, brief(parting))
    t.deepEqual(await using(writer, (client) => rows(client, 'SELECT line FROM lines_seen')), ['first'])

    const end = await platform.settle(instanceId, await platform.deprovision(instanceId))
    t.is(end.status, 410, brief(end))
    t.deepEqual(await remaining(instanceId), [])
    await t.throwsAsync(using(writer, (client) => rows(client, 'SELECT 1')))
    for (const credentials of [owner, writer, reader]) {
      const secret = textAt(credentials, 'password')
      t.false(broker.lines.some((line) => line.includes(secret)))
    }
  })
}
