/** How libpq's `sslmode` reads for the pg driver. */
import type { ConnectionOptions } from 'node:tls'

/** One way to open the connection: in clear, or with these TLS options. */
export type Attempt = false | ConnectionOptions

/**
 * The attempts that libpq makes for an `sslmode`, in order; the next one is made only when the server refused the one
 * before for its (missing) encryption.
 *
 * @param query of a connection URI, e.g. `sslmode=verify-full`; without a mode it is `prefer`
 * @param caBundle PEM
 * @throws {Error} for a mode that libpq does not know, and for a verifying one without a CA
 */
export function tlsAttempts(query: string, caBundle: string | undefined): readonly Attempt[] {
  const mode = new URLSearchParams(query).get('sslmode') ?? 'prefer'
  const unverified: Attempt = { rejectUnauthorized: false }
  switch (mode) {
    case 'disable':
      return [false]
    case 'allow':
      return [false, unverified]
    case 'prefer':
      return [unverified, false]
    case 'require':
      // as in libpq: a CA at hand is used
      return [caBundle === undefined ? unverified : { ca: caBundle, checkServerIdentity: () => undefined }]
    case 'verify-ca':
      return [{ ca: required(mode, caBundle), checkServerIdentity: () => undefined }]
    case 'verify-full':
      return [{ ca: required(mode, caBundle) }]
    default:
      throw new Error(
        `sslmode "${mode}" of the AppBinding is unknown; right are disable, allow, prefer, require, verify-ca and verify-full`,
      )
  }
}

function required(mode: string, caBundle: string | undefined): string {
  if (caBundle === undefined) {
    throw new Error(
      `sslmode=${mode} needs the CA's certificate, but clientConfig.caBundle of the AppBinding is empty`,
    )
  }
  return caBundle
}
