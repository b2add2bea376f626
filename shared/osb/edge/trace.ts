import type { MiddlewareHandler } from 'hono'
import type { Route } from '../../routes.ts'
import { current } from '../../telemetry/telemetry.ts'
import type { Edge } from './edge.ts'
import { rawPath } from './path.ts'

/** A server span for each request, continued from `traceparent`, and its duration and count as metrics. */
export function requestTelemetry(route: Route): MiddlewareHandler<Edge> {
  return async function requestTelemetry(c, next) {
    const telemetry = current()
    if (telemetry === undefined) return next()
    const request = {
      method: c.req.method,
      path: rawPath(c).slice(0, 1024),
      route: route.path,
      function: route.function,
      header: (name: string) => c.req.header(name),
    }
    await telemetry.request(request, async () => {
      await next()
      return { status: c.res.status, error: c.error?.name }
    })
  }
}
