import type { MiddlewareHandler } from 'hono'
import type { Route } from '../../routes.ts'
import { BrokerError } from '../../values/errors.ts'
import type { Edge } from './edge.ts'
import { rawPath, segments } from './path.ts'

/**
 * Lets only the function's own method and path through: a gateway may be wrong about what it sends where.
 *
 * @throws {BrokerError} NotFound for another path, MethodNotAllowed for another method
 */
export function routeGuard(route: Route): MiddlewareHandler<Edge> {
  return async function routeGuard(c, next) {
    if (segments(route.path, rawPath(c)) === undefined) {
      throw new BrokerError('NotFound', `this function serves only ${route.method} ${route.path}`)
    }
    if (c.req.method !== route.method) {
      c.header('Allow', route.method)
      throw new BrokerError('MethodNotAllowed', `this function serves only ${route.method} ${route.path}`)
    }
    await next()
  }
}
