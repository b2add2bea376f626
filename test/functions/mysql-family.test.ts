/** MariaDB, a kind that the catalog offers only once an operator adds it, from provision to deprovision over HTTP. */
import { randomUUID } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import test from 'ava'
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise'
import { resolveServiceNames } from '../../sandbox/names.ts'
import type { JsonObject } from '../../shared/json.ts'
import { databaseName, hash26, instanceLabel } from '../../shared/kubedb/names.ts'
import { type OsbAnswer, useBroker } from '../support/broker.ts'
import { catalogWith } from '../support/catalog-parts.ts'
import { at, textAt } from '../support/cluster.ts'
import { credentialsIn, platformOf } from '../support/platform.ts'

const broker = useBroker(test)
const { cluster } = broker
test.before('names of Services resolve', () => resolveServiceNames(cluster.names))

const serviceId = '82692866-8e4b-4ec0-815b-7ce19ae9072a'
const plans = {
  small: '2b28fa9b-31ae-48a9-a567-d9e261b9873c',
  cluster: '0e71aff1-f377-4872-bd18-01c26551c8fa',
}

const brief = ({ status, text }: OsbAnswer) => `${status} ${text.slice(0, 300)}`

test.serial('MariaDB is not offered until its part is in the catalog', async (t) => {
  const offer = { service_id: serviceId, plan_id: plans.small }
  const place = { organization_guid: 'org', space_guid: 'space' }
  const early = await broker.put(`/v2/service_instances/${randomUUID()}`, { ...offer, ...place })
  t.is(early.status, 400, brief(early))
  t.is(await readFile(broker.catalogFile, 'utf8'), catalogWith([]))
  await writeFile(broker.catalogFile, catalogWith(['mariadb.yaml']))
  const catalog = await broker.get('/v2/catalog')
  t.true(catalog.text.includes(serviceId))
})

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

async function ask(client: Connection, statement: string): Promise<unknown> {
  const [[row]] = await client.query<RowDataPacket[]>(statement)
  return row && Object.values(row)[0]
}

async function remaining(instanceId: string): Promise<unknown[]> {
  const label = `labelSelector=${instanceLabel}%3D${hash26(instanceId)}`
  const ofDatabase = `labelSelector=app.kubernetes.io%2Finstance%3D${databaseName(instanceId, 32)}`
  const paths = [
    `${cluster.recordsPath()}?${label}`,
    `${cluster.databasesPath('mariadbs')}?${label}`,
    ...['pods', 'secrets', 'persistentvolumeclaims'].map(
      (one) => `${cluster.databasesPath(one)}?${ofDatabase}`,
    ),
  ]
  const found = await Promise.all(paths.map((path) => cluster.admin('GET', path)))
  return found.flatMap(({ body }) => at(body, 'items') ?? [])
}

for (const [plan, planId] of Object.entries(plans)) {
  test(`${plan}: provisioned, bound, used, changed, unbound, deprovisioned`, async (t) => {
    const platform = platformOf(broker, { serviceId, planId })
    const instanceId = await platform.instance()
    const [first, second] = [randomUUID(), randomUUID()]
    const bound = async (id: string, role: string) => {
      const answer = await platform.bind(instanceId, id, { asynchronous: false, parameters: { role } })
      t.is(answer.status, 201, brief(answer))
      return credentialsIn(answer)
    }
    const [owner, reader] = [await bound(first, 'owner'), await bound(second, 'readOnly')]
    t.like(owner, { type: 'mariadb', protocol: 'mysql', database: 'app' })
    t.deepEqual(credentialsIn(await platform.fetchBinding(instanceId, first)), owner)
    t.true((await remaining(instanceId)).length > 0)

    await using(owner, async (client) => {
      t.regex(String(await ask(client, 'SELECT VERSION()')), /MariaDB/)
      await client.query('CREATE TABLE notes (line varchar(20))')
      await client.query("INSERT INTO notes VALUES ('first')")
    })
    const wanted = { configuration: { max_connections: 77, max_statement_time: 30 } }
    const changed = await platform.settle(instanceId, await platform.update(instanceId, wanted))
    t.is(changed.body.state, 'succeeded', brief(changed))

    await using(reader, async (client) => {
      t.is(await ask(client, 'SELECT line FROM notes'), 'first')
      t.is(await ask(client, 'SELECT @@GLOBAL.max_connections'), 77)
      await t.throwsAsync(client.query('DELETE FROM notes'), { code: 'ER_TABLEACCESS_DENIED_ERROR' })
      const parting = await platform.unbind(instanceId, second, { asynchronous: false })
      t.is(parting.status, 200, brief(parting))
      // an open connection is of no use to a binding that is gone
      await t.throwsAsync(client.query('SELECT 1'))
    })
    await t.throwsAsync(
      using(reader, (client) => ask(client, 'SELECT 1')),
      { code: 'ER_ACCESS_DENIED_ERROR' },
    )
    t.is((await platform.unbind(instanceId, first, { asynchronous: false })).status, 200)
    const end = await platform.settle(instanceId, await platform.deprovision(instanceId))
    t.is(end.status, 410, brief(end))
    t.deepEqual(await remaining(instanceId), [])
    for (const { password } of [owner, reader])
      t.false(broker.lines.some((line) => line.includes(String(password))))
  })
}
