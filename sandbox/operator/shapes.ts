/** Shapes in which most kinds are alike. Pure. */
import type { OpsContext, OpsRules, ServicePort, ServiceShape, TlsShape } from './kind.ts'
import { governingServiceName, roleLabel, standbyServiceName } from './offshoots.ts'
import type { Database, Spec } from './resources.ts'

/** The certificates that most kinds have, by alias. */
export const certificateAliases: readonly string[] = ['server', 'client', 'metrics-exporter']

/** TLS of the kinds whose certificates come from an issuer that the spec has to name. */
export const issuedTls = {
  wanted: ({ tls }: Spec) => tls !== undefined,
  needsIssuer: true,
  aliases: ({ tls }: Spec) => (tls ? certificateAliases : []),
  server: 'server',
} satisfies Partial<TlsShape>

/** The certificates of kinds with `enableSSL`, by alias. */
export const switchedTlsAliases: readonly string[] = ['server', 'client']

/** TLS of the kinds with `enableSSL`, which takes an issuer as well. */
export const switchedTls = {
  ...issuedTls,
  aliases: ({ tls }: Spec) => (tls ? switchedTlsAliases : []),
  client: 'client',
  added: () => ({ enableSSL: true }),
  removed: () => ({ enableSSL: false }),
} satisfies TlsShape

/** @returns the StorageClass that a spec names, of kinds that have disks of one sort */
export function storageClassOf({ storage }: Spec): string[] {
  return storage?.storageClassName === undefined ? [] : [storage.storageClassName]
}

interface Services {
  /** on which the engine listens */
  readonly port: number
  /** whether the Service leads to the pods of this role alone, and whether there is one that leads to the others */
  readonly roles?: 'primary' | 'primary and standby' | undefined
  /** what the headless Service has beside the engine's port, and what the other one has */
  readonly governing?: readonly ServicePort[]
  readonly primary?: readonly ServicePort[]
}

/** @returns the headless Service that gives pods their names, the one for clients, and that of standbys */
export function servicesOf(db: Database, shape: Services): ServiceShape[] {
  const { port, roles, governing = [], primary = [] } = shape
  const engine = { port, targetPort: 'db' }
  const standby: ServiceShape = {
    name: standbyServiceName(db),
    alias: 'standby',
    selector: { [roleLabel]: 'standby' },
    ports: [{ name: 'standby', ...engine }],
  }
  return [
    { name: governingServiceName(db), headless: true, ports: [{ name: 'db', ...engine }, ...governing] },
    {
      name: db.metadata.name,
      alias: 'primary',
      ...(roles ? { selector: { [roleLabel]: 'primary' } } : {}),
      ports: [{ name: 'primary', ...engine }, ...primary],
    },
    ...(roles === 'primary and standby' ? [standby] : []),
  ]
}

/** What all kinds let an OpsRequest be about, in KubeDB's order, which goes on with what only some do. */
export const commonOpsTypes: readonly string[] = [
  'UpdateVersion',
  'HorizontalScaling',
  'VerticalScaling',
  'VolumeExpansion',
  'Restart',
  'Reconfigure',
  'ReconfigureTLS',
]

/** What most kinds let an OpsRequest be about. */
export const opsTypes: readonly string[] = [...commonOpsTypes, 'RotateAuth', 'StorageMigration']

/** What a kind's webhook says of the block of an OpsRequest, by the request's type; most say nothing of some. */
export type Complaints = Readonly<Record<string, (context: OpsContext) => ReturnType<OpsRules['complaint']>>>

/** @returns the complaint about a request by the rule for its type */
export function complaintBy(rules: Complaints): OpsRules['complaint'] {
  return (context) => rules[context.request.spec.type]?.(context)
}
