import type { OwnerReference, Postgres } from './resources.ts'

/** Names and labels of what belongs to a database (KubeDB's "offshoots"). */

/** Label key whose value is the name of the database. */
export const instanceLabel = 'app.kubernetes.io/instance'
export const managedByLabel = 'app.kubernetes.io/managed-by'
export const roleLabel = 'kubedb.com/role'

/** KubeDB cuts at 63 characters, without a hash: long names collide, as they do there. */
function withSuffix(name: string, suffix: string): string {
  return `${name.slice(0, 63 - suffix.length - 1)}-${suffix}`
}

export function governingServiceName(db: Postgres): string {
  return withSuffix(db.metadata.name, 'pods')
}

export function standbyServiceName(db: Postgres): string {
  return withSuffix(db.metadata.name, 'standby')
}

export function authSecretName(db: Postgres): string {
  return db.spec.authSecret?.name || withSuffix(db.metadata.name, 'auth')
}

export function podName(db: Postgres, ordinal: number): string {
  return `${db.metadata.name}-${ordinal}`
}

export function claimName(db: Postgres, ordinal: number): string {
  return `data-${podName(db, ordinal)}`
}

export function replicasOf(db: Postgres): number {
  return Math.max(1, db.spec.replicas ?? 1)
}

export function isDurable(db: Postgres): boolean {
  return db.spec.storageType !== 'Ephemeral'
}

/** What selects the pods of a database. */
export function selectorOf(db: Postgres): Record<string, string> {
  return {
    'app.kubernetes.io/name': 'postgreses.kubedb.com',
    [instanceLabel]: db.metadata.name,
    [managedByLabel]: 'kubedb.com',
    'postgreses.kubedb.com/database.cluster': db.metadata.name,
  }
}

/** The selector as the API takes it in a query. */
export function selectorText(db: Postgres): string {
  return Object.entries(selectorOf(db))
    .map(([key, value]) => `${key}=${value}`)
    .join(',')
}

/** Labels of every offshoot: the selector, the component, and the database's own outside KubeDB's domain. */
export function labelsOf(db: Postgres): Record<string, string> {
  return {
    ...withoutKubedbKeys(db.metadata.labels),
    ...selectorOf(db),
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
export function controllerReference(db: Postgres): OwnerReference {
  return {
    apiVersion: 'kubedb.com/v1',
    kind: 'Postgres',
    name: db.metadata.name,
    uid: db.metadata.uid,
    controller: true,
    blockOwnerDeletion: true,
  }
}
