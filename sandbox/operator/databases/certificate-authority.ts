// A stand-in for cert-manager, for development and tests: what its issuers would sign is signed here, by openssl.
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import * as v from 'valibot'
import { writeAtomically } from '../../machine/atomic-file.ts'
import { once } from '../../machine/once.ts'
import { WorkloadError } from '../kinds/parts/workload-error.ts'

const execute = promisify(execFile)

/** A certificate with its key, as PEM. */
export interface Pair {
  readonly cert: string
  readonly key: string
}

/** What a certificate is to say. */
export interface Subject {
  /** its common name; cut at 64 characters */
  readonly name: string
  readonly dnsNames: readonly string[]
  readonly addresses: readonly string[]
}

const days = '3650'

/** Makes an authority that signs itself. Throws a WorkloadError when there is no openssl. */
export function mintAuthority(name: string): Promise<Pair> {
  return mint({ name, dnsNames: [], addresses: [] }, [
    'basicConstraints=critical,CA:TRUE',
    'keyUsage=critical,keyCertSign,cRLSign',
  ])
}

/** Makes a certificate for servers and clients. Throws a WorkloadError when there is no openssl. */
export function mintCertificate(authority: Pair, subject: Subject): Promise<Pair> {
  const names = [
    ...subject.dnsNames.map((name) => `DNS:${name}`),
    ...subject.addresses.map((address) => `IP:${address}`),
  ]
  const extensions = [
    'basicConstraints=critical,CA:FALSE',
    'keyUsage=critical,digitalSignature,keyEncipherment',
    'extendedKeyUsage=serverAuth,clientAuth',
    `subjectAltName=${names.join(',')}`,
  ]
  return mint(subject, extensions, authority)
}

async function mint(subject: Subject, extensions: readonly string[], authority?: Pair): Promise<Pair> {
  const folder = await mkdtemp(join(tmpdir(), 'certificate-'))
  try {
    const file = (name: string) => join(folder, name)
    const settings = [
      '[req]',
      'distinguished_name=subject',
      'x509_extensions=extensions',
      'prompt=no',
      '[subject]',
      'O=kubedb',
      `CN=${subject.name.slice(0, 64)}`,
      '[extensions]',
      ...extensions,
    ]
    await writeFile(file('settings'), `${settings.join('\n')}\n`)
    const signer: string[] = []
    if (authority) {
      await writeFile(file('ca.crt'), authority.cert)
      await writeFile(file('ca.key'), authority.key, { mode: 0o600 })
      signer.push('-CA', file('ca.crt'), '-CAkey', file('ca.key'))
    }
    const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc']
    const files = ['-config', file('settings'), '-keyout', file('key'), '-out', file('cert')]
    await openssl(['req', '-x509', ...newKey, '-days', days, ...signer, ...files])
    return { cert: await readFile(file('cert'), 'utf8'), key: await readFile(file('key'), 'utf8') }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function openssl(parameters: readonly string[]): Promise<void> {
  try {
    await execute('openssl', parameters)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT')
      throw new WorkloadError(
        'openssl, which signs the certificates of databases with TLS, is not on PATH: install it',
      )
    throw error
  }
}

/** An issuer whose authority is kept in a file, so that clients trust it over restarts. */
export interface Issuer {
  authority(): Promise<Pair>
}

const kept = v.object({ cert: v.string(), key: v.string() })

/** @param file made at the first use */
export function issuerIn(file: string): Issuer {
  return {
    authority: once(async () => {
      const text = await readFile(file, 'utf8').catch(() => undefined)
      if (text !== undefined) return v.parse(kept, JSON.parse(text))
      const pair = await mintAuthority('the issuer of the sandbox')
      await writeAtomically(file, JSON.stringify(pair))
      return pair
    }),
  }
}
