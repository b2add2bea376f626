import { createServer } from 'node:net'
import { createClient, createCluster } from '@redis/client'
import test from 'ava'
import type { Instance } from '../../sandbox/engines/parts/engine.ts'
import { redisEngine } from '../../sandbox/engines/redis.ts'
import { useInstances } from './engine-instances.ts'
import { until } from './operator-setting.ts'

const { home, instance } = await useInstances(test, {
  port: 6379,
  username: 'default',
  password: `it's a "\\ password #1`,
})

async function open({ address, username, password }: Pick<Instance, 'address' | 'username' | 'password'>) {
  const client = createClient({
    socket: { host: address, port: 6379, reconnectStrategy: false },
    username,
    password,
  })
  client.on('error', () => undefined)
  await client.connect()
  return client
}

async function send(at: Instance, ...words: string[]): Promise<unknown> {
  const client = await open(at)
  try {
    return await client.sendCommand(words)
  } finally {
    client.destroy()
  }
}

test('a server keeps data, takes a new password from its instance and loses data with its volume', async (t) => {
  const engine = redisEngine(home)
  const at = await instance('data')
  let server = await engine.start(at)
  await server.check()
  await send(at, 'SET', 'answer', '42')
  await t.throwsAsync(send({ ...at, password: 'wrong' }, 'GET', 'answer'), { message: /WRONGPASS/ })
  await server.setPassword('live')
  await server.check()
  t.is(await send({ ...at, password: 'live' }, 'GET', 'answer'), '42')
  await t.throwsAsync(send(at, 'GET', 'answer'), { message: /WRONGPASS/ })
  await server.stop()
  t.is(await server.exited, 'exit code 0')
  const renewed = { ...at, password: 'another' }
  server = await engine.start(renewed)
  t.is(await send(renewed, 'GET', 'answer'), '42')
  await server.stop()
  server = await engine.start({ ...at, volume: 'second' })
  t.is(await send(at, 'GET', 'answer'), null)
  await server.stop()
  t.true((await engine.kept()).some(({ name, volume }) => name === 'test/data' && volume === 'second'))
  await engine.wipe('test/data')
  t.false((await engine.kept()).some(({ name }) => name === 'test/data'))
})

test('settings are taken live, at the next start, or refused in the words of the server', async (t) => {
  const engine = redisEngine(home)
  const at = await instance('settings', { config: 'maxmemory-policy no-such-policy' })
  await t.throwsAsync(engine.start(at), {
    message: /Redis did not start: .*maxmemory-policy.*must be one of/,
  })
  const config = 'maxmemory 20mb\nsave 60 1\nsave 30 100'
  const server = await engine.start({ ...at, config })
  const setting = async (name: string) => Object.values(await get(name))
  const get = async (name: string): Promise<object> => {
    const client = await open(at)
    try {
      return await client.configGet(name)
    } finally {
      client.destroy()
    }
  }
  t.is(await server.reload(`${config}\nmaxmemory-policy allkeys-lru`), 'applied')
  t.deepEqual(await setting('maxmemory-policy'), ['allkeys-lru'])
  await t.throwsAsync(server.reload('maxmemory 30mb\nmaxmemory-policy nonsense'), {
    message: /Redis refuses redis.conf: .*maxmemory-policy/,
  })
  await t.throwsAsync(server.reload('no-such-setting 1'), { message: /no-such-setting/ })
  t.deepEqual(await setting('maxmemory'), [String(20 * 2 ** 20)])
  t.is(await server.reload(`${config}\nmaxmemory-policy allkeys-lru\ndatabases 4`), 'restart')
  t.is(await server.reload('maxmemory 30mb\nmaxmemory-policy allkeys-lru'), 'restart')
  t.deepEqual(await setting('maxmemory'), [String(30 * 2 ** 20)])
  await server.stop()
})

test('users of the ACL are there from the start, change live, and their sessions end with them', async (t) => {
  const engine = redisEngine(home)
  const at = await instance('acl', { acl: ['user kept on >secret ~* +@read'] })
  let server = await engine.start(at)
  const kept = { ...at, username: 'kept', password: 'secret' }
  const reader = await open(kept)
  t.is(await reader.get('key'), null)
  await t.throwsAsync(reader.set('key', 'value'), { message: /NOPERM/ })

  await server.syncAcl?.(['user kept on >changed ~* +@read +@write', 'user fresh on >new ~* +@read'], [])
  await t.throwsAsync(open(kept), { message: /WRONGPASS/ })
  const fresh = await open({ ...at, username: 'fresh', password: 'new' })
  await server.syncAcl?.([], ['fresh', 'nobody'])
  await until('the session ended', async () => !fresh.isOpen)
  await t.throwsAsync(open({ ...at, username: 'fresh', password: 'new' }), { message: /WRONGPASS/ })
  await t.throwsAsync(async () => server.syncAcl?.(['user bad on +@nonsense'], []), { message: /nonsense/ })
  reader.destroy()

  // Whoever is not in the instance's ACL is gone with the next start.
  await server.stop()
  server = await engine.start(at)
  t.deepEqual(await send(at, 'ACL', 'USERS'), ['default', 'kept'])
  await server.stop()
})

test('a cluster of one server has all slots, and announces an address that clients reach', async (t) => {
  const engine = redisEngine(home)
  const at = await instance('cluster', { spec: { mode: 'Cluster' } })
  const use = async (key: string) => {
    const cluster = createCluster({
      rootNodes: [{ socket: { host: at.address, port: 6379 } }],
      defaults: { username: at.username, password: at.password },
    })
    cluster.on('error', () => undefined)
    await cluster.connect()
    try {
      await cluster.incr(key)
      return await cluster.get(key)
    } finally {
      cluster.destroy()
    }
  }
  let server = await engine.start(at)
  for (const key of ['a', 'b', 'c', 'far-away']) t.is(await use(key), '1')
  await server.stop()
  server = await engine.start(at)
  t.is(await use('far-away'), '2')
  await server.stop()
})

test('an address that is taken is told', async (t) => {
  const at = await instance('taken')
  const squatter = createServer().listen(6379, at.address)
  await new Promise((resolve) => squatter.once('listening', resolve))
  await t.throwsAsync(redisEngine(home).start(at), { message: /Redis did not start: .*[Aa]ddress.* in use/ })
  squatter.close()
})

// Why bindings do not share the user `default`, for clients that send a password alone: docs/bindings/redis.md.
test('a further password of the administrator is no user: it may all, ends alone with all, and does not last', async (t) => {
  const engine = redisEngine(home)
  const at = await instance('default')
  let server = await engine.start(at)
  const further = { ...at, password: 'another' }
  const add = () => send(at, 'ACL', 'SETUSER', 'default', '>another')
  const refused = (who: Instance) => t.throwsAsync(send(who, 'PING'), { message: /WRONGPASS/ })

  await add()
  const session = await open(further)
  t.is(String(await session.sendCommand(['ACL', 'WHOAMI'])), 'default')
  t.true(Array.isArray(await session.sendCommand(['ACL', 'LIST'])), 'it sees who may log in')
  const own = await open(at)
  const users = String(await own.sendCommand(['CLIENT', 'LIST'])).match(/ user=\S+/g)
  t.deepEqual(new Set(users), new Set([' user=default']))

  await send(at, 'ACL', 'SETUSER', 'default', '<another')
  await refused(further)
  t.is(String(await session.sendCommand(['PING'])), 'PONG', 'the session goes on')
  await send(at, 'CLIENT', 'KILL', 'USER', 'default')
  await t.throwsAsync(own.sendCommand(['PING']), undefined, 'who ends it ends that of the administrator too')
  await t.throwsAsync(session.sendCommand(['PING']))

  await add()
  await send(at, 'CONFIG', 'SET', 'requirepass', 'renewed')
  await refused(further)
  await send({ ...at, password: 'renewed' }, 'CONFIG', 'SET', 'requirepass', at.password)

  await add()
  t.is(await send(further, 'PING'), 'PONG')
  await server.stop()
  server = await engine.start(at)
  await refused(further)
  await server.stop()
})
