/** What users may set, checked against plan and kind. */
import * as v from 'valibot'
import { BrokerError } from '../../values/errors.ts'
import { isObject, JsonObject } from '../../values/json.ts'
import type { Parameters, Plan, Role, Traits } from '../../values/nouns.ts'
import { quantityMistake } from '../../values/quantity.ts'
import { durabilityMistakes } from './durability.ts'
import { mergePatch } from './merge-patch.ts'
import { metadataMistakes } from './metadata.ts'
import { specMistakes } from './raw-spec.ts'
import { hasControlCharacters, list, member, schemaMistakes } from './schema.ts'
import { bindingSchema, instanceSchema, type Purpose } from './schemas.ts'
import { engineContainer, sizeMistakes, sizes } from './sizes.ts'

/** The most bytes of JSON that `parameters` may be; records keep them in an annotation. */
export const maximumSize = { instance: 16 * 1024, binding: 4 * 1024 } as const

/** What checking depends on of a plan. */
export type PlanOffer = Pick<Plan, 'version' | 'parameters' | 'spec'>

/** Mistakes that one message lists; beyond, it says how many there are. */
const listed = 10

const shape = v.object({
  version: v.exactOptional(v.string()),
  cpu: v.exactOptional(v.string()),
  memory: v.exactOptional(v.string()),
  storage: v.exactOptional(v.string()),
  storageClass: v.exactOptional(v.string()),
  replicas: v.exactOptional(v.number()),
  shards: v.exactOptional(v.number()),
  tls: v.exactOptional(v.string()),
  database: v.exactOptional(v.string()),
  configuration: v.exactOptional(v.record(v.string(), v.union([v.string(), v.number(), v.boolean()]))),
  deletionPolicy: v.exactOptional(v.picklist(['Halt', 'Delete', 'WipeOut'])),
  suspended: v.exactOptional(v.boolean()),
  metadata: v.exactOptional(
    v.object({
      labels: v.exactOptional(v.record(v.string(), v.string())),
      annotations: v.exactOptional(v.record(v.string(), v.string())),
    }),
  ),
  spec: v.exactOptional(JsonObject),
})

/**
 * Checks the `parameters` of a provision or an update against the plan's bounds and the kind's allow-lists (OSB:
 * Provisioning, Updating a Service Instance). Pure.
 *
 * The *result* of an update, the stored parameters with the change laid over them, is checked as `create`: it may
 * carry what was fixed at creation, and holds no nulls.
 *
 * @param parameters as sent; undefined, null and `{}` are none
 * @param purpose `update`: null takes a parameter back, and what is fixed at creation may not be named
 * @param metadataPrefixes prefixes under which users may set labels and annotations
 * @returns the parameters, nulls left out, a `spec.version` as `version`
 * @throws {BrokerError} BadRequest, naming every mistake by its place and what is allowed there
 */
export function checkParameters(
  plan: PlanOffer,
  traits: Traits,
  parameters: unknown,
  purpose: Purpose,
  metadataPrefixes: readonly string[],
): Parameters {
  const sent = members(parameters, maximumSize.instance)
  const { named, spec, mistakes } = separate(sent, plan)
  const { properties = {} } = instanceSchema(plan, traits, purpose)
  for (const [name, { path, value }] of named) {
    const schema = Object.hasOwn(properties, name) ? properties[name] : undefined
    if (!schema) {
      mistakes.push(`${path}: ${notOffered(name, plan, traits, Object.keys(properties))}`)
      continue
    }
    const misshapen = schemaMistakes(schema, value, path)
    mistakes.push(
      ...(misshapen.length > 0 ? misshapen : beyondSchema(name, value, plan, path, metadataPrefixes)),
    )
  }
  if (spec && properties.spec) mistakes.push(...rawMistakes(spec, named, plan, traits, purpose))
  refuse(mistakes)
  const checked = Object.fromEntries([...named].map(([name, { value }]) => [name, value]))
  const accepted = v.parse(
    shape,
    mergePatch({}, v.parse(JsonObject, { ...checked, ...(spec ? { spec } : {}) })),
  )
  if (accepted.spec && purpose === 'create') refuse(diskMistakes(accepted, accepted.spec, plan, traits))
  return accepted
}

/**
 * Checks the `parameters` of a binding (OSB: Binding). Pure.
 *
 * @param parameters as sent; undefined, null and `{}` are none
 * @returns the role, the kind's first where none is asked for
 * @throws {BrokerError} BadRequest, naming every mistake by its place and what is allowed there
 */
export function checkBindingParameters(traits: Traits, parameters: unknown): { role: Role } {
  const sent = members(parameters, maximumSize.binding)
  refuse(schemaMistakes(bindingSchema(traits), sent, 'parameters'))
  const [first] = traits.roles
  if (first === undefined) throw new Error(`${traits.kind} has no role for bindings`)
  return v.parse(v.object({ role: v.optional(v.picklist(traits.roles), first) }), sent)
}

type Named = Map<string, { path: string; value: unknown }>

function members(parameters: unknown, maximum: number): { [name: string]: unknown } {
  if (parameters === undefined || parameters === null) return {}
  if (!isObject(parameters)) throw new BrokerError('BadRequest', 'parameters: must be an object')
  const size = Buffer.byteLength(JSON.stringify(parameters))
  if (size <= maximum) return parameters
  throw new BrokerError('BadRequest', `parameters: has ${size} bytes as JSON; at most ${maximum} are taken`)
}

/**
 * Takes the raw spec apart from the rest. Its `version` is the parameter of that name, written where the AppsCode
 * broker had it.
 */
function separate(
  { spec, ...others }: { [name: string]: unknown },
  plan: PlanOffer,
): { named: Named; spec: { [key: string]: unknown } | undefined; mistakes: string[] } {
  const named: Named = new Map(
    Object.entries(others).map(([name, value]) => [name, { path: member('parameters', name), value }]),
  )
  const mistakes: string[] = []
  if (spec === undefined) return { named, spec: undefined, mistakes }
  if (!isObject(spec) || !plan.parameters.spec) {
    named.set('spec', { path: 'parameters.spec', value: spec })
    return { named, spec: undefined, mistakes }
  }
  const { version, ...rest } = spec
  const path = 'parameters.spec.version'
  if (version !== undefined && others.version !== undefined && version !== others.version) {
    mistakes.push(`${path}: differs from parameters.version; send one of them`)
  } else if (version !== undefined && (plan.parameters.version || version !== plan.version)) {
    named.set('version', { path, value: version })
  }
  return { named, spec: rest, mistakes }
}

function notOffered(name: string, plan: PlanOffer, traits: Traits, offered: readonly string[]): string {
  const lacks = new Map(Object.entries(traits.lacks ?? {})).get(name)
  if (lacks !== undefined) return `${traits.kind} ${lacks}; leave it out`
  if (name === 'database' && plan.parameters.database) return 'is fixed when the instance is created'
  return offered.length === 0
    ? 'this plan takes no parameters'
    : `this plan does not take it; it takes ${list(offered)}`
}

/** What a schema cannot say: quantities in their bounds, names under their prefixes. */
function beyondSchema(
  name: string,
  value: unknown,
  plan: PlanOffer,
  path: string,
  metadataPrefixes: readonly string[],
): string[] {
  if ((name === 'cpu' || name === 'memory' || name === 'storage') && typeof value === 'string') {
    const mistake = quantityMistake(name === 'cpu' ? 'cpu' : 'bytes', value, plan.parameters[name])
    return mistake === undefined ? [] : [`${path}: ${mistake}`]
  }
  if (name === 'configuration' && isObject(value)) return lineMistakes(value, path)
  return name === 'metadata' && isObject(value) ? metadataMistakes(value, metadataPrefixes, path) : []
}

/** Settings become lines of a file: whatever a setting's pattern lets through, no value may begin another line. */
function lineMistakes(settings: { [name: string]: unknown }, path: string): string[] {
  return Object.entries(settings)
    .filter(([, value]) => typeof value === 'string' && hasControlCharacters(value))
    .map(([name]) => `${member(path, name)}: must not contain line breaks or other control characters`)
}

/** The allow-list, then the plan's bounds on what a raw spec asks for, then whether the disks make sense. */
function rawMistakes(
  spec: { [key: string]: unknown },
  named: Named,
  plan: PlanOffer,
  traits: Traits,
  purpose: Purpose,
): string[] {
  const path = 'parameters.spec'
  const found = sizes(spec, engineContainer(traits.kind), path)
  return [
    ...specMistakes(spec, traits.spec, path, purpose),
    ...sizeMistakes(found, plan.parameters),
    ...found
      .filter(({ parameter }) => named.has(parameter))
      .map((size) => `${size.path}: says the same as parameters.${size.parameter}; send one of them`),
  ]
}

/** What the raw spec makes of the plan's: KubeDB's rules about disks are about the whole. */
function diskMistakes(
  { storage, deletionPolicy, suspended }: Parameters,
  spec: JsonObject,
  plan: PlanOffer,
  traits: Traits,
): string[] {
  if (!traits.parameters.includes('storage')) return []
  // Who asks for an ephemeral database does not ask for the plan's disk.
  const template = spec.storageType === 'Ephemeral' ? mergePatch(plan.spec, { storage: null }) : plan.spec
  const result = mergePatch(mergePatch(template, spec), {
    ...(storage === undefined ? {} : { storage: { resources: { requests: { storage } } } }),
    ...(deletionPolicy === undefined ? {} : { deletionPolicy }),
  })
  return [
    ...durabilityMistakes(result, engineContainer(traits.kind), 'parameters.spec'),
    ...(suspended && result.storageType === 'Ephemeral'
      ? ['parameters.suspended: an ephemeral database would lose its data; leave it out']
      : []),
  ]
}

function refuse(mistakes: readonly string[]): void {
  if (mistakes.length === 0) return
  const rest = mistakes.length - listed
  const more = rest > 0 ? `; and ${rest} more` : ''
  throw new BrokerError('BadRequest', `${mistakes.slice(0, listed).join('; ')}${more}`)
}
