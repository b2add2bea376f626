import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import test from 'ava'
import type { Instance } from '../../sandbox/engines/parts/engine.ts'
import { postgresEngine } from '../../sandbox/engines/postgres.ts'
import { openLoopbackAddresses } from '../../sandbox/machine/loopback.ts'
import { rowsOf } from '../support/postgres.ts'
import { startedByParent, untilServerGone, useInstances } from './engine-instances.ts'

const { home, instance } = await useInstances(test, {
  port: 5432,
  username: 'postgres',
  password: "it's a \\ password",
})

const query = (at: Instance, statement: string, password = at.password): Promise<unknown[]> =>
  rowsOf({ host: at.address, user: 'postgres', password, database: 'postgres' }, statement)

test('a server keeps data, takes a new password from its instance and loses data with its volume', async (t) => {
  const engine = postgresEngine(home)
  const at = await instance('data')
  let server = await engine.start(at)
  await server.check()
  await query(at, 'CREATE TABLE kept AS SELECT 42 AS answer')
  await t.throwsAsync(query(at, 'SELECT 1', 'wrong'), { code: '28P01' })
  await server.stop()
  t.is(await server.exited, 'exit code 0')
  const renewed = { ...at, password: 'another' }
  server = await engine.start(renewed)
  t.deepEqual(await query(renewed, 'SELECT answer FROM kept'), [{ answer: 42 }])
  await server.stop()
  server = await engine.start({ ...at, volume: 'second' })
  await t.throwsAsync(query(at, 'SELECT answer FROM kept'), { code: '42P01' })
  await server.stop()
  const { kept } = engine
  t.true((await kept()).some(({ name, volume }) => name === 'test/data' && volume === 'second'))
  await engine.wipe('test/data')
  t.false((await kept()).some(({ name }) => name === 'test/data'))
})

test('settings that the server refuses are told in its words', async (t) => {
  const engine = postgresEngine(home)
  const at = await instance('settings', { config: 'shared_buffers = 100TB' })
  await t.throwsAsync(engine.start(at), { message: /invalid value for parameter "shared_buffers": "100TB"/ })
  const server = await engine.start({ ...at, config: 'work_mem = 1MB' })
  t.is(await server.reload('work_mem = 2MB'), 'applied')
  t.is(await server.reload('work_mem = 2MB\nmax_connections = 20'), 'restart')
  await t.throwsAsync(server.reload('work_mem = 3MB\nnonsense'), { message: /line 2: syntax error/ })
  t.deepEqual(await query(at, 'SHOW work_mem'), [{ work_mem: '2MB' }])
  await server.stop()
})

test('an address that is taken is told', async (t) => {
  const at = await instance('taken')
  const squatter = createServer().listen(5432, at.address)
  await new Promise((resolve) => squatter.once('listening', resolve))
  await t.throwsAsync(postgresEngine(home).start(at), {
    message: /PostgreSQL did not start: .*could not bind/,
  })
  squatter.close()
})

test('addresses are kept in a file, and each database has its own', async (t) => {
  const file = join(home, 'addresses.json')
  const book = await openLoopbackAddresses(file)
  const one = await book.addressOf('ns/one', 5432)
  const two = await book.addressOf('ns/two', 5432)
  t.regex(one, /^127\.\d+\.\d+\.\d+$/)
  t.not(one, two)
  t.is(await (await openLoopbackAddresses(file)).addressOf('ns/one', 5432), one)
  await book.release('ns/one')
  t.deepEqual(JSON.parse(await readFile(file, 'utf8')), { 'ns/two': two })
  await writeFile(file, 'not JSON')
  await t.throwsAsync(openLoopbackAddresses(file), {
    message: /is not a list of loopback addresses; remove it/,
  })
})

test('a server ends with its parent, even when that is killed, and starts again on its data', async (t) => {
  const at = await instance('orphan')
  const parent = await startedByParent(`
    import { postgresEngine } from ${JSON.stringify(import.meta.resolve('../../sandbox/engines/postgres.ts'))}
    await postgresEngine(${JSON.stringify(home)}).start(${JSON.stringify(at)})`)
  await query(at, 'CREATE TABLE kept ()')
  parent.kill('SIGKILL')
  await untilServerGone(`${home}/postgres/test_orphan`)
  const server = await postgresEngine(home).start(at)
  t.is((await query(at, 'SELECT * FROM kept')).length, 0)
  await server.stop()
})

test('a folder closed to other users is refused when the sandbox is run by root', async (t) => {
  if (process.getuid?.() !== 0) {
    t.log('skipped: only root hands its servers over to another user')
    t.pass()
    return
  }
  const closed = join(home, 'closed')
  await mkdir(closed, { mode: 0o700 })
  const at = await instance('closed')
  await t.throwsAsync(postgresEngine(join(closed, 'engines')).start(at), {
    message: /they run as "nobody", and .*closed is closed to other users/,
  })
})
