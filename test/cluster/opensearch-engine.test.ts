import { Client as ElasticsearchClient } from '@elastic/elasticsearch'
import { Client as OpenSearchClient } from '@opensearch-project/opensearch'
import test from 'ava'
import { dialectOf, opensearchEngine } from '../../sandbox/engines/opensearch.ts'
import { type Product, password, SearchServers, type Server } from './elasticsearch-server.ts'

const servers = new SearchServers()
const shared = new Map<Product, Promise<Server>>()
const common = (product: Product) => {
  const started = shared.get(product) ?? servers.start(product)
  shared.set(product, started)
  return started
}

test.after.always(() => servers.stop())

test.serial("OpenSearch's own client works against an opensearch version", async (t) => {
  const { url, running } = await common('OpenSearch')
  await running.check()
  const client = new OpenSearchClient({ node: url, auth: { username: 'admin', password } })
  const info = await client.info()
  t.is(info.body.version.distribution, 'opensearch')
  await client.indices.create({
    index: 'books',
    body: { mappings: { properties: { title: { type: 'text' } } } },
  })
  await client.bulk({ refresh: true, body: [{ index: { _index: 'books', _id: '1' } }, { title: 'One two' }] })
  const found = await client.search({ index: 'books', body: { query: { match: { title: 'two' } } } })
  t.deepEqual(
    found.body.hits.hits.map(({ _source }) => _source),
    [{ title: 'One two' }],
  )
  const gone = await client.deleteByQuery({
    index: 'books',
    body: { query: { match_all: {} } },
    refresh: true,
  })
  t.like(gone.body, { deleted: 1 })
  await client.close()
  const stranger = new OpenSearchClient({ node: url, auth: { username: 'admin', password: 'admin' } })
  t.like(await t.throwsAsync(stranger.info()), { statusCode: 401, body: 'Unauthorized' })
  await stranger.close()
})

test.serial("Elasticsearch's own client works against an xpack version, and believes it", async (t) => {
  const { url, running } = await common('Elasticsearch')
  await running.check()
  const client = new ElasticsearchClient({ node: url, auth: { username: 'elastic', password } })
  const info = await client.info()
  t.is(info.version.number, '9.2.3')
  t.is(info.tagline, 'You Know, for Search')
  await client.indices.create({ index: 'books', mappings: { properties: { title: { type: 'text' } } } })
  await client.bulk({
    refresh: true,
    operations: [{ index: { _index: 'books', _id: '1' } }, { title: 'One two' }],
  })
  const found = await client.search({ index: 'books', query: { match: { title: 'two' } } })
  t.deepEqual(
    found.hits.hits.map(({ _source }) => _source),
    [{ title: 'One two' }],
  )
  t.true((await client.security.authenticate()).roles.includes('superuser'))
  await client.close()
  const stranger = new ElasticsearchClient({ node: url, auth: { username: 'elastic', password: 'elastic' } })
  await t.throwsAsync(stranger.info(), { message: /unable to authenticate user \[elastic\]/ })
  await stranger.close()
})

test.serial('the front manages users, roles and keys as X-Pack does', async (t) => {
  const { url, request } = await common('Elasticsearch')
  const client = new ElasticsearchClient({ node: url, auth: { username: 'elastic', password } })
  const role = {
    cluster: ['monitor', 'manage_own_api_key'],
    indices: [{ names: ['shop-*'], privileges: ['read'] }],
  }
  t.deepEqual(await client.security.putRole({ name: 'reader', body: role } as never), {
    role: { created: true },
  })
  const user = { username: 'jo', password: 'a password', roles: ['reader'] }
  t.deepEqual(await client.security.putUser(user), { created: true })
  t.deepEqual(await client.security.putUser(user), { created: false })
  await client.index({ index: 'shop-1', id: '1', document: { a: 1 }, refresh: true })
  await client.index({ index: 'other', id: '1', document: { a: 1 }, refresh: true })
  const jo = new ElasticsearchClient({ node: url, auth: { username: 'jo', password: 'a password' } })
  // A wildcard leaves out what the user may not see; a name is refused.
  t.is((await jo.search({ index: '*' })).hits.hits.length, 1)
  await t.throwsAsync(jo.search({ index: 'other' }), { message: /is unauthorized for user \[jo\]/ })
  await t.throwsAsync(jo.index({ index: 'shop-1', document: {} }), {
    message: /action \[indices:data\/write\/index\] is unauthorized for user \[jo\]/,
  })
  await t.throwsAsync(jo.security.putUser(user), {
    message: /security\/user\/put\] is unauthorized for user \[jo\]/,
  })
  const { encoded } = await jo.security.createApiKey({ name: 'key' })
  const holder = new ElasticsearchClient({ node: url, auth: { apiKey: encoded } })
  t.is((await holder.search({ index: 'shop-1' })).hits.hits.length, 1)
  await client.security.deleteUser({ username: 'jo' })
  await t.throwsAsync(jo.info(), { message: /unable to authenticate/ })
  t.is((await holder.search({ index: 'shop-1' })).hits.hits.length, 1, 'keys outlive their user')
  t.is((await client.security.invalidateApiKey({ username: 'jo' })).invalidated_api_keys.length, 1)
  await t.throwsAsync(holder.search({ index: 'shop-1' }), { message: /unable to authenticate/ })
  await Promise.all([client.close(), jo.close(), holder.close()])
  const table: [method: string, path: string, body: object | undefined, status: number, words: RegExp][] = [
    ['PUT', '/_security/user/x', { password: 'short', roles: [] }, 400, /at least \[6\] characters/],
    ['PUT', '/_security/user/x', { roles: [] }, 400, /password must be specified unless you are updating/],
    ['PUT', '/_security/user/elastic', { password: 'a password', roles: [] }, 400, /\[elastic\] is reserved/],
    [
      'PUT',
      '/_security/role/x',
      { indices: [{ names: ['a'], privileges: ['fly'] }] },
      400,
      /unknown index privilege \[fly\]/,
    ],
    ['PUT', '/_security/role/x', { indexes: [] }, 400, /failed to parse role \[x\]/],
    ['GET', '/_security/user/nobody', undefined, 404, /^\{\}$/],
    ['DELETE', '/_security/role/nobody', undefined, 404, /"found":false/],
    ['GET', '/_plugins/_security/authinfo', undefined, 400, /no handler found for uri/],
    ['DELETE', '/_security/oauth2/token', { username: 'x' }, 400, /security tokens are not enabled/],
  ]
  for (const [method, path, body, status, words] of table) {
    const answer = await request(method, path, body as never)
    t.is(answer.status, status, `${method} ${path}`)
    t.regex(JSON.stringify(answer.body), words)
  }
})

test.serial('a server keeps data, takes a new password, and loses data with its volume', async (t) => {
  const first = await common('OpenSearch')
  await first.request('PUT', '/kept/_doc/1?refresh=true', { answer: 42 })
  await first.running.setPassword('changed while running')
  await first.running.check()
  t.is((await first.request('GET', '/kept/_doc/1')).status, 401)
  t.is(await first.running.reload(''), 'applied')
  t.is(await first.running.reload('indices.query.bool.max_clause_count: 2048'), 'restart')
  await t.throwsAsync(first.running.reload('- no'), {
    message: /elasticsearch\.yml is not a list of settings/,
  })
  await first.running.stop()
  const renewed = await servers.start('OpenSearch', { password: 'changed while down' })
  t.like((await renewed.request('GET', '/kept/_doc/1')).body, { _source: { answer: 42 } })
  await renewed.running.stop()
  const engine = opensearchEngine(await servers.home())
  t.true((await engine.kept()).some(({ name, volume }) => name === 'test/opensearch' && volume === 'first'))
  const refused = await servers.instance('OpenSearch', { volume: 'second', config: 'indices.colour: red' })
  await t.throwsAsync(engine.start(refused), {
    message: /did not start: unknown setting \[indices\.colour\]/,
  })
  await engine.wipe('test/opensearch')
  t.false((await engine.kept()).some(({ name }) => name === 'test/opensearch'))
})

test('a version of another make is refused', (t) => {
  t.deepEqual(dialectOf({ spec: { version: 'xpack-8.19.9' } }), { dialect: 'xpack', version: '8.19.9' })
  t.throws(() => dialectOf({ spec: { version: 'searchguard-7.9.3' } }), {
    message: /not searchguard-7\.9\.3/,
  })
})
