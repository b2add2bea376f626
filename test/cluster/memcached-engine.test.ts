import test from 'ava'
import { openMemcached } from '../../sandbox/engines/memcached/session.ts'
import { memcachedEngine } from '../../sandbox/engines/memcached.ts'
import type { Instance } from '../../sandbox/engines/parts/engine.ts'
import { useInstances } from './engine-instances.ts'

const { home, instance } = await useInstances(test, {
  port: 11211,
  username: 'user',
  password: "yjf3Oc;Zl'Ss.iMVO",
})

const open = (at: Instance, who: Partial<Pick<Instance, 'username' | 'password'>> = {}) =>
  openMemcached({ port: 11211, ...at, ...who })

test('users log in by the text protocol, and nobody else does anything', async (t) => {
  const engine = memcachedEngine(home)
  const at = await instance('users', { acl: ['other:one'] })
  const server = await engine.start(at)
  const session = await open(at)
  t.deepEqual(await session.send('set key 0 0 5', 'value'), ['STORED'])
  t.deepEqual(await session.send('get key'), ['VALUE key 0 5', 'value', 'END'])
  const other = await open(at, { username: 'other', password: 'one' })
  t.deepEqual(await other.send('get key'), ['VALUE key 0 5', 'value', 'END'])
  await t.throwsAsync(open(at, { password: 'wrong' }), { message: /CLIENT_ERROR authentication failure/ })

  await server.setPassword('renewed')
  await t.throwsAsync(open(at), { message: /authentication failure/ })
  await server.syncAcl?.(['third:three'], ['other'])
  await t.throwsAsync(open(at, { username: 'other', password: 'one' }), { message: /authentication failure/ })
  for (const who of [{ password: 'renewed' }, { username: 'third', password: 'three' }]) {
    const one = await open(at, who)
    t.deepEqual(await one.send('delete key'), [who.username ? 'NOT_FOUND' : 'DELETED'])
    one.close()
  }
  await t.throwsAsync(
    async () => server.syncAcl?.(['abcdefgh'.split('').map((name) => `${name}:1`)].flat(), []),
    {
      message: /Memcached knows 8 users at most, not 10/,
    },
  )
  session.close()
  other.close()
  await server.stop()
  t.is(await server.exited, 'exit code 0')
})

test('options of the settings file are those of the command line, and count at the next start', async (t) => {
  const engine = memcachedEngine(home)
  const at = await instance('options', { config: '--no-such-option' })
  await t.throwsAsync(engine.start(at), { message: /Memcached did not start: .*no-such-option/ })
  const config = '# small\n--conn-limit=100\n-m 32'
  const server = await engine.start({ ...at, config })
  const session = await open(at)
  const settings = await session.send('stats settings')
  t.true(settings.includes('STAT maxconns 100'))
  t.true(settings.includes(`STAT maxbytes ${32 * 2 ** 20}`))
  session.close()
  t.is(await server.reload(`${config}\n`), 'applied')
  t.is(await server.reload('-m 64'), 'restart')
  await server.stop()
  const { kept } = engine
  t.true((await kept()).some(({ name }) => name === 'test/options'))
  await engine.wipe('test/options')
  t.false((await kept()).some(({ name }) => name === 'test/options'))
})
