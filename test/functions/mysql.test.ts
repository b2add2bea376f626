/** MySQL from provision to deprovision, over HTTP: a server on its own, and a group. */
import { randomUUID } from 'node:crypto'
import test from 'ava'
import type { Connection, RowDataPacket } from 'mysql2/promise'
import { resolveServiceNames } from '../../sandbox/broker/names.ts'
import { useBroker } from '../support/broker.ts'
import { assertDeprovisioned, assertUnbound, bound } from '../support/kind-life.ts'
import { usingMySql } from '../support/mysql.ts'
import { offerOf } from '../support/offers.ts'
import { brief, credentialsIn, platformOf } from '../support/platform.ts'
import { runPrograms } from '../support/programs.ts'

const broker = useBroker(test)
const { cluster } = broker
test.before('names of Services resolve', () => resolveServiceNames(cluster.names))

async function rows(client: Connection, statement: string): Promise<unknown[]> {
  const [found] = await client.query<RowDataPacket[]>(statement)
  return found.map((row) => Object.values(row)[0])
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

    await usingMySql(owner, async (client) => {
      await client.query('CREATE TABLE notes (line varchar(20))')
      await client.query('CREATE VIEW lines_seen AS SELECT line FROM notes')
    })
    await usingMySql(writer, async (client) => {
      await client.query("INSERT INTO notes VALUES ('first')")
      await t.throwsAsync(client.query('DROP TABLE notes'), { code: 'ER_TABLEACCESS_DENIED_ERROR' })
    })
    await usingMySql(reader, async (client) => {
      t.deepEqual(await rows(client, 'SELECT line FROM lines_seen'), ['first'])
      await t.throwsAsync(client.query('DELETE FROM notes'), { code: 'ER_TABLEACCESS_DENIED_ERROR' })
    })

    await runPrograms(t, cluster, owner, 'mysql', { js: 'mysql2/promise', python: 'pymysql' })

    const change = { cpu: plan === 'small' ? '600m' : '2500m', configuration: { max_connections: 77 } }
    const changed = await platform.settle(instanceId, await platform.update(instanceId, change))
    t.is(changed.body.state, 'succeeded', brief(changed))

    await usingMySql(reader, async (client) => {
      t.deepEqual(await rows(client, 'SELECT @@max_connections'), [77])
      await assertUnbound(t, platform, instanceId, third)
      // an open connection is of no use to a binding that is gone
      await t.throwsAsync(client.query('SELECT 1'))
    })
    await t.throwsAsync(
      usingMySql(reader, (client) => rows(client, 'SELECT 1')),
      { code: 'ER_ACCESS_DENIED_ERROR' },
    )
    t.is((await platform.fetchBinding(instanceId, third)).status, 404)

    // what the owner defined is the application's
    await assertUnbound(t, platform, instanceId, first)
    t.deepEqual(await usingMySql(writer, (client) => rows(client, 'SELECT line FROM lines_seen')), ['first'])

    await assertDeprovisioned(t, broker, platform, instanceId, { plural: 'mysqls' }, [owner, writer, reader])
    await t.throwsAsync(usingMySql(writer, (client) => rows(client, 'SELECT 1')))
  })
}
