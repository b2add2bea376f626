import type { Database, OwnerReference } from '../../cluster/resources.ts'
import { partAt } from '../../cluster/spec-path.ts'
import type { Component, Kind } from './kind.ts'

/** Names and labels of what belongs to a database (KubeDB's "offshoots"). */

/** Label key whose value is the name of the database. */
export const instanceLabel = 'app.kubernetes.io/instance'
export const managedByLabel = 'app.kubernetes.io/managed-by'
export const roleLabel = 'kubedb.com/role'

/** KubeDB cuts at 63 characters, without a hash: long names collide, as they do there. */
export function withSuffix(name: string, suffix: string): string {
  return `${name.slice(0, 63 - suffix.length - 1)}-${suffix}`
}

export function governingServiceName(db: Database): string {
  return withSuffix(db.metadata.name, 'pods')
}

export function standbyServiceName(db: Database): string {
  return withSuffix(db.metadata.name, 'standby')
}

export function authSecretName(db: Database): string {
  return db.spec.authSecret?.name || withSuffix(db.metadata.name, 'auth')
}

/** The Secret of the certificate with an alias, unless the spec names another. */
export function certificateSecretName(db: Database, alias: string): string {
  const named = db.spec.tls?.certificates?.find((certificate) => certificate.alias === alias)?.secretName
  return named || withSuffix(db.metadata.name, `${alias}-cert`)
}

export function podNames(component: Component): string[] {
  return Array.from({ length: component.replicas }, (_, ordinal) => `${component.name}-${ordinal}`)
}

/** The claim of a pod; nothing where the pod keeps no data. */
export function claimName(db: Database, component: Component, pod: string): string | undefined {
  return isDurable(db) && component.volume !== undefined ? `${component.volume}-${pod}` : undefined
}

export function replicasOf(spec: { replicas?: number }): number {
  return Math.max(1, spec.replicas ?? 1)
}

function isDurable(db: Database): boolean {
  return db.spec.storageType !== 'Ephemeral'
}

/** What chooses the objects of a database, whatever they are. */
function ownLabels(kind: Kind, db: Database): Record<string, string> {
  return {
    'app.kubernetes.io/name': fullName(kind),
    [instanceLabel]: db.metadata.name,
    [managedByLabel]: 'kubedb.com',
  }
}

/** `<plural>.kubedb.com`, the value of the label of its name. */
export function fullName({ plural }: Kind): string {
  return `${plural}.kubedb.com`
}

/** What selects the pods of a database. */
export function selectorOf(kind: Kind, db: Database): Record<string, string> {
  return { ...ownLabels(kind, db), ...kind.labels?.(db) }
}

/** What chooses the objects of a database, as the API takes it in a query. */
export function selectorText(kind: Kind, db: Database): string {
  return Object.entries(ownLabels(kind, db))
    .map(([key, value]) => `${key}=${value}`)
    .join(',')
}

/** Labels of every offshoot: the selector, the component, and the database's own outside KubeDB's domain. */
export function labelsOf(kind: Kind, db: Database): Record<string, string> {
  return {
    ...withoutKubedbKeys(db.metadata.labels),
    ...selectorOf(kind, db),
    'app.kubernetes.io/component': 'database',
  }
}

const blacklist = new Set(
  ['name', 'version', 'instance', 'managed-by'].map((key) => `app.kubernetes.io/${key}`),
)

/** Keys that KubeDB passes on from a database to its offshoots: none of its own domain. */
export function withoutKubedbKeys(entries: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(entries).filter(([key]) => {
      const domain = key.includes('/') ? (key.split('/')[0] ?? '') : ''
      return domain !== 'kubedb.com' && !domain.endsWith('.kubedb.com') && !blacklist.has(key)
    }),
  )
}

/** The reference that makes the database own an object. */
export function controllerReference(kind: Kind, db: Database): OwnerReference {
  return {
    apiVersion: kind.apiVersion,
    kind: kind.kind,
    name: db.metadata.name,
    uid: db.metadata.uid,
    controller: true,
    blockOwnerDeletion: true,
  }
}

/** Every pod that a database has, with the component it belongs to. */
export function podsOf(kind: Kind, db: Database): { component: Component; ordinal: number; name: string }[] {
  return kind
    .components(db)
    .flatMap((component) => podNames(component).map((name, ordinal) => ({ component, ordinal, name })))
}

/** Whether a database has disks: data then lives as long as they do. */
export function hasDisks(kind: Kind, db: Database): boolean {
  return podsOf(kind, db).some(({ component, name }) => claimName(db, component, name) !== undefined)
}

/** The ServiceAccount of the pods. */
export function serviceAccountName(db: Database, { path }: Component): string {
  return partAt(db.spec, path).podTemplate?.spec?.serviceAccountName || db.metadata.name
}

/** What an object of a database has to say of itself. */
export function metadataOf(
  kind: Kind,
  db: Database,
  name: string,
  labels: Readonly<Record<string, string>> = {},
) {
  return {
    name,
    namespace: db.metadata.namespace,
    labels: { ...labelsOf(kind, db), ...labels },
    ownerReferences: [controllerReference(kind, db)],
  }
}
