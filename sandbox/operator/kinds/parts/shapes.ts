/** Shapes in which most kinds are alike. Pure. */

import type { Database, Spec } from '../../cluster/resources.ts'
import type { Path } from '../../cluster/spec-path.ts'
import type { Component, ContainerShape, ServicePort, ServiceShape, TlsShape } from './kind.ts'
import { governingServiceName, replicasOf, roleLabel, standbyServiceName } from './offshoots.ts'

/** Ports by their names. */
type Ports = Readonly<Record<string, number>>

/** @returns a container with its ports */
export function container(name: string, ports: Ports = {}): ContainerShape {
  return {
    name,
    ports: Object.entries(ports).map(([port, containerPort]) => ({ name: port, containerPort })),
  }
}

/** @returns the only set of pods of a database, or the one of the database's own name */
export function members(db: Database, more: Pick<Component, 'containers'> & Partial<Component>): Component {
  return {
    name: db.metadata.name,
    replicas: replicasOf(db.spec),
    path: [],
    governing: governingServiceName(db),
    ...more,
  }
}

/** Roles of pods of which only the first can be written to. */
export const primaryFirst = (ordinal: number) => (ordinal === 0 ? 'primary' : 'standby')

/** Sections of a spec by the keys that blocks of OpsRequests have for them. */
export type Sections = Readonly<Record<string, Path>>

/** @param roles of nodes, where each has some of its own; else the nodes are the whole spec's */
export function nodeSections(roles: readonly string[] | undefined): Sections {
  return roles ? Object.fromEntries(roles.map((role) => [role, ['topology', role]])) : { node: [] }
}

/** Labels of pods with some roles of nodes. */
export function roleLabels(...roles: readonly string[]): Record<string, string> {
  return Object.fromEntries(roles.map((role) => [`kubedb.com/role-${role}`, 'set']))
}

/** The certificates that most kinds have, by alias. */
export const certificateAliases: readonly string[] = ['server', 'client', 'metrics-exporter']

/** TLS of the kinds whose certificates come from an issuer that the spec has to name. */
export const issuedTls = {
  wanted: ({ tls }: Spec) => tls !== undefined,
  needsIssuer: true,
  aliases: ({ tls }: Spec) => (tls ? certificateAliases : []),
  server: 'server',
  added: () => ({}),
  removed: () => ({}),
} satisfies TlsShape

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

/** @returns ports of a Service, which lead to ports of containers of the same names */
export function portsTo(ports: Ports): ServicePort[] {
  return Object.entries(ports).map(([name, port]) => ({ name, port, targetPort: name }))
}

/** @returns the Service that gives pods their names */
export function headlessService(db: Database, ports: Ports): ServiceShape {
  return { name: governingServiceName(db), headless: true, ports: portsTo(ports) }
}

interface Services {
  /** on which the engine listens */
  readonly port: number
  /** whether the Service leads to the pods of this role alone, and whether there is one that leads to the others */
  readonly roles?: 'primary' | 'primary and standby' | undefined
  /** what the headless Service has beside the engine's port, and what the other one has */
  readonly governing?: Ports
  readonly primary?: Ports
}

/** @returns the headless Service that gives pods their names, the one for clients, and that of standbys */
export function servicesOf(db: Database, shape: Services): ServiceShape[] {
  const { port, roles, governing = {}, primary = {} } = shape
  const leading = (alias: 'primary' | 'standby', name: string, more: Ports = {}): ServiceShape => ({
    name,
    alias,
    ...(roles ? { selector: { [roleLabel]: alias } } : {}),
    ports: [{ name: alias, port, targetPort: 'db' }, ...portsTo(more)],
  })
  return [
    headlessService(db, { db: port, ...governing }),
    leading('primary', db.metadata.name, primary),
    ...(roles === 'primary and standby' ? [leading('standby', standbyServiceName(db))] : []),
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

/** `parameters` of the AppBinding of most kinds. */
export const stashAddon = {
  apiVersion: 'appcatalog.appscode.com/v1alpha1',
  kind: 'StashAddon',
  stash: { addon: {} },
}
