/**
 * Signing in by OpenID Connect: authorization code with PKCE. Loaded only when somebody signs in, not for those who have.
 */
import * as oauth from 'oauth4webapi'
import * as v from 'valibot'
import { BrokerError } from '../values/errors.ts'
import { type Claims, claimsOf } from './access.ts'
import { ask } from './request.ts'
import type { Setup } from './setup.ts'

/** What has to be known again once the provider sends the person back. */
export const Attempt = v.object({
  /** id of the instance that is to be seen: there is no other place to come back to */
  instance: v.string(),
  state: v.string(),
  nonce: v.string(),
  verifier: v.string(),
})
export type Attempt = v.InferOutput<typeof Attempt>

/** Who has signed in. */
export interface Person {
  claims: Claims
  /** for requests in this person's name; kept nowhere */
  token: string
}

/** Milliseconds for which what the provider says of itself is used again. */
const freshness = 600_000

let known: { issuer: string; at: number; provider: Promise<oauth.AuthorizationServer> } | undefined

/** UAA, unlike the specification, takes credentials in the header as they are unless it is told that they are encoded. */
const encodedCredentials = { 'X-CF-ENCODED-CREDENTIALS': 'true' }

/** @returns where the person is to be sent, and what must be known again afterwards */
export async function begin(setup: Setup, instance: string): Promise<{ location: string; attempt: Attempt }> {
  const provider = await discover(setup)
  const endpoint = provider.authorization_endpoint
  if (endpoint === undefined) throw unusable('it names no authorization_endpoint')
  const attempt = {
    instance,
    state: oauth.generateRandomState(),
    nonce: oauth.generateRandomNonce(),
    verifier: oauth.generateRandomCodeVerifier(),
  }
  const location = new URL(endpoint)
  const parameters = {
    client_id: setup.client.id,
    redirect_uri: redirectUri(setup),
    response_type: 'code',
    scope: scopesOf(setup).join(' '),
    state: attempt.state,
    nonce: attempt.nonce,
    code_challenge: await oauth.calculatePKCECodeChallenge(attempt.verifier),
    code_challenge_method: 'S256',
  }
  for (const [name, value] of Object.entries(parameters)) location.searchParams.set(name, value)
  return { location: location.href, attempt }
}

/**
 * @param answer the query with which the provider has sent the person back
 * @throws {BrokerError} Forbidden where the provider refuses or the answer is to another question; Unavailable
 */
export async function finish(setup: Setup, answer: URLSearchParams, attempt: Attempt): Promise<Person> {
  const provider = await discover(setup)
  const client = { client_id: setup.client.id }
  const options = {
    [oauth.customFetch]: send,
    [oauth.allowInsecureRequests]: isPlain(setup),
    ...(setup.settings.cloudController !== undefined && { headers: new Headers(encodedCredentials) }),
  }
  try {
    const parameters = oauth.validateAuthResponse(provider, client, answer, attempt.state)
    const response = await oauth.authorizationCodeGrantRequest(
      provider,
      client,
      authenticationOf(provider, setup),
      parameters,
      redirectUri(setup),
      attempt.verifier,
      options,
    )
    const tokens = await oauth.processAuthorizationCodeResponse(provider, client, response, {
      expectedNonce: attempt.nonce,
      requireIdToken: true,
    })
    const claims = oauth.getValidatedIdTokenClaims(tokens)
    if (!claims) throw new Error('there is no ID token')
    // Providers put groups into the ID token, or have them asked for.
    const missing = claimsOf(setup.settings.rules ?? []).some((name) => !Object.hasOwn(claims, name))
    if (!missing || provider.userinfo_endpoint === undefined) return { claims, token: tokens.access_token }
    const info = await oauth.userInfoRequest(provider, client, tokens.access_token, options)
    const more = await oauth.processUserInfoResponse(provider, client, claims.sub, info)
    return { claims: { ...more, ...claims }, token: tokens.access_token }
  } catch (error) {
    throw new BrokerError(
      'Forbidden',
      'the sign-in did not come to its end: open the page of the instance again',
      {
        cause: error,
        forOperator: `the sign-in by ${setup.settings.issuer} failed: ${reasonOf(error)}`,
      },
    )
  }
}

/** @returns where one signs out of the provider; undefined where it does not say */
export async function endOfSession(setup: Setup): Promise<string | undefined> {
  const endpoint = (await discover(setup)).end_session_endpoint
  if (endpoint === undefined || !/^https?:/.test(endpoint)) return undefined
  const location = new URL(endpoint)
  location.searchParams.set('client_id', setup.client.id)
  return location.href
}

async function discover(setup: Setup): Promise<oauth.AuthorizationServer> {
  const { issuer } = setup.settings
  if (known?.issuer !== issuer || Date.now() - known.at > freshness) {
    known = { issuer, at: Date.now(), provider: discovered(setup) }
  }
  try {
    return await known.provider
  } catch (error) {
    known = undefined
    throw unusable(reasonOf(error), error)
  }
}

async function discovered(setup: Setup): Promise<oauth.AuthorizationServer> {
  const issuer = new URL(setup.settings.issuer)
  const response = await oauth.discoveryRequest(issuer, {
    [oauth.customFetch]: send,
    [oauth.allowInsecureRequests]: isPlain(setup),
  })
  return oauth.processDiscoveryResponse(issuer, response)
}

/** What the library would give to fetch. */
async function send(url: string, { method, headers, body }: oauth.CustomFetchOptions<string, unknown>) {
  const response: unknown = await ask(url, { method, headers, body: body == null ? undefined : String(body) })
  if (response instanceof Response) return response
  throw new TypeError('the answer of the provider is not made by the global Response')
}

/** Every provider must take it in the header unless it says otherwise. */
function authenticationOf(provider: oauth.AuthorizationServer, { client }: Setup): oauth.ClientAuth {
  const methods = provider.token_endpoint_auth_methods_supported
  const inBody = methods?.includes('client_secret_post') && !methods.includes('client_secret_basic')
  return inBody ? oauth.ClientSecretPost(client.secret) : oauth.ClientSecretBasic(client.secret)
}

function scopesOf({ settings }: Setup): string[] {
  const usual =
    settings.cloudController === undefined
      ? ['openid', 'profile', 'email']
      : ['openid', 'cloud_controller_service_permissions.read']
  return [...new Set(['openid', ...(settings.scopes ?? usual)])]
}

const redirectUri = ({ base }: Setup): string => `${base}/dashboard/callback`

const isPlain = ({ settings }: Setup): boolean => settings.issuer.startsWith('http:')

function unusable(why: string, cause?: unknown): BrokerError {
  return new BrokerError(
    'Unavailable',
    'the provider of sign-ins does not answer as it should; try again later',
    {
      cause,
      forOperator: `the provider of sign-ins cannot be used: ${why}`,
    },
  )
}

/** The library's messages name no secret. */
const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
