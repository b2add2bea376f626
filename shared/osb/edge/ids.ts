import type { MiddlewareHandler } from 'hono'
import type { Route } from '../../routes.ts'
import { BrokerError } from '../../values/errors.ts'
import type { Edge } from './edge.ts'
import { rawPath, segments } from './path.ts'

/**
 * Decodes the ids in the path and puts them beside the request (OSB: URL Properties).
 *
 * @throws {BrokerError} BadRequest for an id that is longer than 255 characters or has one outside RFC 3986's
 *   unreserved set, and for `.` and `..`, which proxies resolve
 */
export function ids(route: Route): MiddlewareHandler<Edge> {
  return async function ids(c, next) {
    const given = segments(route.path, rawPath(c))
    c.set('instanceId', id('instance_id', given?.get('instance_id')))
    c.set('bindingId', id('binding_id', given?.get('binding_id')))
    await next()
  }
}

function id(name: string, segment: string | undefined): string {
  if (segment === undefined) return ''
  const decoded = decode(segment)
  if (decoded === undefined) throw new BrokerError('BadRequest', `${name}: is not percent-encoded UTF-8`)
  if (decoded.length > 255) {
    throw new BrokerError(
      'BadRequest',
      `${name}: is ${decoded.length} characters long, at most 255 are allowed`,
    )
  }
  if (!/^[A-Za-z0-9._~-]+$/.test(decoded) || decoded === '.' || decoded === '..') {
    throw new BrokerError(
      'BadRequest',
      `${name}: must consist of letters, digits and - . _ ~ and be neither . nor .. (a GUID is best)`,
    )
  }
  return decoded
}

/** @returns undefined for malformed percent-encoding */
function decode(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment)
  } catch {
    return undefined
  }
}
