import { isObject, type JsonObject } from '../../values/json.ts'
import type { Bounds, Traits } from '../../values/nouns.ts'
import { quantityMistake } from '../../values/quantity.ts'
import { list, member, shown } from './schema.ts'

/** Something in a KubeDB spec that a plan's bounds are about. */
export interface Size {
  parameter: 'replicas' | 'shards' | 'cpu' | 'memory' | 'storage' | 'storageClass' | 'deletionPolicy'
  path: string
  value: unknown
}

/**
 * Finds what bounds are about, wherever a kind keeps it: at the top, or below the parts of a sharded topology.
 *
 * @param spec a KubeDB spec, or a part of one
 * @param container name of the engine's container; others, such as exporters, are not the user's
 */
export function sizes(spec: { [key: string]: unknown }, container: string, path: string): Size[] {
  const policy: Size[] =
    spec.deletionPolicy === undefined
      ? []
      : [{ parameter: 'deletionPolicy', path: member(path, 'deletionPolicy'), value: spec.deletionPolicy }]
  return [...policy, ...within(spec, container, path)]
}

/** @returns the sizes in the part of the spec that the parameters are about, and what concerns the whole */
export function mainSizes(spec: JsonObject, traits: Traits, path: string): Size[] {
  const main = traits.main?.(spec) ?? ''
  const place = main === '' ? path : `${path}.${main}`
  return sizes(spec, engineContainer(traits.kind), path).filter(
    (size) => size.parameter === 'deletionPolicy' || size.path.startsWith(`${place}.`),
  )
}

/** @returns what of a spec lies outside the bounds; what has no bound is free */
export function sizeMistakes(found: readonly Size[], bounds: Bounds): string[] {
  return found.flatMap((size) => {
    const mistake = mistakeOf(size, bounds)
    return mistake === undefined ? [] : [`${size.path}: ${mistake}`]
  })
}

/** @returns name of the container that the engine runs in, which KubeDB calls like the kind */
export function engineContainer(kind: string): string {
  return kind.toLowerCase()
}

function within(value: unknown, container: string, path: string): Size[] {
  if (Array.isArray(value)) {
    return value.flatMap((element: unknown, index) => within(element, container, member(path, index)))
  }
  if (!isObject(value)) return []
  return Object.entries(value).flatMap(([key, child]) => {
    const place = member(path, key)
    if ((key === 'replicas' || key === 'shards') && child !== null && typeof child !== 'object') {
      return [{ parameter: key, path: place, value: child }]
    }
    if (key === 'storage' && isObject(child)) return disk(child, place)
    if (key === 'containers' && Array.isArray(child)) return servers(child, container, place)
    return within(child, container, place)
  })
}

function disk(claim: { [key: string]: unknown }, path: string): Size[] {
  const place = member(path, 'storageClassName')
  const name = claim.storageClassName
  return [
    ...amounts(claim.resources, ['storage'], member(path, 'resources')),
    ...(name === undefined ? [] : [{ parameter: 'storageClass', path: place, value: name } as const]),
  ]
}

function servers(containers: readonly unknown[], container: string, path: string): Size[] {
  return containers.flatMap((one, index) =>
    // One without a name would be filled in as the engine's.
    isObject(one) && (one.name ?? container) === container
      ? amounts(one.resources, ['cpu', 'memory'], member(member(path, index), 'resources'))
      : [],
  )
}

function amounts(
  resources: unknown,
  parameters: readonly ('cpu' | 'memory' | 'storage')[],
  path: string,
): Size[] {
  if (!isObject(resources)) return []
  return ['requests', 'limits'].flatMap((side) => {
    const amount = resources[side]
    if (!isObject(amount)) return []
    return parameters
      .filter((parameter) => amount[parameter] !== undefined)
      .map((parameter) => ({
        parameter,
        path: member(member(path, side), parameter),
        value: amount[parameter],
      }))
  })
}

function mistakeOf({ parameter, value }: Size, bounds: Bounds): string | undefined {
  // Null takes a value back; what is then in force is the plan's.
  if (value === null) return undefined
  switch (parameter) {
    case 'replicas':
    case 'shards':
      return typeof value === 'number' ? countMistake(value, bounds[parameter]) : 'must be a whole number'
    case 'cpu':
    case 'memory':
    case 'storage':
      if (typeof value !== 'string' && typeof value !== 'number') return 'must be a quantity such as "1"'
      return quantityMistake(parameter === 'cpu' ? 'cpu' : 'bytes', String(value), bounds[parameter])
    case 'storageClass':
      return choiceMistake(value, bounds.storageClass?.enum)
    case 'deletionPolicy':
      return choiceMistake(value, bounds.deletionPolicy?.enum)
  }
}

function countMistake(value: number, range: { min: number; max: number } | undefined): string | undefined {
  if (!Number.isInteger(value) || value < 1) return `${value} must be a whole number, at least 1`
  if (range && value < range.min) return `${value} is less than this plan's smallest, ${range.min}`
  if (range && value > range.max) return `${value} is more than this plan's largest, ${range.max}`
  return undefined
}

function choiceMistake(value: unknown, choices: readonly string[] | undefined): string | undefined {
  if (choices === undefined || choices.some((choice) => choice === value)) return undefined
  return `${shown(value)} is not offered; choose ${list(choices.map(shown))}`
}
