/** Bindings' users inside a real OpenSearch, and behind the front that speaks as Elasticsearch. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'
import test, { type ExecutionContext } from 'ava'
import * as v from 'valibot'
import { type Account, type Admin, Unreachable, type Users } from '../../shared/kubedb/databases/database.ts'
import { elasticsearch } from '../../shared/kubedb/databases/elasticsearch.ts'
import type { Json } from '../../shared/values/json.ts'
import { adminOf } from '../support/admin.ts'
import { account, assertUnreachable, roles, usersOver } from './binding-users.ts'
import { type Product, password, SearchServers, type Server } from './elasticsearch-server.ts'
import { Relay } from './relay.ts'

function connect(admin: Admin): Promise<Users> {
  const { accounts } = elasticsearch
  if (accounts.by !== 'connection') throw new Error('users are made over a connection')
  return accounts.connect(admin)
}

const { using, bind } = usersOver(connect)

/** As it is, and in a header. */
function inHeaders(secret: string): string[] {
  const basic = ['admin', 'elastic'].map((name) => Buffer.from(`${name}:${secret}`).toString('base64'))
  return [secret, ...basic]
}

async function assertOutOfReach(
  t: ExecutionContext,
  work: Promise<unknown>,
  message: RegExp,
  within: number,
  secret = password,
): Promise<void> {
  await assertUnreachable(t, work, message, within, '', inHeaders(secret))
}

const nowhere = adminOf({ port: 1, username: 'admin', password, scheme: 'http' })

test('a port where nobody listens, a name that nobody has, a caller who has gone', async (t) => {
  const deadline = Date.now() + 20_000
  await assertOutOfReach(t, connect({ ...nowhere, deadline }), /ECONNREFUSED/, 3000)
  await assertOutOfReach(t, connect({ ...nowhere, host: 'db.invalid', deadline }), /db\.invalid/, 5000)
  await assertOutOfReach(t, connect({ ...nowhere, deadline: Date.now() - 1 }), /deadline|ECONNREFUSED/, 3000)
  await assertOutOfReach(t, connect({ ...nowhere, signal: AbortSignal.abort() }), /gone away/, 3000)
})

test('a server that accepts and never answers is given up after five seconds', async (t) => {
  const relay = await Relay.start()
  const admin = { ...nowhere, port: relay.port, deadline: Date.now() + 20_000 }
  await Promise.all(
    ['http', 'https'].map((scheme) => assertOutOfReach(t, connect({ ...admin, scheme }), /within 5 s/, 7000)),
  )
  await assertOutOfReach(t, connect({ ...admin, deadline: Date.now() + 400 }), /deadline/, 3000)
  const caller = new AbortController()
  setTimeout(() => caller.abort(), 300)
  await assertOutOfReach(t, connect({ ...admin, signal: caller.signal }), /gone away/, 3000)
  await relay.stop()
})

type Damage = [what: string, method: string, path: string, body?: Json]

const ok = 200
const denied = 403
type Row = [
  method: string,
  path: string,
  body: Json | undefined,
  owner: number,
  readWrite: number,
  readOnly: number,
]

/** What each role may do; the same for both products. `{n}` is another number for each attempt. */
const table: readonly Row[] = [
  ['GET', '/', undefined, ok, ok, ok],
  ['GET', '/_cluster/health', undefined, ok, ok, ok],
  ['GET', '/books/_search', undefined, ok, ok, ok],
  ['GET', '/books,more/_search', undefined, ok, ok, ok],
  ['GET', '/b*/_search', undefined, ok, ok, ok],
  ['GET', '/books/_doc/1', undefined, ok, ok, ok],
  ['POST', '/books/_count', { query: { match_all: {} } }, ok, ok, ok],
  ['POST', '/_mget', { docs: [{ _index: 'books', _id: '1' }] }, ok, ok, ok],
  ['GET', '/books/_mapping', undefined, ok, ok, ok],
  ['GET', '/books/_settings', undefined, ok, ok, ok],
  ['GET', '/books/_stats', undefined, ok, ok, ok],
  ['GET', '/books/_alias', undefined, ok, ok, ok],
  ['HEAD', '/books', undefined, ok, ok, ok],
  ['GET', '/_cat/indices/books', undefined, ok, ok, ok],
  ['PUT', '/books/_doc/2', { title: 'two' }, 201, ok, denied],
  ['POST', '/books/_update/1', { doc: { title: 'other' } }, ok, ok, denied],
  ['DELETE', '/books/_doc/2', undefined, 404, ok, denied],
  ['POST', '/books/_delete_by_query', { query: { match: { title: 'nothing' } } }, ok, ok, denied],
  ['POST', '/books/_refresh', undefined, ok, ok, denied],
  // an index, and a field, may come into being by writing
  ['PUT', '/new-{n}/_doc/1', { title: 'new' }, 201, 201, denied],
  ['PUT', '/books/_doc/3', { another: 3 }, 201, ok, denied],
  ['PUT', '/created-{n}', {}, ok, ok, denied],
  ['PUT', '/books/_mapping', { properties: { year: { type: 'integer' } } }, ok, ok, denied],
  ['PUT', '/books/_settings', { index: { refresh_interval: '2s' } }, ok, denied, denied],
  ['PUT', '/books/_alias/library', undefined, ok, denied, denied],
  ['POST', '/_aliases', { actions: [{ add: { index: 'books', alias: 'shelf' } }] }, ok, denied, denied],
  ['POST', '/books/_close', undefined, ok, denied, denied],
  ['POST', '/books/_open', undefined, ok, denied, denied],
  ['DELETE', '/more', undefined, ok, denied, denied],
  ['PUT', '/_index_template/books', { index_patterns: ['books-*'] }, ok, denied, denied],
  ['PUT', '/_template/old', { index_patterns: ['old-*'] }, ok, denied, denied],
  ['PUT', '/_ingest/pipeline/plain', { processors: [] }, ok, denied, denied],
  // what is not the application's
  ['GET', '/.system/_search', undefined, denied, denied, denied],
  ['PUT', '/.system/_doc/1', { a: 1 }, denied, denied, denied],
  ['DELETE', '/.system', undefined, denied, denied, denied],
  ['PUT', '/.mine/_doc/1', { a: 1 }, denied, denied, denied],
  ['POST', '/_aliases', { actions: [{ add: { index: '.system', alias: 'peek' } }] }, denied, denied, denied],
  ['POST', '/_reindex', { source: { index: '.system' }, dest: { index: 'taken' } }, denied, denied, denied],
  ['PUT', '/_cluster/settings', { transient: { 'action.auto_create_index': false } }, denied, denied, denied],
  ['POST', '/_cluster/reroute', undefined, denied, denied, denied],
  ['PUT', '/_snapshot/repository', { type: 'fs', settings: { location: '/tmp/x' } }, denied, denied, denied],
  ['GET', '/_snapshot/_all', undefined, denied, denied, denied],
  ['PUT', '/_scripts/stored', { script: { lang: 'painless', source: '1' } }, denied, denied, denied],
  ['POST', '/_tasks/_cancel', undefined, denied, denied, denied],
]

const security: Record<Product, readonly [method: string, path: string, body?: Json][]> = {
  OpenSearch: [
    ['GET', '/_plugins/_security/api/internalusers'],
    ['PUT', '/_plugins/_security/api/internalusers/another', { password: 'a long enough Passw0rd!' }],
    ['PUT', '/_plugins/_security/api/roles/osb_read_only', { cluster_permissions: ['*'] }],
    [
      'PATCH',
      '/_plugins/_security/api/rolesmapping',
      [{ op: 'add', path: '/all_access', value: { users: ['*'] } }],
    ],
    ['GET', '/_plugins/_security/api/securityconfig'],
    ['GET', '/.opendistro_security/_search'],
  ],
  Elasticsearch: [
    ['GET', '/_security/user'],
    ['PUT', '/_security/user/another', { password: 'a password', roles: ['osb_owner'] }],
    ['PUT', '/_security/role/osb_read_only', { cluster: ['all'] }],
    ['POST', '/_security/api_key', { name: 'key' }],
  ],
}

for (const product of ['OpenSearch', 'Elasticsearch'] satisfies Product[]) {
  const title = (text: string) => `${product}: ${text}`
  const servers = new SearchServers()
  let shared: Promise<Server> | undefined
  const common = () => {
    shared ??= servers.start(product)
    return shared
  }
  test.after.always(title('end the servers'), () => servers.stop())

  const bodyOf = (path: string) =>
    product === 'OpenSearch' ? `/_plugins/_security/api${path}` : `/_security${path}`
  const userPath = (name: string) => bodyOf(`/${product === 'OpenSearch' ? 'internalusers' : 'user'}/${name}`)
  const rolePath = (name: string) => bodyOf(`/${product === 'OpenSearch' ? 'roles' : 'role'}/${name}`)
  const loginStatus = async (server: Server, as: Account) =>
    (await server.request('GET', '/', undefined, as)).status

  test.serial(title('each role may do what it is for, and nothing beyond'), async (t) => {
    const server = await common()
    for (const path of ['/books/_doc/1', '/more/_doc/1', '/.system/_doc/1'])
      await server.request('PUT', `${path}?refresh=true`, { title: 'one' })
    const bound = {
      owner: await bind(server),
      readWrite: await bind(server, 'readWrite'),
      readOnly: await bind(server, 'readOnly'),
    }
    let attempts = 0
    // readers first, then writers: what one must not do must not be done already
    for (const [method, path, body, ...expected] of table) {
      for (const role of [...roles].reverse()) {
        const place = path.replace('{n}', String(attempts++))
        const { status, body: answer } = await server.request(method, place, body, bound[role])
        const wanted = expected[roles.indexOf(role)]
        t.true(
          status === wanted || (status === 201 && wanted === 200) || (status === 200 && wanted === 201),
          `${role}: ${method} ${place}: ${status} ${JSON.stringify(answer).slice(0, 300)}`,
        )
      }
    }
    for (const [method, path, body] of security[product]) {
      for (const role of roles) {
        const { status } = await server.request(method, path, body, bound[role])
        t.is(status, denied, `${role}: ${method} ${path}`)
      }
    }
    // Elasticsearch would refuse this too; behind the front, the server leaves out what the user may not see
    const mixed = await server.request('GET', '/books,.system/_search', undefined, bound.owner)
    t.is(mixed.status, product === 'OpenSearch' ? denied : ok)
    t.false(JSON.stringify(mixed.body).includes('.system"'))
    // each item of a bulk is judged by itself
    const items = (index: string) => `{"index":{"_index":"${index}"}}\n{"title":"x"}\n`
    const { url } = server
    for (const [role, status] of [
      ['readWrite', 200],
      ['readOnly', 403],
    ] as const) {
      const { name, password } = bound[role]
      const answer = await fetch(`${url}/_bulk`, {
        method: 'POST',
        body: items('books') + items('.system'),
        headers: {
          'content-type': 'application/x-ndjson',
          authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`,
        },
      })
      t.is(answer.status, status, role)
      if (status !== 200) continue
      t.like(await answer.json(), { items: [{ index: { status: 201 } }, { index: { status: 403 } }] })
    }
  })

  test.serial(title('no role can write to an index named like its user'), async (t) => {
    const server = await common()
    const reader = await bind(server, 'readOnly')
    t.is((await server.request('PUT', `/${reader.name}/_doc/1`, { a: 1 }, reader)).status, denied)
  })

  test.serial(title('twenty users made at once are all made, and listed with no others'), async (t) => {
    const server = await common()
    const before = await using(server.admin(), (users) => users.list())
    const accounts = Array.from({ length: 20 }, (_, index) => account(roles[index % 3]))
    // a busy machine takes its time
    const patient = () => server.admin({ deadline: Date.now() + 90_000 })
    await Promise.all(accounts.map((made) => using(patient(), (users) => users.create(made))))
    const names = accounts.map(({ name }) => name)
    t.deepEqual(await using(server.admin(), (users) => users.list()), [...before, ...names].sort())
    await using(server.admin(), async (users) => {
      for (const made of accounts) t.true(await users.works(made), made.role)
    })
    await Promise.all(names.map((name) => using(patient(), (users) => users.drop(name))))
    t.deepEqual(await using(server.admin(), (users) => users.list()), before)
  })

  test.serial(title('one account made many times at once is made once'), async (t) => {
    const server = await common()
    const made = account()
    await Promise.all(Array.from({ length: 6 }, () => using(server.admin(), (users) => users.create(made))))
    t.is(await loginStatus(server, made), ok)
  })

  test.serial(title('a damaged user or role does not work, and is healed by making it again'), async (t) => {
    const server = await common()
    const made = await bind(server, 'readWrite')
    const other = 'a long enough Passw0rd!'
    const field = product === 'OpenSearch' ? 'opendistro_security_roles' : 'roles'
    const damages: Damage[] = [
      ['dropped', 'DELETE', userPath(made.name)],
      ['another password', 'PUT', userPath(made.name), { password: other, [field]: ['osb_read_write'] }],
      ['another role', 'PUT', userPath(made.name), { [field]: ['osb_owner'] }],
      ['one role more', 'PUT', userPath(made.name), { [field]: ['osb_read_write', 'osb_owner'] }],
      ['no role', 'PUT', userPath(made.name), { [field]: [] }],
      ...(product === 'OpenSearch'
        ? ([
            [
              'a backend role',
              'PUT',
              userPath(made.name),
              { [field]: ['osb_read_write'], backend_roles: ['admin'] },
            ],
            ['the role is gone', 'DELETE', rolePath('osb_read_write')],
            [
              'the role may more',
              'PUT',
              rolePath('osb_read_write'),
              { cluster_permissions: ['*'], index_permissions: [] },
            ],
            [
              'everybody has an index',
              'PUT',
              bodyOf('/rolesmapping/own_index'),
              { users: ['*', 'somebody'], backend_roles: [], hosts: [] },
            ],
          ] satisfies Damage[])
        : ([
            ['disabled', 'PUT', `${userPath(made.name)}/_disable`],
            ['the role may less', 'PUT', rolePath('osb_read_write'), { cluster: ['monitor'] }],
            [
              'the role may more',
              'PUT',
              rolePath('osb_owner'),
              { cluster: ['all'], indices: [{ names: ['*'], privileges: ['all'] }] },
            ],
          ] satisfies Damage[])),
    ]
    for (const [what, method, path, body] of damages) {
      const { status, body: answer } = await server.request(method, path, body)
      t.true(status < 300, `${what}: ${status} ${JSON.stringify(answer)}`)
      await using(server.admin(), async (users) => {
        t.false(await users.works(made), what)
        await users.create(made)
        t.true(await users.works(made), what)
      })
      t.is((await server.request('POST', '/books/_doc', { title: what }, made)).status, 201, what)
      t.is((await server.request('DELETE', '/books', undefined, made)).status, denied, what)
    }
    if (product === 'OpenSearch') {
      const { body } = await server.request('GET', bodyOf('/rolesmapping/own_index'))
      t.like(body, { own_index: { users: ['somebody'] } })
    }
  })

  test.serial(title('a dropped user is out at once, however often it is dropped'), async (t) => {
    const server = await common()
    const [made, stays] = [await bind(server), await bind(server)]
    t.is(await loginStatus(server, made), ok)
    await server.request('PUT', '/kept/_doc/1?refresh=true', { a: 1 }, made)
    for (let time = 0; time < 2; time++) {
      await using(server.admin(), (users) => users.drop(made.name))
      t.is(await loginStatus(server, made), 401)
    }
    t.is(await loginStatus(server, stays), ok)
    t.is((await server.request('GET', '/kept/_doc/1', undefined, stays)).status, ok)
    await using(server.admin(), async (users) => {
      t.false(await users.works(made))
      for (const name of ['admin', 'elastic', 'b', `${made.name}x`, '../roles/osb_owner'])
        await t.throwsAsync(users.drop(name), { message: /is not a user of this broker/ })
    })
  })

  if (product === 'OpenSearch') {
    test.serial(title('what somebody else has mended at that moment is as good'), async (t) => {
      const server = await common()
      const mapping = bodyOf('/rolesmapping/own_index')
      await server.request('PUT', mapping, { users: ['*'], backend_roles: [], hosts: [] })
      let overtaken = 0
      // As when two make the first users of a server at once.
      const front = createServer(async (request, response) => {
        const body = await text(request)
        if (request.method === 'PATCH') {
          overtaken++
          const { status } = await server.request('PATCH', mapping, [
            { op: 'replace', path: '/users', value: [] },
          ])
          t.is(status, ok)
        }
        const answer = await fetch(`${server.url}${request.url}`, {
          method: request.method ?? '',
          headers: {
            authorization: request.headers.authorization ?? '',
            'content-type': 'application/json',
          },
          ...(body === '' ? {} : { body }),
        })
        response.writeHead(answer.status, { 'content-type': 'application/json' }).end(await answer.text())
      }).listen(0, '127.0.0.1')
      await once(front, 'listening')
      const { port } = v.parse(v.object({ port: v.number() }), front.address())
      const made = account()
      const through = { host: '127.0.0.1', hosts: ['127.0.0.1'], port }
      await using(server.admin(through), (users) => users.create(made))
      front.closeAllConnections()
      front.close()
      t.is(overtaken, 1)
      t.is(await loginStatus(server, made), ok)
    })
  }

  if (product === 'Elasticsearch') {
    test.serial(title('a key that somebody made for a user dies with it'), async (t) => {
      const server = await common()
      const made = await bind(server)
      const powerful = {
        cluster: ['manage_own_api_key'],
        indices: [{ names: ['books'], privileges: ['read'] }],
      }
      await server.request('PUT', '/_security/role/keys', powerful)
      await server.request('PUT', userPath(made.name), { roles: ['osb_owner', 'keys'] })
      const { body } = await server.request('POST', '/_security/api_key', { name: 'own' }, made)
      const { encoded } = v.parse(v.looseObject({ encoded: v.string() }), body)
      const search = async () =>
        (await fetch(`${server.url}/books/_search`, { headers: { authorization: `ApiKey ${encoded}` } }))
          .status
      t.is(await search(), ok)
      await using(server.admin(), (users) => users.drop(made.name))
      t.is(await search(), 401)
    })
  }

  test.serial(
    title('create and drop cut off at any request leave nothing that the next one does not mend'),
    async (t) => {
      const server = await common()
      const made = account()
      for (const call of ['create', 'drop'] as const) {
        const relay = await Relay.start(9200, server.instance.address)
        const work = (users: Users) => (call === 'create' ? users.create(made) : users.drop(made.name))
        const prepare = async () => {
          relay.relayAll()
          await using(server.admin(), (users) =>
            call === 'create' ? users.drop(made.name) : users.create(made),
          )
          if (call === 'create') await server.request('DELETE', rolePath('osb_read_only'))
        }
        const through = { host: '127.0.0.1', hosts: ['127.0.0.1'], port: relay.port }
        await prepare()
        await using(server.admin(through), work)
        const messages = relay.seen
        t.true(messages > (call === 'create' ? 4 : 1), `${messages} messages`)
        for (let count = 0; count < messages; count++) {
          for (const forwardsNext of [false, true]) {
            const what = `${call}: message ${count}, ${forwardsNext ? 'after' : 'before'} it got through`
            await prepare()
            const caller = new AbortController()
            relay.silentAfter(count, forwardsNext, () => setTimeout(() => caller.abort(), 20))
            await t.throwsAsync(
              using(server.admin({ ...through, signal: caller.signal }), work),
              { instanceOf: Unreachable, message: /gone away/ },
              what,
            )
            await using(server.admin(), async (users) => {
              await work(users)
              t.is((await users.list()).includes(made.name), call === 'create', what)
              t.is(await users.works(made), call === 'create', what)
            })
          }
        }
        await relay.stop()
      }
    },
  )

  test.serial(
    title('silence, a cut connection and a wrong password are said, without secrets'),
    async (t) => {
      const server = await common()
      const relay = await Relay.start(9200, server.instance.address)
      const through = { host: '127.0.0.1', hosts: ['127.0.0.1'], port: relay.port }
      const made = account()
      const users = await connect(server.admin({ ...through, deadline: Date.now() + 1500 }))
      relay.silentAfter(0, true, () => {})
      await assertOutOfReach(t, users.create(made), /before the request's deadline/, 4000, made.password)
      await users.close()
      await assertOutOfReach(t, users.list(), /closed/, 1000)
      relay.relayAll()
      const more = await connect(server.admin(through))
      await relay.stop()
      await assertOutOfReach(
        t,
        more.create(made),
        /out of reach: .*(ECONNREFUSED|ECONNRESET|hang up)/,
        3000,
        made.password,
      )
      await more.close()
      const wrong = connect(server.admin({ password: 'not the password' }))
      await assertOutOfReach(
        t,
        wrong,
        /refuses the password of administrator.*rotating/,
        3000,
        'not the password',
      )
      t.false(await using(server.admin(), (users) => users.works(made)))
    },
  )
}
