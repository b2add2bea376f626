/**
 * The dashboard, as people meet it: a real browser, a real provider of sign-ins, the functions and a database. Without
 * Chromium on PATH only what needs no browser is tested, and the others say that they were skipped. With SCREENSHOTS
 * naming a folder (docs/dashboard), the pictures of the docs are made anew.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import type { Browser, HTTPResponse, Page } from 'puppeteer-core'
import { freePort } from '../../sandbox/machine/free-port.ts'
import { type SignIns, startProvider } from '../../sandbox/sign-in/provider.ts'
import { CookieKey } from '../../shared/dashboard/cookies.ts'
import { instanceRecordName } from '../../shared/kubedb/records/names.ts'
import type { JsonObject } from '../../shared/values/json.ts'
import { instancePath, openBroker, type Running, startTestBroker } from '../support/broker.ts'
import { chromium, openBrowser } from '../support/browser.ts'
import { startCloudController } from '../support/cloud-controller.ts'
import { at, textAt, useCluster } from '../support/cluster.ts'
import { brief, credentialsIn, planId, platformOf, serviceId } from '../support/platform.ts'

const cluster = useCluster(test, { dashboard: true })
const program = chromium()
const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js')
const pictures = process.env.SCREENSHOTS

const ada = {
  username: 'ada',
  password: 'one of them',
  name: 'Ada',
  email: 'ada@example.com',
  groups: ['space-team'],
}
const bob = {
  username: 'bob',
  password: 'another one',
  name: 'Bob',
  email: 'bob@example.com',
  groups: ['others'],
}
const client = { id: 'kubedb-dashboard', secret: 'known to the provider' }
const cookieKey = randomBytes(32)

let folder: string
let base: string
let signIns: SignIns
let broker: Running
let browser: Browser | undefined

/** Writes settings.json anew; null takes a setting away. */
async function setUp(change: JsonObject = {}): Promise<void> {
  const settings: JsonObject = {
    issuer: signIns.issuer,
    scopes: ['openid', 'profile', 'email', 'groups'],
    rules: [{ claim: 'groups', values: ['space-team'], spaces: ['space'] }],
    links: [{ title: 'Grafana', url: 'https://grafana.example.com/d/databases?var-name={name}' }],
    commands: [
      { title: 'The database in the cluster', command: 'kubectl get postgres -n {namespace} {name}' },
    ],
    ...change,
  }
  const written = Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== null))
  await writeFile(join(folder, 'settings.json'), JSON.stringify(written))
}

test.before('provider, broker, browser', async (t) => {
  t.timeout(300_000)
  folder = await mkdtemp(join(tmpdir(), 'dashboard-'))
  await cluster.ready()
  const port = await freePort()
  base = `http://127.0.0.1:${port}`
  signIns = await startProvider({
    port: await freePort(),
    people: [ada, bob],
    client: { ...client, redirectUri: `${base}/dashboard/callback` },
  })
  await setUp()
  await writeFile(join(folder, 'client.json'), JSON.stringify(client))
  await writeFile(join(folder, 'cookie-key'), cookieKey.toString('base64'))
  broker = await startTestBroker(cluster, {
    port,
    environment: { DASHBOARD_URL: base, DASHBOARD_DIRECTORY: folder },
  })
  if (program === undefined) console.log('There is no chromium on PATH: the tests in a browser are skipped.')
  else browser = await openBrowser(program)
})

test.after.always('all ends', async () => {
  await browser?.close()
  await broker?.stop()
  await signIns?.stop()
  await rm(folder, { recursive: true, force: true })
})

test.afterEach.always('what went wrong in the functions', async (t) => {
  await setUp()
  if (t.passed) return
  const told = broker.lines.filter((line) => /"level":"(error|warn)"/.test(line))
  t.log(told.slice(-10).join('\n'))
})

const inBrowser = program === undefined ? test.serial.skip : test.serial

interface Visit {
  page: Page
  /** what the browser complains about, such as styles and scripts that the page's policy refuses */
  complaints: string[]
}

/** Somebody with an empty browser. */
async function visit(t: ExecutionContext): Promise<Visit> {
  t.timeout(300_000)
  if (!browser) throw new Error('there is no browser')
  const context = await browser.createBrowserContext()
  t.teardown(() => context.close())
  const page = await context.newPage()
  page.setDefaultTimeout(120_000)
  const complaints: string[] = []
  page.on('console', (message) => {
    // That something is not found is told there too: an icon, or a page that is to be none.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource'))
      complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(String(error)))
  return { page, complaints }
}

const pageOf = (instanceId: string): string => `${base}/dashboard/instances/${instanceId}`

async function fillIn(page: Page, person: typeof ada): Promise<HTTPResponse | null> {
  await page.type('[name=username]', person.username)
  await page.type('[name=password]', person.password)
  const [response] = await Promise.all([page.waitForNavigation(), page.click('button')])
  return response
}

async function signedIn(page: Page, instanceId: string, person = ada): Promise<HTTPResponse | null> {
  await page.goto(pageOf(instanceId))
  return fillIn(page, person)
}

const textIn = (page: Page, selector: string): Promise<string> =>
  page.$eval(selector, (found) => found.textContent ?? '')
const heading = (page: Page): Promise<string> => textIn(page, 'h1')

/** Without loading the page again: it follows by itself. */
async function becomes(page: Page, word: string): Promise<void> {
  await page.waitForFunction(`document.querySelector('.word')?.textContent === ${JSON.stringify(word)}`)
}

/** @returns what axe finds, one line each */
async function findings(page: Page): Promise<string[]> {
  await page.evaluate(await readFile(axe, 'utf8'))
  const told = await page.evaluate(
    "axe.run().then(({ violations }) => JSON.stringify(violations.map(({ id, nodes }) => id + ': ' + nodes.map(({ html }) => html).join(' '))))",
  )
  return JSON.parse(String(told))
}

async function picture(page: Page, name: string, dark = false): Promise<void> {
  if (pictures === undefined) return
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: dark ? 'dark' : 'light' }])
  await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true })
}

const context = {
  platform: 'cloudfoundry',
  instance_name: 'orders',
  organization_name: 'shop',
  space_name: 'production',
}

/** As a Cloud Foundry sends it. */
function provision(instanceId: string, change: JsonObject = {}) {
  return broker.put(
    instancePath(instanceId),
    {
      service_id: serviceId,
      plan_id: planId,
      organization_guid: 'org',
      space_guid: 'space',
      context,
      ...change,
    },
    { query: 'accepts_incomplete=true' },
  )
}

async function instance(change: JsonObject = {}): Promise<string> {
  const instanceId = randomUUID()
  const end = await platformOf(broker).settle(instanceId, await provision(instanceId, change))
  if (end.body.state !== 'succeeded') throw new Error(brief(end))
  return instanceId
}

/** @returns the cookie of somebody who has signed in to see an instance */
async function sessionFor(instanceId: string): Promise<string> {
  const record = await cluster.admin('GET', `${cluster.recordsPath()}/${instanceRecordName(instanceId)}`)
  const session = { instance: instanceId, uid: textAt(record.body, 'metadata', 'uid'), name: 'Ada' }
  const sealed = new CookieKey(cookieKey).seal('session', session, Date.now() + 60_000)
  return `osb-dashboard=${sealed}`
}

test.serial('the page has all its parts, and the address outside of the cluster', async (t) => {
  t.timeout(300_000)
  const outside = await openBroker(t, {
    cluster,
    environment: { DASHBOARD_URL: base, DASHBOARD_DIRECTORY: folder, ADDRESSES: 'external' },
  })
  const platform = platformOf(outside)
  const instanceId = await platform.instance()
  const bindingId = randomUUID()
  const bound = await platform.bind(instanceId, bindingId)
  t.is(bound.status, 201, brief(bound))
  const update = await platform.settle(instanceId, await platform.update(instanceId, { cpu: '600m' }))
  t.is(update.body.state, 'succeeded', brief(update))

  const answer = await fetch(`${outside.url}/dashboard/instances/${instanceId}`, {
    headers: { Cookie: await sessionFor(instanceId) },
  })
  t.is(answer.status, 200)
  const page = await answer.text()
  t.notRegex(page, /cannot be read just now|not known just now/)
  const { host, port, password } = credentialsIn(bound)
  for (const part of [
    `${host}:${port}`,
    'outside the cluster too',
    bindingId,
    'Running, ready',
    'AcceptingConnection',
    'VerticalScaling',
    'Successfully created',
  ])
    t.true(page.includes(part), part)
  t.false(page.includes(String(password)))
})

inBrowser('an instance is made, changed and removed before the eyes of who has signed in', async (t) => {
  const { page, complaints } = await visit(t)
  await page.setViewport({ width: 1100, height: 1000 })
  const platform = platformOf(broker)
  const instanceId = randomUUID()
  const begun = await provision(instanceId)
  t.is(begun.status, 202, brief(begun))
  const url = textAt(begun.body, 'dashboard_url')
  t.is(url, pageOf(instanceId))
  t.is(textAt((await provision(instanceId)).body, 'dashboard_url'), url)

  await page.goto(url)
  t.is(new URL(page.url()).origin, signIns.issuer, 'nobody sees anything before signing in')
  const shown = await fillIn(page, ada)
  t.is(page.url(), url)
  t.is(shown?.status(), 200)
  t.is(await heading(page), 'orders')
  const { length = 0 } = (await shown?.buffer()) ?? {}
  t.true(length > 0 && length < 100_000, String(length))
  await becomes(page, 'Provisioning')
  t.is((await platform.settle(instanceId, begun)).body.state, 'succeeded')
  await becomes(page, 'Ready')
  t.regex(await page.title(), /^orders · Ready$/)

  const bindingId = randomUUID()
  t.is((await platform.bind(instanceId, bindingId)).status, 201)
  await page.reload()
  const text = await textIn(page, 'main')
  for (const part of [
    instanceId,
    bindingId,
    'shop',
    'production',
    '10Gi',
    'owner',
    'postgresql',
    'small',
    ':5432',
  ])
    t.true(text.includes(part), part)
  t.is((await page.$$('#snippet-python, #snippet-shell')).length, 2)
  // The password is in the Secret of the database and in the binding: nowhere here.
  const fetched = await platform.fetchBinding(instanceId, bindingId)
  t.false((await page.content()).includes(textAt(fetched.body, 'credentials', 'password')))
  for (const language of ['shell', 'node-js']) await page.click(`#snippet-${language} summary`)
  t.true((await textIn(page, '#snippet-shell pre')).includes('USER:PASSWORD@'))
  t.deepEqual(await findings(page), [])
  await picture(page, 'ready')

  const update = await platform.update(instanceId, { cpu: '600m' })
  t.is(textAt(update.body, 'dashboard_url'), url, brief(update))
  await page.reload()
  t.is(await textIn(page, '.word'), 'Updating')
  t.is((await page.$$('progress')).length, 1)
  t.deepEqual(await findings(page), [])
  await picture(page, 'updating', true)
  t.is((await platform.settle(instanceId, update)).body.state, 'succeeded')
  await becomes(page, 'Ready')
  t.true((await textIn(page, 'main')).includes('VerticalScaling'))
  t.is(textAt((await platform.fetch(instanceId)).body, 'dashboard_url'), url)

  const gone = await platform.deprovision(instanceId)
  await page.reload()
  await becomes(page, 'Deprovisioning')
  await platform.settle(instanceId, gone)
  await page.waitForFunction("document.querySelector('h1')?.textContent === 'Removed'")
  t.deepEqual(complaints, [])
})

inBrowser('one may not see it, or there is none: the answers are the same', async (t) => {
  const instanceId = await instance()
  const answers = []
  for (const id of [instanceId, randomUUID()]) {
    const { page } = await visit(t)
    const answer = await signedIn(page, id, bob)
    t.is(answer?.status(), 404)
    t.is(await heading(page), 'Not found')
    t.deepEqual(await findings(page), [])
    const { date: _, ...headers } = answer?.headers() ?? {}
    answers.push({ headers: { ...headers, 'set-cookie': '' }, text: await answer?.text() })
    // Trying again does not help either.
    t.is((await page.goto(pageOf(id)))?.status(), 404)
  }
  t.deepEqual(answers[0], answers[1])
  const { page } = await visit(t)
  t.is((await signedIn(page, instanceId, ada))?.status(), 200)
})

inBrowser(
  'signing out, a session that is over, one of another instance, one that was tampered with',
  async (t) => {
    const [one, other] = [await instance(), await instance()]
    const { page } = await visit(t)
    await signedIn(page, one)
    // The provider knows who it is: the next instance asks nothing.
    t.is((await page.goto(pageOf(other)))?.status(), 200)
    t.is(page.url(), pageOf(other))

    const cookies = await page.browserContext().cookies()
    const session = cookies.find(({ name, path }) => name === 'osb-dashboard' && path.endsWith(one))
    t.like(session, { httpOnly: true, sameSite: 'Lax' })
    const record = await cluster.admin(
      'GET',
      `${cluster.recordsPath()}?labelSelector=osb.kubedb.com/instance`,
    )
    t.is(record.status, 200)
    const key = new CookieKey(cookieKey)
    const over = key.seal('session', { instance: one, uid: 'x', name: 'Ada' }, Date.now() - 1)
    const foreign = key.seal('session', { instance: other, uid: 'x', name: 'Ada' }, Date.now() + 60_000)
    const swapped = key.seal(
      'session',
      { instance: one, uid: 'of an earlier one', name: 'Ada' },
      Date.now() + 60_000,
    )
    const status = async (cookie: string, headers: Record<string, string> = {}) =>
      (
        await fetch(pageOf(one), {
          headers: { Cookie: `osb-dashboard=${cookie}`, ...headers },
          redirect: 'manual',
        })
      ).status
    t.is(await status(session?.value ?? ''), 200)
    t.is(await status(over), 302)
    t.is(await status(over, { 'X-Follow': '1' }), 401)
    t.is(await status(foreign), 302)
    t.is(await status((session?.value ?? '').replace(/^./, (first) => (first === 'A' ? 'B' : 'A'))), 302)
    // The id was used again for another instance: nobody has looked yet whether this person may see that one.
    t.is(await status(swapped), 404)

    await page.goto(pageOf(one))
    await Promise.all([page.waitForNavigation(), page.click('#sign-out')])
    t.is(await heading(page), 'Signed out')
    t.deepEqual(await findings(page), [])
    const left = await page.browserContext().cookies()
    t.false(left.some(({ name, path }) => name === 'osb-dashboard' && path.endsWith(one)))
    const link = await page.$eval('main a', (found) => found.getAttribute('href') ?? '')
    t.is(new URL(link).origin, signIns.issuer)
  },
)

inBrowser('what users write into names stays text', async (t) => {
  const hostile = `<script>document.title='taken'</script>"'><img src=x onerror=alert(1)>&amp;`
  const instanceId = await instance({ context: { ...context, instance_name: hostile, space_name: hostile } })
  const { page, complaints } = await visit(t)
  await signedIn(page, instanceId)
  t.is(await heading(page), hostile)
  t.true((await page.title()).startsWith(hostile))
  t.is((await page.$$('main img, main script')).length, 0)
  t.deepEqual(complaints, [])
})

inBrowser('it works without JavaScript, by keyboard, on a telephone, in the dark', async (t) => {
  const instanceId = await instance()
  const { page } = await visit(t)
  await page.setJavaScriptEnabled(false)
  t.is((await signedIn(page, instanceId))?.status(), 200)
  t.is(await textIn(page, '.word'), 'Ready')
  await Promise.all([page.waitForNavigation(), page.click('#again')])
  t.is(await textIn(page, '.word'), 'Ready')
  await page.setJavaScriptEnabled(true)

  for (const dark of [false, true]) {
    await page.setViewport({ width: 390, height: 844, isMobile: true, hasTouch: true })
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: dark ? 'dark' : 'light' }])
    await page.reload()
    t.deepEqual(await findings(page), [])
    t.is(await page.evaluate('document.documentElement.scrollWidth'), 390)
  }
  await picture(page, 'telephone', true)

  await page.keyboard.press('Tab')
  t.is(await page.evaluate('document.activeElement.textContent'), 'To the content')
  await page.keyboard.press('Tab')
  t.is(await page.evaluate('document.activeElement.id'), 'sign-out')
  await page.focus('#snippet-shell summary')
  await page.keyboard.press('Enter')
  t.true(await page.$eval('#snippet-shell', (found) => found.hasAttribute('open')))
})

inBrowser('a sign-in that was used or begun elsewhere brings nobody in', async (t) => {
  const instanceId = await instance()
  const { page } = await visit(t)
  const callbacks: string[] = []
  page.on('request', (request) => {
    if (request.url().startsWith(`${base}/dashboard/callback`)) callbacks.push(request.url())
  })
  await signedIn(page, instanceId)
  const [callback = ''] = callbacks
  const replayed = await page.goto(callback)
  t.is(replayed?.status(), 400)
  t.is(await heading(page), 'Sign in again')
  t.deepEqual(await findings(page), [])
  // In the browser of somebody who was sent that address.
  const victim = await visit(t)
  t.is((await victim.page.goto(callback))?.status(), 400)

  // What the provider gave, what is known to it and what the browser keeps stand in no log.
  const given = new URL(callback).searchParams
  const kept = (await page.browserContext().cookies()).map(({ value }) => value)
  t.true(kept.length > 0)
  const log = broker.lines.join('\n')
  t.true(log.includes('"function":"dashboard"'))
  for (const secret of [given.get('code') ?? '?', given.get('state') ?? '?', client.secret, ...kept])
    t.false(log.includes(secret), secret)
})

test.serial('nobody is sent anywhere but to the provider and to the page of an instance', async (t) => {
  t.timeout(120_000)
  const ask = (path: string, init: RequestInit = {}) =>
    fetch(`${base}${path}`, { redirect: 'manual', ...init })
  const id = randomUUID()
  const begun = await ask(`/dashboard/instances/${id}?redirect=https://evil.example&next=//evil.example`)
  t.is(begun.status, 302)
  const there = new URL(begun.headers.get('location') ?? '')
  t.is(there.origin, signIns.issuer)
  t.like(Object.fromEntries(there.searchParams), {
    client_id: client.id,
    redirect_uri: `${base}/dashboard/callback`,
    response_type: 'code',
    code_challenge_method: 'S256',
  })
  t.false(there.href.includes('evil'))
  t.regex(
    begun.headers.get('set-cookie') ?? '',
    /; Path=\/dashboard\/callback; Max-Age=600; HttpOnly; SameSite=Lax$/,
  )
  for (const path of [
    '/dashboard/instances/https:%2F%2Fevil.example',
    '/dashboard/instances/%2F%2Fevil.example',
    '/dashboard/instances/..%2F..%2Fv2',
    '/dashboard/nothing',
  ]) {
    t.is((await ask(path)).status, 404, path)
  }
  t.is((await ask(`/dashboard/callback?state=x&code=y&redirect=https://evil.example`)).status, 400)
  const elsewhere = await ask(`/dashboard/instances/${id}`, {
    method: 'POST',
    headers: { 'Sec-Fetch-Site': 'cross-site' },
  })
  t.is(elsewhere.status, 403)
  t.is(elsewhere.headers.get('set-cookie'), null)
})

test.serial('every answer tells the browser what not to do', async (t) => {
  t.timeout(120_000)
  for (const path of [
    `/dashboard/instances/${randomUUID()}`,
    '/dashboard/callback',
    '/dashboard/x',
    '/dashboard/style.css',
  ]) {
    const answer = await fetch(`${base}${path}`, { redirect: 'manual' })
    const policy = answer.headers.get('content-security-policy') ?? ''
    t.regex(policy, /default-src 'none'/)
    t.regex(policy, /frame-ancestors 'none'/)
    t.notRegex(policy, /unsafe|\*|https?:/)
    t.is(answer.headers.get('x-content-type-options'), 'nosniff')
    t.is(answer.headers.get('referrer-policy'), 'no-referrer')
    t.is(answer.headers.get('strict-transport-security'), null, 'this one is not behind TLS')
    t.is(answer.headers.get('cache-control'), path.endsWith('.css') ? 'max-age=300' : 'no-store')
  }
})

inBrowser('the people of a Cloud Foundry see what its Cloud Controller lets them see', async (t) => {
  const controller = await startCloudController(async (token) => {
    const answer = await fetch(`${uaa.issuer}/me`, { headers: { Authorization: `Bearer ${token}` } })
    return answer.status === 200 ? textAt(JSON.parse(await answer.text()), 'sub') : undefined
  })
  t.teardown(() => controller.stop())
  const uaa = await startProvider({
    port: await freePort(),
    people: [ada, bob],
    client: { ...client, redirectUri: `${base}/dashboard/callback` },
    uaa: true,
  })
  t.teardown(() => uaa.stop())
  const change = { issuer: uaa.issuer, rules: null, scopes: null, cloudController: controller.url }
  await setUp(change)
  const instanceId = await instance()
  const catalog = await broker.get('/v2/catalog')
  t.deepEqual(at(catalog.body, 'services', 0, 'dashboard_client'), {
    id: client.id,
    secret: client.secret,
    redirect_uri: `${base}/dashboard/callback`,
  })
  const ids = Array.from({ length: 6 }, (_, index) =>
    at(catalog.body, 'services', index, 'dashboard_client', 'id'),
  )
  t.is(new Set(ids).size, 6)

  const asks = async (person: typeof ada) => {
    const { page } = await visit(t)
    return (await signedIn(page, instanceId, person))?.status()
  }
  t.is(await asks(ada), 404)
  controller.permissions.set(`ada ${instanceId}`, { manage: true, read: true })
  controller.permissions.set(`bob ${instanceId}`, { manage: false, read: false })
  t.is(await asks(ada), 200)
  t.is(await asks(bob), 404)
  controller.broken = 502
  t.is(await asks(ada), 503)
  t.deepEqual(
    controller.answers,
    ['404', '200', '200', '502'].map((status) => `${status} ${instanceId}`),
  )

  await setUp()
  t.false((await broker.get('/v2/catalog')).text.includes('dashboard_client'))
})

test.serial('the dashboard may read, and no Secrets', async (t) => {
  const dashboard = await cluster.as('osb-dashboard')
  t.is((await dashboard('GET', cluster.databasesPath('pods'))).status, 200)
  t.is((await dashboard('GET', cluster.databasesPath('secrets'))).status, 403)
  t.is((await dashboard('GET', `${cluster.databasesPath('secrets')}/any`)).status, 403)
  t.is((await dashboard('POST', cluster.recordsPath(), {})).status, 403)
  t.is((await dashboard('DELETE', `${cluster.databasesPath('postgreses')}/any`)).status, 403)
})

test.serial('a set-up that is wrong is told in the log, not to the browser', async (t) => {
  await setUp({ rules: null })
  const answer = await fetch(pageOf(randomUUID()), { redirect: 'manual' })
  t.is(answer.status, 500)
  t.notRegex(await answer.text(), /rules/)
  t.true(
    broker.lines.some((line) => line.includes('settings.json: must have either rules or cloudController')),
  )
})
