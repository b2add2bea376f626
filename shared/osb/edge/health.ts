import type { MiddlewareHandler } from 'hono'
import type { Edge } from './edge.ts'
import { rawPath } from './path.ts'

/**
 * Answers `/health/liveness` and `/health/readiness` before anyone has to authenticate.
 *
 * @param ready throws a BrokerError while the function could not serve a request
 */
export function health(ready: () => Promise<unknown>): MiddlewareHandler<Edge> {
  return async function health(c, next) {
    if (c.req.method !== 'GET' && c.req.method !== 'HEAD') return next()
    switch (rawPath(c)) {
      case '/health/readiness':
        await ready()
        return c.json({ status: 'ready' })
      case '/health/liveness':
        return c.json({ status: 'alive' })
      default:
        return next()
    }
  }
}
