import type { ServerTls } from '../../engines/parts/engine.ts'
import { type Database, resources, Secret } from '../cluster/resources.ts'
import { certificateSecretName, metadataOf } from '../kinds/parts/offshoots.ts'
import { mintAuthority, mintCertificate, type Pair } from './certificate-authority.ts'
import { servicesOf } from './objects.ts'
import { keyOf, type World } from './world.ts'

/** The certificates of a database: what cert-manager and KubeDB make together, in a Secret per alias. */

/** What stands between a database and its certificates: an issuer that is not there. */
export function missingIssuer(
  { kind }: World,
  { spec }: Database,
  missing: readonly string[],
): string | undefined {
  if (kind.tls.aliases(spec).length === 0) return undefined
  const name = spec.tls?.issuerRef?.name
  if (name === undefined) return kind.tls.needsIssuer ? 'that the spec does not name' : undefined
  return missing.includes(name) ? name : undefined
}

/** Makes the Secrets of certificates that are not there yet. */
export async function ensureCertificates(world: World, db: Database): Promise<void> {
  const { kind, kube } = world
  const aliases = kind.tls.aliases(db.spec)
  if (aliases.length === 0) return
  const authority = await authorityOf(world, db)
  for (const alias of aliases) {
    if (await secretAt(world, db, alias)) continue
    const pair =
      alias === 'ca' ? authority : await mintCertificate(authority, await subjectOf(world, db, alias))
    await kube.create(resources.secrets, {
      metadata: metadataOf(kind, db, certificateSecretName(db, alias)),
      type: 'kubernetes.io/tls',
      stringData: { 'ca.crt': authority.cert, 'tls.crt': pair.cert, 'tls.key': pair.key },
    })
  }
}

/** What the server serves TLS with; nothing without TLS. Throws when the Secret has gone. */
export async function serverTls(world: World, db: Database): Promise<ServerTls | undefined> {
  const { tls } = world.kind
  if (!tls.wanted(db.spec)) return undefined
  const data = (await secretAt(world, db, tls.server))?.data ?? {}
  const { 'ca.crt': ca, 'tls.crt': cert, 'tls.key': key } = data
  if (!ca || !cert || !key)
    throw new Error(`the Secret ${certificateSecretName(db, tls.server)} lacks ca.crt, tls.crt or tls.key`)
  return { ca, cert, key }
}

/** Forgets certificates, so that they are made anew. */
export async function removeCertificates(
  world: World,
  db: Database,
  aliases: readonly string[],
): Promise<void> {
  const { namespace } = db.metadata
  for (const alias of aliases)
    await world.kube.delete(resources.secrets, { namespace, name: certificateSecretName(db, alias) })
}

/** That of the issuer; without one the database's own, kept in a Secret too. */
async function authorityOf(world: World, db: Database): Promise<Pair> {
  if (db.spec.tls?.issuerRef) return world.issuer.authority()
  const { 'tls.crt': cert, 'tls.key': key } = (await secretAt(world, db, 'ca'))?.data ?? {}
  return cert && key ? { cert, key } : mintAuthority(`${db.metadata.name}-ca`)
}

async function subjectOf(world: World, db: Database, alias: string) {
  const { namespace, name } = db.metadata
  const services = servicesOf(world.kind, db).map((service) => service.metadata.name)
  const dnsNames = services.flatMap((service) => {
    const names = [`${service}.${namespace}.svc`, `${service}.${namespace}.svc.cluster.local`]
    return [service, `${service}.${namespace}`, ...names, ...names.map((inside) => `*.${inside}`)]
  })
  const address = await world.addresses.of(keyOf(db))
  return {
    name: `${name}-${alias}`,
    dnsNames: ['localhost', ...dnsNames],
    addresses: ['127.0.0.1', address],
  }
}

function secretAt(world: World, db: Database, alias: string): Promise<Secret | undefined> {
  const place = { namespace: db.metadata.namespace, name: certificateSecretName(db, alias) }
  return world.kube.get(Secret, resources.secrets, place)
}
