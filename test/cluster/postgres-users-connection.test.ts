/** The administrator's connection: encryption, deadlines, silence, refusals, and cuts at every message. */
import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import type { Client } from 'pg'
import { connect } from '../../shared/kubedb/databases/users/postgres.ts'
import { adminOf } from '../support/admin.ts'
import { makeCertificates } from '../support/certificates.ts'
import { assertUnreachable, conspicuous, usersOver } from './binding-users.ts'
import { installations, type Server, Servers } from './postgres-server.ts'
import { Relay } from './relay.ts'

const { using, assertMended } = usersOver(connect)

/** Replaces pg_hba.conf of a running server. */
async function admit(server: Server, line: string): Promise<void> {
  const client = await server.client()
  const { rows } = await client.query('SHOW hba_file')
  await client.query(`COPY (SELECT '${line}') TO '${rows[0].hba_file}'`)
  await client.query('SELECT pg_reload_conf()')
  await client.end()
  await sleep(200)
}

/** As if no bind had ever come. */
async function forget(server: Server): Promise<void> {
  await server.query('DROP DATABASE IF EXISTS app WITH (FORCE)')
  for (const name of [conspicuous.name, 'osb_owner', 'osb_read_write', 'osb_read_only']) {
    const found = await server.query(`SELECT 1 FROM pg_roles WHERE rolname = '${name}'`)
    if (found.length > 0) await server.query(`DROP OWNED BY ${name}; DROP ROLE ${name}`)
  }
}

/** A database that is nowhere. */
const nowhere = {
  ...adminOf({ port: 1, username: 'postgres', password: 'Of the administrator' }),
}

test('a port where nobody listens, and a name that nobody has', async (t) => {
  const deadline = Date.now() + 20_000
  await assertUnreachable(t, connect({ ...nowhere, deadline }), /ECONNREFUSED/, 3000)
  await assertUnreachable(t, connect({ ...nowhere, host: 'db.invalid', deadline }), /db\.invalid/, 5000)
  await assertUnreachable(t, connect({ ...nowhere, deadline: Date.now() - 1 }), /deadline|ECONNREFUSED/, 3000)
  const signal = AbortSignal.abort()
  await assertUnreachable(t, connect({ ...nowhere, deadline, signal }), /gone away/, 3000)
  for (const query of ['sslmode=verify-full', 'sslmode=verify-ca']) {
    await assertUnreachable(t, connect({ ...nowhere, query, deadline }), /needs the CA's certificate/, 3000)
  }
  await assertUnreachable(t, connect({ ...nowhere, query: 'sslmode=on', deadline }), /"on".*unknown/, 3000)
})

test('a server that accepts and never answers is given up after five seconds', async (t) => {
  const relay = await Relay.start()
  const admin = { ...nowhere, port: relay.port, deadline: Date.now() + 20_000 }
  await Promise.all(
    ['disable', 'prefer', 'require'].map((mode) =>
      assertUnreachable(t, connect({ ...admin, query: `sslmode=${mode}` }), /within 5 s/, 6000, mode),
    ),
  )
  await assertUnreachable(t, connect({ ...admin, deadline: Date.now() + 400 }), /deadline/, 3000)
  const caller = new AbortController()
  setTimeout(() => caller.abort(), 300)
  await assertUnreachable(t, connect({ ...admin, signal: caller.signal }), /gone away/, 3000)
  await sleep(50)
  t.is(relay.open, 0)
  await relay.stop()
})

for (const [index, installation] of installations().entries()) {
  const servers = new Servers(installation)
  const title = (text: string) => `${installation.title}: ${text}`
  test.after.always(title('end the servers'), () => servers.stop())

  test.serial(title('a server that falls silent in the middle is given up at the deadline'), async (t) => {
    const server = await servers.start()
    const relay = await Relay.start(server.port)
    const users = await connect(server.admin({ port: relay.port, deadline: Date.now() + 1000 }))
    relay.silentAfter(0, true, () => {})
    await assertUnreachable(t, users.list(), /did not answer before the request's deadline/, 3000)
    await users.close()
    await sleep(100)
    t.is(relay.open, 0)
    await relay.stop()
    await server.stop()
  })

  // what a half-done step leaves does not depend on the version
  for (const call of index === 0 ? (['create', 'drop'] as const) : []) {
    test.serial(
      title(`${call} cut off at any message leaves nothing that the next one does not mend`),
      async (t) => {
        const server = await servers.start()
        const relay = await Relay.start(server.port)
        const prepare = async () => {
          await forget(server)
          if (call === 'create') return
          await using(server.admin(), (users) => users.create(conspicuous))
          // something to hand over, so that drop has all its steps
          const login = { user: conspicuous.name, password: conspicuous.password, database: 'app' }
          await server.query('SET ROLE NONE; CREATE TABLE own (x int)', login)
        }
        await assertMended(t, call, { server, relay, through: { port: relay.port }, prepare, least: 10 })
        await sleep(100)
        t.is(relay.open, 0)
        await relay.stop()
        await server.stop()
      },
    )
  }

  test.serial(title('a caller who goes away ends the work in the middle'), async (t) => {
    const server = await servers.start()
    const holder = await server.client()
    // the lock under which instances are set up
    await holder.query('SELECT pg_advisory_lock(7302625301)')
    const caller = new AbortController()
    setTimeout(() => caller.abort(), 300)
    const aborted = using(server.admin({ signal: caller.signal }), (users) => users.create(conspicuous))
    await assertUnreachable(t, aborted, /gone away/, 3000)
    const late = using(server.admin({ deadline: Date.now() + 500 }), (users) => users.create(conspicuous))
    await assertUnreachable(t, late, /deadline|timeout/, 3000)
    await holder.end()
    await using(server.admin(), (users) => users.create(conspicuous))
    await server.stop()
  })

  test.serial(title('a connection that the server ends is told, and ends nothing else'), async (t) => {
    const server = await servers.start()
    const users = await connect(server.admin())
    await server.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'kubedb-service-broker'`,
    )
    await sleep(100)
    await assertUnreachable(t, users.list(), /terminating connection/, 3000)
    await assertUnreachable(t, users.create(conspicuous), /terminating connection/, 3000)
    await users.close()
    await users.close()
    const more = await connect(server.admin())
    await server.stop()
    await assertUnreachable(t, more.list(), /terminat|closed|administrator command/, 3000)
    await more.close()
    await assertUnreachable(t, connect(server.admin()), /ECONNREFUSED/, 3000)
  })

  test.serial(title('a wrong password, a shut door and a full house are said'), async (t) => {
    const server = await servers.start(
      'max_connections = 4\nsuperuser_reserved_connections = 0\nmax_wal_senders = 0',
    )
    await assertUnreachable(
      t,
      connect(server.admin({ password: 'no' })),
      /refuses the password of administrator "postgres".*rotating/,
      3000,
    )
    const clients: Client[] = []
    for (let full = false; !full; ) {
      await server.client().then(
        (client) => clients.push(client),
        () => {
          full = true
        },
      )
    }
    await assertUnreachable(t, connect(server.admin()), /53300/, 3000)
    await Promise.all(clients.map((client) => client.end()))
    await sleep(100)
    await admit(server, 'host all nobody 127.0.0.1/32 trust')
    await assertUnreachable(t, connect(server.admin()), /pg_hba\.conf/, 3000)
    await server.stop()
  })

  test.serial(title("sslmode means what it means to PostgreSQL's own clients"), async (t) => {
    const { ca, otherCa, cert, key } = makeCertificates()
    const files = { 'server.crt': cert, 'server.key': key }
    const logging = 'log_connections = on'
    const encrypted = await servers.start(`ssl = on\n${logging}`, files)
    const clear = await servers.start(logging)
    const demanding = await servers.start(`ssl = on\n${logging}`, files)
    await admit(demanding, 'hostssl all all 127.0.0.1/32 scram-sha-256')
    const refusing = await servers.start(`ssl = on\n${logging}`, files)
    await admit(refusing, 'hostnossl all all 127.0.0.1/32 scram-sha-256')
    const table: [
      server: Server,
      mode: string,
      ca: string | undefined,
      host: string,
      outcome: 'tls' | 'clear' | RegExp,
    ][] = [
      [encrypted, '', undefined, 'localhost', 'tls'],
      [encrypted, 'sslmode=disable', ca, 'localhost', 'clear'],
      [encrypted, 'sslmode=allow', undefined, 'localhost', 'clear'],
      [encrypted, 'sslmode=prefer', undefined, 'localhost', 'tls'],
      [encrypted, 'sslmode=prefer', otherCa, '127.0.0.1', 'tls'],
      [encrypted, 'sslmode=require', undefined, '127.0.0.1', 'tls'],
      [encrypted, 'sslmode=require', ca, '127.0.0.1', 'tls'],
      [encrypted, 'sslmode=require', otherCa, 'localhost', /certificate/],
      [encrypted, 'sslmode=verify-ca', ca, '127.0.0.1', 'tls'],
      [encrypted, 'sslmode=verify-ca', otherCa, 'localhost', /certificate/],
      [encrypted, 'connect_timeout=3&sslmode=verify-full', ca, 'localhost', 'tls'],
      [encrypted, 'sslmode=verify-full', ca, '127.0.0.1', /certificate/],
      [encrypted, 'sslmode=verify-full', otherCa, 'localhost', /certificate/],
      [clear, 'sslmode=disable', undefined, 'localhost', 'clear'],
      [clear, 'sslmode=allow', undefined, 'localhost', 'clear'],
      [clear, 'sslmode=prefer', undefined, 'localhost', 'clear'],
      [clear, 'sslmode=require', undefined, 'localhost', /does not support SSL/],
      [clear, 'sslmode=verify-ca', ca, 'localhost', /does not support SSL/],
      [clear, 'sslmode=verify-full', ca, 'localhost', /does not support SSL/],
      [demanding, 'sslmode=disable', undefined, 'localhost', /pg_hba\.conf/],
      [demanding, 'sslmode=allow', undefined, 'localhost', 'tls'],
      [demanding, 'sslmode=prefer', undefined, 'localhost', 'tls'],
      [refusing, 'sslmode=prefer', undefined, 'localhost', 'clear'],
      [refusing, 'sslmode=require', undefined, 'localhost', /pg_hba\.conf/],
    ]
    for (const [server, query, caBundle, host, outcome] of table) {
      const what = `${query} ${host} ${outcome}`
      const admin = server.admin({ query, caBundle, host, hosts: [host] })
      if (outcome instanceof RegExp) {
        await assertUnreachable(t, connect(admin), outcome, 3000, what)
        continue
      }
      await (await connect(admin)).close()
      const last = (await server.log()).match(/connection authorized.*kubedb-service-broker.*/g)?.at(-1) ?? ''
      t.is(last.includes('SSL enabled') ? 'tls' : 'clear', outcome, what)
      t.not(last, '')
    }
    await Promise.all([encrypted, clear, demanding, refusing].map((server) => server.stop()))
  })
}
