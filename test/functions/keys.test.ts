/** The secrets that bindings hang on: the broker's keys, the administrator's password, and what becomes of both. */
import { randomBytes, randomUUID } from 'node:crypto'
import { mkdir, readdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import { Client } from 'pg'
import { databaseName } from '../../shared/kubedb/records/names.ts'
import { openBroker, type TestBroker } from '../support/broker.ts'
import { at, textAt, useCluster } from '../support/cluster.ts'
import { addressOf, canUse, inventoryOf, isEmpty } from '../support/inventory.ts'
import { brief, credentialsIn, type Platform, platformOf } from '../support/platform.ts'

const cluster = useCluster(test)

async function open(t: ExecutionContext): Promise<{ broker: TestBroker; platform: Platform }> {
  const broker = await openBroker(t, { cluster })
  return { broker, platform: platformOf(broker) }
}

/** Does something as the administrator inside an instance's server. */
async function asAdministrator(instanceId: string, statement: string): Promise<void> {
  const name = databaseName(instanceId, 40)
  const { body } = await cluster.admin('GET', `${cluster.databasesPath('secrets')}/${name}-auth`)
  const password = Buffer.from(textAt(body, 'data', 'password'), 'base64').toString()
  const host = addressOf(cluster, `${name}.${cluster.namespaces.databases}.svc`)
  const client = new Client({ host: host ?? name, user: 'postgres', password, database: 'postgres' })
  await client.connect()
  await client.query(statement)
  await client.end()
}

test('a new key serves new bindings at once; old ones live as long as their key is there', async (t) => {
  const { broker, platform } = await open(t)
  const instanceId = await platform.instance()
  const [old, fresh] = [randomUUID(), randomUUID()]
  const before = credentialsIn(await platform.bind(instanceId, old))
  const [oldKey = ''] = await readdir(broker.keysDirectory)

  await writeFile(join(broker.keysDirectory, 'zz-newer'), randomBytes(32).toString('base64'), { mode: 0o600 })
  t.is((await platform.bind(instanceId, fresh)).status, 201)
  const { bindings } = await inventoryOf(cluster, instanceId)
  const keyOf = (id: string) => bindings.find(({ bindingId }) => bindingId === id)?.keyId
  t.deepEqual([keyOf(old), keyOf(fresh)], [oldKey, 'zz-newer'])
  t.deepEqual(credentialsIn(await platform.fetchBinding(instanceId, old)), before)
  t.deepEqual(credentialsIn(await platform.bind(instanceId, old)), before)

  await mkdir(join(broker.keysDirectory, '..', 'away'), { recursive: true })
  await rename(join(broker.keysDirectory, oldKey), join(broker.keysDirectory, '..', 'away', oldKey))
  for (const answer of [await platform.fetchBinding(instanceId, old), await platform.bind(instanceId, old)]) {
    t.is(answer.status, 500, brief(answer))
    t.regex(String(answer.body.description), new RegExp(`key "${oldKey}".* is not there; put it back`))
  }
  t.true(await canUse(cluster, before), 'a key that is away takes nothing from the application')
  t.is((await platform.fetchBinding(instanceId, fresh)).status, 200)

  t.is((await platform.unbind(instanceId, old)).status, 200)
  t.false(await canUse(cluster, before))
  await rename(join(broker.keysDirectory, 'zz-newer'), join(broker.keysDirectory, '..', 'away', 'zz-newer'))
  const without = await platform.bind(instanceId, randomUUID())
  t.is(without.status, 500, brief(without))
  t.regex(String(without.body.description), /keys Secret is empty/)
  t.is((await platform.settle(instanceId, await platform.deprovision(instanceId))).status, 410)
  t.true(isEmpty(await inventoryOf(cluster, instanceId)))
})

test("KubeDB may change the administrator's password at any time", async (t) => {
  const { platform } = await open(t)
  const instanceId = await platform.instance()
  const [old, fresh] = [randomUUID(), randomUUID()]
  const before = credentialsIn(await platform.bind(instanceId, old))
  const name = databaseName(instanceId, 40)
  const request = await cluster.admin('POST', cluster.databasesPath('postgresopsrequests'), {
    apiVersion: 'ops.kubedb.com/v1alpha1',
    kind: 'PostgresOpsRequest',
    metadata: { name: `${name}-by-hand` },
    spec: { databaseRef: { name }, type: 'RotateAuth', apply: 'Always' },
  })
  t.is(request.status, 201, JSON.stringify(request.body))
  const path = `${cluster.databasesPath('postgresopsrequests')}/${name}-by-hand`
  for (let attempt = 0; ; attempt++) {
    const phase = at((await cluster.admin('GET', path)).body, 'status', 'phase')
    if (phase === 'Successful') break
    if (phase === 'Failed' || attempt === 300) throw new Error(`RotateAuth is ${String(phase)}`)
    await delay(100)
  }
  t.true(await canUse(cluster, before))
  t.deepEqual(credentialsIn(await platform.bind(instanceId, old)), before)
  t.is((await platform.bind(instanceId, fresh)).status, 201)
  t.is((await platform.unbind(instanceId, old)).status, 200)
  t.false(await canUse(cluster, before))
})

test('a user that somebody dropped comes back with the next bind of its id; one that nobody misses can be unbound', async (t) => {
  const { platform } = await open(t)
  const instanceId = await platform.instance()
  const [missed, other] = [randomUUID(), randomUUID()]
  const credentials = credentialsIn(await platform.bind(instanceId, missed))
  const gone = credentialsIn(await platform.bind(instanceId, other))
  for (const { username } of [credentials, gone]) {
    await asAdministrator(instanceId, `DROP OWNED BY "${username}"; DROP ROLE "${username}"`)
  }
  t.false(await canUse(cluster, credentials))
  const again = await platform.bind(instanceId, missed)
  t.is(again.status, 200, brief(again))
  t.deepEqual(credentialsIn(again), credentials)
  t.true(await canUse(cluster, credentials))
  t.is((await platform.unbind(instanceId, other)).status, 200)
  t.is((await platform.unbind(instanceId, other)).status, 410)
})
