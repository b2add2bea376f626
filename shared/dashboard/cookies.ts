/**
 * What the dashboard remembers of a person is in that person's browser alone, sealed: encrypted and authenticated by
 * AES-256-GCM, so that it can be neither read nor changed there.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import * as v from 'valibot'

/** What a cookie is for. One sealed for one purpose opens for no other. */
export type Purpose = 'session' | 'sign-in'

const Sealed = v.object({ until: v.number(), value: v.unknown() })

const nonceLength = 12
const tagLength = 16

/** Seals and opens. */
export class CookieKey {
  readonly #key: Buffer

  /** @param secret at least 16 random bytes */
  constructor(secret: Uint8Array) {
    this.#key = Buffer.from(hkdfSync('sha256', secret, '', 'kubedb-service-broker dashboard cookies 1', 32))
  }

  /**
   * @param value anything that JSON carries
   * @param until milliseconds since the epoch
   * @returns text that may stand in a cookie
   */
  seal(purpose: Purpose, value: unknown, until: number): string {
    const nonce = randomBytes(nonceLength)
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce).setAAD(Buffer.from(purpose))
    const text = cipher.update(JSON.stringify({ until, value }), 'utf8')
    return Buffer.concat([nonce, text, cipher.final(), cipher.getAuthTag()]).toString('base64url')
  }

  /** @returns what was sealed; undefined where it was sealed by somebody else, for something else, or is over */
  open<T>(purpose: Purpose, schema: v.GenericSchema<unknown, T>, text: string | undefined): T | undefined {
    if (text === undefined) return undefined
    const bytes = Buffer.from(text, 'base64url')
    if (bytes.length < nonceLength + tagLength) return undefined
    const decipher = createDecipheriv('aes-256-gcm', this.#key, bytes.subarray(0, nonceLength))
      .setAAD(Buffer.from(purpose))
      .setAuthTag(bytes.subarray(-tagLength))
    let opened: unknown
    try {
      const clear = [decipher.update(bytes.subarray(nonceLength, -tagLength)), decipher.final()]
      opened = JSON.parse(Buffer.concat(clear).toString('utf8'))
    } catch {
      return undefined
    }
    const sealed = v.safeParse(Sealed, opened)
    if (!sealed.success || sealed.output.until <= Date.now()) return undefined
    const value = v.safeParse(schema, sealed.output.value)
    return value.success ? value.output : undefined
  }
}

/** @returns the value of a cookie, as it was sent */
export function cookieIn(header: string | undefined, name: string): string | undefined {
  for (const pair of (header ?? '').split(';')) {
    const at = pair.indexOf('=')
    if (at > 0 && pair.slice(0, at).trim() === name) return pair.slice(at + 1).trim()
  }
  return undefined
}

/**
 * @param value '' takes the cookie away
 * @param options.seconds how long the browser keeps it
 * @param options.secure whether it goes over TLS only
 * @returns the value of Set-Cookie. Lax: people come from the pages of their platform
 */
export function setCookie(
  name: string,
  value: string,
  { path, seconds, secure }: { path: string; seconds: number; secure: boolean },
): string {
  const age = value === '' ? 0 : seconds
  return `${name}=${value}; Path=${path}; Max-Age=${age}; HttpOnly; SameSite=Lax${secure ? '; Secure' : ''}`
}
