import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { bearer, type Reviewer } from '../../shared/osb/authentication/bearer.ts'
import { operation } from '../../shared/osb/operation.ts'
import { BrokerError } from '../../shared/values/errors.ts'
import { basic, captureLog, configFor, folder } from './function-process.ts'

const log = captureLog()
const version = { 'X-Broker-API-Version': '2.17' }

interface Scene {
  call(
    authorization: string,
    path?: string,
  ): Promise<{ status: number; body: unknown; challenge: string | null }>
  /** what was asked about tokens and about owners */
  asked: string[]
  clock: { now: number }
}

/** Token `hunter-right` is of `jane`, who may GET the catalog; `hunter-narrow` of somebody who may do nothing. */
const owners: Reviewer = async (token) => {
  if (token === 'hunter-down') throw new BrokerError('Unavailable', 'nobody can tell')
  if (token === 'hunter-right')
    return { name: 'jane', may: async (verb, path) => `${verb} ${path}` === 'get /v2/catalog' }
  return token === 'hunter-narrow' ? { name: 'joe', may: async () => false } : undefined
}

async function scene(t: ExecutionContext, users: unknown, kind: 'both' | 'bearer' = 'both'): Promise<Scene> {
  const usersFile = join(await folder(t), 'users.json')
  await writeFile(usersFile, JSON.stringify(users))
  const authentication = { basic: kind === 'both', bearer: true, audience: undefined }
  const config = await configFor(t, { usersFile, authentication })
  const asked: string[] = []
  const clock = { now: 1_000_000 }
  const review: Reviewer = async (token) => {
    asked.push(token)
    const owner = await owners(token)
    return (
      owner && {
        name: owner.name,
        may(verb, path) {
          asked.push(`${owner.name} ${verb} ${path}`)
          return owner.may(verb, path)
        },
      }
    )
  }
  const scheme = (read: Parameters<typeof bearer>[1]) => bearer(review, read, () => clock.now)
  const app = operation('catalog', async (c) => c.json(c.var.caller), config, scheme)
  return {
    asked,
    clock,
    async call(authorization, path = '/v2/catalog') {
      const response = await app.request(path, { headers: { ...version, Authorization: authorization } })
      const challenge = response.headers.get('WWW-Authenticate')
      return { status: response.status, body: await response.json(), challenge }
    },
  }
}

const file = [
  { username: 'cf', password: 'one', platform: 'cloud-foundry' },
  { tokensOf: 'jane', platform: 'korifi' },
]

test('a token that is right and allowed gets in, with the platform of the file', async (t) => {
  const { call } = await scene(t, file)
  const answer = await call('Bearer hunter-right')
  t.is(answer.status, 200)
  t.deepEqual(answer.body, { name: 'jane', platform: 'korifi' })
  t.is((await call('bEARER hunter-right')).status, 200)
})

test('the owner of a token whom no line names belongs to the platform default', async (t) => {
  const { call } = await scene(t, file.slice(0, 1))
  t.deepEqual((await call('Bearer hunter-right')).body, { name: 'jane', platform: 'default' })
})

test('a password gets in beside it', async (t) => {
  const { call, asked } = await scene(t, file)
  t.deepEqual((await call(basic('cf', 'one'))).body, { name: 'cf', platform: 'cloud-foundry' })
  t.is((await call(basic('cf', 'two'))).status, 401)
  t.deepEqual(asked, [])
})

test('where only tokens are let in, no password is, and nobody with one has to be there', async (t) => {
  const { call } = await scene(t, [], 'bearer')
  t.is((await call('Bearer hunter-right')).status, 200)
  const refused = await call(basic('cf', 'one'))
  t.is(refused.status, 401)
  t.is(refused.challenge, 'Bearer realm="KubeDB Service Broker"')
})

test('where passwords are let in, somebody with one has to be there', async (t) => {
  const { call } = await scene(t, file.slice(1))
  const answer = await call('Bearer hunter-right')
  t.is(answer.status, 500)
  t.regex(JSON.stringify(answer.body), /must have at least one user/)
})

test('an unknown token: 401 with both challenges, and the same body as for a wrong password', async (t) => {
  const { call } = await scene(t, file)
  const unknown = await call('Bearer hunter-wrong')
  t.is(unknown.status, 401)
  t.is(
    unknown.challenge,
    'Basic realm="KubeDB Service Broker", charset="UTF-8", Bearer realm="KubeDB Service Broker"',
  )
  t.deepEqual(unknown.body, (await call(basic('cf', 'two'))).body)
})

test('a known owner who may not: 403 that says which verb on which path', async (t) => {
  const { call } = await scene(t, file)
  t.deepEqual(await call('Bearer hunter-narrow'), {
    status: 403,
    challenge: null,
    body: {
      error: 'Forbidden',
      description:
        'joe may not get /v2/catalog: bind it to a ClusterRole that has the verb get on this nonResourceURL',
    },
  })
})

test('the path is asked about as it was sent, without the query', async (t) => {
  const { call, asked } = await scene(t, file)
  await call('Bearer hunter-right', '/v2/%63atalog?x=/v2/catalog')
  t.deepEqual(asked, ['hunter-right', 'jane get /v2/%63atalog'])
})

test('a decision counts for ten seconds, for its token and its path only', async (t) => {
  const { call, asked, clock } = await scene(t, file)
  await call('Bearer hunter-right')
  clock.now += 9_999
  await call('Bearer hunter-right')
  t.deepEqual(asked, ['hunter-right', 'jane get /v2/catalog'])
  await call('Bearer hunter-right', '/v2/other')
  await call('Bearer hunter-narrow')
  t.deepEqual(asked.splice(0), [
    'hunter-right',
    'jane get /v2/catalog',
    'jane get /v2/other',
    'hunter-narrow',
    'joe get /v2/catalog',
  ])
  clock.now += 1
  await call('Bearer hunter-right')
  t.deepEqual(asked, ['hunter-right', 'jane get /v2/catalog'])
})

test('requests that come together ask once', async (t) => {
  const { call, asked } = await scene(t, file)
  await Promise.all(Array.from({ length: 20 }, () => call('Bearer hunter-right')))
  t.deepEqual(asked, ['hunter-right', 'jane get /v2/catalog'])
})

test('when nobody can tell, the answer is 503, and the next request asks again', async (t) => {
  const { call, asked } = await scene(t, file)
  t.is((await call('Bearer hunter-down')).status, 503)
  t.is((await call('Bearer hunter-down')).status, 503)
  t.deepEqual(asked, ['hunter-down', 'hunter-down'])
})

test('strangers cannot fill the memory: a thousand decisions are kept, the newest', async (t) => {
  const { call, asked } = await scene(t, file)
  for (let i = 0; i < 1001; i++) await call(`Bearer hunter-wrong-${i}`)
  asked.length = 0
  await call('Bearer hunter-wrong-1000')
  t.deepEqual(asked, [])
  await call('Bearer hunter-wrong-0')
  t.deepEqual(asked, ['hunter-wrong-0'])
})

test.after('no token was logged', (t) => {
  t.true(log.length > 20)
  t.false(/hunter/.test(log.join('')))
})
