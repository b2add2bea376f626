import type { MiddlewareHandler } from 'hono'
import { BrokerError } from '../../values/errors.ts'
import type { Edge } from './edge.ts'

/**
 * Bounds the work of a request: the signal aborts after the budget, or as soon as the client has gone away, since
 * then nobody learns what an API call did. Its reason is a BrokerError (Unavailable).
 *
 * @param budget seconds
 */
export function deadline(budget: number): MiddlewareHandler<Edge> {
  return async function deadline(c, next) {
    const controller = new AbortController()
    const late = () => {
      const message = `not finished within ${budget} seconds; the same request may be sent again`
      controller.abort(new BrokerError('Unavailable', message))
    }
    const gone = () => controller.abort(new BrokerError('Unavailable', 'the caller has gone away'))
    const timer = setTimeout(late, budget * 1000)
    const client = c.req.raw.signal
    client.addEventListener('abort', gone)
    if (client.aborted) gone()
    c.set('deadline', Date.now() + budget * 1000)
    c.set('signal', controller.signal)
    try {
      await next()
    } finally {
      clearTimeout(timer)
      client.removeEventListener('abort', gone)
    }
  }
}
