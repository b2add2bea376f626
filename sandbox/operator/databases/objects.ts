import { isObject } from '../../../shared/values/json.ts'
import { seconds } from '../cluster/conditions.ts'
import type { Database, Version } from '../cluster/resources.ts'
import { partAt } from '../cluster/spec-path.ts'
import type { Component, Credentials, Kind, ServiceShape } from '../kinds/parts/kind.ts'
import * as offshoots from '../kinds/parts/offshoots.ts'

/** The objects that a database consists of, as values; writing them is done elsewhere. */

export interface NamespacedObject {
  metadata: { name: string; namespace: string; [key: string]: unknown }
  [key: string]: unknown
}

/** The Services in the order in which they are made, headless ones first. */
export function servicesOf(kind: Kind, db: Database): NamespacedObject[] {
  return kind
    .services(db)
    .map((shape) => (shape.headless ? headlessService(kind, db, shape) : clientService(kind, db, shape)))
}

function headlessService(kind: Kind, db: Database, shape: ServiceShape): NamespacedObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: offshoots.metadataOf(kind, db, shape.name),
    spec: {
      type: 'ClusterIP',
      clusterIP: 'None',
      publishNotReadyAddresses: true,
      selector: { ...offshoots.selectorOf(kind, db), ...shape.selector },
      ports: shape.ports,
    },
  }
}

function clientService(kind: Kind, db: Database, shape: ServiceShape): NamespacedObject {
  const template = db.spec.serviceTemplates?.find(({ alias }) => alias === shape.alias)
  const { type = 'ClusterIP', ports: portTemplates = [], ...rest } = template?.spec ?? {}
  const templated = shape.ports.map((port) => {
    const wish = portTemplates.find((candidate) => candidate.name === port.name)
    return wish?.nodePort === undefined ? port : { ...port, nodePort: wish.nodePort }
  })
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      ...offshoots.metadataOf(kind, db, shape.name, template?.metadata?.labels),
      annotations: template?.metadata?.annotations ?? {},
    },
    spec: {
      ...rest,
      type,
      selector: { ...offshoots.selectorOf(kind, db), ...shape.selector },
      ports: templated,
    },
  }
}

/**
 * Whether `existing` lacks a value that `wanted` has, or has one that is null there; what else the API server added
 * does not count.
 */
export function lacks(existing: unknown, wanted: unknown): boolean {
  if (wanted === undefined) return false
  if (wanted === null) return existing !== undefined && existing !== null
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

/** An object to create, out of one that may also say what to take away. */
export function withoutNulls(object: NamespacedObject): NamespacedObject {
  const members = Object.entries(object).map(([key, value]) => [key, cleaned(value)])
  return { ...Object.fromEntries(members), metadata: object.metadata }
}

function cleaned(value: unknown): unknown {
  if (!isObject(value)) return value
  const kept = Object.entries(value).filter(([, member]) => member !== null)
  return Object.fromEntries(kept.map(([key, member]) => [key, cleaned(member)]))
}

/** The ServiceAccount of a component's pods. */
export function serviceAccountOf(kind: Kind, db: Database, component: Component): NamespacedObject {
  return {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: offshoots.metadataOf(kind, db, offshoots.serviceAccountName(db, component)),
  }
}

/** The auth Secret of a database that has none yet. */
export function authSecretOf(
  kind: Kind,
  db: Database,
  credentials: Credentials,
  now: Date,
): NamespacedObject {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: kind.auth.secretType,
    metadata: {
      ...offshoots.metadataOf(kind, db, offshoots.authSecretName(db)),
      annotations: { 'kubedb.com/auth-active-from': seconds(now) },
    },
    stringData: kind.auth.write(credentials),
  }
}

/** The disk of one pod; not owned by the database: its fate is decided when that is deleted. */
export function claimOf(kind: Kind, db: Database, component: Component, name: string): NamespacedObject {
  const { ownerReferences, ...metadata } = offshoots.metadataOf(kind, db, name, component.labels)
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata,
    spec: { accessModes: ['ReadWriteOnce'], ...partAt(db.spec, component.path).storage },
  }
}

/** One replica. No kubelet will ever see it: the operator writes its status. */
export function podOf(
  kind: Kind,
  db: Database,
  version: Version,
  component: Component,
  ordinal: number,
): NamespacedObject {
  const template = partAt(db.spec, component.path).podTemplate?.spec
  const image = version.spec.db?.image ?? `${kind.kind.toLowerCase()}:${version.spec.version}`
  const name = `${component.name}-${ordinal}`
  const claim = offshoots.claimName(db, component, name)
  const role = component.role?.(ordinal)
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: offshoots.metadataOf(kind, db, name, {
      ...component.labels,
      ...(role === undefined ? {} : { [offshoots.roleLabel]: role }),
      'statefulset.kubernetes.io/pod-name': name,
    }),
    spec: {
      automountServiceAccountToken: false,
      serviceAccountName: offshoots.serviceAccountName(db, component),
      subdomain: component.governing,
      hostname: name,
      containers: component.containers.map((container) => ({
        name: container.name,
        image,
        ports: container.ports,
        resources:
          template?.containers?.find((candidate) => candidate.name === container.name)?.resources ?? {},
      })),
      volumes: [
        {
          name: component.volume ?? 'data',
          ...(claim === undefined ? { emptyDir: {} } : { persistentVolumeClaim: { claimName: claim } }),
        },
      ],
    },
  }
}

/** The status that a kubelet would write for a pod whose containers all run, or for one still waiting. */
export function podStatus(podIP: string | undefined, containers: readonly string[], now: Date): object {
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
          containerStatuses: containers.map(containerStatus),
        }),
  }
}

/**
 * How to bind to the database, as KubeDB publishes it; what is null there is to be taken away.
 *
 * @param ca what makes its certificate trusted, as PEM
 */
export function appBindingOf(
  kind: Kind,
  db: Database,
  version: Version,
  ca: string | undefined,
): NamespacedObject {
  const { name, namespace } = db.metadata
  const { service = name, scheme, path, query, url, parameters } = kind.client(db, version)
  const client = ca === undefined ? undefined : kind.tls.client
  return {
    apiVersion: 'appcatalog.appscode.com/v1alpha1',
    kind: 'AppBinding',
    metadata: {
      ...offshoots.metadataOf(kind, db, name),
      annotations: offshoots.withoutKubedbKeys(db.metadata.annotations),
    },
    spec: {
      type: `kubedb.com/${kind.kind.toLowerCase()}`,
      version: version.spec.version,
      appRef: { apiGroup: 'kubedb.com', kind: kind.kind, name, namespace },
      ...(kind.auth.disabled?.(db.spec)
        ? {}
        : { secret: { apiGroup: '', kind: 'Secret', name: offshoots.authSecretName(db) } }),
      tlsSecret:
        client === undefined
          ? null
          : { apiGroup: '', kind: 'Secret', name: offshoots.certificateSecretName(db, client) },
      clientConfig: {
        ...(url === undefined ? {} : { url }),
        caBundle: ca === undefined ? null : Buffer.from(ca).toString('base64'),
        service: {
          name: service,
          port: kind.port,
          ...(scheme === undefined ? {} : { scheme }),
          ...(path === undefined ? {} : { path }),
          ...(query === undefined ? {} : { query }),
        },
      },
      ...(parameters === undefined ? {} : { parameters }),
    },
  }
}
