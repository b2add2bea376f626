import { Refusal } from './admission.ts'
import { parseQuantity } from './quantity.ts'
import type { Container, Postgres, PostgresSpec, PostgresVersion, Resources } from './resources.ts'
import { parseVersion } from './versions.ts'

type Quantities = NonNullable<Resources['requests']>
interface DefaultResources {
  readonly requests: Quantities
  readonly limits: Quantities
}

const engineResources = { requests: { cpu: '500m', memory: '1Gi' }, limits: { memory: '1Gi' } }
const coordinatorResources = { requests: { cpu: '200m', memory: '256Mi' }, limits: { memory: '256Mi' } }
const initResources = { requests: { cpu: '200m', memory: '256Mi' }, limits: { memory: '512Mi' } }
const arbiterResources = {
  requests: { cpu: '200m', memory: '256Mi', storage: '2Gi' },
  limits: { memory: '256Mi' },
}

/**
 * The spec that KubeDB's mutating webhook stores for the one that was sent.
 * Throws {@link Refusal} where that webhook refuses.
 */
export function withDefaults(db: Postgres, version: PostgresVersion): PostgresSpec {
  const { spec, metadata } = db
  const replicas = spec.replicas ?? 1
  const major = parseVersion(version.spec.version)[0]
  const user = version.spec.securityContext?.runAsUser
  const pod = spec.podTemplate?.spec
  return {
    ...spec,
    replicas,
    deletionPolicy: haltedPolicy(spec) ?? spec.deletionPolicy ?? 'Delete',
    standbyMode: spec.standbyMode ?? 'Hot',
    storageType: spec.storageType || 'Durable',
    authSecret: { name: '', ...spec.authSecret, kind: spec.authSecret?.kind || 'Secret' },
    leaderElection: {
      period: '300ms',
      electionTick: 10,
      heartbeatTick: 1,
      maximumLagBeforeFailover: 64 * 1024 * 1024,
      transferLeadershipInterval: '1s',
      transferLeadershipTimeout: '60s',
      ...spec.leaderElection,
    },
    sslMode: spec.sslMode || (spec.tls ? 'verify-full' : 'disable'),
    clientAuthMode: spec.clientAuthMode || (major < 18 ? 'md5' : 'scram'),
    ...configurationOf(spec),
    podTemplate: {
      ...spec.podTemplate,
      spec: {
        ...pod,
        serviceAccountName: pod?.serviceAccountName || metadata.name,
        securityContext: { ...userIds(user, 'fsGroup'), ...pod?.securityContext },
        containers: [
          ['postgres', engineResources] as const,
          ['pg-coordinator', coordinatorResources] as const,
        ].reduce(
          (list, [name, resources]) => withContainer(list, name, resources, user),
          pod?.containers ?? [],
        ),
        initContainers: withContainer(
          pod?.initContainers ?? [],
          'postgres-init-container',
          initResources,
          user,
        ),
      },
    },
    replication: replicationOf(spec, major),
    ...(replicas % 2 === 0 && !spec.arbiter
      ? { arbiter: { resources: withDefaultResources({}, arbiterResources) } }
      : {}),
    healthChecker: { periodSeconds: 10, timeoutSeconds: 10, failureThreshold: 1, ...spec.healthChecker },
  }
}

function haltedPolicy(spec: PostgresSpec): 'Halt' | undefined {
  if (!spec.halted) return undefined
  if (spec.deletionPolicy === 'DoNotTerminate')
    throw new Refusal("Can't halt, since termination policy is 'DoNotTerminate'")
  return 'Halt'
}

/** The older `configSecret` becomes `configuration.secretName`. */
function configurationOf(spec: PostgresSpec): object {
  const name = spec.configSecret?.name
  if (name === undefined) return {}
  return { configuration: { ...spec.configuration, secretName: spec.configuration?.secretName || name } }
}

function replicationOf(spec: PostgresSpec, major: number): object {
  const given = spec.replication
  if (typeof given === 'object' && given !== null && 'walLimitPolicy' in given) return given
  return major <= 12
    ? { walLimitPolicy: 'WALKeepSegment', walKeepSegment: 96 }
    : { walLimitPolicy: 'WALKeepSize', walKeepSize: 1536 }
}

function userIds(user: number | undefined, ...more: string[]): Record<string, number> {
  if (user === undefined) return {}
  return Object.fromEntries(['runAsUser', 'runAsGroup', ...more].map((key) => [key, user]))
}

function withContainer(
  containers: readonly Container[],
  name: string,
  defaults: DefaultResources,
  user: number | undefined,
): Container[] {
  const known = containers.find((container) => container.name === name) ?? { name }
  const complete: Container = {
    ...known,
    resources: withDefaultResources(known.resources ?? {}, defaults),
    securityContext: {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      runAsNonRoot: true,
      ...userIds(user),
      seccompProfile: { type: 'RuntimeDefault' },
      ...known.securityContext,
    },
  }
  return containers.some((container) => container.name === name)
    ? containers.map((container) => (container.name === name ? complete : container))
    : [...containers, complete]
}

/** Requests fill limits and limits fill requests before the defaults do; no limit stays below its request. */
export function withDefaultResources(given: Resources, defaults: DefaultResources): Resources {
  const limits: Quantities = { ...given.limits }
  const requests: Quantities = { ...given.requests }
  for (const [name, quantity] of Object.entries(defaults.limits))
    limits[name] ??= given.requests?.[name] ?? quantity
  for (const [name, quantity] of Object.entries(defaults.requests))
    requests[name] ??= given.limits?.[name] ?? quantity
  for (const [name, request] of Object.entries(requests)) {
    const limit = limits[name]
    if (limit !== undefined && parseQuantity(limit) < parseQuantity(request)) limits[name] = request
  }
  return { ...given, requests, limits }
}
