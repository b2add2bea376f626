/** From plan and parameters to a KubeDB spec, as far as more than one kind shares it. Pure. */
import { BrokerError } from '../../../values/errors.ts'
import { isObject, type JsonObject } from '../../../values/json.ts'
import type { Issuer } from '../../../values/nouns.ts'
import type { Settings, Wanted } from '../database.ts'
import { compareVersions, section } from './dimensions.ts'
import { at, merge, put } from './spec.ts'

/** @returns the plan's template with the user's raw spec laid over it, and the version */
export function begin(template: JsonObject, { spec, version }: Wanted): JsonObject {
  return { ...merge(template, spec ?? {}), version }
}

/**
 * @param topology key of the topology that a kind may have instead of the sizes at the top of its spec
 * @returns the template without those sizes, where the user's raw spec brings the topology with it
 */
export function templateFor(template: JsonObject, { spec }: Wanted, topology: string): JsonObject {
  if (spec?.[topology] === undefined || template[topology] !== undefined) return template
  const { replicas: _, storage: __, podTemplate: ___, replicaSet: ____, ...rest } = template
  return rest
}

/**
 * Holds what KubeDB is to be asked for against its rules.
 *
 * @throws {BrokerError} BadRequest, naming the parameter
 */
export function hold(mistakes: readonly string[], wanted: Wanted): void {
  if (mistakes.length === 0) return
  throw new BrokerError('BadRequest', mistakes.map((mistake) => `${placeOf(mistake, wanted)}`).join('; '))
}

/** A user who sent `replicas` is not told of `spec.cluster.replicas`. */
function placeOf(mistake: string, wanted: Wanted): string {
  const [path = '', ...rest] = mistake.split(': ')
  const last = path.split('.').at(-1)
  const parameter =
    (last === 'replicas' && wanted.replicas !== undefined) ||
    (last === 'shards' && wanted.shards !== undefined)
      ? last
      : path === 'version'
        ? path
        : `spec.${path}`
  return `parameters.${parameter}: ${rest.join(': ')}`
}

/**
 * @param more what goes with encryption, where the template does not say it
 * @returns the spec with certificates of the issuer; as it is, where no issuer is asked for
 */
export function withTls(spec: JsonObject, issuer: Issuer | undefined, more: JsonObject = {}): JsonObject {
  const encrypted = issuer
    ? put(spec, 'tls.issuerRef', { apiGroup: 'cert-manager.io', kind: issuer.kind, name: issuer.name })
    : spec
  return isObject(encrypted.tls) ? { ...more, ...encrypted } : encrypted
}

/**
 * @param text lines for the engine's configuration file, after those of the plan
 * @returns the spec with the file, where it says anything
 */
export function withFile(spec: JsonObject, file: string, text: string, path = 'configuration'): JsonObject {
  if (text === '') return spec
  const planned = section(at(spec, path), 'inline')
  const whole = `${String(planned[file] ?? '')}${text}`
  return put(spec, `${path}.inline`, { ...planned, [file]: whole })
}

/** @returns one line a setting, in the order of names: equal settings give equal files */
export function lines(
  settings: Wanted['configuration'],
  line: (name: string, value: string | number | boolean) => string,
): string {
  return Object.entries(settings ?? {})
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, value]) => `${line(name, value)}\n`)
    .join('')
}

/** @returns the spec with what every kind has */
export function finish(spec: JsonObject, wanted: Wanted, settings: Settings): JsonObject {
  const result: JsonObject = {
    ...spec,
    deletionPolicy: wanted.deletionPolicy ?? spec.deletionPolicy ?? 'WipeOut',
  }
  if (wanted.suspended !== undefined) result.halted = wanted.suspended
  return withAddresses(result, settings)
}

/** A database that platforms outside the cluster reach gets a load balancer of its own, or a port on the nodes. */
function withAddresses(spec: JsonObject, { addresses, nodeHost }: Settings): JsonObject {
  if (addresses === 'cluster') return spec
  const type = nodeHost === undefined ? 'LoadBalancer' : 'NodePort'
  return { ...spec, serviceTemplates: [{ alias: 'primary', spec: { type } }] }
}

/** @returns the mistake of a version below `least` */
export function olderThan(spec: JsonObject, least: string, why: string): string[] {
  const { version } = spec
  return typeof version === 'string' && compareVersions(version, least) < 0
    ? [`version: ${version} is not offered: ${why}; choose ${least} or later`]
    : []
}

/** @returns paths of a raw spec for the sizes of one component: its disk, and its container's resources */
export function sizable(
  path: string,
  container: string,
  { disk }: { disk: boolean } = { disk: true },
): string[] {
  const at = path === '' ? '' : `${path}.`
  const containers = `${at}podTemplate.spec.containers.*`
  return [
    ...(disk
      ? [
          `${at}storage.storageClassName`,
          `${at}storage.accessModes.*=ReadWriteOnce|ReadWriteOncePod`,
          `${at}storage.resources.requests.storage`,
        ]
      : []),
    `${containers}.name=${container}`,
    `${containers}.resources.requests.cpu`,
    `${containers}.resources.requests.memory`,
    `${containers}.resources.limits.cpu`,
    `${containers}.resources.limits.memory`,
  ]
}
