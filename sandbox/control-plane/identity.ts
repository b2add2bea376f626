import { generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'

/** The secrets of a control plane, kept in its folder, and the files that hold them. */
export interface Identity {
  adminToken: string
  tokensFile: string
  serviceAccountKeyFile: string
  certificateFolder: string
  /** The API server's certificate followed by the one that signed it; the API server makes both. */
  certificateFile: string
  keyFile: string
}

/** A certificate is renewed at a start within this many milliseconds of its end. */
const renewBefore = 30 * 24 * 3600 * 1000

/** Reads the secrets of the control plane in this folder; what is not there yet is made. */
export function identityIn(folder: string): Identity {
  const adminToken = keep(join(folder, 'admin-token'), () => randomBytes(24).toString('base64url'))
  const tokensFile = join(folder, 'tokens.csv')
  writeSecret(tokensFile, `${adminToken},admin,admin,system:masters\n`)
  const serviceAccountKeyFile = join(folder, 'service-account.key')
  keep(serviceAccountKeyFile, () =>
    generateKeyPairSync('ec', {
      namedCurve: 'P-256',
      privateKeyEncoding: { type: 'sec1', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    }).privateKey.toString(),
  )
  const certificateFolder = join(folder, 'certificates')
  mkdirSync(certificateFolder, { recursive: true, mode: 0o700 })
  const certificateFile = join(certificateFolder, 'apiserver.crt')
  const keyFile = join(certificateFolder, 'apiserver.key')
  if (!isUsable(certificateFile) || !existsSync(keyFile)) {
    // Without them the API server makes both anew; with one of them, or an old pair, it would not.
    rmSync(certificateFile, { force: true })
    rmSync(keyFile, { force: true })
  }
  return { adminToken, tokensFile, serviceAccountKeyFile, certificateFolder, certificateFile, keyFile }
}

/** Writes a kubeconfig for the administrator, whole or not at all. */
export function writeKubeconfig(file: string, url: string, identity: Identity): void {
  const ca = readFileSync(identity.certificateFile).toString('base64')
  writeSecret(
    file,
    stringify({
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'sandbox',
      clusters: [{ name: 'sandbox', cluster: { server: url, 'certificate-authority-data': ca } }],
      users: [{ name: 'admin', user: { token: identity.adminToken } }],
      contexts: [{ name: 'sandbox', context: { cluster: 'sandbox', user: 'admin' } }],
    }),
  )
}

function keep(file: string, make: () => string): string {
  if (!existsSync(file)) writeSecret(file, make())
  return readFileSync(file, 'utf8')
}

function writeSecret(file: string, text: string): void {
  writeFileSync(`${file}.new`, text, { mode: 0o600 })
  renameSync(`${file}.new`, file)
}

function isUsable(certificateFile: string): boolean {
  if (!existsSync(certificateFile)) return false
  try {
    const certificate = new X509Certificate(readFileSync(certificateFile))
    return Date.parse(certificate.validTo) > Date.now() + renewBefore
  } catch {
    return false // cut off while it was written
  }
}
