import type { MiddlewareHandler } from 'hono'
import { BrokerError } from '../../values/errors.ts'
import type { Edge } from './edge.ts'

/**
 * Accepts X-Broker-API-Version 2.0 to 2.99: minor versions only add (OSB: API Version Header).
 *
 * @throws {BrokerError} PreconditionFailed for any other version and for none
 */
export function apiVersion(): MiddlewareHandler<Edge> {
  return async function apiVersion(c, next) {
    const version = c.req.header('X-Broker-API-Version')
    if (version === undefined || !/^2\.\d{1,2}$/.test(version)) {
      throw new BrokerError(
        'PreconditionFailed',
        'header X-Broker-API-Version: must be 2.17, the version of Open Service Broker that this broker speaks, or another 2.x',
      )
    }
    await next()
  }
}
