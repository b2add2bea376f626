import { rename, writeFile } from 'node:fs/promises'
import test from 'ava'
import { operation } from '../../shared/osb/operation.ts'
import { basic, captureLog, configFor } from './function-process.ts'

const log = captureLog()

const version = { 'X-Broker-API-Version': '2.17' }

/** The answer of a function to a caller with these headers. */
async function call(app: ReturnType<typeof operation>, headers: { [name: string]: string }) {
  const response = await app.request('/v2/catalog', { headers })
  return {
    status: response.status,
    body: await response.json(),
    challenge: response.headers.get('WWW-Authenticate'),
  }
}

async function edge(t: Parameters<typeof configFor>[0], users: unknown) {
  const config = await configFor(t)
  await write(config.usersFile, users)
  return { config, app: operation('catalog', async (c) => c.json(c.var.caller), config) }
}

async function write(path: string, users: unknown): Promise<void> {
  await writeFile(`${path}.new`, typeof users === 'string' ? users : JSON.stringify(users))
  await rename(`${path}.new`, path)
}

test('a user with the right password gets in, with the platform of the file', async (t) => {
  const { app } = await edge(t, [
    { username: 'cf', password: 'one', platform: 'cloudfoundry-prod' },
    { username: 'k8s', password: 'two' },
  ])
  const cf = await call(app, { ...version, Authorization: basic('cf', 'one') })
  t.is(cf.status, 200)
  t.deepEqual(cf.body, { name: 'cf', platform: 'cloudfoundry-prod' })
  const k8s = await call(app, { ...version, Authorization: basic('k8s', 'two') })
  t.deepEqual(k8s.body, { name: 'k8s', platform: 'default' })
})

const refused: { [title: string]: string | undefined } = {
  'no header': undefined,
  'an unknown user': basic('nobody', 'one'),
  'a wrong password': basic('cf', 'two'),
  "another user's password": basic('cf', 'secret'),
  'an empty password': basic('cf', ''),
  'an empty user': basic('', ''),
  'no colon': `Basic ${Buffer.from('cfone').toString('base64')}`,
  'no base64': 'Basic ????',
  'another scheme': `Bearer ${Buffer.from('cf:one').toString('base64')}`,
  'a scheme only': 'Basic',
  'an empty header': '',
}
for (const [title, header] of Object.entries(refused)) {
  test(`${title}: 401 with a challenge, and the same body for all`, async (t) => {
    const { app } = await edge(t, [
      { username: 'cf', password: 'one' },
      { username: 'other', password: 'secret' },
    ])
    const answer = await call(app, header === undefined ? {} : { Authorization: header })
    t.is(answer.status, 401)
    t.is(answer.challenge, 'Basic realm="KubeDB Service Broker", charset="UTF-8"')
    t.deepEqual(answer.body, {
      error: 'Unauthorized',
      description: 'header Authorization: must be the credentials that the broker was registered with',
    })
  })
}

test('the scheme may be written in any case, a password may hold colons and Unicode', async (t) => {
  const { app } = await edge(t, [{ username: 'cf', password: 'a:b:ü💡' }])
  const header = basic('cf', 'a:b:ü💡').replace('Basic', 'bAsIc')
  t.is((await call(app, { ...version, Authorization: header })).status, 200)
})

test('a username with two passwords may use both', async (t) => {
  const { app } = await edge(t, [
    { username: 'cf', password: 'old' },
    { username: 'cf', password: 'new' },
  ])
  t.is((await call(app, { ...version, Authorization: basic('cf', 'old') })).status, 200)
  t.is((await call(app, { ...version, Authorization: basic('cf', 'new') })).status, 200)
  t.is((await call(app, { ...version, Authorization: basic('cf', 'newer') })).status, 401)
})

test('a changed users file counts from the next request on', async (t) => {
  const { app, config } = await edge(t, [{ username: 'cf', password: 'old' }])
  t.is((await call(app, { ...version, Authorization: basic('cf', 'old') })).status, 200)
  await write(config.usersFile, [{ username: 'cf', password: 'new' }])
  t.is((await call(app, { ...version, Authorization: basic('cf', 'old') })).status, 401)
  t.is((await call(app, { ...version, Authorization: basic('cf', 'new') })).status, 200)
})

const broken: [users: unknown, mistake: string][] = [
  ['[{"username":"cf","password":"hunter2"', 'it must be JSON'],
  [{}, 'must be a list of users'],
  [[], 'must have at least one user'],
  [[{ username: 'cf' }], '0.password is missing'],
  [[{ password: 'hunter2' }], '0.username is missing'],
  [[{ username: 'cf', password: '' }], '0.password must not be empty'],
  [[{ username: 'c:f', password: 'hunter2' }], '0.username must not contain a colon (RFC 7617)'],
  [[{ username: 'cf', password: 'hunter2', platform: 7 }], '0.platform must be a string'],
  [[{ username: 7, password: 0 }], '0.username must be a string; 0.password must be a string'],
]
for (const [users, mistake] of broken) {
  test(`a users file that is wrong, ${mistake}: 500 that names it, and not ready`, async (t) => {
    const { app, config } = await edge(t, users)
    const answer = await call(app, { Authorization: basic('cf', 'hunter2') })
    t.is(answer.status, 500)
    t.deepEqual(answer.body, {
      error: 'Misconfigured',
      description: `the users file ${config.usersFile} is wrong: ${mistake}`,
    })
    t.is((await app.request('/health/readiness')).status, 500)
    t.is((await app.request('/health/liveness')).status, 200)
  })
}

test('a missing users file: 500 that says what to mount', async (t) => {
  const config = await configFor(t, { usersFile: '/nowhere/users.json' })
  const app = operation('catalog', async (c) => c.json({}), config)
  const answer = await call(app, { Authorization: basic('cf', 'hunter2') })
  t.is(answer.status, 500)
  t.deepEqual(answer.body, {
    error: 'Misconfigured',
    description:
      'the users file /nowhere/users.json cannot be read: mount a Secret with the key users.json there',
  })
})

test.after('no password was logged', (t) => {
  t.true(log.length > 20)
  t.false(/hunter2|secret/.test(log.join('')))
})
