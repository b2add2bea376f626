/** Bearer tokens (RFC 6750) whose owners, and what they may do, somebody else knows. */
import { hash } from 'node:crypto'
import { BrokerError } from '../../values/errors.ts'
import { rawPath } from '../edge/path.ts'
import type { Scheme } from './authentication.ts'
import { defaultPlatform, type Users } from './users.ts'

/** Whose a token is. */
export interface Owner {
  name: string
  /**
   * @param verb the method in lower case
   * @param path as it came over the wire, without the query
   * @returns whether the owner may do this
   * @throws {BrokerError} when nobody can tell
   */
  may(verb: string, path: string): Promise<boolean>
}

/**
 * @returns whose the token is; undefined for one that is unknown, past its time, or for somebody else
 * @throws {BrokerError} when nobody can tell
 */
export type Reviewer = (token: string) => Promise<Owner | undefined>

/** milliseconds for which a decision counts */
const lifetime = 10_000
/** decisions that are kept at most, of each kind */
const capacity = 1000

/**
 * Bearer (RFC 6750). Who the owner is and whether the request is allowed is asked at most once in ten seconds for a
 * token and a path; tokens are only kept as digests.
 *
 * @param review asked about a token
 * @param users names the platforms of owners
 * @param now milliseconds
 */
export function bearer(review: Reviewer, users: Users, now: () => number = Date.now): Scheme {
  const owners = remembered<Owner | undefined>(now)
  const decisions = remembered<boolean>(now)
  return {
    name: 'Bearer',
    challenge: 'Bearer realm="KubeDB Service Broker"',
    async authenticate(token, c) {
      const owner = await owners(digest(token), () => review(token))
      if (owner === undefined) return undefined
      const verb = c.req.method.toLowerCase()
      const path = rawPath(c)
      if (!(await decisions(digest(`${token} ${verb} ${path}`), () => owner.may(verb, path)))) {
        throw new BrokerError(
          'Forbidden',
          `${owner.name} may not ${verb} ${path.slice(0, 255)}: bind it to a ClusterRole that has the verb ${verb} on this nonResourceURL`,
        )
      }
      const { platforms } = await users()
      return { name: owner.name, platform: platforms.get(owner.name) ?? defaultPlatform }
    },
  }
}

function digest(value: string): string {
  return hash('sha256', value, 'base64')
}

/** Requests that come together wait for one answer; a failure is not kept. */
function remembered<T>(now: () => number): (key: string, ask: () => Promise<T>) => Promise<T> {
  const known = new Map<string, { until: number; answer: Promise<T> }>()
  return function remembered(key, ask) {
    const found = known.get(key)
    if (found && now() < found.until) return found.answer
    known.delete(key)
    // In the order in which they were asked, so the first are the oldest.
    for (const [old, { until }] of known) {
      if (known.size < capacity && now() < until) break
      known.delete(old)
    }
    const answer = ask()
    known.set(key, { until: now() + lifetime, answer })
    answer.catch(() => known.delete(key))
    return answer
  }
}
