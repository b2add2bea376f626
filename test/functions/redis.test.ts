/** Bindings of Redis over HTTP: KubeDB makes and removes their users, so every bind and unbind is asynchronous. */
import { randomUUID } from 'node:crypto'
import test from 'ava'
import * as v from 'valibot'
import { databaseName, hash26, instanceLabel } from '../../shared/kubedb/records/names.ts'
import { useBroker } from '../support/broker.ts'
import { at, textAt } from '../support/cluster.ts'
import { addressOf } from '../support/inventory.ts'
import { offerOf } from '../support/offers.ts'
import { credentialsIn, platformOf } from '../support/platform.ts'
import { runPrograms } from '../support/programs.ts'
import { openRedis, openRedisCluster, opensRedis, tellRedis } from '../support/redis.ts'

const small = offerOf('redis', 'small')
const ha = offerOf('redis', 'large-ha')

/** of the programs in the docs */
const drivers = { js: '@redis/client', python: 'redis' }

const broker = useBroker(test)
const { cluster } = broker

const platform = () => platformOf(broker, small)

async function listed(plural: string, instanceId: string) {
  const label = `labelSelector=${instanceLabel}%3D${hash26(instanceId)}`
  const { body } = await cluster.admin('GET', `${cluster.databasesPath(plural)}?${label}`)
  return v.parse(v.array(v.looseObject({ metadata: v.looseObject({ name: v.string() }) })), at(body, 'items'))
}

/** Users of bindings, as KubeDB's spec has them. */
async function declared(instanceId: string): Promise<string[]> {
  const path = `${cluster.databasesPath('redises')}/${databaseName(instanceId, 40)}`
  const { body } = await cluster.admin('GET', path)
  const rules = v.parse(
    v.optional(v.array(v.string()), []),
    at(body, 'spec', 'configuration', 'acl', 'rules'),
  )
  return rules.map((rule) => rule.split(' ')[0] ?? '').sort()
}

/** Keys of the Secret with the passwords of users; undefined where there is none. */
async function storedPasswords(instanceId: string): Promise<string[] | undefined> {
  const [secret] = (await listed('secrets', instanceId)).filter(({ metadata }) =>
    metadata.name.includes('-users-'),
  )
  return secret && Object.keys(v.parse(v.optional(v.looseObject({}), {}), secret.data)).sort()
}

async function bound(instanceId: string, bindingId: string, role?: string) {
  const begun = await platform().bind(
    instanceId,
    bindingId,
    role === undefined ? {} : { parameters: { role } },
  )
  const end = await platform().settleBinding(instanceId, bindingId, begun)
  if (end.body.state !== 'succeeded') throw new Error(`no binding: ${end.status} ${end.text}`)
  return credentialsIn(await platform().fetchBinding(instanceId, bindingId))
}

/** What each role may do, and what only the one above it may. */
const roles = {
  owner: {
    may: ['SET key value', 'FLUSHDB', 'EVAL return(1) 0', 'SCRIPT FLUSH', 'FUNCTION FLUSH', 'KEYS *', 'INFO'],
    mayNot: [
      'CONFIG GET *',
      'ACL LIST',
      'SHUTDOWN',
      'SLOWLOG GET',
      'CLIENT LIST',
      'MONITOR',
      'REPLICAOF NO ONE',
    ],
  },
  readWrite: {
    may: ['SET key value', 'DEL key', 'EVAL return(1) 0', 'PUBLISH channel message', 'KEYS *', 'INFO'],
    mayNot: [
      'FLUSHALL',
      'FLUSHDB',
      'SWAPDB 0 1',
      'SCRIPT FLUSH',
      'FUNCTION FLUSH',
      'CONFIG GET *',
      'ACL LIST',
    ],
  },
  readOnly: {
    may: ['GET key', 'KEYS *', 'SCAN 0', 'INFO', 'EVAL_RO return(1) 0', 'CLIENT SETNAME me', 'DBSIZE'],
    mayNot: [
      'SET key value',
      'DEL key',
      'PUBLISH channel message',
      'FLUSHALL',
      'EVAL return(1) 0',
      'EXPIRE key 1',
      'ACL LIST',
    ],
  },
} as const

test('a server on its own: users come and go by KubeDB, with the rights of their role', async (t) => {
  const instanceId = await platform().instance()
  const bindingId = randomUUID()

  // Whoever cannot wait is told so, and nothing is begun.
  const refused = await platform().bind(instanceId, bindingId, { asynchronous: false })
  t.is(refused.status, 422, refused.text)
  t.is(refused.body.error, 'AsyncRequired')
  t.is((await platform().pollBinding(instanceId, bindingId)).status, 404)
  t.is(await storedPasswords(instanceId), undefined)

  const begun = await platform().bind(instanceId, bindingId)
  t.is(begun.status, 202, begun.text)
  t.deepEqual(Object.keys(begun.body), ['operation'])
  t.is((await platform().fetchBinding(instanceId, bindingId)).status, 404)
  const again = await platform().bind(instanceId, bindingId)
  t.true(
    again.status === 201 || (again.status === 202 && again.body.operation === begun.body.operation),
    again.text,
  )
  const other = await platform().bind(instanceId, bindingId, { parameters: { role: 'readOnly' } })
  t.is(other.status, 409, other.text)
  const end = await platform().settleBinding(instanceId, bindingId, begun)
  t.deepEqual([end.status, end.body.state], [200, 'succeeded'], end.text)
  const owner = credentialsIn(await platform().fetchBinding(instanceId, bindingId))
  const same = await platform().bind(instanceId, bindingId, { asynchronous: false })
  t.is(same.status, 200)
  t.deepEqual(credentialsIn(same), owner)
  t.is(owner.cluster, false)

  const [writer, reader] = [randomUUID(), randomUUID()]
  const credentials = {
    owner,
    readWrite: await bound(instanceId, writer, 'readWrite'),
    readOnly: await bound(instanceId, reader, 'readOnly'),
  }
  for (const [role, { may, mayNot }] of Object.entries(roles)) {
    const client = await openRedis(
      cluster,
      credentials[v.parse(v.picklist(['owner', 'readWrite', 'readOnly']), role)],
    )
    for (const command of may) {
      t.not(await tellRedis(client, command), 'NOPERM', `${role} may ${command}`)
    }
    for (const command of mayNot) {
      t.is(await tellRedis(client, command), 'NOPERM', `${role} may not ${command}`)
    }
    client.destroy()
  }
  await runPrograms(t, cluster, credentials.readWrite, 'redis', drivers)
  t.is((await storedPasswords(instanceId))?.length, 3)
  t.false(broker.lines.some((line) => line.includes(textAt(owner, 'password'))))

  const session = await openRedis(cluster, owner)
  const sooner = await platform().unbind(instanceId, bindingId, { asynchronous: false })
  t.deepEqual([sooner.status, sooner.body.error], [422, 'AsyncRequired'], sooner.text)
  t.is(await session.ping(), 'PONG')
  const parting = await platform().unbind(instanceId, bindingId)
  t.is(parting.status, 202, parting.text)
  t.is((await platform().fetchBinding(instanceId, bindingId)).status, 404)
  t.is((await platform().settleBinding(instanceId, bindingId, parting)).status, 410)
  await t.throwsAsync(session.ping())
  t.false(await opensRedis(cluster, owner))
  t.true(await opensRedis(cluster, credentials.readWrite))
  t.is((await platform().unbind(instanceId, bindingId)).status, 410)
  const left = [credentials.readWrite, credentials.readOnly].map((one) => textAt(one, 'username')).sort()
  t.deepEqual(await declared(instanceId), left)
  t.deepEqual(await storedPasswords(instanceId), left)

  const gone = await platform().settle(instanceId, await platform().deprovision(instanceId))
  t.is(gone.status, 410, gone.text)
  t.is(addressOf(cluster, textAt(owner, 'host')), undefined)
  t.is((await platform().pollBinding(instanceId, writer)).status, 404)
})

test('a cluster: a client of clusters works with what it is given', async (t) => {
  const service = platformOf(broker, ha)
  const instanceId = await service.instance()
  const bindingId = randomUUID()
  const begun = await service.bind(instanceId, bindingId, { parameters: { role: 'readWrite' } })
  const end = await service.settleBinding(instanceId, bindingId, begun)
  t.is(end.body.state, 'succeeded', end.text)
  const credentials = credentialsIn(await service.fetchBinding(instanceId, bindingId))
  t.is(credentials.cluster, true)
  const client = await openRedisCluster(cluster, credentials)
  for (const key of ['a', 'b', 'c', 'd']) t.is(await client.set(key, key), 'OK')
  t.is(await client.get('d'), 'd')
  client.destroy()
  await runPrograms(t, cluster, credentials, 'redis', drivers)
  const parting = await service.settleBinding(
    instanceId,
    bindingId,
    await service.unbind(instanceId, bindingId),
  )
  t.is(parting.status, 410, parting.text)
  await t.throwsAsync(openRedisCluster(cluster, credentials))
  t.is((await service.settle(instanceId, await service.deprovision(instanceId))).status, 410)
})

test('twenty binds and unbinds at once all succeed, in few requests to KubeDB', async (t) => {
  const instanceId = await platform().instance()
  const ids = Array.from({ length: 20 }, () => randomUUID())
  const all = await Promise.all(ids.map((bindingId) => bound(instanceId, bindingId)))
  const users = all.map((one) => textAt(one, 'username')).sort()
  t.is(new Set(users).size, ids.length)
  t.deepEqual(await declared(instanceId), users)
  t.deepEqual(await storedPasswords(instanceId), users)
  for (const credentials of all) t.true(await opensRedis(cluster, credentials))
  // Others come while these go.
  const late = randomUUID()
  const [kept, ...ends] = await Promise.all([
    bound(instanceId, late),
    ...ids.map(async (bindingId) =>
      platform().settleBinding(instanceId, bindingId, await platform().unbind(instanceId, bindingId)),
    ),
  ])
  for (const end of ends) t.is(end.status, 410, end.text)
  for (const credentials of all) t.false(await opensRedis(cluster, credentials))
  t.deepEqual(await declared(instanceId), [textAt(kept, 'username')])
  t.deepEqual(await storedPasswords(instanceId), [textAt(kept, 'username')])
  t.true((await listed('redisopsrequests', instanceId)).length <= 5)
})

test('suspended, unbound meanwhile, resumed: the data is there, the unbound user is not', async (t) => {
  const instanceId = await platform().instance()
  const [kept, parted] = [randomUUID(), randomUUID()]
  const credentials = await bound(instanceId, kept)
  const doomed = await bound(instanceId, parted)
  const before = await openRedis(cluster, credentials)
  t.is(await before.set('line', 'before'), 'OK')
  before.destroy()

  const stopped = await platform().settle(
    instanceId,
    await platform().update(instanceId, { suspended: true }),
  )
  t.is(stopped.body.state, 'succeeded', stopped.text)
  const parting = await platform().unbind(instanceId, parted)
  t.true([200, 202].includes(parting.status), parting.text)
  t.is((await platform().fetchBinding(instanceId, parted)).status, 404)

  const resumed = await platform().settle(
    instanceId,
    await platform().update(instanceId, { suspended: false }),
  )
  t.is(resumed.body.state, 'succeeded', resumed.text)
  t.false(await opensRedis(cluster, doomed), 'nobody who was unbound gets in, from the first moment on')
  t.deepEqual(await declared(instanceId), [textAt(credentials, 'username')])
  const after = await openRedis(cluster, credentials)
  t.is(await after.get('line'), 'before')
  after.destroy()
})
