import * as v from 'valibot'
import { isObject, JsonObject } from '../../values/json.ts'
import type { Bounds, Traits } from '../../values/nouns.ts'
import { semverOf } from '../../values/semver.ts'
import { durabilityMistakes } from '../parameters/durability.ts'
import { list, member, shown } from '../parameters/schema.ts'
import { schemasOf } from '../parameters/schemas.ts'
import { engineContainer, mainSizes, type Size, sizeMistakes } from '../parameters/sizes.ts'
import { boundsFormat } from './format.ts'
import { boundsOf, maintenanceVersionOf } from './plan.ts'

/** Bytes of JSON that OSB allows a schema. */
const largestSchema = 64_000

/**
 * What a shape cannot say about a catalog file: things that must agree with each other. Each rule reads only its own
 * part, so that a mistake elsewhere does not hide its own.
 *
 * @param document the parsed file, right in shape or not
 * @param traits the KubeDB kinds that this broker knows, by name
 * @returns one sentence for each mistake, beginning with its place
 */
export function catalogRuleMistakes(document: unknown, traits: ReadonlyMap<string, Traits>): string[] {
  const services = elements(isObject(document) ? document.services : undefined)
  const everything = services.flatMap(({ value, path }) => [
    { value, path },
    ...elements(value.plans, member(path, 'plans')),
  ])
  return [
    ...repeated(everything, 'id'),
    ...repeated(services, 'name'),
    ...services.flatMap(({ value, path }) => serviceMistakes(value, traits, path)),
  ]
}

interface Entry {
  value: { [key: string]: unknown }
  path: string
}

function elements(value: unknown, path = 'services'): Entry[] {
  if (!Array.isArray(value)) return []
  return value.flatMap((element: unknown, index) =>
    isObject(element) ? [{ value: element, path: member(path, index) }] : [],
  )
}

function repeated(entries: readonly Entry[], key: string): string[] {
  const first = new Map<string, string>()
  return entries.flatMap(({ value, path }) => {
    const own = value[key]
    if (typeof own !== 'string') return []
    const taken = first.get(own)
    if (taken === undefined) first.set(own, path)
    return taken === undefined
      ? []
      : [`${member(path, key)}: ${shown(own)} is taken by ${taken}; it must be unique`]
  })
}

function serviceMistakes(
  service: Entry['value'],
  traits: ReadonlyMap<string, Traits>,
  path: string,
): string[] {
  const plans = elements(service.plans, member(path, 'plans'))
  const kind = service.kind
  const own = typeof kind === 'string' ? traits.get(kind) : undefined
  const unknownKind =
    typeof kind === 'string' && own === undefined
      ? [
          `${member(path, 'kind')}: ${shown(kind)} is no kind this broker knows; choose ${list([...traits.keys()])}`,
        ]
      : []
  return [
    ...unknownKind,
    ...repeated(plans, 'name'),
    ...plans.flatMap((plan) => [
      ...versionMistakes(plan),
      ...templateMistakes(plan),
      ...(own ? kindMistakes(plan, own) : []),
    ]),
  ]
}

function versionMistakes({ value, path }: Entry): string[] {
  return [
    ...when(
      v.object({ version: v.string(), versions: v.array(v.string()) }),
      value,
      ({ version, versions }) =>
        versions.includes(version)
          ? []
          : [
              `${member(path, 'version')}: ${shown(version)} is not among versions; add it there or choose ${list(versions)}`,
            ],
    ),
    ...when(v.object({ engineVersion: v.string() }), value, ({ engineVersion }) =>
      semverOf(engineVersion) === undefined
        ? [
            `${member(path, 'engineVersion')}: ${shown(engineVersion)} is no version such as "18.3" or "18.3.0"`,
          ]
        : [],
    ),
    ...when(v.object({ version: v.string(), engineVersion: v.optional(v.undefined()) }), value, (plan) =>
      maintenanceVersionOf(plan) === undefined
        ? [
            `${member(path, 'version')}: ${shown(plan.version)} does not tell the engine's version; add engineVersion, such as "18.3"`,
          ]
        : [],
    ),
  ]
}

/** What no kind's template may say, because the broker says it. */
function templateMistakes({ value, path }: Entry): string[] {
  const spec = value.spec
  if (!isObject(spec)) return []
  const place = member(path, 'spec')
  return [
    ...(spec.version === undefined
      ? []
      : [`${member(place, 'version')}: belongs beside spec, as version of the plan`]),
    ...(spec.halted === undefined
      ? []
      : [`${member(place, 'halted')}: is the broker's to set; offer the parameter suspended instead`]),
    ...(spec.deletionPolicy === 'DoNotTerminate'
      ? [
          `${member(place, 'deletionPolicy')}: DoNotTerminate would block deprovisioning; choose WipeOut, Delete or Halt`,
        ]
      : []),
    ...unstorable(spec, place),
  ]
}

/** YAML has numbers that JSON has not. */
function unstorable(value: unknown, path: string): string[] {
  if (typeof value === 'number' && !Number.isFinite(value))
    return [`${path}: ${value} is no number JSON can hold`]
  if (Array.isArray(value))
    return value.flatMap((one: unknown, index) => unstorable(one, member(path, index)))
  return isObject(value)
    ? Object.entries(value).flatMap(([key, one]) => unstorable(one, member(path, key)))
    : []
}

function kindMistakes({ value, path }: Entry, traits: Traits): string[] {
  const place = member(path, 'parameters')
  const spec = isObject(value.spec) ? value.spec : {}
  return [
    ...ruleMistakes(value, spec, traits, path),
    ...boundsMistakes(value, spec, traits, path),
    ...(isObject(value.parameters) ? offerMistakes(value.parameters, spec, traits, place) : []),
    ...(traits.parameters.includes('storage') && !leavesDiskToUser(value, spec)
      ? durabilityMistakes(spec, engineContainer(traits.kind), member(path, 'spec'))
      : []),
  ]
}

/** The kind's own rules, for the spec that the plan makes where nothing is asked for. */
function ruleMistakes(
  { version }: Entry['value'],
  spec: Entry['value'],
  traits: Traits,
  path: string,
): string[] {
  if (typeof version !== 'string' || !v.is(JsonObject, spec)) return []
  return (traits.mistakes?.({ ...spec, version }) ?? []).map((mistake) =>
    mistake.startsWith('version: ') ? `${path}.${mistake}` : `${member(path, 'spec')}.${mistake}`,
  )
}

/** A plan that takes a raw spec may leave the choice of a disk to it. */
function leavesDiskToUser(plan: Entry['value'], spec: Entry['value']): boolean {
  const parameters = plan.parameters
  return (
    isObject(parameters) &&
    parameters.spec === true &&
    spec.storageType === undefined &&
    spec.storage === undefined
  )
}

/** The plan's own values lie within its bounds, and its schemas within OSB's. */
function boundsMistakes(plan: Entry['value'], spec: Entry['value'], traits: Traits, path: string): string[] {
  return when(
    v.object({
      version: v.string(),
      versions: v.exactOptional(v.array(v.string())),
      parameters: v.exactOptional(boundsFormat()),
    }),
    plan,
    ({ version, versions, parameters }) => {
      const bounds = boundsOf(versions, parameters)
      const found = v.is(JsonObject, spec) ? mainSizes(spec, traits, member(path, 'spec')) : []
      return [
        ...sizeMistakes(found, bounds),
        ...singleServerMistakes(found, bounds, path),
        ...shardMistakes(found, bounds, path),
        ...schemaSizeMistakes(version, bounds, traits, path),
      ]
    },
  )
}

function singleServerMistakes(found: readonly Size[], { replicas }: Bounds, path: string): string[] {
  if (!replicas || replicas.min < 2 || found.some(({ parameter }) => parameter === 'replicas')) return []
  return [
    `${path}.spec.replicas: is missing, so there would be 1, less than this plan's smallest, ${replicas.min}; add it`,
  ]
}

/** A plan that takes a raw spec may leave it to that whether there are shards. */
function shardMistakes(found: readonly Size[], { shards, spec }: Bounds, path: string): string[] {
  if (!shards || spec || found.some(({ parameter }) => parameter === 'shards')) return []
  return [`${path}.parameters.shards: the plan's spec has none; say how many there are, or take it away`]
}

function schemaSizeMistakes(version: string, parameters: Bounds, traits: Traits, path: string): string[] {
  const { create, update } = schemasOf({ version, parameters }, traits, false).service_instance
  const size = Math.max(
    ...[create, update].map((schema) => Buffer.byteLength(JSON.stringify(schema.parameters))),
  )
  if (size <= largestSchema) return []
  return [
    `${member(path, 'parameters')}: make a JSON Schema of ${size} bytes; OSB allows ${largestSchema}; offer fewer versions or storage classes`,
  ]
}

/** Only what the engine has, and what fits the template, can be offered. */
function offerMistakes(
  offered: Entry['value'],
  spec: Entry['value'],
  traits: Traits,
  path: string,
): string[] {
  const known = Object.keys(boundsFormat().entries)
  const has: readonly string[] = traits.parameters
  const lacks = new Map(Object.entries(traits.lacks ?? {}))
  const foreign = Object.keys(offered)
    .filter(
      (name) => name !== 'version' && known.includes(name) && offered[name] !== false && !has.includes(name),
    )
    .map(
      (name) =>
        `${member(path, name)}: ${traits.kind} ${lacks.get(name) ?? 'does not have it'}; take it away`,
    )
  if (spec.storageType !== 'Ephemeral') return foreign
  return [
    ...foreign,
    ...['storage', 'storageClass']
      .filter((name) => offered[name] !== undefined)
      .map(
        (name) =>
          `${member(path, name)}: an ephemeral database has no disk; take it away, or make storageType Durable`,
      ),
    ...(offered.suspended === true
      ? [`${member(path, 'suspended')}: an ephemeral database would lose its data; take it away`]
      : []),
    ...when(
      v.object({ deletionPolicy: v.object({ enum: v.array(v.string()) }) }),
      offered,
      ({ deletionPolicy }) =>
        deletionPolicy.enum.includes('Halt')
          ? [
              `${member(path, 'deletionPolicy')}.enum: Halt keeps the disk, and an ephemeral database has none; take it away`,
            ]
          : [],
    ),
  ]
}

/** Applies a check to what it is about, once that part has the right shape; its shape is another's to complain of. */
function when<S extends v.GenericSchema<unknown, unknown>>(
  schema: S,
  value: unknown,
  check: (part: v.InferOutput<S>) => string[],
): string[] {
  const part = v.safeParse(schema, value)
  return part.success ? check(part.output) : []
}
