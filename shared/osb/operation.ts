/** The chain of rules that every request passes before its handler: the protocol, put together. */
import type { Context, Hono } from 'hono'
import { HonoBase } from 'hono/hono-base'
import { LinearRouter } from 'hono/router/linear-router'
import type { Config } from '../environment/config.ts'
import { type FunctionName, routeOf } from '../routes.ts'
import { authentication, type Scheme } from './authentication/authentication.ts'
import { basic, type Users, users } from './authentication/users.ts'
import { apiVersion } from './edge/api-version.ts'
import { deadline } from './edge/deadline.ts'
import type { Edge } from './edge/edge.ts'
import { answerError } from './edge/errors.ts'
import { health } from './edge/health.ts'
import { ids } from './edge/ids.ts'
import { originatingIdentity } from './edge/originating-identity.ts'
import { requestIdentity } from './edge/request-identity.ts'
import { requestLog } from './edge/request-log.ts'
import { routeGuard } from './edge/route-guard.ts'
import { requestTelemetry } from './edge/trace.ts'

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
