/**
 * Passwords of bindings: derived, never stored. The same record and the same key give the same password, on any
 * function, in any cluster. Scheme 1 is fixed for ever: golden tests hold it.
 */
import { hkdfSync, randomBytes } from 'node:crypto'
import { hash26, lengthPrefixed } from '../records/names.ts'

const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
const length = 32

/** What a password is derived from, the key aside. */
export interface Derivation {
  scheme: 1
  /** base64url */
  nonce: string
  instanceId: string
  bindingId: string
  user: string
}

/** @returns 128 random bits as base64url */
export function newNonce(): string {
  return randomBytes(16).toString('base64url')
}

/** @returns the engine user of a binding: another nonce, another user */
export function userName(bindingId: string, nonce: string): string {
  return `b${hash26(lengthPrefixed(bindingId, nonce))}`
}

/**
 * @param key at least 16 bytes
 * @returns 32 characters of A-Z a-z 0-9
 */
export function derivePassword(key: Uint8Array, from: Derivation): string {
  const info = lengthPrefixed(String(from.scheme), from.instanceId, from.bindingId, from.user)
  // Bytes of 248 and above are skipped so that every letter is equally likely: 4 * 62 = 248.
  const bytes = new Uint8Array(
    hkdfSync('sha256', key, Buffer.from(from.nonce, 'base64url'), info, 4 * length),
  )
  let password = ''
  for (const byte of bytes) {
    if (byte < 248) password += letters[byte % 62]
    if (password.length === length) return password
  }
  throw new Error('the derived bytes did not yield a password')
}
