/** What KubeDB's validating webhooks refuse about several kinds, in their words. All throw {@link Refusal}. */
import { Invalid, Refusal } from '../../cluster/admission.ts'
import { parseQuantity } from '../../cluster/quantity.ts'
import { type Database, type Part, resources, type Spec, Unscoped } from '../../cluster/resources.ts'
import type { Context } from './kind.ts'

/** What a rule judges. */
export interface Judged extends Context {
  readonly db: Database
  readonly spec: Spec
  /** As it was, when it is a change. */
  readonly old: Database | undefined
}

/** One thing that a webhook refuses, by throwing {@link Refusal}; a kind has them in KubeDB's order. */
export type Rule = (judged: Judged) => Promise<void> | void

/** At least one server. */
export const replicas: Rule = ({ spec }) => {
  if ((spec.replicas ?? 0) < 1)
    throw new Refusal(`spec.replicas "${spec.replicas ?? 0}" invalid. Value must be greater than zero`)
}

/** The disks that the whole spec is about. */
export const storage: Rule = (judged) => storageOf(judged, judged.spec.storage)

/** @param section where the storage is, as the refusal names it */
export async function storageOf(
  { spec, kube }: Pick<Judged, 'spec' | 'kube'>,
  wanted: Part['storage'],
  section = 'spec.storage',
): Promise<void> {
  if (spec.storageType === 'Ephemeral') return
  if (!wanted) throw new Refusal(`${section} is missing for durable storage type`)
  const name = wanted.storageClassName
  if (name !== undefined && !(await kube.get(Unscoped, resources.storageClasses, { name })))
    throw new Refusal(`${section}.storageClassName "${name}" not found`)
  const size = wanted.resources?.requests?.storage
  if (size === undefined) throw new Refusal('missing ResourceStorage request')
  if (parseQuantity(size) <= 0) throw new Refusal('invalid ResourceStorage request')
}

export const storageType: Rule = ({ spec: { storageType } }) => {
  if (storageType !== 'Durable' && storageType !== 'Ephemeral')
    throw new Refusal(`'spec.storageType' ${storageType} is invalid`)
}

export function containersOf(part: Part) {
  return part.podTemplate?.spec?.containers ?? []
}

/** A rule about one part of a spec with pods: the whole, or one of its sections. */
type PartRule = (judged: { readonly spec: Part }) => void

/** @returns a rule that judges several parts of a spec, one after the other */
export function each(parts: (spec: Spec) => readonly Part[], ...rules: readonly PartRule[]): Rule {
  return ({ spec }) => {
    for (const part of parts(spec)) for (const rule of rules) rule({ spec: part })
  }
}

/** @param kind as the refusal calls it */
export function environment(kind: string, forbidden: readonly string[]): PartRule {
  return ({ spec }) => {
    for (const { name } of containersOf(spec).flatMap(({ env = [] }) => env))
      if (forbidden.includes(name))
        throw new Refusal(`environment variable ${name} is forbidden to use in ${kind} spec`)
  }
}

export function volumes(reserved: readonly string[]): PartRule {
  return ({ spec }) => {
    const said = reservedVolume(spec, reserved)
    if (said !== undefined) throw new Refusal(said)
  }
}

function reservedVolume({ podTemplate }: Part, reserved: readonly string[]): string | undefined {
  const taken = podTemplate?.spec?.volumes?.find(({ name }) => reserved.includes(name))
  return taken && `Cannot use a reserve volume name: ${taken.name}`
}

export function mountPaths(reserved: readonly string[]): PartRule {
  const trimmed = (path: string) => `${path.replace(/^\//, '').replace(/\/$/, '')}/`
  return ({ spec }) => {
    for (const { mountPath } of containersOf(spec).flatMap(({ volumeMounts = [] }) => volumeMounts)) {
      const taken = reserved.find((path) => trimmed(mountPath).startsWith(trimmed(path)))
      if (taken !== undefined)
        throw new Refusal(`Cannot use mountPath ${mountPath} because of reservedMountPaths path ${taken}`)
    }
  }
}

const agents = ['prometheus.io', 'prometheus.io/operator', 'prometheus.io/builtin']

export const monitor: Rule = ({ spec: { monitor } }) => {
  if (!monitor) return
  const { agent, prometheus } = monitor
  if (!agent) throw new Refusal(`object 'Agent' is missing in '${JSON.stringify(monitor)}'`)
  if (!agents.includes(agent)) throw new Refusal(`unknown monitoring agent type ${agent}`)
  const port = prometheus?.exporter?.port ?? 0
  if (port < 1024 || port > 65535)
    throw new Refusal(
      `invalid 'monitor.prometheus' in '${JSON.stringify(monitor)}'. prometheus.exporter.port value must be between 1024 and 65535, inclusive`,
    )
}

export const healthChecker: Rule = ({ spec: { healthChecker = {} } }) => {
  for (const field of ['periodSeconds', 'timeoutSeconds', 'failureThreshold'] as const) {
    const value = healthChecker[field]
    if (value !== undefined && value <= 0)
      throw new Refusal(`spec.healthCheck.${field}: can not be less than 1`)
  }
}

/** @param wish what the webhook of the kind wants the user to do */
export function externalSecret(wish = 'must configure "spec.authSecret.name"'): Rule {
  return ({ spec: { authSecret } }) => {
    if (authSecret?.externallyManaged && !authSecret.name)
      throw new Refusal(`for externallyManaged auth secret, user ${wish}`)
  }
}

/** @param field, verb: how the webhook of the kind calls the policy, and what a policy is */
export function deletionPolicy(field = 'spec.deletionPolicy', verb = 'used'): Rule {
  return ({ spec }) => {
    if (spec.deletionPolicy === undefined) throw new Refusal(`'${field}' is missing`)
    if (spec.storageType === 'Ephemeral' && spec.deletionPolicy === 'Halt')
      throw new Refusal(`'${field}: Halt' can not be ${verb} for 'Ephemeral' storage`)
  }
}

/**
 * The rules of kinds whose webhooks refuse with the field at fault.
 *
 * @param kind as it is in their answers
 */
export function fieldRules(kind: string) {
  const invalid = (name: string, field: string, detail: string) =>
    new Invalid(`${kind.toLowerCase()}.kubedb.com`, kind, name, [{ field, value: name, detail }])
  /** @param detail what is wrong with the field, if anything is */
  const rule =
    (field: string, detail: (spec: Spec) => string | undefined): Rule =>
    ({ db, spec }) => {
      const said = detail(spec)
      if (said !== undefined) throw invalid(db.metadata.name, field, said)
    }
  return {
    rule,
    /** @param policy as the webhook calls it */
    deletionRefusal: (policy: string) => (_namespace: string, name: string) =>
      invalid(name, 'spec.deletionPolicy', `Can not delete as ${policy} is set to "DoNotTerminate"`),
    tls: rule('spec.enableSSL', ({ enableSSL, tls }) => {
      if (enableSSL && !tls) return ".spec.tls can't be nil, if .spec.enableSSL is true"
      return !enableSSL && tls ? '.spec.tls must be nil, if .spec.enableSSL is disabled' : undefined
    }),
    volumes: (reserved: readonly string[]) =>
      rule('spec.podTemplate.spec.volumes', (spec) => reservedVolume(spec, reserved)),
    storageType: rule('spec.storageType', ({ storageType }) =>
      storageType !== 'Durable' && storageType !== 'Ephemeral'
        ? 'StorageType should be either durable or ephemeral'
        : undefined,
    ),
  }
}
