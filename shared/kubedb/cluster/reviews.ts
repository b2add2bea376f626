/** Whose a token is and what its owner may do, as the API server has it: TokenReview and SubjectAccessReview. */
import { setTimeout as delay } from 'node:timers/promises'
import * as v from 'valibot'
import { span } from '../../telemetry/telemetry.ts'
import { BrokerError } from '../../values/errors.ts'
import type { Connection, Reply } from './connection.ts'

/** The owner of a token. */
export interface TokenOwner {
  name: string
  /**
   * @param verb e.g. `get`
   * @param path of a URL that is no resource
   * @throws {BrokerError} Unavailable, Misconfigured
   */
  may(verb: string, path: string): Promise<boolean>
}

/** milliseconds for one answer */
const patience = 5000

const User = v.object({
  username: v.pipe(v.string(), v.nonEmpty()),
  uid: v.optional(v.string()),
  groups: v.optional(v.array(v.string())),
  extra: v.optional(v.record(v.string(), v.array(v.string()))),
})
const TokenReview = v.object({
  status: v.object({
    authenticated: v.optional(v.boolean(), false),
    user: v.optional(v.unknown()),
    audiences: v.optional(v.array(v.string()), []),
  }),
})
const AccessReview = v.object({ status: v.object({ allowed: v.boolean() }) })

/**
 * @param connection the process's way to the API server
 * @param audience that tokens must be for; undefined: the API server's own
 * @returns asks about a token: whose it is, undefined where it is unknown, past its time or for another audience. It
 *   throws BrokerError Unavailable or Misconfigured when the API server does not tell
 */
export function tokenReviewer(
  connection: Connection,
  audience: string | undefined,
): (token: string) => Promise<TokenOwner | undefined> {
  return async function review(token) {
    const spec = audience === undefined ? { token } : { token, audiences: [audience] }
    const { status } = v.parse(
      TokenReview,
      await ask(connection, 'authentication.k8s.io', 'TokenReview', spec),
    )
    // An authenticator that knows no audiences leaves them out: then nobody has checked it.
    const meant = audience === undefined || status.audiences.includes(audience)
    if (!status.authenticated || !meant) return undefined
    const { username, ...more } = v.parse(User, status.user)
    return {
      name: username,
      async may(verb, path) {
        const spec = { user: username, ...more, nonResourceAttributes: { verb, path } }
        return v.parse(
          AccessReview,
          await ask(connection, 'authorization.k8s.io', 'SubjectAccessReview', spec),
        ).status.allowed
      },
    }
  }
}

async function ask(connection: Connection, group: string, kind: string, spec: object): Promise<unknown> {
  const apiVersion = `${group}/v1`
  const path = `/apis/${apiVersion}/${kind.toLowerCase()}s`
  const body = JSON.stringify({ apiVersion, kind, spec })
  const send = async (): Promise<Reply | undefined> => {
    try {
      return await span('kubernetes POST', { 'http.request.method': 'POST', 'url.path': path }, () =>
        connection.send('POST', path, body, 'application/json', patience),
      )
    } catch {
      return undefined
    }
  }
  const transient = (reply: Reply | undefined) =>
    reply === undefined || reply.status === 429 || reply.status >= 500
  let reply = await send()
  // A review changes nothing: it may be asked for again.
  if (transient(reply)) {
    await delay(100)
    reply = await send()
  }
  if (reply?.status === 201 || reply?.status === 200) return JSON.parse(reply.body)
  if (reply?.status === 401 || reply?.status === 403) {
    throw new BrokerError(
      'Misconfigured',
      `the broker's ServiceAccount may not create ${kind}s: apply knative/components/bearer, or set AUTHENTICATION=basic`,
      { cause: new Error(`${kind}: ${reply.status}`) },
    )
  }
  throw new BrokerError(
    'Unavailable',
    'the API server could not be asked about the bearer token; the same request may be sent again',
    { cause: new Error(`${kind}: ${reply?.status ?? 'no answer'}`) },
  )
}
