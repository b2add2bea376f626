/**
 * For the sandbox and the tests: a provider of sign-ins, as a platform has one. The protocol is `oidc-provider`, which is
 * certified; the people are made up.
 */
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { Memory } from './memory.ts'

export interface Person {
  username: string
  password: string
  name: string
  email: string
  groups: string[]
}

export interface ProviderOptions {
  /** on 127.0.0.1 */
  port: number
  people: readonly Person[]
  client: { id: string; secret: string; redirectUri: string }
  /**
   * as Cloud Foundry's UAA: encoded credentials in the header are wrong unless another header says that they are encoded
   */
  uaa?: boolean
}

export interface SignIns {
  issuer: string
  stop(): Promise<void>
}

/** In seconds. */
const hour = 3600

const scopes = 'openid profile email groups cloud_controller_service_permissions.read'

/** @returns the provider, once it listens */
export async function startProvider({
  port,
  people,
  client,
  uaa = false,
}: ProviderOptions): Promise<SignIns> {
  const issuer = `http://127.0.0.1:${port}`
  const key = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' })
  const Provider = await library()
  const provider = new Provider(issuer, {
    adapter: Memory,
    clients: [
      {
        client_id: client.id,
        client_secret: client.secret,
        redirect_uris: [client.redirectUri],
        grant_types: ['authorization_code'],
        response_types: ['code'],
      },
    ],
    jwks: { keys: [{ ...key, kty: 'RSA', alg: 'RS256', use: 'sig' }] },
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    pkce: { required: () => true },
    ttl: {
      AccessToken: hour,
      AuthorizationCode: 60,
      Grant: hour,
      IdToken: hour,
      Interaction: hour,
      Session: 12 * hour,
    },
    scopes: scopes.split(' '),
    claims: { openid: ['sub'], profile: ['name'], email: ['email', 'email_verified'], groups: ['groups'] },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    async findAccount(_, id) {
      const person = people.find(({ username }) => username === id)
      if (!person) return undefined
      const { username, name, email, groups } = person
      return {
        accountId: username,
        claims: () => ({ sub: username, name, email, email_verified: true, groups }),
      }
    },
    // The people of a platform are not asked whether its own dashboard may know them.
    async loadExistingGrant({ oidc }) {
      const accountId = oidc.session?.accountId
      const clientId = oidc.client?.clientId
      if (accountId === undefined || clientId === undefined) return undefined
      const grant = new oidc.provider.Grant({ accountId, clientId })
      grant.addOIDCScope(scopes)
      await grant.save()
      return grant
    },
  })

  const callback = provider.callback()
  const server = createServer((request, response) => {
    if (uaa && isMisread(request)) {
      response.writeHead(401, { 'Content-Type': 'application/json' })
      return void response.end('{"error":"unauthorized","error_description":"Bad credentials"}')
    }
    if (!request.url?.startsWith('/interaction/')) return void callback(request, response)
    interact(request, response).catch((error: unknown) => {
      response.writeHead(400, { 'Content-Type': 'text/plain' })
      response.end(error instanceof Error ? error.message : String(error))
    })
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return {
    issuer,
    async stop() {
      server.close()
      server.closeAllConnections()
    },
  }

  /** The form, and what it sends. */
  async function interact(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { prompt } = await provider.interactionDetails(request, response)
    if (prompt.name !== 'login') throw new Error(`this provider asks nobody for ${prompt.name}`)
    if (request.method !== 'POST') return form(response, '')
    const sent = new URLSearchParams(await text(request))
    const person = people.find(({ username }) => username === sent.get('username'))
    if (!person || hash(person.password) !== hash(sent.get('password') ?? '')) {
      return form(response, 'The user or the password is wrong.')
    }
    await provider.interactionFinished(request, response, { login: { accountId: person.username } })
  }
}

/** @returns whether UAA would take credentials for others than they are */
function isMisread({ headers }: IncomingMessage): boolean {
  const [, basic] = /^Basic (.+)$/.exec(headers.authorization ?? '') ?? []
  if (basic === undefined || headers['x-cf-encoded-credentials'] === 'true') return false
  return /[%+]/.test(Buffer.from(basic, 'base64').toString('utf8'))
}

/** At its import it warns of every version of Node that is no LTS yet, which nobody at a sandbox has to act on. */
async function library() {
  const { warn } = console
  console.warn = () => undefined
  try {
    return (await import('oidc-provider')).default
  } finally {
    console.warn = warn
  }
}

const hash = (secret: string): string => createHash('sha256').update(secret).digest('hex')

function form(response: ServerResponse, mistake: string): void {
  response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8', 'Cache-Control': 'no-store' })
  response.end(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Sign in to the sandbox</title>
<style>:root { color-scheme: light dark } body { font: 1rem/1.6 system-ui, sans-serif; max-width: 20rem; margin: 15vh auto; padding: 0 1rem }
input, button { font: inherit; width: 100%; box-sizing: border-box; margin-bottom: .8rem; padding: .3rem .5rem }</style>
<h1>Sign in to the sandbox</h1><p>${mistake}</p>
<form method="post"><label>User <input name="username" autocomplete="username" required autofocus></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label><button>Sign in</button></form></html>
`)
}
