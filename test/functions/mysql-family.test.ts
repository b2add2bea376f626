/** Kinds of MySQL's protocol that the catalog offers only once an operator adds them, from provision to deprovision over HTTP. */
import { randomUUID } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import test from 'ava'
import type { Connection, RowDataPacket } from 'mysql2/promise'
import { resolveServiceNames } from '../../sandbox/broker/names.ts'
import { databaseName } from '../../shared/kubedb/records/names.ts'
import type { JsonObject } from '../../shared/values/json.ts'
import { useBroker } from '../support/broker.ts'
import { catalogWith } from '../support/catalog-parts.ts'
import { at } from '../support/cluster.ts'
import { assertDeprovisioned, assertUnbound, bound, remaining } from '../support/kind-life.ts'
import { usingMySql } from '../support/mysql.ts'
import { type Offer, offerOf } from '../support/offers.ts'
import { brief, credentialsIn, platformOf } from '../support/platform.ts'
import { runPrograms } from '../support/programs.ts'

const broker = useBroker(test)
const { cluster } = broker
test.before('names of Services resolve', () => resolveServiceNames(cluster.names))

/** What is offered, and what tells one from the other. */
interface Candidate {
  readonly title: string
  /** service and plan */
  readonly offer: Offer
  readonly plural: string
  readonly type: string
  /** what its servers say that they are */
  readonly says: RegExp
  /** a statement that its servers take from nobody */
  readonly refused?: string
  /** what is changed in it, the setting `max_connections` among it */
  readonly change: JsonObject
  /** how many servers it has then */
  readonly servers: number
}

const mariadb = {
  plural: 'mariadbs',
  type: 'mariadb',
  says: /MariaDB/,
  change: { configuration: { max_connections: 77, max_statement_time: 30 } },
}
const candidates: Candidate[] = [
  { ...mariadb, title: 'a single MariaDB', offer: offerOf('mariadb', 'small'), servers: 1 },
  { ...mariadb, title: 'a Galera cluster', offer: offerOf('mariadb', 'large-ha'), servers: 3 },
  {
    title: 'a Percona XtraDB Cluster',
    offer: offerOf('perconaxtradb', 'large'),
    plural: 'perconaxtradbs',
    type: 'mysql',
    // of MySQL or, where there is none, of MariaDB: which, is not Percona's matter
    says: /^\d+\.\d+\.\d+/,
    refused: 'CREATE TABLE without_key (line varchar(20))',
    change: { replicas: 5, configuration: { max_connections: 77 } },
    servers: 5,
  },
]

test.serial('none of them is offered until its part is in the catalog', async (t) => {
  const place = { organization_guid: 'org', space_guid: 'space' }
  t.is(await readFile(broker.catalogFile, 'utf8'), catalogWith([]))
  for (const { offer } of candidates) {
    const wish = { service_id: offer.serviceId, plan_id: offer.planId, ...place }
    const early = await broker.put(`/v2/service_instances/${randomUUID()}`, wish)
    t.is(early.status, 400, brief(early))
  }
  await writeFile(broker.catalogFile, catalogWith(['mariadb.yaml', 'perconaxtradb.yaml']))
  const catalog = await broker.get('/v2/catalog')
  for (const { offer } of candidates) t.true(catalog.text.includes(offer.serviceId))
})

async function ask(client: Connection, statement: string): Promise<unknown> {
  const [[row]] = await client.query<RowDataPacket[]>(statement)
  return row && Object.values(row)[0]
}

for (const candidate of candidates) {
  test(`${candidate.title}: provisioned, bound, used, changed, unbound, deprovisioned`, async (t) => {
    const platform = platformOf(broker, candidate.offer)
    const instanceId = await platform.instance()
    const [first, second] = [randomUUID(), randomUUID()]
    const traces = { plural: candidate.plural, longest: 32 }
    const owner = await bound(t, platform, instanceId, first, 'owner')
    const reader = await bound(t, platform, instanceId, second, 'readOnly')
    t.like(owner, { type: candidate.type, protocol: 'mysql', database: 'app' })
    t.deepEqual(credentialsIn(await platform.fetchBinding(instanceId, first)), owner)
    t.true((await remaining(cluster, instanceId, traces)).length > 0)
    await runPrograms(t, cluster, owner, 'mysql', { js: 'mysql2/promise', python: 'pymysql' })

    await usingMySql(owner, async (client) => {
      if (candidate.refused) await t.throwsAsync(client.query(candidate.refused), { message: /primary key/i })
      t.regex(String(await ask(client, 'SELECT VERSION()')), candidate.says)
      await client.query('CREATE TABLE notes (line varchar(20) PRIMARY KEY)')
      await client.query("INSERT INTO notes VALUES ('first')")
      await client.query(
        'CREATE TRIGGER upper BEFORE INSERT ON notes FOR EACH ROW SET NEW.line = UPPER(NEW.line)',
      )
    })
    const changed = await platform.settle(instanceId, await platform.update(instanceId, candidate.change))
    t.is(changed.body.state, 'succeeded', brief(changed))
    const live = await cluster.admin(
      'GET',
      `${cluster.databasesPath(candidate.plural)}/${databaseName(instanceId, 32)}`,
    )
    t.is(at(live.body, 'spec', 'replicas'), candidate.servers)

    await usingMySql(reader, async (client) => {
      t.is(await ask(client, 'SELECT line FROM notes'), 'first')
      t.is(await ask(client, 'SELECT @@GLOBAL.max_connections'), 77)
      await t.throwsAsync(client.query('DELETE FROM notes'), { code: 'ER_TABLEACCESS_DENIED_ERROR' })
      await assertUnbound(t, platform, instanceId, second)
      // an open connection is of no use to a binding that is gone
      await t.throwsAsync(client.query('SELECT 1'))
    })
    await t.throwsAsync(
      usingMySql(reader, (client) => ask(client, 'SELECT 1')),
      { code: 'ER_ACCESS_DENIED_ERROR' },
    )
    await assertUnbound(t, platform, instanceId, first)
    await assertDeprovisioned(t, broker, platform, instanceId, traces, [owner, reader])
  })
}
