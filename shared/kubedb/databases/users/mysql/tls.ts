/** How MySQL's `ssl-mode` reads for the mysql2 driver. */
import type { SslOptions } from 'mysql2'

/** One way to open the connection: in clear, or with these TLS options. */
export type Attempt = undefined | SslOptions

const modes = 'DISABLED, PREFERRED, REQUIRED, VERIFY_CA and VERIFY_IDENTITY'

/**
 * The attempts that MySQL's own clients make for an `ssl-mode`, in order; the next one is made only when the server
 * speaks no TLS.
 *
 * @param query of a connection URI, e.g. `ssl-mode=REQUIRED`. KubeDB publishes none: without a mode the server has to
 * prove its identity where the AppBinding says by which CA, else it is `PREFERRED`
 * @param caBundle PEM
 * @throws {Error} for a mode that MySQL does not know, and for a verifying one without a CA
 */
export function tlsAttempts(query: string, caBundle: string | undefined): readonly Attempt[] {
  const mode = new URLSearchParams(query).get('ssl-mode')?.toUpperCase()
  const unverified: Attempt = { rejectUnauthorized: false }
  switch (mode ?? (caBundle === undefined ? 'PREFERRED' : 'VERIFY_IDENTITY')) {
    case 'DISABLED':
      return [undefined]
    case 'PREFERRED':
      return [unverified, undefined]
    case 'REQUIRED':
      return [unverified]
    case 'VERIFY_CA':
      return [{ ca: required(mode, caBundle), verifyIdentity: false }]
    case 'VERIFY_IDENTITY':
      return [{ ca: required(mode, caBundle), verifyIdentity: true }]
    default:
      throw new Error(`ssl-mode "${mode}" of the AppBinding is unknown; right are ${modes}`)
  }
}

function required(mode: string | undefined, caBundle: string | undefined): string {
  if (caBundle === undefined) {
    throw new Error(
      `ssl-mode=${mode} needs the CA's certificate, but clientConfig.caBundle of the AppBinding is empty`,
    )
  }
  return caBundle
}
