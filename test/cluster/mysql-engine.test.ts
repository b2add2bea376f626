import { createServer } from 'node:net'
import { join } from 'node:path'
import test from 'ava'
import { createConnection, type RowDataPacket } from 'mysql2/promise'
import { mysqlEngine } from '../../sandbox/engines/mysql.ts'
import type { Instance } from '../../sandbox/engines/parts/engine.ts'
import { makeCertificates } from '../support/certificates.ts'
import { startedByParent, untilServerGone, useInstances } from './engine-instances.ts'
import { makes, testWith } from './mysql-server.ts'

const { home, instance: named } = await useInstances(test, {
  port: 3306,
  username: 'root',
  password: 'it\'s a \\ "password"',
})

/** Its name is as long as those of the broker's databases are. */
const instance = (name: string, more: Partial<Instance> = {}): Promise<Instance> =>
  named(name, { name: `databases-0a1b2c3d/osb-0f0e0d0c-0b0a-0908-0706-050403020100-${name}`, ...more })

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

for (const oneMake of makes) {
  const { title: make, find } = oneMake
  const testServer = testWith(oneMake)
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
      const parent = await startedByParent(`
        import { mysqlEngine } from ${module('mysql')}
        import { find${make === 'MySQL' ? 'MySql' : 'MariaDb'} as find } from ${module('mysql/programs')}
        await mysqlEngine(${JSON.stringify(folder)}, find).start(${JSON.stringify(at)})`)
      await query(at, 'CREATE DATABASE kept')
      parent.kill('SIGKILL')
      // at once: what is still running is ended first
      const server = await engine.start(at)
      t.deepEqual(await query(at, "SHOW DATABASES LIKE 'kept'"), [['kept']])
      await server.stop()
      await untilServerGone(`${folder}/mysql/databases`)
    },
  )
}
