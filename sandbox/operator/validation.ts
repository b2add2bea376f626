/** What KubeDB's validating webhooks refuse about several kinds, in their words. All throw {@link Refusal}. */
import { equal } from '../../shared/values/json.ts'
import { Refusal } from './admission.ts'
import type { Context, Path } from './kind.ts'
import { parseQuantity } from './quantity.ts'
import type { Database, Part, Spec } from './resources.ts'
import { valueAt } from './spec-path.ts'

/** How kmodules' PreConditionSet says that something immutable was changed. */
export function preconditionMessage(target: string, fields: readonly string[]): string {
  const kept = ['apiVersion', 'kind', 'name', 'namespace', ...fields].join('\n\t')
  return `precondition failed for: ${target}.At least one of the following was changed:\n\t${kept}`
}

/** @param fixed dotted paths that must not change; `*` stands for any key */
export function validateChange(db: Database, old: Database, fixed: readonly string[]): void {
  const initialized = old.spec.init?.initialized ?? false
  const kept = initialized ? [...fixed, 'spec.init'] : fixed
  for (const dotted of kept)
    for (const path of pathsOf(dotted.split('.'), db, old)) {
      const value = valueAt(db, path)
      if (!equal(value, valueAt(old, path))) throw new Refusal(preconditionMessage(goMap(path, value), kept))
    }
}

function pathsOf(dotted: Path, ...objects: Database[]): Path[] {
  const star = dotted.indexOf('*')
  if (star < 0) return [dotted]
  const parents = objects.map((object) => valueAt(object, dotted.slice(0, star)))
  const keys = new Set(
    parents.flatMap((parent) => (parent !== null && typeof parent === 'object' ? Object.keys(parent) : [])),
  )
  return [...keys].map((key) => [...dotted.slice(0, star), key, ...dotted.slice(star + 1)])
}

/** A merge patch as Go prints a map. */
function goMap(path: Path, value: unknown): string {
  const leaf = value !== null && typeof value === 'object' ? 'map[]' : String(value)
  return path.reduceRight((inner, key) => `map[${key}:${inner}]`, leaf)
}

/** @param section where the storage is, as the refusal names it */
export function validateStorage(
  spec: Spec,
  storage: Part['storage'],
  context: Context,
  section = 'spec.storage',
) {
  if (spec.storageType === 'Ephemeral') return
  if (!storage) throw new Refusal(`${section} is missing for durable storage type`)
  const className = storage.storageClassName
  if (className !== undefined && !context.storageClassExists(className))
    throw new Refusal(`${section}.storageClassName "${className}" not found`)
  const size = storage.resources?.requests?.storage
  if (size === undefined) throw new Refusal('missing ResourceStorage request')
  if (parseQuantity(size) <= 0) throw new Refusal('invalid ResourceStorage request')
}

export function validateStorageType({ storageType }: Spec): void {
  if (storageType !== 'Durable' && storageType !== 'Ephemeral')
    throw new Refusal(`'spec.storageType' ${storageType} is invalid`)
}

export function containersOf(part: Part) {
  return part.podTemplate?.spec?.containers ?? []
}

export function validateEnvironment(part: Part, forbidden: readonly string[], kind: string): void {
  for (const container of containersOf(part))
    for (const { name } of container.env ?? [])
      if (forbidden.includes(name))
        throw new Refusal(`environment variable ${name} is forbidden to use in ${kind} spec`)
}

export function validateVolumes(part: Part, reserved: readonly string[]): void {
  for (const { name } of part.podTemplate?.spec?.volumes ?? [])
    if (reserved.includes(name)) throw new Refusal(`Cannot use a reserve volume name: ${name}`)
}

export function validateMountPaths(part: Part, reserved: readonly string[]): void {
  const trimmed = (path: string) => `${path.replace(/^\//, '').replace(/\/$/, '')}/`
  for (const container of containersOf(part))
    for (const { mountPath } of container.volumeMounts ?? []) {
      const taken = reserved.find((path) => trimmed(mountPath).startsWith(trimmed(path)))
      if (taken !== undefined)
        throw new Refusal(`Cannot use mountPath ${mountPath} because of reservedMountPaths path ${taken}`)
    }
}

const agents = ['prometheus.io', 'prometheus.io/operator', 'prometheus.io/builtin']

export function validateMonitor({ monitor }: Spec): void {
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

export function validateHealthChecker({ healthChecker = {} }: Spec): void {
  const fields = ['periodSeconds', 'timeoutSeconds', 'failureThreshold'] as const
  for (const field of fields) {
    const value = healthChecker[field]
    if (value !== undefined && value <= 0)
      throw new Refusal(`spec.healthCheck.${field}: can not be less than 1`)
  }
}

/** @param words what the webhook of the kind says */
export function validateExternalSecret(spec: Spec, words: string): void {
  if (spec.authSecret?.externallyManaged && !spec.authSecret.name) throw new Refusal(words)
}

export function validateDeletionPolicy(
  spec: Spec,
  words = {
    missing: "'spec.deletionPolicy' is missing",
    halt: "'spec.deletionPolicy: Halt' can not be used for 'Ephemeral' storage",
  },
): void {
  if (spec.deletionPolicy === undefined) throw new Refusal(words.missing)
  if (spec.storageType === 'Ephemeral' && spec.deletionPolicy === 'Halt') throw new Refusal(words.halt)
}
