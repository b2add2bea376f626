/** Bindings of Memcached over HTTP: all of an instance share its one user, so nothing is made and nothing taken away. */
import { randomUUID } from 'node:crypto'
import test from 'ava'
import { openMemcached } from '../../sandbox/engines/memcached/session.ts'
import { databaseName } from '../../shared/kubedb/records/names.ts'
import type { JsonObject } from '../../shared/values/json.ts'
import { useBroker } from '../support/broker.ts'
import { at, textAt } from '../support/cluster.ts'
import { addressOf } from '../support/inventory.ts'
import { offerOf } from '../support/offers.ts'
import { credentialsIn, platformOf } from '../support/platform.ts'
import { runPrograms } from '../support/programs.ts'

const small = offerOf('memcached', 'small')

const broker = useBroker(test)
const { cluster } = broker

const open = (credentials: JsonObject) =>
  openMemcached({
    address: addressOf(cluster, textAt(credentials, 'host')) ?? '',
    port: Number(credentials.port),
    username: textAt(credentials, 'username'),
    password: textAt(credentials, 'password'),
  })

test('bindings share the user of the instance, at once and until the instance goes', async (t) => {
  const platform = platformOf(broker, small)
  const instanceId = await platform.instance()
  const [one, other] = [randomUUID(), randomUUID()]
  const bound = await platform.bind(instanceId, one, { asynchronous: false })
  t.is(bound.status, 201, bound.text)
  const credentials = credentialsIn(bound)
  const session = await open(credentials)
  t.deepEqual(await session.send('set key 0 0 5', 'value'), ['STORED'])
  session.close()
  await t.throwsAsync(open({ ...credentials, password: 'wrong' }), { message: /authentication failure/ })

  await runPrograms(t, cluster, credentials, 'memcached', { js: 'node:net', python: 'socket' })

  const fetched = await platform.fetchBinding(instanceId, one)
  t.is(fetched.status, 200, fetched.text)
  t.deepEqual(credentialsIn(fetched), credentials)
  t.is((await platform.bind(instanceId, one, { asynchronous: false })).status, 200)
  const second = await platform.bind(instanceId, other)
  t.is(second.status, 201, second.text)
  t.deepEqual(credentialsIn(second), credentials)
  t.false(broker.lines.some((line) => line.includes(textAt(credentials, 'password'))))

  for (const role of ['readOnly', 'readWrite']) {
    const refused = await platform.bind(instanceId, randomUUID(), { parameters: { role } })
    t.is(refused.status, 400, refused.text)
    t.regex(textAt(refused.body, 'description'), /role/)
  }

  t.is((await platform.unbind(instanceId, one, { asynchronous: false })).status, 200)
  t.is((await platform.fetchBinding(instanceId, one)).status, 404)
  t.is((await platform.unbind(instanceId, one, { asynchronous: false })).status, 410)
  // The engine cannot tell bindings apart: the other goes on, and so would this one.
  const after = await open(credentials)
  t.deepEqual(await after.send('get key'), ['VALUE key 0 5', 'value', 'END'])
  after.close()
  t.is((await platform.fetchBinding(instanceId, other)).status, 200)

  const gone = await platform.settle(instanceId, await platform.deprovision(instanceId))
  t.is(gone.status, 410, gone.text)
  await t.throwsAsync(open(credentials))
})

test('the password is the one that the instance has now', async (t) => {
  const platform = platformOf(broker, small)
  const instanceId = await platform.instance()
  const bindingId = randomUUID()
  const before = credentialsIn(await platform.bind(instanceId, bindingId))
  const name = databaseName(instanceId, 40)
  const rotation = {
    apiVersion: 'ops.kubedb.com/v1alpha1',
    kind: 'MemcachedOpsRequest',
    metadata: { name: 'rotate', namespace: cluster.namespaces.databases },
    spec: { databaseRef: { name }, type: 'RotateAuth' },
  }
  const path = cluster.databasesPath('memcachedopsrequests')
  const made = await cluster.admin('POST', path, rotation)
  t.is(made.status, 201, made.text)
  for (;;) {
    const phase = at((await cluster.admin('GET', `${path}/rotate`)).body, 'status', 'phase')
    if (phase === 'Successful') break
    t.not(phase, 'Failed')
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  const now = credentialsIn(await platform.fetchBinding(instanceId, bindingId))
  t.not(now.password, before.password)
  const session = await open(now)
  t.is((await session.send('version')).length, 1)
  session.close()
  await t.throwsAsync(open(before), { message: /authentication failure/ })
})
