import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Script } from 'node:vm'
import test from 'ava'
import * as v from 'valibot'
import { mayRead } from '../../shared/dashboard/access.ts'
import { dashboardApplication } from '../../shared/dashboard/application.ts'
import { CookieKey, cookieIn, setCookie } from '../../shared/dashboard/cookies.ts'
import { follow } from '../../shared/dashboard/follow.ts'
import { instancePage, plainPage } from '../../shared/dashboard/page.ts'
import { type Rule, readClient, readSettings } from '../../shared/dashboard/settings.ts'
import { snippetsFor } from '../../shared/dashboard/snippets.ts'
import type { View } from '../../shared/dashboard/view.ts'
import { loadConfig } from '../../shared/environment/config.ts'
import { kinds } from '../../shared/kubedb/databases/kinds.ts'
import type { InstanceInfo } from '../../shared/kubedb/records/instance-record.ts'
import { BrokerError } from '../../shared/values/errors.ts'

const Text = v.string()
const docs = join(import.meta.dirname, '../../docs')

test('what is sealed opens with the same key, for the same purpose, in time, and unchanged', (t) => {
  const key = new CookieKey(randomBytes(32))
  const later = Date.now() + 60_000
  const sealed = key.seal('session', 'ada', later)
  t.is(key.open('session', Text, sealed), 'ada')
  t.notRegex(Buffer.from(sealed, 'base64url').toString('latin1'), /ada/)
  t.is(key.open('sign-in', Text, sealed), undefined)
  t.is(new CookieKey(randomBytes(32)).open('session', Text, sealed), undefined)
  t.is(key.open('session', Text, key.seal('session', 'ada', Date.now() - 1)), undefined)
  t.is(key.open('session', v.number(), sealed), undefined)
  const bytes = Buffer.from(sealed, 'base64url')
  for (let index = 0; index < bytes.length; index++) {
    const changed = Buffer.from(bytes)
    changed[index] = (changed[index] ?? 0) ^ 1
    t.is(key.open('session', Text, changed.toString('base64url')), undefined, `byte ${index}`)
  }
  for (const text of [undefined, '', 'x', sealed.slice(0, 20), `${sealed}AAAA`])
    t.is(key.open('session', Text, text), undefined)
})

test('cookies are for this site, for nobody to read, and over TLS where there is TLS', (t) => {
  const place = { path: '/dashboard/callback', seconds: 60 }
  t.is(
    setCookie('a', 'b', { ...place, secure: true }),
    'a=b; Path=/dashboard/callback; Max-Age=60; HttpOnly; SameSite=Lax; Secure',
  )
  t.regex(setCookie('a', '', { ...place, secure: false }), /^a=; .*Max-Age=0; HttpOnly; SameSite=Lax$/)
  t.is(cookieIn('xa=1; a=2=3; b', 'a'), '2=3')
  t.is(cookieIn(undefined, 'a'), undefined)
})

test('what goes to provider and Cloud Controller goes over TLS, or stays on this machine', (t) => {
  const mistakes = (text: string) => {
    const error = t.throws(() => readSettings(text, 'settings.json'), { instanceOf: BrokerError })
    return error?.forOperator ?? ''
  }
  const settings = (issuer: string) => JSON.stringify({ issuer, rules: [] })
  for (const issuer of [
    'https://login.example.com',
    'http://127.0.0.1:8081',
    'http://localhost:1',
    'http://[::1]:1',
  ])
    t.is(readSettings(settings(issuer), 'settings.json').issuer, issuer)
  for (const issuer of [
    'http://login.example.com',
    'http://127.0.0.1.example.com',
    'http://localhost.example.com',
    'https://user@login.example.com',
    'ftp://login.example.com',
    'login.example.com',
  ])
    t.regex(mistakes(settings(issuer)), /issuer: must be a URL of https/, issuer)
  const cloudController = 'http://api.example.com'
  t.regex(
    mistakes(JSON.stringify({ issuer: 'https://uaa.example.com/oauth/token', cloudController })),
    /cloudController: must be/,
  )
  const link = (url: string) =>
    JSON.stringify({ issuer: 'https://a.b', rules: [], links: [{ title: 't', url }] })
  t.is(readSettings(link('https://x.example/{name}'), 'settings.json').links.length, 1)
  for (const url of ['javascript:alert(1)', 'https://{name}.example', 'https://x.example/{password}', '//x'])
    t.regex(mistakes(link(url)), /links\.0\.url: /, url)
  // What a client's file holds is quoted nowhere.
  for (const text of [
    '{"id":"a","secret":12345678}',
    '"12345678"',
    '{"id":"a","12345678":""}',
    '{12345678',
  ]) {
    const wrong = t.throws(() => readClient(text, 'client.json'), { instanceOf: BrokerError })
    t.regex(wrong?.forOperator ?? '', /^client\.json: it /)
    t.notRegex(`${wrong?.forOperator}${wrong?.message}`, /12345678/)
  }
})

test('behind TLS browsers are told to stay there', async (t) => {
  const config = (url: string) =>
    loadConfig({ BROKER_NAMESPACE: 'b', DATABASE_NAMESPACE: 'd', DASHBOARD_URL: url })
  const headers = async (url: string) =>
    (await dashboardApplication(config(url)).request('/dashboard/style.css')).headers
  t.is((await headers('https://broker.example.com')).get('strict-transport-security'), 'max-age=31536000')
  t.is((await headers('http://127.0.0.1:8080')).get('strict-transport-security'), null)
})

const info: InstanceInfo = {
  v: 1,
  instanceId: 'i',
  serviceId: 's',
  planId: 'p',
  organizationGuid: 'org',
  spaceGuid: 'space',
  context: { platform: 'kubernetes', namespace: 'team-a' },
  request: '',
  created: '',
  platform: 'default',
  createdBy: '',
  parameters: {},
  resolved: { spec: {}, database: '', labels: {}, annotations: {} },
  maintenance: '18.3.0',
}
const team = { claim: 'groups', values: ['team'] }

test('who may see an instance: somebody whom a rule names, for what the rule is about', (t) => {
  const claims = { sub: 'ada', groups: ['team', 'more'], email: 'ada@example.com', email_verified: true }
  const cases: [Rule, boolean][] = [
    [{ ...team, spaces: ['space'] }, true],
    [{ ...team, spaces: ['other'] }, false],
    [{ ...team, organizations: ['org'] }, true],
    [{ ...team, namespaces: ['team-a'] }, true],
    [{ ...team, namespaces: ['team-b'] }, false],
    [{ ...team, everything: true }, true],
    [{ ...team, everything: true, platform: 'other' }, false],
    [{ ...team, values: ['tea'], everything: true }, false],
    [{ claim: 'sub', values: ['ada'], spaces: ['space'] }, true],
    [{ claim: 'email', values: ['ada@example.com'], spaces: ['space'] }, true],
    [{ claim: 'toString', values: ['team'], everything: true }, false],
  ]
  for (const [rule, allowed] of cases) t.is(mayRead([rule], claims, info), allowed, JSON.stringify(rule))
  t.false(mayRead([], claims, info))
  t.false(mayRead([{ ...team, everything: true }], {}, info))
  const unconfirmed = { ...claims, email_verified: false }
  t.false(mayRead([{ claim: 'email', values: ['ada@example.com'], everything: true }], unconfirmed, info))
  // Another platform's word for a namespace is none.
  const elsewhere = { ...info, context: { platform: 'cloudfoundry', namespace: 'team-a' } }
  t.false(mayRead([{ ...team, namespaces: ['team-a'] }], claims, elsewhere))
})

const reach = {
  name: 'osb-a',
  namespace: 'databases',
  spec: { version: '18.3' },
  scheme: '',
  host: 'osb-a.databases.svc',
  port: 1234,
  external: false,
  hosts: ['osb-a.databases.svc'],
  database: 'app',
  query: '',
  caBundle: undefined,
}

test('every kind has a snippet, with its address and no password', (t) => {
  for (const kind of kinds.keys()) {
    const snippets = snippetsFor(kind, reach)
    t.true(snippets.length > 0, kind)
    t.regex(snippets[0]?.code ?? '', /osb-a\.databases\.svc/, kind)
    // `undefined` is a word of JavaScript, so the address is looked at where it is filled in.
    t.notRegex(snippets[0]?.code ?? '', /undefined|null/, kind)
  }
})

/** The page of bindings where a kind's programs are. */
const pages: { readonly [kind: string]: string } = {
  Postgres: 'postgresql',
  PerconaXtraDB: 'mysql',
  MariaDB: 'mysql',
}

test('the programs are the first lines of those in the docs, which are tested', (t) => {
  let programs = 0
  for (const kind of kinds.keys()) {
    for (const product of ['9.2.3', 'opensearch-2.19.2']) {
      const file = join(docs, `bindings/${pages[kind] ?? kind.toLowerCase()}.md`)
      const lines = readFileSync(file, 'utf8').split('\n')
      const known = new Set(lines.slice(lines.indexOf('## In a program')))
      const snippets = snippetsFor(kind, { ...reach, spec: { version: product } })
      for (const { language, code } of snippets.filter((one) =>
        ['Node.js', 'Python'].includes(one.language),
      )) {
        const unknown = code.split('\n').filter((line) => !known.has(line) && line !== '    ...')
        t.deepEqual(unknown, [], `${kind}, ${language}`)
        programs++
      }
    }
  }
  t.is(programs, 2 * 2 * kinds.size)
})

test('what speaks TLS is given the CA in the shell too', (t) => {
  const caBundle = 'a certificate'
  for (const kind of ['MongoDB', 'MySQL', 'Elasticsearch']) {
    t.regex(snippetsFor(kind, { ...reach, caBundle })[0]?.code ?? '', / ca\.pem/, kind)
    t.notRegex(snippetsFor(kind, reach)[0]?.code ?? '', / ca\.pem/, kind)
  }
})

const hostile = `"'><script>alert(1)</script><img src=x onerror=alert(2)>`

test('nothing that comes from outside becomes markup, and a page is small', (t) => {
  const at = '2026-01-02T03:04:05Z'
  const view: View = {
    id: hostile,
    name: hostile,
    service: hostile,
    plan: hostile,
    kind: 'Postgres',
    version: hostile,
    upgrade: hostile,
    state: { word: hostile, tone: 'bad', sentence: hostile },
    moving: true,
    created: hostile,
    place: { organization: hostile, space: hostile, namespace: hostile, database: hostile },
    storage: [{ part: hostile, size: hostile }],
    reach: { ...reach, host: hostile, hosts: [hostile], database: hostile },
    conditions: [
      { type: hostile, status: hostile, reason: hostile, message: hostile, lastTransitionTime: hostile },
    ],
    nodes: [{ name: hostile, role: hostile, phase: hostile, ready: false, restarts: 1, since: hostile }],
    bindings: Array.from({ length: 50 }, (_, index) => ({
      v: 1,
      bindingId: `${hostile}${index}`,
      instanceId: 'i',
      serviceId: 's',
      planId: 'p',
      appGuid: hostile,
      parameters: {},
      role: 'owner',
      user: 'b',
      nonce: '',
      keyId: '',
      scheme: 1,
      state: 'ready',
      since: at,
      created: at,
      expiresAt: at,
      renewBefore: hostile,
      operation: '',
      contested: false,
      overtaken: false,
      request: 0,
      description: '',
    })),
    changes: [
      { what: hostile, state: hostile, running: true, at, detail: hostile, steps: { done: 1, all: 2 } },
    ],
    events: [
      {
        type: hostile,
        reason: hostile,
        message: hostile,
        lastTimestamp: at,
        eventTime: '',
        metadata: { creationTimestamp: at },
      },
    ],
    planPage: `https://x.example/${hostile}`,
  }
  const links = [{ title: hostile, url: 'https://x.example/{name}?i={instance}' }]
  const page = instancePage(
    view,
    { name: hostile },
    { links, commands: [{ title: hostile, command: 'kubectl {name}' }] },
  )
  for (const text of [page, plainPage(hostile, [hostile], { text: hostile, href: hostile })]) {
    t.notRegex(text, /<img|<script>|onerror=alert\(2\)>/)
    // What is left of it is text: no attribute ends where it would have it end.
    t.is(text.match(/<script/g)?.length, 1)
  }
  t.true(page.includes('<time datetime="2026-01-02T03:04:05.000Z">2026-01-02 03:04:05 UTC</time>'))
  t.true(page.length < 100_000, String(page.length))
})

test('a part of the page that could not be read says so', (t) => {
  const page = instancePage(
    {
      id: 'i',
      name: 'orders',
      service: 'postgresql',
      plan: 'small',
      kind: 'Postgres',
      version: '18.3.0',
      upgrade: undefined,
      state: { word: 'Ready', tone: 'good', sentence: '' },
      moving: false,
      created: '',
      place: { organization: 'o', space: 's', namespace: 'n', database: 'd' },
      storage: [],
      reach: { pending: 'the address of the database is not known just now' },
      conditions: [],
      nodes: undefined,
      bindings: undefined,
      changes: undefined,
      events: undefined,
      planPage: undefined,
    },
    { name: 'Ada' },
    { links: [], commands: [] },
  )
  for (const what of ['nodes', 'bindings', 'changes', 'events'])
    t.true(page.includes(`The ${what} cannot be read just now.`))
  t.false(page.includes('data-moving'))
  t.false(page.includes('Elsewhere'))
})

test('the script is JavaScript', (t) => {
  t.notThrows(() => new Script(follow))
})
