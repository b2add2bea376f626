/**
 * SCRAM-SHA-256 as a server carries it out (RFC 5802, RFC 7677): what is stored lets it check a password that it
 * does not know.
 */
import { createHash, createHmac, pbkdf2Sync, randomBytes, timingSafeEqual } from 'node:crypto'
import * as v from 'valibot'

export const mechanism = 'SCRAM-SHA-256'
/** What the real server takes by default. */
export const defaultIterations = 15_000

export const Credentials = v.object({
  iterationCount: v.number(),
  salt: v.string(),
  storedKey: v.string(),
  serverKey: v.string(),
})
export type Credentials = v.InferOutput<typeof Credentials>

/** @param password printable ASCII is taken as it is; else it is normalized, which stands for SASLprep */
export function makeCredentials(password: string, iterationCount = defaultIterations): Credentials {
  const salt = randomBytes(28)
  const salted = pbkdf2Sync(password.normalize('NFKC'), salt, iterationCount, 32, 'sha256')
  return {
    iterationCount,
    salt: salt.toString('base64'),
    storedKey: hash(hmac(salted, 'Client Key')).toString('base64'),
    serverKey: hmac(salted, 'Server Key').toString('base64'),
  }
}

/** What the client's first message says. */
export interface First {
  readonly user: string
  readonly nonce: string
  /** the part that goes into the signature */
  readonly bare: string
}

/** @returns undefined when the message is not of the form, or asks for channel binding */
export function readFirst(message: string): First | undefined {
  const [, bare = '', name = '', nonce = ''] =
    /^[ny],,(n=([^,]*),r=([\x21-\x2b\x2d-\x7e]+))$/.exec(message) ?? []
  if (bare === '') return undefined
  return { user: name.replaceAll('=2C', ',').replaceAll('=3D', '='), nonce, bare }
}

/** One log-in under way: the server's first message has been sent. */
export class Conversation {
  readonly user: string
  readonly challenge: string
  readonly #credentials: Credentials
  readonly #bare: string
  readonly #nonce: string

  constructor(first: First, credentials: Credentials) {
    this.user = first.user
    this.#credentials = credentials
    this.#bare = first.bare
    this.#nonce = `${first.nonce}${randomBytes(24).toString('base64')}`
    this.challenge = `r=${this.#nonce},s=${credentials.salt},i=${credentials.iterationCount}`
  }

  /**
   * @param message the client's final one
   * @returns the server's final message, or undefined when the client does not know the password
   */
  finish(message: string): string | undefined {
    const [, without = '', nonce, proof = ''] = /^(c=biws,r=([^,]+)),p=([A-Za-z0-9+/=]+)$/.exec(message) ?? []
    if (nonce !== this.#nonce) return undefined
    const signed = `${this.#bare},${this.challenge},${without}`
    const storedKey = Buffer.from(this.#credentials.storedKey, 'base64')
    const signature = hmac(storedKey, signed)
    const claimed = Buffer.from(proof, 'base64')
    if (claimed.length !== signature.length) return undefined
    const clientKey = claimed.map((byte, index) => byte ^ (signature[index] ?? 0))
    if (!timingSafeEqual(hash(clientKey), storedKey)) return undefined
    const serverKey = Buffer.from(this.#credentials.serverKey, 'base64')
    return `v=${hmac(serverKey, signed).toString('base64')}`
  }
}

function hmac(key: Uint8Array, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

function hash(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest()
}
