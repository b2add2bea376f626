/** The names and labels of everything the broker makes in the cluster. All are computed from ids, never stored. */
import { createHash } from 'node:crypto'

const alphabet = 'abcdefghijklmnopqrstuvwxyz234567'

/** RFC 4648 base32 in lower case, without padding. */
export function base32(bytes: Uint8Array): string {
  let text = ''
  let bits = 0
  let value = 0
  for (const byte of bytes) {
    value = ((value << 8) | byte) & 0xfff
    bits += 8
    while (bits >= 5) {
      bits -= 5
      text += alphabet[(value >>> bits) & 31]
    }
  }
  if (bits > 0) text += alphabet[(value << (5 - bits)) & 31]
  return text
}

/** @returns 26 characters (130 bits) of base32(sha256(text)): a-z and 2-7 */
export function hash26(text: string): string {
  return base32(createHash('sha256').update(text).digest()).slice(0, 26)
}

/** One text for a list of texts that no other list shares: each is preceded by its length in bytes. */
export function lengthPrefixed(...parts: string[]): string {
  return parts.map((part) => `${Buffer.byteLength(part)}:${part}`).join('')
}

/** @returns name of the instance record, from the instance id alone */
export function instanceRecordName(instanceId: string): string {
  return `osb-i-${hash26(instanceId)}`
}

/** @returns name of the binding record, from both ids */
export function bindingRecordName(instanceId: string, bindingId: string): string {
  return `osb-b-${hash26(lengthPrefixed(instanceId, bindingId))}`
}

const guid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/**
 * @param maxLength the longest name that the kind takes
 * @returns the name of the database: readable where the id is a lower-case GUID and the kind takes 40 characters
 */
export function databaseName(instanceId: string, maxLength: number): string {
  const readable = `osb-${instanceId}`
  return guid.test(instanceId) && readable.length <= maxLength ? readable : `osb-${hash26(instanceId)}`
}

export const domain = 'osb.kubedb.com'

/** The label by which the broker knows its own objects. Its value is the hash of the instance id. */
export const instanceLabel = `${domain}/instance`

export const annotations = {
  instance: `${domain}/instance`,
  operation: `${domain}/operation`,
  binding: `${domain}/binding`,
} as const

export const recordTypes = {
  instance: `${domain}/instance`,
  binding: `${domain}/binding`,
} as const

/** @returns the text cut to what a label value may be, or undefined where nothing is left */
export function labelValue(text: string): string | undefined {
  const value = text
    .replace(/[^A-Za-z0-9_.-]+/g, '-')
    .slice(0, 63)
    .replace(/^[^A-Za-z0-9]+|[^A-Za-z0-9]+$/g, '')
  return value === '' ? undefined : value
}
