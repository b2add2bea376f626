/** The sandbox's MySQL servers: a real MySQL, and the MariaDB that stands for it where there is none. */
import { execFile, spawn } from 'node:child_process'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import { createConnection, type RowDataPacket } from 'mysql2/promise'
import { findMariaDb, findMySql } from '../../sandbox/engines/mysql/programs.ts'
import { mysqlEngine } from '../../sandbox/engines/mysql.ts'
import type { Instance } from '../../sandbox/engines/parts/engine.ts'
import { openLoopbackAddresses } from '../../sandbox/machine/loopback.ts'
import { makeCertificates } from '../support/certificates.ts'
import { until } from './operator-setting.ts'

const home = await mkdtemp(join(tmpdir(), 'mysql-engine-'))
await chmod(home, 0o755)
test.after.always(() => rm(home, { recursive: true, force: true }))

async function instance(name: string, more: Partial<Instance> = {}): Promise<Instance> {
  const addresses = await openLoopbackAddresses(join(home, `${name}.json`))
  return {
    // as long as the names of the broker's databases are
    name: `databases-0a1b2c3d/osb-0f0e0d0c-0b0a-0908-0706-050403020100-${name}`,
    volume: 'first',
    address: await addresses.addressOf(name, 3306),
    username: 'root',
    password: 'it\'s a \\ "password"',
    config: '',
    spec: {},
    ...more,
  }
}

async function query(at: Instance, statement: string, ssl?: { ca: string }): Promise<unknown[]> {
  const { address: host, username: user, password } = at
  const connection = await createConnection({ host, user, password, ...(ssl ? { ssl } : {}) })
  try {
    const [rows] = await connection.query<RowDataPacket[]>(statement)
    return Array.isArray(rows) ? rows.map((row) => Object.values(row)) : []
  } finally {
    await connection.end()
  }
}

for (const [make, find] of [
  ['MySQL', findMySql],
  ['MariaDB', findMariaDb],
] as const) {
  const testServer = (text: string, work: (t: ExecutionContext) => Promise<void>) =>
    test.serial(`${make}: ${text}`, async (t) => {
      const found = await find()
      if (!('missing' in found)) return work(t)
      t.log(`skipped: ${found.missing}`)
      t.pass()
    })
  const folder = join(home, make)
  const engine = mysqlEngine(folder, find)

  testServer(
    'a server keeps data, takes a new password from its instance and loses data with its volume',
    async (t) => {
      t.is(await engine.available(), true)
      const at = await instance(`data-${make}`)
      let server = await engine.start(at)
      await server.check()
      t.regex(String(await query(at, 'SELECT VERSION()')), make === 'MySQL' ? /^\d[.\d]+-/ : /MariaDB/)
      await query(at, 'CREATE DATABASE kept')
      await query(at, 'CREATE TABLE kept.t AS SELECT 42 AS answer')
      await t.throwsAsync(query({ ...at, password: 'wrong' }, 'SELECT 1'), { code: 'ER_ACCESS_DENIED_ERROR' })
      await t.throwsAsync(query({ ...at, password: '' }, 'SELECT 1'), { code: 'ER_ACCESS_DENIED_ERROR' })
      await server.stop()
      t.is(await server.exited, 'exit code 0')
      const renewed = { ...at, password: 'another' }
      server = await engine.start(renewed)
      t.deepEqual(await query(renewed, 'SELECT answer FROM kept.t'), [[42]])
      await server.setPassword('a third')
      await server.check()
      await t.throwsAsync(query(renewed, 'SELECT 1'), { code: 'ER_ACCESS_DENIED_ERROR' })
      t.deepEqual(await query({ ...at, password: 'a third' }, 'SELECT 1'), [[1]])
      await server.stop()
      server = await engine.start({ ...at, volume: 'second' })
      await t.throwsAsync(query(at, 'SELECT answer FROM kept.t'), { message: /kept/ })
      await server.stop()
      t.deepEqual(await engine.kept(), [{ name: at.name, volume: 'second' }])
      await engine.wipe(at.name)
      t.deepEqual(await engine.kept(), [])
    },
  )

  testServer('settings are taken at once, at the next start, or refused in its words', async (t) => {
    const at = await instance(`settings-${make}`, { config: '[mysqld]\nmax_connections = lots\n' })
    await t.throwsAsync(engine.start(at), { message: /did not start: .*max_connections/ })
    const server = await engine.start({ ...at, config: '[mysqld]\nmax_connections = 60\n' })
    const value = async (name: string) => (await query(at, `SELECT @@GLOBAL.${name}`))[0]
    t.deepEqual(await value('max_connections'), [60])
    t.is(await server.reload('[mysqld]\nmax-connections = 70\nwait_timeout = 900\n'), 'applied')
    t.deepEqual([await value('max_connections'), await value('wait_timeout')], [[70], [900]])
    t.is(await server.reload('[mysqld]\nmax_connections = 70\nsort_buffer_size = 1M\n'), 'applied')
    t.deepEqual([await value('sort_buffer_size'), await value('wait_timeout')], [[1048576], [28800]])
    t.is(await server.reload('[mysqld]\nmax_connections = 71\nback_log = 77\n'), 'restart')
    t.deepEqual(await value('max_connections'), [71])
    await t.throwsAsync(server.reload('[mysqld]\nmax_connections = 72\nnonsense = 1\n'), {
      message: /refuses the settings: unknown variable 'nonsense=1'/,
    })
    t.deepEqual(await value('max_connections'), [71])
    await server.stop()
    const again = await engine.start({ ...at, config: '[mysqld]\nback_log = 77\n' })
    t.deepEqual(await value('back_log'), [77])
    await again.stop()
  })

  testServer('with a certificate it speaks TLS, without one it speaks none', async (t) => {
    const { ca, cert, key } = makeCertificates()
    const at = await instance(`tls-${make}`)
    const clear = await engine.start(at)
    await t.throwsAsync(query(at, 'SELECT 1', { ca }), { message: /does not support secure connection/ })
    await clear.stop()
    const tls = { ca, cert, key }
    const encrypted = await engine.start({ ...at, tls, spec: { requireSSL: true } })
    await encrypted.check()
    t.regex(String(await query(at, "SHOW STATUS LIKE 'Ssl_version'", { ca })), /TLSv1/)
    await t.throwsAsync(query(at, 'SELECT 1'), {
      message: make === 'MySQL' ? /insecure transport/ : /Access denied/,
    })
    await encrypted.stop()
    const both = await engine.start({ ...at, tls })
    t.deepEqual(await query(at, 'SELECT 1'), [[1]])
    await both.stop()
  })

  testServer('an address that is taken is told', async (t) => {
    const at = await instance(`taken-${make}`)
    const squatter = createServer((socket) => socket.destroy()).listen(3306, at.address)
    await new Promise((resolve) => squatter.once('listening', resolve))
    await t.throwsAsync(engine.start(at), { message: /did not start: .*Address already in use/ })
    squatter.close()
  })

  testServer(
    'a server ends with its parent, even when that is killed, and starts again on its data',
    async (t) => {
      const at = await instance(`orphan-${make}`)
      const module = (name: string) => JSON.stringify(import.meta.resolve(`../../sandbox/engines/${name}.ts`))
      const program = `
      import { mysqlEngine } from ${module('mysql')}
      import { find${make === 'MySQL' ? 'MySql' : 'MariaDb'} as find } from ${module('mysql/programs')}
      await mysqlEngine(${JSON.stringify(folder)}, find).start(${JSON.stringify(at)})
      console.log('started')
      setInterval(() => undefined, 1000)`
      const parent = spawn(process.execPath, ['--input-type=module-typescript', '-e', program], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      await new Promise((resolve) => parent.stdout.once('data', resolve))
      await query(at, 'CREATE DATABASE kept')
      parent.kill('SIGKILL')
      // at once: what is still running is ended first
      const server = await engine.start(at)
      t.deepEqual(await query(at, "SHOW DATABASES LIKE 'kept'"), [['kept']])
      await server.stop()
      await until('the server gone', async () => {
        const { stdout } = await promisify(execFile)('ps', ['-eo', 'args'])
        return !stdout.includes(`${folder}/mysql/databases`)
      })
    },
  )
}
