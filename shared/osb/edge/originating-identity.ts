import type { MiddlewareHandler } from 'hono'
import * as v from 'valibot'
import { log } from '../../environment/log.ts'
import { isObject } from '../../values/json.ts'
import type { Edge, OriginatingIdentity } from './edge.ts'

/** What the platforms of OSB's profile send, and nothing else is needed of it. */
const Identity = v.pipe(
  v.custom<object>(isObject),
  v.object({
    /** Cloud Foundry */
    user_id: v.optional(v.string()),
    /** Kubernetes */
    username: v.optional(v.string()),
  }),
)

/**
 * Decodes X-Broker-API-Originating-Identity for the records and the log (OSB: Originating Identity). The broker has
 * no duty here, so a malformed value counts as none.
 */
export function originatingIdentity(): MiddlewareHandler<Edge> {
  return async function originatingIdentity(c, next) {
    const header = c.req.header('X-Broker-API-Originating-Identity')
    const identity = header === undefined ? undefined : parseIdentity(header)
    if (header !== undefined && identity === undefined) {
      log('debug', 'malformed X-Broker-API-Originating-Identity', { length: header.length })
    }
    c.set('originatingIdentity', identity)
    await next()
  }
}

/**
 * @param header `<platform> <base64 of a JSON object>`
 * @returns undefined if the header is anything else
 */
export function parseIdentity(header: string): OriginatingIdentity | undefined {
  const [, platform, encoded] = header.match(/^([\w.-]{1,64}) +([\w+/=-]+)$/) ?? []
  if (platform === undefined || encoded === undefined) return undefined
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(encoded, 'base64'))
    const { user_id, username } = v.parse(Identity, JSON.parse(text))
    return { platform, user: (user_id ?? username ?? '').slice(0, 255) }
  } catch {
    return undefined
  }
}
