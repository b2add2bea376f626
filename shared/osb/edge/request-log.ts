import type { MiddlewareHandler } from 'hono'
import { log } from '../../environment/log.ts'
import type { Route } from '../../routes.ts'
import { BrokerError } from '../../values/errors.ts'
import type { Edge } from './edge.ts'
import { rawPath, segments } from './path.ts'

/** Writes one line for each request once it is answered. */
export function requestLog(route: Route): MiddlewareHandler<Edge> {
  return async function requestLog(c, next) {
    const started = performance.now()
    await next()
    const { caller, originatingIdentity, requestIdentity } = c.var
    const { status } = c.res
    const given = segments(route.path, rawPath(c))
    log(status >= 500 ? 'error' : 'info', 'request', {
      function: route.function,
      operation: route.operation,
      // Only the edge has checked these; an id that was refused is shown cut, and JSON escapes it.
      instance: given?.get('instance_id')?.slice(0, 255),
      binding: given?.get('binding_id')?.slice(0, 255),
      method: c.req.method,
      status,
      durationMs: Math.round((performance.now() - started) * 10) / 10,
      requestIdentity: requestIdentity?.slice(0, 255),
      caller: caller?.name,
      platform: originatingIdentity?.platform,
      user: originatingIdentity?.user,
      error: c.error instanceof BrokerError ? c.error.problem : c.error?.name,
      description: description(c.error),
    })
  }
}

/** What a request got wrong is told to its sender alone: the sentence may quote what it sent. */
function description(error: Error | undefined): string | undefined {
  return error instanceof BrokerError && error.problem !== 'BadRequest' ? error.message : undefined
}
