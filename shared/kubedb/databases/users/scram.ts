/**
 * SCRAM-SHA-256 verifiers as PostgreSQL stores them (RFC 5803, RFC 7677). A verifier lets a server check a password
 * that it never sees, so statements, logs and statistics of the server hold no password.
 */
import { createHash, createHmac, pbkdf2Sync, randomBytes, timingSafeEqual } from 'node:crypto'

/** What PostgreSQL itself takes by default. A verifier with another count is not one of ours. */
const iterations = 4096
const form = /^SCRAM-SHA-256\$(\d{1,10}):([A-Za-z0-9+/]+={0,2})\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)$/

/**
 * @param password printable ASCII, which SASLprep leaves as it is
 * @param salt random bytes; another value only to compute a verifier again
 * @returns `SCRAM-SHA-256$4096:<salt>$<stored key>:<server key>`
 * @throws {TypeError} when the password is empty or holds other characters
 */
export function scramVerifier(password: string, salt: Uint8Array = randomBytes(16)): string {
  if (!/^[\x20-\x7e]+$/.test(password)) {
    throw new TypeError('a password for SCRAM must be printable ASCII and not empty')
  }
  const salted = pbkdf2Sync(password, salt, iterations, 32, 'sha256')
  const clientKey = createHmac('sha256', salted).update('Client Key').digest()
  const storedKey = createHash('sha256').update(clientKey).digest('base64')
  const serverKey = createHmac('sha256', salted).update('Server Key').digest('base64')
  return `SCRAM-SHA-256$${iterations}:${Buffer.from(salt).toString('base64')}$${storedKey}:${serverKey}`
}

/**
 * @param verifier what the server has stored, or null where it has nothing
 * @returns whether that is a verifier of this password. A verifier with another iteration count does not match:
 * users may store their own, and computing a huge count would block the process
 */
export function scramMatches(verifier: string | null, password: string): boolean {
  const [, count, salt] = form.exec(verifier ?? '') ?? []
  if (verifier === null || salt === undefined || Number(count) !== iterations) return false
  const expected = Buffer.from(scramVerifier(password, Buffer.from(salt, 'base64')))
  const stored = Buffer.from(verifier)
  return stored.length === expected.length && timingSafeEqual(stored, expected)
}
