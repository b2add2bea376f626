import type { MiddlewareHandler } from 'hono'
import type { Edge } from './edge.ts'

export const requestIdentityHeader = 'X-Broker-API-Request-Identity'

/**
 * Echoes X-Broker-API-Request-Identity in every answer, errors too (OSB: Request Identity). Without the header it
 * does nothing.
 */
export function requestIdentity(): MiddlewareHandler<Edge> {
  return async function requestIdentity(c, next) {
    const identity = c.req.header(requestIdentityHeader)
    c.set('requestIdentity', identity)
    await next()
    if (identity !== undefined) c.res.headers.set(requestIdentityHeader, identity)
  }
}
