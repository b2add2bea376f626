import { isObject } from '../../shared/json.ts'
import * as offshoots from './offshoots.ts'
import type { Postgres, PostgresSpec, PostgresVersion } from './resources.ts'

/** The objects that a database consists of, as values; writing them is done elsewhere. */

export interface NamespacedObject {
  metadata: { name: string; namespace: string; [key: string]: unknown }
  [key: string]: unknown
}

function metadataOf(db: Postgres, name: string, labels: Readonly<Record<string, string>> = {}) {
  return {
    name,
    namespace: db.metadata.namespace,
    labels: { ...offshoots.labelsOf(db), ...labels },
    ownerReferences: [offshoots.controllerReference(db)],
  }
}

interface ServicePort {
  name: string
  port: number
  targetPort: string
  nodePort?: number
}

const databasePort = { port: 5432, targetPort: 'db' }
const coordinatorClientPort = { name: 'coordinatclient', port: 2379, targetPort: 'coordinatclient' }

/** The Services in the order in which they are made, headless one first. */
export function servicesOf(db: Postgres): NamespacedObject[] {
  const governing = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: metadataOf(db, offshoots.governingServiceName(db)),
    spec: {
      type: 'ClusterIP',
      clusterIP: 'None',
      publishNotReadyAddresses: true,
      selector: offshoots.selectorOf(db),
      ports: [
        { name: 'db', ...databasePort },
        { name: 'coordinator', port: 2380, targetPort: 'coordinator' },
        coordinatorClientPort,
      ],
    },
  }
  const primary = clientService(db, db.metadata.name, 'primary', [
    { name: 'primary', ...databasePort },
    coordinatorClientPort,
  ])
  const standby = clientService(db, offshoots.standbyServiceName(db), 'standby', [
    { name: 'standby', ...databasePort },
  ])
  return offshoots.replicasOf(db) > 1 ? [governing, primary, standby] : [governing, primary]
}

function clientService(
  db: Postgres,
  name: string,
  role: 'primary' | 'standby',
  ports: ServicePort[],
): NamespacedObject {
  const template = db.spec.serviceTemplates?.find(({ alias }) => alias === role)
  const { type = 'ClusterIP', ports: portTemplates = [], ...rest } = template?.spec ?? {}
  const templated = ports.map((port) => {
    const wish = portTemplates.find((candidate) => candidate.name === port.name)
    return wish?.nodePort === undefined ? port : { ...port, nodePort: wish.nodePort }
  })
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      ...metadataOf(db, name, template?.metadata?.labels),
      annotations: template?.metadata?.annotations ?? {},
    },
    spec: {
      ...rest,
      type,
      selector: { ...offshoots.selectorOf(db), [offshoots.roleLabel]: role },
      ports: templated,
    },
  }
}

/** Whether `existing` lacks a value that `wanted` has; what the API server added does not count. */
export function lacks(existing: unknown, wanted: unknown): boolean {
  if (wanted === undefined) return false
  if (Array.isArray(wanted))
    return (
      !Array.isArray(existing) ||
      existing.length !== wanted.length ||
      wanted.some((item, index) => lacks(existing[index], item))
    )
  if (isObject(wanted))
    return isObject(existing)
      ? Object.entries(wanted).some(([key, value]) => lacks(existing[key], value))
      : Object.values(wanted).some((value) => value !== undefined)
  return existing !== wanted
}

/** The ServiceAccount of the pods. */
export function serviceAccountOf(db: Postgres): NamespacedObject {
  return {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: metadataOf(db, db.spec.podTemplate?.spec?.serviceAccountName ?? db.metadata.name),
  }
}

/** The auth Secret of a database that has none yet. */
export function authSecretOf(db: Postgres, password: string, now: Date): NamespacedObject {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'kubernetes.io/basic-auth',
    metadata: {
      ...metadataOf(db, offshoots.authSecretName(db)),
      annotations: { 'kubedb.com/auth-active-from': seconds(now) },
    },
    stringData: { username: 'postgres', password },
  }
}

/** RFC 3339 without fractions, as KubeDB writes times into annotations. */
export function seconds(time: Date): string {
  return time.toISOString().replace(/\.\d+Z$/, 'Z')
}

/** The disk of one replica; not owned by the database: its fate is decided when that is deleted. */
export function claimOf(db: Postgres, ordinal: number): NamespacedObject {
  const { ownerReferences, ...metadata } = metadataOf(db, offshoots.claimName(db, ordinal))
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata,
    spec: { accessModes: ['ReadWriteOnce'], ...db.spec.storage },
  }
}

/** One replica. No kubelet will ever see it: the operator writes its status. */
export function podOf(db: Postgres, version: PostgresVersion, ordinal: number): NamespacedObject {
  const template = db.spec.podTemplate?.spec
  const image = version.spec.db?.image ?? `postgres:${version.spec.version}`
  const container = (name: string, ports: object[]) => ({
    name,
    image,
    ports,
    resources: template?.containers?.find((candidate) => candidate.name === name)?.resources ?? {},
  })
  const name = offshoots.podName(db, ordinal)
  const data = offshoots.isDurable(db)
    ? { persistentVolumeClaim: { claimName: offshoots.claimName(db, ordinal) } }
    : { emptyDir: {} }
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: metadataOf(db, name, {
      [offshoots.roleLabel]: ordinal === 0 ? 'primary' : 'standby',
      'statefulset.kubernetes.io/pod-name': name,
    }),
    spec: {
      automountServiceAccountToken: false,
      serviceAccountName: template?.serviceAccountName ?? db.metadata.name,
      subdomain: offshoots.governingServiceName(db),
      hostname: name,
      containers: [
        container('postgres', [{ name: 'db', containerPort: 5432 }]),
        container('pg-coordinator', [
          { name: 'coordinator', containerPort: 2380 },
          { name: 'coordinatclient', containerPort: 2379 },
        ]),
      ],
      volumes: [{ name: 'data', ...data }],
    },
  }
}

/** The status that a kubelet would write for a pod whose containers all run, or for one still waiting. */
export function podStatus(podIP: string | undefined, now: Date): object {
  const status = podIP === undefined ? 'False' : 'True'
  const condition = (type: string) => ({ type, status, lastTransitionTime: seconds(now) })
  const containerStatus = (name: string) => ({
    name,
    image: name,
    imageID: '',
    ready: true,
    started: true,
    restartCount: 0,
    state: { running: { startedAt: seconds(now) } },
  })
  return {
    phase: podIP === undefined ? 'Pending' : 'Running',
    conditions: ['PodScheduled', 'Initialized', 'ContainersReady', 'Ready'].map(condition),
    ...(podIP === undefined
      ? {}
      : {
          podIP,
          podIPs: [{ ip: podIP }],
          startTime: seconds(now),
          containerStatuses: ['postgres', 'pg-coordinator'].map(containerStatus),
        }),
  }
}

/** How to bind to the database, as KubeDB publishes it. */
export function appBindingOf(db: Postgres, version: PostgresVersion): NamespacedObject {
  const { name, namespace } = db.metadata
  return {
    apiVersion: 'appcatalog.appscode.com/v1alpha1',
    kind: 'AppBinding',
    metadata: {
      ...metadataOf(db, name),
      annotations: offshoots.withoutKubedbKeys(db.metadata.annotations),
    },
    spec: {
      type: 'kubedb.com/postgres',
      version: version.spec.version,
      appRef: { apiGroup: 'kubedb.com', kind: 'Postgres', name, namespace },
      secret: { apiGroup: '', kind: 'Secret', name: offshoots.authSecretName(db) },
      clientConfig: {
        service: {
          scheme: 'postgresql',
          name,
          port: 5432,
          path: '/',
          query: `sslmode=${db.spec.sslMode ?? 'disable'}`,
        },
      },
      parameters: {
        apiVersion: 'appcatalog.appscode.com/v1alpha1',
        kind: 'StashAddon',
        stash: { addon: {} },
      },
    },
  }
}

/** `user.conf` of the spec alone; the text of a named Secret comes before it. */
export function inlineConfig(spec: PostgresSpec): string {
  return spec.configuration?.inline?.['user.conf'] ?? ''
}
