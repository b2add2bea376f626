/** The administrator's connection to MySQL: encryption, deadlines, silence, refusals, and cuts at every message. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import { resolveServiceNames } from '../../sandbox/broker/names.ts'
import type { Admin } from '../../shared/kubedb/databases/database.ts'
import { connect as connectTo } from '../../shared/kubedb/databases/users/mysql.ts'
import { adminOf } from '../support/admin.ts'
import { makeCertificates } from '../support/certificates.ts'
import { assertUnreachable, conspicuous, usersOver } from './binding-users.ts'
import { makes, testsWith } from './mysql-server.ts'
import { Relay } from './relay.ts'

const engine = 'An engine of the family'
const connect = (admin: Admin) => connectTo(admin, engine)

const { using, assertMended } = usersOver(connect)

/** An engine of the family is called by its own name. */
async function assertOutOfReach(...asked: Parameters<typeof assertUnreachable>): Promise<void> {
  const [t, , , , what] = asked
  const { message } = await assertUnreachable(...asked)
  t.notRegex(message, /MySQL/, what)
}

/** A database that is nowhere. */
const nowhere = adminOf({ port: 1, username: 'root', password: 'Of the administrator' })

test('a port where nobody listens, and a name that nobody has', async (t) => {
  const deadline = Date.now() + 20_000
  await assertOutOfReach(t, connect({ ...nowhere, deadline }), /ECONNREFUSED/, 3000)
  await assertOutOfReach(t, connect({ ...nowhere, host: 'db.invalid', deadline }), /db\.invalid/, 5000)
  await assertOutOfReach(t, connect({ ...nowhere, deadline, signal: AbortSignal.abort() }), /gone away/, 3000)
  const verifying = connect({ ...nowhere, query: 'ssl-mode=VERIFY_CA', deadline })
  await assertOutOfReach(t, verifying, /needs the CA's certificate/, 3000)
  await assertOutOfReach(t, connect({ ...nowhere, query: 'ssl-mode=on', deadline }), /"ON".*unknown/, 3000)
})

test('a server that accepts and never answers is given up after five seconds', async (t) => {
  const relay = await Relay.start()
  const admin = { ...nowhere, port: relay.port, deadline: Date.now() + 20_000 }
  const caller = new AbortController()
  setTimeout(() => caller.abort(), 300)
  await Promise.all([
    assertOutOfReach(t, connect(admin), /within 5 s/, 8000),
    assertOutOfReach(t, connect({ ...admin, deadline: Date.now() + 400 }), /deadline/, 3000),
    assertOutOfReach(t, connect({ ...admin, signal: caller.signal }), /gone away/, 3000),
  ])
  await sleep(50)
  t.is(relay.open, 0)
  await relay.stop()
})

for (const make of makes) {
  const { servers, testServer } = testsWith(make)

  testServer('a server that falls silent, a wrong password and a lost connection are said', async (t) => {
    const server = await servers.start()
    const relay = await Relay.start(3306, server.address)
    const through = { host: '127.0.0.1', port: relay.port }
    const users = await connect(server.admin({ ...through, deadline: Date.now() + 1500 }))
    relay.silentAfter(0, true, () => {})
    await assertOutOfReach(t, users.list(), /did not answer before the request's deadline/, 4000)
    await users.close()
    await sleep(100)
    t.is(relay.open, 0)
    await relay.stop()
    const refused = connect(server.admin({ password: 'no' }))
    await assertOutOfReach(t, refused, /refuses the password of administrator "root".*rotating/, 3000)
    const more = await connect(server.admin())
    await server.stop()
    await assertOutOfReach(t, more.list(), /closed|shut|lost/i, 3000)
    await more.close()
    await more.close()
  })

  for (const call of ['create', 'drop'] as const) {
    testServer(`${call} cut off at any message leaves nothing that the next one does not mend`, async (t) => {
      const server = await servers.start()
      const relay = await Relay.start(3306, server.address)
      const through = { host: '127.0.0.1', port: relay.port }
      const prepare = async () => {
        await server.query('DROP DATABASE IF EXISTS app')
        await server.query(`DROP USER IF EXISTS ${conspicuous.name}`)
        if (call === 'drop') await using(server.admin(), (users) => users.create(conspicuous))
      }
      await assertMended(t, call, { server, relay, through, prepare, least: 5 })
      await relay.stop()
      await server.stop()
    })
  }

  testServer("ssl-mode means what it means to MySQL's own clients", async (t) => {
    const { ca, otherCa, cert, key } = makeCertificates()
    const encrypted = await servers.start('', { ca, cert, key })
    const clear = await servers.start()
    const relay = await Relay.start(3306, encrypted.address)
    // the certificate is for localhost
    const named = { host: 'localhost', port: relay.port }
    const directory = await mkdtemp(join(tmpdir(), 'names-'))
    const names = join(directory, 'names.json')
    await writeFile(names, JSON.stringify({ 'db.databases.svc': encrypted.address }))
    resolveServiceNames(names)
    const misnamed = { host: 'db.databases.svc' }
    const table: [query: string, ca: string | undefined, where: Partial<Admin>, outcome: 'ok' | RegExp][] = [
      ['', undefined, {}, 'ok'],
      ['', ca, named, 'ok'],
      ['', ca, misnamed, /certificate/],
      ['', otherCa, named, /certificate/],
      ['ssl-mode=DISABLED', ca, {}, 'ok'],
      ['ssl-mode=required', otherCa, {}, 'ok'],
      ['ssl-mode=VERIFY_CA', ca, misnamed, 'ok'],
      ['ssl-mode=VERIFY_CA', otherCa, {}, /certificate/],
      ['ssl-mode=VERIFY_IDENTITY', ca, named, 'ok'],
    ]
    for (const [query, caBundle, where, outcome] of table) {
      const opened = connect(encrypted.admin({ query, caBundle, ...where }))
      const what = `${query} ${JSON.stringify(where)}`
      if (outcome === 'ok') await (await opened).close()
      else await assertOutOfReach(t, opened, outcome, 5000, what)
    }
    await (await connect(clear.admin())).close()
    for (const query of ['ssl-mode=REQUIRED', '']) {
      const caBundle = query === '' ? ca : undefined
      const refused = connect(clear.admin({ query, caBundle }))
      await assertOutOfReach(t, refused, /does not support secure connection/, 5000, query)
    }
    await rm(directory, { recursive: true })
    await relay.stop()
    await Promise.all([encrypted.stop(), clear.stop()])
  })
}
