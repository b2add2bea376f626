/**
 * Keys of credentials that libraries look for by names of their own: what they say is in the credentials already. Pure.
 * The pages about credentials are generated of them.
 */
import type { JsonObject } from '../../../values/json.ts'
import type { Database, LibraryKey, Reach } from '../database.ts'

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
