/**
 * Keys of credentials that libraries look for by names of their own: what they say is in the credentials already. Pure.
 * The pages about credentials are generated of them.
 */
import type { JsonObject } from '../../json.ts'
import type { Database, Reach } from './database.ts'

export interface LibraryKey {
  /** a good name of a key in a Secret, and of a file */
  readonly name: string
  /** who looks for it */
  readonly readBy: string
  /** in which credentials it is, in words; without it, in all */
  readonly only?: string
  /**
   * @param own what the kind's credentials have by the broker's own names
   * @returns text, as in a Secret all values are; undefined where the key is left out
   */
  value(own: JsonObject, reach: Reach): string | undefined
}

/** @returns a key that says again what another says */
export const sameAs = (name: string, own: string, readBy: string): LibraryKey => ({
  name,
  readBy,
  value: (credentials) => textAt(credentials, own),
})

const textAt = (own: JsonObject, key: string): string | undefined => {
  const value = own[key]
  return typeof value === 'string' ? value : undefined
}

/** @returns a key that holds the CA, in credentials of databases that speak TLS */
export const theCa = (name: string, readBy: string): LibraryKey => ({
  ...sameAs(name, 'rootCert', readBy),
  only: 'with TLS',
})

/** `uri`, for those who look for `url`. */
export const url = sameAs('url', 'uri', 'cfenv (Python, Node)')

/** The CA by the name that servicebinding.io gives it. */
export const certificates = theCa('certificates', 'servicebinding.io')

/**
 * @returns the credentials of a binding: the kind's own, and beside them what libraries look for. A library's name never
 *   takes the place of one of the kind's own
 */
export function credentialsOf(
  kind: Database,
  reach: Reach,
  user: { name: string; password: string },
): JsonObject {
  const own = kind.credentials(reach, user)
  const added = kind.libraryKeys.flatMap((key) => {
    const value = key.value(own, reach)
    return value === undefined ? [] : [[key.name, value]]
  })
  return { ...own, ...Object.fromEntries(added), ...own }
}
