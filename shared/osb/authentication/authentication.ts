/** Who calls: a platform proves itself before anything else is looked at (OSB: Platform to Service Broker Authentication). */
import type { Context, MiddlewareHandler } from 'hono'
import { BrokerError } from '../../values/errors.ts'
import type { Caller } from '../../values/nouns.ts'
import type { Edge } from '../edge/edge.ts'

/** One way to authenticate (RFC 9110, section 11). */
export interface Scheme {
  /** first word of the Authorization header, any case */
  readonly name: string
  /** for WWW-Authenticate */
  readonly challenge: string
  /**
   * @param credentials what follows the scheme's name
   * @returns who calls; undefined if the credentials are not right
   * @throws {BrokerError} when it cannot tell
   */
  authenticate(credentials: string, c: Context<Edge>): Promise<Caller | undefined>
}

/**
 * Every request says who sends it (OSB: Platform to Service Broker Authentication). Puts the caller beside the
 * request.
 *
 * @param schemes any of them will do
 * @throws {BrokerError} Unauthorized; the same for an unknown user, a wrong password and no header
 */
export function authentication(...schemes: Scheme[]): MiddlewareHandler<Edge> {
  return async function authentication(c, next) {
    const [, name = '', credentials = ''] = c.req.header('Authorization')?.match(/^(\S+) +(\S+)$/) ?? []
    const scheme = schemes.find((each) => each.name.toLowerCase() === name.toLowerCase())
    const caller = await scheme?.authenticate(credentials, c)
    if (caller === undefined) {
      c.header('WWW-Authenticate', schemes.map((each) => each.challenge).join(', '))
      throw new BrokerError(
        'Unauthorized',
        'header Authorization: must be the credentials that the broker was registered with',
      )
    }
    c.set('caller', caller)
    await next()
  }
}
