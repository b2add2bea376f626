/** What every answer of the dashboard tells a browser not to do. */
import type { MiddlewareHandler } from 'hono'
import type { Edge } from '../osb/edge/edge.ts'

const always = {
  // Nothing inline and nothing of another host: what a user has written into a name cannot run or call out.
  'Content-Security-Policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ].join('; '),
  'X-Frame-Options': 'DENY',
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
}

/** @param secure whether people reach the dashboard over TLS */
export function securityHeaders(secure: boolean): MiddlewareHandler<Edge> {
  return async function securityHeaders(c, next) {
    await next()
    for (const [name, value] of Object.entries(always)) c.res.headers.set(name, value)
    if (secure) c.res.headers.set('Strict-Transport-Security', 'max-age=31536000')
    if (!c.res.headers.has('Cache-Control')) c.res.headers.set('Cache-Control', 'no-store')
  }
}
