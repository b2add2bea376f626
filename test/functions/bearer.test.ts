/** Bearer tokens, against the API server that has made them. */
import { createPrivateKey, randomUUID, sign } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import { platformRole, reviewRoles } from '../../generate/reviews.ts'
import { apply } from '../../sandbox/control-plane/administrator.ts'
import { routes } from '../../shared/routes.ts'
import { bindingPath, instancePath, openBroker, type TestBroker } from '../support/broker.ts'
import { newCluster, textAt, useCluster } from '../support/cluster.ts'

const cluster = useCluster(test)
const audience = 'kubedb-service-broker'
const { broker: namespace } = cluster.namespaces
/** Cluster roles are there once for all test files. */
const reviewsName = `osb-reviews-${namespace}`
const platformName = `osb-platform-${namespace}`

test.before('a platform, a stranger, and functions that may review their tokens', async () => {
  const account = (name: string) => ({
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name, namespace },
  })
  await apply(cluster.administrator, [account('platform'), account('reader'), account('stranger')])
  const grant = (name: string, role: string) => ({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name: `${role}-${name}` },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
    subjects: [{ kind: 'ServiceAccount', name, namespace }],
  })
  const reader = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name: `${platformName}-reader` },
    rules: [{ nonResourceURLs: ['/v2/catalog'], verbs: ['get'] }],
  }
  await apply(cluster.administrator, [
    ...reviewRoles(cluster.namespaces, reviewsName),
    platformRole(platformName),
    reader,
    grant('platform', platformName),
    grant('reader', reader.metadata.name),
  ])
})

test.after.always('remove what is of the whole cluster', async () => {
  const root = '/apis/rbac.authorization.k8s.io/v1'
  for (const role of [reviewsName, platformName, `${platformName}-reader`])
    await cluster.admin('DELETE', `${root}/clusterroles/${role}`)
  for (const binding of [reviewsName, `${platformName}-platform`, `${platformName}-reader-reader`])
    await cluster.admin('DELETE', `${root}/clusterrolebindings/${binding}`)
})

interface TokenOptions {
  audiences?: string[]
  boundObjectRef?: { kind: string; apiVersion: string; name: string; uid: string }
}

async function token(account: string, spec: TokenOptions = { audiences: [audience] }): Promise<string> {
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`
  const { body } = await cluster.admin('POST', path, {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: { expirationSeconds: 600, ...spec },
  })
  return textAt(body, 'status', 'token')
}

const tokensOf = (account: string) => `system:serviceaccount:${namespace}:${account}`

async function open(t: ExecutionContext, environment: { [name: string]: string } = {}): Promise<TestBroker> {
  return openBroker(t, {
    cluster,
    environment: { AUTHENTICATION: 'both', TOKEN_AUDIENCE: audience, ...environment },
  })
}

const headers = (bearer: string) => ({ headers: { Authorization: `Bearer ${bearer}` } })

test('a platform with a token of its ServiceAccount reaches every function', async (t) => {
  const broker = await open(t)
  const platform = headers(await token('platform'))
  const instance = instancePath(randomUUID())
  const binding = bindingPath(randomUUID(), randomUUID())
  const ids = 'service_id=a&plan_id=b&accepts_incomplete=true'
  t.is((await broker.get('/v2/catalog', platform)).status, 200)
  t.is((await broker.get(instance, platform)).status, 404)
  t.is((await broker.put(instance, {}, platform)).status, 400)
  t.is((await broker.patch(instance, {}, platform)).status, 400)
  t.is((await broker.delete(instance, { query: ids, ...platform })).status, 410)
  t.is((await broker.get(`${instance}/last_operation`, platform)).status, 404)
  t.is((await broker.put(binding, {}, platform)).status, 400)
  t.is((await broker.get(binding, platform)).status, 404)
  t.is((await broker.delete(binding, { query: ids, ...platform })).status, 410)
  t.is((await broker.get(`${binding}/last_operation`, platform)).status, 404)
  t.is(broker.starts.length, routes.length)
  // And a password still does.
  t.is((await broker.get('/v2/catalog')).status, 200)
})

test('an instance belongs to the platform that the users file names for the owner of the token', async (t) => {
  const broker = await open(t)
  await writeFile(
    broker.usersFile,
    JSON.stringify([
      { ...broker.user, platform: 'korifi' },
      { username: 'other', password: 'p', platform: 'other' },
      { tokensOf: tokensOf('platform'), platform: 'korifi' },
    ]),
  )
  const platform = headers(await token('platform'))
  const path = instancePath(randomUUID())
  const { body: catalog } = await broker.get('/v2/catalog', platform)
  const wish = {
    service_id: textAt(catalog, 'services', 0, 'id'),
    plan_id: textAt(catalog, 'services', 0, 'plans', 0, 'id'),
    organization_guid: 'o',
    space_guid: 's',
  }
  const made = await broker.put(path, wish, { query: 'accepts_incomplete=true', ...platform })
  t.is(made.status, 202, made.text)
  const record = await cluster.admin('GET', cluster.recordsPath())
  t.regex(record.text, new RegExp(tokensOf('platform')))
  t.is((await broker.get(`${path}/last_operation`, platform)).status, 200)
  t.is((await broker.get(`${path}/last_operation`)).status, 200, 'same platform, by password')
  const other = `Basic ${Buffer.from('other:p').toString('base64')}`
  t.is((await broker.get(`${path}/last_operation`, { headers: { Authorization: other } })).status, 404)
  const query = `service_id=${wish.service_id}&plan_id=${wish.plan_id}&accepts_incomplete=true`
  t.is((await broker.delete(path, { query, ...platform })).status, 202)
})

test('an owner without the role may not: 403 that names verb and path', async (t) => {
  const broker = await open(t)
  const stranger = await broker.get('/v2/catalog', headers(await token('stranger')))
  t.is(stranger.status, 403)
  t.deepEqual(stranger.body, {
    error: 'Forbidden',
    description: `${tokensOf('stranger')} may not get /v2/catalog: bind it to a ClusterRole that has the verb get on this nonResourceURL`,
  })
  const reader = headers(await token('reader'))
  t.is((await broker.get('/v2/catalog', reader)).status, 200)
  t.is((await broker.get(instancePath('a'), reader)).status, 403)
  t.is((await broker.put(instancePath('a'), {}, reader)).status, 403)
  // Every function has a token of its own: it opens no other function.
  t.is((await broker.get('/v2/catalog', headers(await token('osb-bind')))).status, 403)
})

test('a token for another audience, or for the API server itself, is none', async (t) => {
  const broker = await open(t)
  t.is(
    (await broker.get('/v2/catalog', headers(await token('platform', { audiences: ['other'] })))).status,
    401,
  )
  t.is((await broker.get('/v2/catalog', headers(await token('platform', {})))).status, 401)
})

test('without an audience of its own, the broker takes tokens for the API server', async (t) => {
  const broker = await open(t, { TOKEN_AUDIENCE: '' })
  t.is((await broker.get('/v2/catalog', headers(await token('platform', {})))).status, 200)
  t.is((await broker.get('/v2/catalog', headers(await token('platform')))).status, 401)
})

test('a token past its time, forged, or of a key that is not the cluster’s, is none', async (t) => {
  const broker = await open(t)
  const good = await token('platform')
  const [head = '', payload = ''] = good.split('.')
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'))
  const key = createPrivateKey(
    readFileSync(join(dirname(cluster.kubeconfigFile), 'service-account.key'), 'utf8'),
  )
  const signed = (changed: object) => {
    const text = `${head}.${Buffer.from(JSON.stringify({ ...claims, ...changed })).toString('base64url')}`
    const signature = sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' })
    return `${text}.${signature.toString('base64url')}`
  }
  const now = Math.floor(Date.now() / 1000)
  t.is((await broker.get('/v2/catalog', headers(signed({})))).status, 200, 'the key is the right one')
  const past = signed({ iat: now - 1200, nbf: now - 1200, exp: now - 600 })
  t.is((await broker.get('/v2/catalog', headers(past))).status, 401)
  const early = signed({ iat: now + 600, nbf: now + 600, exp: now + 1200 })
  t.is((await broker.get('/v2/catalog', headers(early))).status, 401)
  t.is((await broker.get('/v2/catalog', headers(`${good.slice(0, -8)}AAAAAAAA`))).status, 401)
  t.is((await broker.get('/v2/catalog', headers('no-token'))).status, 401)
})

test('a bound token ends with the object that it is bound to', async (t) => {
  const broker = await open(t)
  const secrets = `/api/v1/namespaces/${namespace}/secrets`
  const { body } = await cluster.admin('POST', secrets, {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'registration' },
  })
  const boundObjectRef = {
    kind: 'Secret',
    apiVersion: 'v1',
    name: 'registration',
    uid: textAt(body, 'metadata', 'uid'),
  }
  const bound = await token('platform', { audiences: [audience], boundObjectRef })
  t.is((await broker.get('/v2/catalog', headers(bound))).status, 200)
  await cluster.admin('DELETE', `${secrets}/registration`)
  const deleted = Date.now()
  let status = 200
  while (status === 200 && Date.now() - deleted < 20_000) {
    // Decisions count for ten seconds in a process, which the next one does not know; the API server has its own ten.
    await broker.gateway.scaleToZero('catalog')
    await delay(500)
    ;({ status } = await broker.get('/v2/catalog', headers(bound)))
  }
  t.is(status, 401)
})

test('functions that may not review tokens: 500 that says what to apply, and passwords go on working', async (t) => {
  const bare = newCluster()
  t.teardown(bare.close)
  const broker = await openBroker(t, {
    cluster: bare,
    environment: { AUTHENTICATION: 'both', TOKEN_AUDIENCE: audience },
  })
  const answer = await broker.get('/v2/catalog', headers(await token('platform')))
  t.is(answer.status, 500)
  t.deepEqual(answer.body, {
    error: 'Misconfigured',
    description:
      "the broker's ServiceAccount may not create TokenReviews: apply knative/components/bearer, or set AUTHENTICATION=basic",
  })
  t.is((await broker.get('/v2/catalog')).status, 200)
})
