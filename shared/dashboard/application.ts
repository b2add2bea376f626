/** The dashboard as a web application: signing in, the page of an instance, signing out. */
import { createHash } from 'node:crypto'
import type { Context, Hono } from 'hono'
import { HonoBase } from 'hono/hono-base'
import { LinearRouter } from 'hono/router/linear-router'
import * as v from 'valibot'
import type { Config } from '../environment/config.ts'
import { errorFields, log } from '../environment/log.ts'
import type { InstanceRecord } from '../kubedb/records/instance-record.ts'
import { readRecord } from '../kubedb/records/instance-store.ts'
import { deadline } from '../osb/edge/deadline.ts'
import type { Edge } from '../osb/edge/edge.ts'
import { health } from '../osb/edge/health.ts'
import { rawPath, segments } from '../osb/edge/path.ts'
import { requestLog } from '../osb/edge/request-log.ts'
import { requestTelemetry } from '../osb/edge/trace.ts'
import { dashboardRoutes } from '../routes.ts'
import { brokerOf } from '../serving/broker.ts'
import { BrokerError } from '../values/errors.ts'
import { currentCatalog } from '../wishes/catalog.ts'
import { type Claims, mayRead } from './access.ts'
import { cookieIn, setCookie } from './cookies.ts'
import { follow } from './follow.ts'
import { securityHeaders } from './headers.ts'
import { instancePage, plainPage } from './page.ts'
import { readSetup, type Setup } from './setup.ts'
import type { Attempt, Person } from './sign-in.ts'
import { style } from './style.ts'
import { readView } from './view.ts'

const [page, signOut, others] = dashboardRoutes

/** Somebody may see one instance, for a while. Whoever opens another one signs in again, mostly without noticing. */
const Session = v.object({
  instance: v.string(),
  /** of the record: an id may be used again, for somebody else's instance */
  uid: v.string(),
  name: v.string(),
})
type Session = v.InferOutput<typeof Session>

const sessionCookie = 'osb-dashboard'
const callbackPath = '/dashboard/callback'

/** Milliseconds that signing in may take. */
const patience = 600_000

/**
 * One page looks like the other whether an instance is not there or is not to be seen.
 *
 * @param config with the address of the dashboard
 */
export function dashboardApplication(config: Config): Hono<Edge> {
  const secure = config.dashboard.url?.startsWith('https:') ?? false
  const app = new HonoBase<Edge>({ router: new LinearRouter() })
  app.onError(answerError)
  app.use(
    async function configuration(c, next) {
      c.set('config', config)
      await next()
    },
    securityHeaders(secure),
    health(() => readSetup(config)),
    requestTelemetry(page),
    requestLog(page),
    deadline(config.requestBudget),
    async function dashboard(c) {
      const path = rawPath(c)
      const isRead = c.req.method === 'GET' || c.req.method === 'HEAD'
      const segment = segments(page.path, path)?.get('instance_id')
      if (segment !== undefined) {
        const instanceId = idIn(segment)
        if (instanceId === undefined) return notFound(c)
        if (isRead) return show(c, instanceId)
        return c.req.method === signOut.method ? leave(c, instanceId) : notAllowed(c, 'GET, POST')
      }
      const name = segments(others.path, path)?.get('page')
      if (name === undefined) return notFound(c)
      if (!isRead) return notAllowed(c, 'GET')
      if (name === 'callback') return comeBack(c)
      if (name === 'style.css') return asset(c, style, 'text/css; charset=utf-8')
      if (name === 'follow.js') return asset(c, follow, 'text/javascript; charset=utf-8')
      return notFound(c)
    },
  )
  return app
}

/** @returns the id, as far as the broker takes such ids at all */
function idIn(segment: string): string | undefined {
  return /^[A-Za-z0-9._~-]{1,255}$/.test(segment) ? segment : undefined
}

/** GET the page of an instance. */
async function show(c: Context<Edge>, instanceId: string): Promise<Response> {
  const setup = await readSetup(c.var.config)
  const session = setup.key.open('session', Session, cookieIn(c.req.header('Cookie'), sessionCookie))
  if (session?.instance !== instanceId) {
    // A script cannot follow to another host, and would not want to.
    if (c.req.header('X-Follow') !== undefined) return c.body('', 401)
    return signIn(c, setup, instanceId)
  }
  // Side by side: the catalog is read while the API server is asked.
  const [record, catalog] = await Promise.all([
    readRecord(brokerOf(c), instanceId),
    currentCatalog(c.var.config),
  ])
  if (!record) {
    return c.html(plainPage('Removed', ['The instance that was shown here has been deprovisioned.']), 404)
  }
  if (record.uid !== session.uid) return notFound(c)
  const view = await readView(brokerOf(c), record, catalog)
  const body = instancePage(view, session, setup.settings)
  const etag = `"${createHash('sha256').update(body).digest('base64url')}"`
  if (c.req.header('If-None-Match') === etag) return c.body(null, 304, { ETag: etag })
  return c.html(body, 200, { ETag: etag })
}

/** Sends the person to the provider, and remembers in their browser what for. */
async function signIn(c: Context<Edge>, setup: Setup, instance: string): Promise<Response> {
  const { begin } = await import('./sign-in.ts')
  const { location, attempt } = await begin(setup, instance)
  const sealed = setup.key.seal('sign-in', attempt, Date.now() + patience)
  giveCookie(c, attemptCookie(attempt.state), sealed, callbackPath, patience / 1000)
  return c.redirect(location, 302)
}

/** GET /dashboard/callback: the provider has sent the person back. */
async function comeBack(c: Context<Edge>): Promise<Response> {
  const setup = await readSetup(c.var.config)
  const answer = new URL(c.req.url).searchParams
  const name = attemptCookie(answer.get('state') ?? '')
  const { Attempt, finish } = await import('./sign-in.ts')
  const attempt = setup.key.open('sign-in', Attempt, cookieIn(c.req.header('Cookie'), name))
  if (!attempt || attempt.state !== answer.get('state')) {
    const sentences = [
      'This sign-in was not begun in this browser, has been used already, or took longer than ten minutes.',
      'Open the page of the instance again. If it comes to this again, let the browser keep cookies of this site.',
    ]
    return c.html(plainPage('Sign in again', sentences), 400)
  }
  giveCookie(c, name, '', callbackPath, 0)
  const person = await finish(setup, answer, attempt)
  const record = await knownRecord(c, attempt)
  // Asked in any case: how long an answer takes does not tell whether there is such an instance.
  const allowed = await mayPersonRead(setup, person, attempt, record)
  if (!record || !allowed) return notFound(c)
  const session: Session = { instance: attempt.instance, uid: record.uid, name: nameOf(person.claims) }
  const seconds = setup.settings.sessionMinutes * 60
  const path = pathOf(attempt.instance)
  giveCookie(c, sessionCookie, setup.key.seal('session', session, Date.now() + seconds * 1000), path, seconds)
  return c.redirect(path, 303)
}

/** One that cannot be read is as good as none: who may see it cannot be told either. */
async function knownRecord(c: Context<Edge>, { instance }: Attempt): Promise<InstanceRecord | undefined> {
  try {
    return await readRecord(brokerOf(c), instance)
  } catch (error) {
    if (!(error instanceof BrokerError && error.problem === 'Misconfigured')) throw error
    log('error', 'an instance record cannot be read', { error: errorFields(error) })
    return undefined
  }
}

async function mayPersonRead(
  { settings }: Setup,
  { claims, token }: Person,
  { instance }: Attempt,
  record: InstanceRecord | undefined,
): Promise<boolean> {
  if (settings.cloudController === undefined) {
    return record !== undefined && mayRead(settings.rules ?? [], claims, record.info)
  }
  const { cloudControllerAllows } = await import('./cloud-controller.ts')
  return cloudControllerAllows(settings.cloudController, instance, token)
}

/** POST to the page of an instance: signing out. */
async function leave(c: Context<Edge>, instanceId: string): Promise<Response> {
  const from = c.req.header('Sec-Fetch-Site')
  if (from !== undefined && from !== 'same-origin') {
    return c.html(plainPage('Not done', ['Signing out is asked for by the button of the page only.']), 403)
  }
  const setup = await readSetup(c.var.config)
  giveCookie(c, sessionCookie, '', pathOf(instanceId), 0)
  const { endOfSession } = await import('./sign-in.ts')
  const end = await endOfSession(setup).catch(() => undefined)
  const sentences = [
    'You are signed out of this page. Your platform may still know you, and would sign you in again.',
  ]
  const link = end === undefined ? undefined : { text: `Sign out of ${new URL(end).host} too`, href: end }
  return c.html(plainPage('Signed out', sentences, link), 200)
}

/** What somebody is called: for the eye only. */
function nameOf(claims: Claims): string {
  const names = [claims.name, claims.preferred_username, claims.user_name, claims.email, claims.sub]
  const found = names.find((one): one is string => typeof one === 'string' && one !== '') ?? 'somebody'
  return found.slice(0, 100)
}

const pathOf = (instanceId: string): string => `/dashboard/instances/${encodeURIComponent(instanceId)}`

/** Two tabs may sign in side by side. */
const attemptCookie = (state: string): string =>
  `osb-sign-in-${createHash('sha256').update(state).digest('hex').slice(0, 12)}`

/** Straight onto Node's answer: several cookies may be set at once, and they cannot be joined by commas. */
function giveCookie(c: Context<Edge>, name: string, value: string, path: string, seconds: number): void {
  const secure = c.var.config.dashboard.url?.startsWith('https:') ?? false
  c.env.outgoing?.appendHeader('Set-Cookie', setCookie(name, value, { path, seconds, secure }))
}

function asset(c: Context<Edge>, text: string, type: string): Response {
  const etag = `"${createHash('sha256').update(text).digest('base64url')}"`
  const headers = { 'Content-Type': type, 'Cache-Control': 'max-age=300', ETag: etag }
  if (c.req.header('If-None-Match') === etag) return c.body(null, 304, headers)
  return c.body(text, 200, headers)
}

function notFound(c: Context<Edge>): Response {
  const sentences = [
    'There is no such page, or you may not see it.',
    'Ask whoever runs your platform for access to the instance.',
  ]
  return c.html(plainPage('Not found', sentences), 404)
}

function notAllowed(c: Context<Edge>, allowed: string): Response {
  c.header('Allow', allowed)
  return c.html(plainPage('Not allowed', [`This page takes ${allowed}.`]), 405)
}

/** Answers for whatever was thrown (Hono's onError). */
function answerError(error: unknown, c: Context<Edge>): Response {
  if (!(error instanceof BrokerError)) {
    log('error', 'unexpected error', { error: errorFields(error) })
    return c.html(plainPage('Something went wrong', ['The log of the dashboard says more.']), 500)
  }
  if (error.forOperator !== undefined) log('error', error.forOperator, { problem: error.problem })
  if (error.cause !== undefined) log('debug', error.message, { cause: errorFields(error.cause) })
  const text = `${error.message.slice(0, 1).toUpperCase()}${error.message.slice(1)}.`
  switch (error.problem) {
    case 'Forbidden':
      return c.html(plainPage('Not signed in', [text]), 403)
    case 'Unavailable':
      return c.html(plainPage('Not just now', [text]), 503)
    default:
      return c.html(plainPage('Something went wrong', [text]), 500)
  }
}
