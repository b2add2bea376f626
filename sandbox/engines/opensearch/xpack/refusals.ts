/** X-Pack's words where the server behind the front would use its own. Pure. */
import type { JsonObject } from '../../../../shared/values/json.ts'

/** An answer that the front gives itself. */
export interface Reply {
  readonly status: number
  readonly body: JsonObject
  readonly headers?: Readonly<Record<string, string | string[]>>
}

/** @returns an error in the shape that Elasticsearch gives it */
export function failure(status: number, type: string, reason: string, more: JsonObject = {}): Reply {
  const error = { type, reason, ...more }
  return { status, body: { error: { root_cause: [error], ...error }, status } }
}

const challenges = ['Basic realm="security", charset="UTF-8"', 'ApiKey']

/** @param user whom the request named; undefined when it named nobody */
export function unauthenticated(user: string | undefined, path: string): Reply {
  const reason =
    user === undefined
      ? `missing authentication credentials for REST request [${path}]`
      : `unable to authenticate user [${user}] for REST request [${path}]`
  const reply = failure(401, 'security_exception', reason, { header: { 'WWW-Authenticate': challenges } })
  return { ...reply, headers: { 'www-authenticate': challenges } }
}

export function unauthorized(user: string, action: string): Reply {
  return failure(403, 'security_exception', `action [${action}] is unauthorized for user [${user}]`)
}

/** @returns X-Pack's refusal for one of the security plugin, or undefined for any other answer */
export function translated(
  status: number,
  text: string,
  user: string | undefined,
  path: string,
): Reply | undefined {
  if (status === 401) return unauthenticated(user, path)
  if (status !== 403) return undefined
  const action = /no permissions for \[([^\]]+)\]/.exec(text)?.[1]
  return action === undefined ? undefined : unauthorized(user ?? '', action)
}

export function noHandler(method: string, path: string): Reply {
  return { status: 400, body: { error: `no handler found for uri [${path}] and method [${method}]` } }
}

/**
 * Clients of one major version more or less get an answer in the shape they know; others are refused.
 *
 * @param header Accept or Content-Type, e.g. `application/vnd.elasticsearch+json; compatible-with=9`
 * @param major of the server
 */
export function incompatible(header: string | undefined, major: number): Reply | undefined {
  const asked = Number(/compatible-with=(\d+)/.exec(header ?? '')?.[1] ?? major)
  if (asked === major || asked === major - 1) return undefined
  return failure(
    400,
    'media_type_header_exception',
    `Invalid media-type value on headers [Accept, Content-Type]: accept version must be either version ${major} or ${major - 1}, but found ${asked}`,
  )
}
