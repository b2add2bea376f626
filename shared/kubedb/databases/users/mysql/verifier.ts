/** What a server keeps of a password. Sent in its place, so that no log of a server can hold a password. */
import { createHash, hash, randomInt, timingSafeEqual } from 'node:crypto'

/** How a server checks passwords: MySQL 9 has nothing else, MariaDB's clients know nothing else for sure. */
export type Plugin = 'caching_sha2_password' | 'mysql_native_password'

const alphabet = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const saltLength = 20
/** thousands of rounds; the least that servers take, and plenty for passwords of 32 random characters */
const rounds = 5
/** bytes of SHA-256 */
const digestLength = 32

/**
 * A verifier that no password has: it marks an account that is kept only because views, routines, triggers or events
 * name it as their definer.
 */
export const unmatched: Record<Plugin, string> = {
  caching_sha2_password: `$A$005$kept-as-definer-only${'.'.repeat(43)}`,
  mysql_native_password: `*${'0'.repeat(40)}`,
}

/** @returns a verifier of the password, a new one at each call where there is salt in it */
export function verifierOf(password: string, plugin: Plugin): string {
  if (plugin === 'mysql_native_password') return native(password)
  const salt = Array.from({ length: saltLength }, () => alphabet[randomInt(alphabet.length)]).join('')
  return sha2(password, Buffer.from(salt), rounds).toString()
}

/** @returns whether the password is the one of the verifier that the server keeps */
export function verifierMatches(verifier: Buffer, password: string, plugin: Plugin): boolean {
  const right =
    plugin === 'mysql_native_password' ? Buffer.from(native(password)) : sha2Like(verifier, password)
  return right !== undefined && right.length === verifier.length && timingSafeEqual(right, verifier)
}

function native(password: string): string {
  return `*${hash('sha1', hash('sha1', Buffer.from(password), 'buffer'), 'hex').toUpperCase()}`
}

function sha2Like(verifier: Buffer, password: string): Buffer | undefined {
  const [, thousands] = /^\$A\$([0-9A-F]{3})\$/.exec(verifier.toString('latin1')) ?? []
  if (thousands === undefined) return undefined
  return sha2(password, verifier.subarray(7, 7 + saltLength), Number.parseInt(thousands, 16))
}

/** `$A$<thousands of rounds>$<salt><digest>` */
function sha2(password: string, salt: Buffer, thousands: number): Buffer {
  const head = `$A$${thousands.toString(16).toUpperCase().padStart(3, '0')}$`
  const digest = shaCrypt(Buffer.from(password), salt, thousands * 1000)
  return Buffer.concat([Buffer.from(head), salt, Buffer.from(digest)])
}

/** SHA-crypt over SHA-256, as in crypt(3), with a salt of any length. */
function shaCrypt(key: Buffer, salt: Buffer, count: number): string {
  const inner = digestOf(key, salt, key)
  const parts = [key, salt, stretched(inner, key.length)]
  for (let bits = key.length; bits > 0; bits >>= 1) parts.push(bits & 1 ? inner : key)
  let state = digestOf(...parts)
  const p = stretched(digestOf(...Array.from({ length: key.length }, () => key)), key.length)
  const s = stretched(digestOf(...Array.from({ length: 16 + (state[0] ?? 0) }, () => salt)), salt.length)
  const inputs = inputsOf(p, s)
  for (let round = 0; round < count; round++) {
    const { bytes, at } = inputs(round)
    state.copy(bytes, at)
    state = hash('sha256', bytes, 'buffer')
  }
  return encoded(state)
}

/**
 * What is hashed in each round: eight inputs take turns, so that none is put together anew.
 *
 * @returns the input of a round, and where the digest of the round before belongs
 */
function inputsOf(p: Buffer, s: Buffer): (round: number) => { bytes: Buffer; at: number } {
  const none = Buffer.alloc(0)
  const blank = Buffer.alloc(digestLength)
  const inputs = Array.from({ length: 8 }, (_, index) => {
    const odd = (index & 1) !== 0
    const middle = Buffer.concat([index & 2 ? s : none, index & 4 ? p : none])
    return odd
      ? { bytes: Buffer.concat([p, middle, blank]), at: p.length + middle.length }
      : { bytes: Buffer.concat([blank, middle, p]), at: 0 }
  })
  const [first] = inputs
  if (!first) throw new Error('there is an input for every round')
  return (round) => inputs[(round & 1) | (round % 3 === 0 ? 0 : 2) | (round % 7 === 0 ? 0 : 4)] ?? first
}

function digestOf(...parts: readonly Buffer[]): Buffer {
  const digest = createHash('sha256')
  for (const part of parts) digest.update(part)
  return digest.digest()
}

function stretched(bytes: Buffer, length: number): Buffer {
  return Buffer.alloc(length, length === 0 ? undefined : bytes)
}

/** Three bytes become four characters, the bytes taken in an order of crypt's own. */
function encoded(digest: Buffer): string {
  let text = ''
  const put = (value: number, characters: number) => {
    for (let left = characters, rest = value; left > 0; left--, rest >>= 6) text += alphabet[rest & 63]
  }
  const at = (index: number) => digest[index] ?? 0
  for (let group = 0, a = 0, b = 10, c = 20; group < 10; group++) {
    put((at(a) << 16) | (at(b) << 8) | at(c), 4)
    ;[a, b, c] = [c + 1, a + 1, b + 1]
  }
  put((at(31) << 8) | at(30), 3)
  return text
}
