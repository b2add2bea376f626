import type { Context, Hono } from 'hono'
import { HonoBase } from 'hono/hono-base'
import { LinearRouter } from 'hono/router/linear-router'
import type { Config } from '../config.ts'
import { type FunctionName, routeOf } from '../routes.ts'
import { requestTelemetry } from '../telemetry/request.ts'
import { apiVersion } from './api-version.ts'
import { authentication, type Scheme } from './authentication.ts'
import { deadline } from './deadline.ts'
import type { Edge } from './edge.ts'
import { answerError } from './errors.ts'
import { health } from './health.ts'
import { ids } from './ids.ts'
import { originatingIdentity } from './originating-identity.ts'
import { requestIdentity } from './request-identity.ts'
import { requestLog } from './request-log.ts'
import { routeGuard } from './route-guard.ts'
import { basic, type Users, users } from './users.ts'

/** Answers a request that has passed every check of the edge. It may throw a BrokerError. */
export type Handler = (c: Context<Edge>) => Promise<Response>

/** Makes a scheme beside Basic; the users file names the platforms of its callers. */
export type TokenScheme = (users: Users) => Scheme

/**
 * One operation of the specification as a web application: everything that all operations have in common, in front
 * of the handler that is particular to it.
 *
 * @param name whose row of the route map applies
 * @param tokens makes the scheme of bearer tokens, where the configuration lets them in
 */
export function operation(
  name: FunctionName,
  handler: Handler,
  config: Config,
  tokens?: TokenScheme,
): Hono<Edge> {
  const route = routeOf(name)
  const { basic: passwords } = config.authentication
  const readUsers = users(config.usersFile, { passwords })
  const schemes = [...(passwords ? [basic(readUsers)] : []), ...(tokens ? [tokens(readUsers)] : [])]
  // Every path is answered by the same handlers: a router that prepares nothing starts soonest.
  const app = new HonoBase<Edge>({ router: new LinearRouter() })
  app.onError(answerError)
  app.use(
    async function configuration(c, next) {
      c.set('config', config)
      await next()
    },
    requestIdentity(),
    health(readUsers),
    requestTelemetry(route),
    requestLog(route),
    authentication(...schemes),
    apiVersion(),
    routeGuard(route),
    ids(route),
    originatingIdentity(),
    deadline(config.requestBudget),
    handler,
  )
  return app
}
