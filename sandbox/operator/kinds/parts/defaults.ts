/** What KubeDB's mutating webhooks fill in for several kinds. */
import * as v from 'valibot'
import { isObject } from '../../../../shared/values/json.ts'
import { Refusal } from '../../cluster/admission.ts'
import { canonicalQuantity, parseQuantity } from '../../cluster/quantity.ts'
import {
  type Container,
  type Database,
  type Part,
  type Resources,
  Spec,
  type Version,
} from '../../cluster/resources.ts'

type Quantities = NonNullable<Resources['requests']>
export interface DefaultResources {
  readonly requests: Quantities
  readonly limits: Quantities
}

export const engineResources = { requests: { cpu: '500m', memory: '1Gi' }, limits: { memory: '1Gi' } }
export const coordinatorResources = {
  requests: { cpu: '200m', memory: '256Mi' },
  limits: { memory: '256Mi' },
}
export const initResources = { requests: { cpu: '200m', memory: '256Mi' }, limits: { memory: '512Mi' } }

/** How the pods of a kind differ from those of most. */
export interface PodTraits {
  /** The user and group of the image are the pod's too, and not only its containers'. */
  readonly podUser?: true
  /** They run under no ServiceAccount of their own. */
  readonly ownAccount?: false
  /** Their init containers get no resources. */
  readonly plainInit?: true
  /** Nor a security context: KubeDB fills in one that it then forgets. */
  readonly rootInit?: true
  /** Containers run with the image's user alone, not with a group of the same number. */
  readonly userGroup?: false
}

/** What the mutating webhook of a kind fills in. */
export interface DefaultsTable {
  /** What it calls the deletion policy when that forbids to halt; `termination policy` by default. */
  readonly policy?: string
  /** Whether halting leaves the deletion policy as it is; with all others it becomes Halt. */
  readonly haltsPlainly?: true
  /** Of the health checker; 1 by default. */
  readonly failureThreshold?: number
  /** Whether it keeps no data, so that there is nothing to say about disks. */
  readonly diskless?: true
  /** Whether KubeDB's schema manager may make databases in it. */
  readonly schemas?: true
  /** Whether KubeDB recommends operations for it; it does by default. */
  readonly autoOps?: false
  readonly traits?: PodTraits
  /** How many servers there are when nobody says so; 1 by default, undefined where the spec counts otherwise. */
  replicas?(spec: Spec): number | undefined
  /** Whether there are no passwords, so that it names no Secret; where the spec says so by default. */
  open?(spec: Spec, version: Version): boolean
  /** The certificates that get a Secret's name, by alias; none by default. */
  certificates?(spec: Spec): readonly string[]
  /** What the pods have that the whole spec is about; undefined where only its sections have pods. */
  pods(spec: Spec, version: Version): TemplateDefaults | undefined
  /** What else it fills in; put over all that comes from this table. */
  own?(db: Database, version: Version): Partial<Spec>
}

/** The spec that the mutating webhook stores for the one that was sent. Throws {@link Refusal}. */
export function defaultsOf(table: DefaultsTable, db: Database, version: Version, open: boolean): Spec {
  const { spec } = db
  const { policy = 'termination policy', failureThreshold = 1, diskless, replicas, schemas, traits } = table
  const pods = table.pods(spec, version)
  const count = spec.replicas ?? (replicas ? replicas(spec) : 1)
  return asStored({
    ...(schemas ? { allowedSchemas: { namespaces: { from: 'Same' } } } : {}),
    ...(table.autoOps === false ? {} : { autoOps: {} }),
    ...spec,
    deletionPolicy:
      (table.haltsPlainly ? undefined : haltedPolicy(spec, policy)) ?? spec.deletionPolicy ?? 'Delete',
    healthChecker: { periodSeconds: 10, timeoutSeconds: 10, failureThreshold, ...spec.healthChecker },
    ...(diskless ? {} : { storageType: spec.storageType || 'Durable' }),
    ...((table.open?.(spec, version) ?? open) ? {} : { authSecret: authSecretDefaults(spec) }),
    ...configurationOf(spec),
    ...(table.certificates ? tlsDefaults(db, table.certificates(spec)) : {}),
    ...(spec.serviceTemplates
      ? { serviceTemplates: spec.serviceTemplates.map((one) => ({ metadata: {}, ...one })) }
      : {}),
    ...(pods && count !== undefined ? { replicas: count } : {}),
    ...(pods ? { podTemplate: podTemplateOf(spec.podTemplate, db, version, pods, traits) } : {}),
    ...table.own?.(db, version),
  })
}

/** Throws {@link Refusal} when the policy forbids to halt. */
function haltedPolicy(spec: Spec, policy: string): 'Halt' | undefined {
  if (!spec.halted) return undefined
  if (spec.deletionPolicy === 'DoNotTerminate')
    throw new Refusal(`Can't halt, since ${policy} is 'DoNotTerminate'`)
  return 'Halt'
}

export function authSecretDefaults(spec: Spec): NonNullable<Spec['authSecret']> {
  return { name: '', apiGroup: '', ...spec.authSecret, kind: spec.authSecret?.kind || 'Secret' }
}

/** The older `configSecret` becomes `configuration.secretName`. */
export function configurationOf(part: Part): Pick<Part, 'configuration'> {
  const name = part.configSecret?.name
  if (name === undefined) return {}
  return { configuration: { ...part.configuration, secretName: part.configuration?.secretName || name } }
}

/** Containers of a pod template by name, with what they ask for unless the template says otherwise. */
export interface TemplateDefaults {
  readonly containers: Readonly<Record<string, DefaultResources>>
  readonly initContainers?: Readonly<Record<string, DefaultResources>>
}

/** A pod template with its containers, security contexts and ServiceAccount. */
export function podTemplateOf(
  template: Part['podTemplate'],
  db: Database,
  version: Version,
  { containers, initContainers = {} }: TemplateDefaults,
  traits: PodTraits = {},
): NonNullable<Part['podTemplate']> {
  const pod = template?.spec
  const { podUser, ownAccount, plainInit, rootInit, userGroup } = traits
  const { runAsUser: user, runAsGroup: group = user } = version.spec.securityContext ?? {}
  const context = {
    allowPrivilegeEscalation: false,
    capabilities: { drop: ['ALL'] },
    runAsNonRoot: true,
    ...ids(user, 'runAsUser'),
    ...(userGroup === false ? {} : ids(group, 'runAsGroup')),
    seccompProfile: { type: 'RuntimeDefault' },
  }
  const complete = (given: readonly Container[] = [], defaults: TemplateDefaults['containers'], fill: Fill) =>
    Object.entries(defaults).reduce<Container[]>(
      (known, [name, one]) => withContainer(known, name, fill(one)),
      [...given],
    )
  const filled = (resources: DefaultResources) => ({ resources, context })
  const started = complete(pod?.initContainers, initContainers, (resources) => ({
    ...(plainInit ? {} : { resources }),
    ...(rootInit ? {} : { context }),
  }))
  return {
    ...emptyTemplate,
    ...template,
    spec: {
      ...emptyTemplate.spec,
      ...pod,
      ...(ownAccount === false ? {} : { serviceAccountName: pod?.serviceAccountName || db.metadata.name }),
      securityContext: {
        ...ids(user, 'fsGroup', ...(podUser ? ['runAsUser', 'runAsGroup'] : [])),
        ...pod?.securityContext,
      },
      containers: complete(pod?.containers, containers, filled),
      ...(started.length > 0 ? { initContainers: started } : {}),
    },
  }
}

/** What every pod template has, whoever defaults it. */
export const emptyTemplate = {
  metadata: {},
  controller: {},
  spec: { podPlacementPolicy: { name: 'default' } },
}

function ids(user: number | undefined, ...keys: string[]): Record<string, number> {
  return user === undefined ? {} : Object.fromEntries(keys.map((key) => [key, user]))
}

/** What is filled in of a container. */
interface Filling {
  resources?: DefaultResources
  context?: object
}
type Fill = (resources: DefaultResources) => Filling

function withContainer(
  containers: readonly Container[],
  name: string,
  { resources, context }: Filling,
): Container[] {
  const known = containers.find((container) => container.name === name) ?? { name }
  const complete: Container = {
    ...known,
    resources: resources ? withDefaultResources(known.resources ?? {}, resources) : { ...known.resources },
    resizePolicy: known.resizePolicy ?? [
      { resourceName: 'cpu', restartPolicy: 'NotRequired' },
      { resourceName: 'memory', restartPolicy: 'NotRequired' },
    ],
    ...(context ? { securityContext: { ...context, ...known.securityContext } } : {}),
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

/** The certificates of TLS by alias, each with the name of its Secret, once an issuer is named. */
export function tlsDefaults(db: Database, aliases: readonly string[]): Pick<Spec, 'tls'> {
  const { tls } = db.spec
  if (!tls?.issuerRef) return {}
  const known = tls.certificates ?? []
  const named = known.map((certificate) =>
    aliases.includes(certificate.alias) && !certificate.secretName
      ? { ...certificate, secretName: `${db.metadata.name}-${certificate.alias}-cert` }
      : certificate,
  )
  const missing = aliases.filter((alias) => !known.some((certificate) => certificate.alias === alias))
  const added = missing.map((alias) => ({ alias, secretName: `${db.metadata.name}-${alias}-cert` }))
  return { tls: { ...tls, certificates: [...named, ...added] } }
}

/** Members that are left out when they say nothing. */
const silent = ['prefix', 'suffix']

/** A spec as it reads once Go has written it: quantities in their shortest form, and nothing that says nothing. */
function asStored(spec: Spec): Spec {
  return v.parse(Spec, stored(spec))
}

function stored(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(stored)
  if (!isObject(value)) return value
  const members = Object.entries(value).filter(
    ([key, inner]) => inner !== undefined && !(silent.includes(key) && !inner),
  )
  return Object.fromEntries(
    members.map(([key, inner]) => [
      key,
      (key === 'requests' || key === 'limits') && isObject(inner)
        ? Object.fromEntries(
            Object.entries(inner).map(([name, one]) => [name, canonicalQuantity(String(one))]),
          )
        : stored(inner),
    ]),
  )
}
