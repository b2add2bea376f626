/** Dimensions and spec-building that more than one kind shares. Pure. */
import { BrokerError } from '../../errors.ts'
import { equal, isObject, type Json, type JsonObject } from '../../json.ts'
import type { Parameters } from '../../nouns.ts'
import { parseQuantity } from '../../quantity.ts'
import type { Change, Dimension, Settings } from './database.ts'

/** @returns the value at a dotted path, null where there is none */
export function at(spec: JsonObject, path: string): Json {
  let value: Json | undefined = spec
  for (const key of path.split('.')) value = isObject(value) ? value[key] : undefined
  return value ?? null
}

/** @returns a copy with `value` at the dotted path */
export function put(spec: JsonObject, path: string, value: Json): JsonObject {
  const [key = '', ...rest] = path.split('.')
  if (rest.length === 0) return { ...spec, [key]: value }
  const below = spec[key]
  return { ...spec, [key]: put(isObject(below) ? below : {}, rest.join('.'), value) }
}

/** Deep merge: members of `over` win; lists of named objects are merged by name, others replaced whole. */
export function merge(base: JsonObject, over: JsonObject): JsonObject {
  const result: JsonObject = { ...base }
  for (const [key, value] of Object.entries(over)) result[key] = merged(result[key], value)
  return result
}

function merged(below: Json | undefined, value: Json): Json {
  if (isObject(below) && isObject(value)) return merge(below, value)
  const before = named(below)
  const after = named(value)
  if (!before || !after) return value
  return [...new Map([...before, ...after]).keys()].map((name) =>
    merge(before.get(name) ?? {}, after.get(name) ?? {}),
  )
}

/** @returns the objects of a list by their names, or undefined where one has none */
function named(list: Json | undefined): Map<string, JsonObject> | undefined {
  if (!Array.isArray(list)) return undefined
  const byName = new Map<string, JsonObject>()
  for (const one of list) {
    if (!isObject(one) || typeof one.name !== 'string') return undefined
    byName.set(one.name, one)
  }
  return byName
}

const containersPath = 'podTemplate.spec.containers'

const containers = (spec: JsonObject): JsonObject[] => {
  const list = at(spec, containersPath)
  return Array.isArray(list) ? list.filter((one): one is JsonObject => isObject(one)) : []
}

/** @returns requests and limits of the engine's container */
export function resourcesOf(spec: JsonObject, container: string): JsonObject {
  const found = containers(spec).find((one) => one.name === container)
  const resources = found?.resources
  return isObject(resources) ? resources : {}
}

/** Writes cpu and memory into the engine's container. Memory is requested and limited alike, CPU is not limited. */
export function withResources(spec: JsonObject, container: string, { cpu, memory }: Parameters): JsonObject {
  if (cpu === undefined && memory === undefined) return spec
  const resources = merge(resourcesOf(spec, container), {
    requests: { ...(cpu === undefined ? {} : { cpu }), ...(memory === undefined ? {} : { memory }) },
    ...(memory === undefined ? {} : { limits: { memory } }),
  })
  const others = containers(spec).filter((one) => one.name !== container)
  const engine = containers(spec).find((one) => one.name === container) ?? { name: container }
  return put(spec, containersPath, [{ ...engine, resources }, ...others])
}

/**
 * Storage type, size and class of a kind that keeps its disk under `spec.storage`.
 *
 * @throws {BrokerError} BadRequest where size and type do not go together
 */
export function withStorage(spec: JsonObject, { storage, storageClass }: Parameters): JsonObject {
  const type = at(spec, 'storageType') ?? (isObject(spec.storage) || storage !== undefined ? 'Durable' : null)
  if (type === null) {
    throw new BrokerError(
      'BadRequest',
      'parameters.spec.storageType: missing; send "Durable" with spec.storage, or "Ephemeral" without',
    )
  }
  if (type === 'Ephemeral') {
    if (storage !== undefined || storageClass !== undefined) {
      throw new BrokerError(
        'BadRequest',
        `parameters.${storage === undefined ? 'storageClass' : 'storage'}: this plan keeps its data in memory and has no disk; leave it out or choose a durable plan`,
      )
    }
    const { storage: _, ...inMemory } = spec
    return { ...inMemory, storageType: type }
  }
  let result: JsonObject = { ...spec, storageType: type }
  if (storage !== undefined) result = put(result, 'storage.resources.requests.storage', storage)
  if (storageClass !== undefined) result = put(result, 'storage.storageClassName', storageClass)
  if (at(result, 'storage.resources.requests.storage') === null) {
    throw new BrokerError(
      'BadRequest',
      'parameters.storage: missing; this plan keeps its data on a disk, say how large',
    )
  }
  return at(result, 'storage.accessModes') === null
    ? put(result, 'storage.accessModes', ['ReadWriteOnce'])
    : result
}

/** A database that platforms outside the cluster reach gets a load balancer of its own. */
export function withAddresses(spec: JsonObject, { addresses, nodeHost }: Settings): JsonObject {
  if (addresses === 'cluster') return spec
  const type = nodeHost === undefined ? 'LoadBalancer' : 'NodePort'
  return { ...spec, serviceTemplates: [{ alias: 'primary', spec: { type } }] }
}

/** @returns less than, equal to or greater than 0; texts that are no quantities are compared as texts */
function compareQuantities(one: string, other: string): number {
  const a = parseQuantity(one)
  const b = parseQuantity(other)
  if (a === undefined || b === undefined) return one.localeCompare(other)
  return a < b ? -1 : a > b ? 1 : 0
}

const sameQuantity = (one: Json | undefined, other: Json | undefined): boolean =>
  typeof one === 'string' && typeof other === 'string'
    ? compareQuantities(one, other) === 0
    : equal(one ?? null, other ?? null)

/** cpu and memory of one container, changed by VerticalScaling; also while the database is not ready: it may be why. */
export function resources(container: string): Dimension {
  return {
    name: 'resources',
    paths: [containersPath],
    read: (spec) => resourcesOf(spec, container),
    reached: (live, wanted) =>
      ['requests', 'limits'].every((part) =>
        Object.entries(section(wanted, part)).every(([name, value]) =>
          sameQuantity(section(live, part)[name], value),
        ),
      ),
    change: (_, wanted) => ({
      by: 'opsRequest',
      type: 'VerticalScaling',
      apply: 'Always',
      timeout: '15m',
      body: { verticalScaling: { [container]: { resources: wanted } } },
    }),
  }
}

const section = (value: Json, name: string): JsonObject => {
  const part = isObject(value) ? value[name] : undefined
  return isObject(part) ? part : {}
}

/** Size of the disk. It only grows; a disk that somebody has grown further is left alone. */
export function disk(component: string): Dimension {
  return {
    name: 'storage',
    paths: ['storage.resources'],
    read: (spec) => at(spec, 'storage.resources.requests.storage'),
    reached: (live, wanted) =>
      typeof live === 'string' && typeof wanted === 'string' && compareQuantities(live, wanted) >= 0,
    change(now, wanted): Change {
      if (typeof now !== 'string' || typeof wanted !== 'string') {
        return impossible('storage: a database in memory cannot get a disk, nor one with a disk lose it')
      }
      if (compareQuantities(wanted, now) < 0) {
        return impossible(`storage: a disk cannot shrink; it is ${now} now, ask for that or more`)
      }
      return {
        by: 'opsRequest',
        type: 'VolumeExpansion',
        apply: 'Always',
        timeout: '30m',
        body: { volumeExpansion: { mode: 'Online', [component]: wanted } },
      }
    },
  }
}

/** Engine version, by name of a *Version object. Goes up only, and last: it cannot be undone. */
export function version(): Dimension {
  return {
    name: 'version',
    paths: ['version'],
    read: (spec) => at(spec, 'version'),
    reached: (live, wanted) =>
      typeof live === 'string' && typeof wanted === 'string' && compareVersions(live, wanted) > 0,
    change(now, wanted): Change {
      if (typeof now === 'string' && typeof wanted === 'string' && compareVersions(wanted, now) < 0) {
        return impossible(`version: ${now} cannot go back to ${wanted}; databases are not downgraded`)
      }
      return {
        by: 'opsRequest',
        type: 'UpdateVersion',
        apply: 'IfReady',
        timeout: '30m',
        body: { updateVersion: { targetVersion: wanted } },
      }
    },
  }
}

/** Compares version names such as `17.9` and `18.3-bookworm` by their numbers. */
export function compareVersions(one: string, other: string): number {
  const numbers = (name: string) => (/\d+(\.\d+)*/.exec(name)?.[0] ?? '').split('.').map(Number)
  const a = numbers(one)
  const b = numbers(other)
  for (let index = 0; index < Math.max(a.length, b.length); index++) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

/** Engine settings in one file of `spec.configuration.inline`, changed by Reconfigure; a full disk is never Ready. */
export function configuration(file: string): Dimension {
  return {
    name: 'configuration',
    paths: ['configuration'],
    read: (spec) => {
      const inline = at(spec, 'configuration.inline')
      return (isObject(inline) ? inline[file] : undefined) ?? ''
    },
    reached: (live, wanted) => equal(live, wanted),
    change: (_, wanted) => ({
      by: 'opsRequest',
      type: 'Reconfigure',
      apply: 'Always',
      timeout: '15m',
      // What was there goes first: settings no longer wanted would stay otherwise.
      body: {
        configuration: {
          removeCustomConfig: true,
          ...(wanted === '' ? {} : { applyConfig: { [file]: wanted } }),
          restart: 'auto',
        },
      },
    }),
  }
}

/** A part of the spec that KubeDB takes as a plain patch. */
export function patched(name: string, path: string, absent: Json): Dimension {
  return {
    name,
    paths: [path],
    read: (spec) => at(spec, path) ?? absent,
    reached: (live, wanted) => equal(live, wanted),
    change: (_, wanted) => ({ by: 'patch', spec: put({}, path, wanted) }),
  }
}

/** A part of the spec that is chosen once, with the sentence that says so. */
export function fixed(name: string, path: string, why: string): Dimension {
  return {
    name,
    paths: [path],
    read: (spec) => at(spec, path),
    reached: (live, wanted) => equal(live, wanted),
    change: () => impossible(`${name}: ${why}`),
  }
}

export const impossible = (sentence: string): Change => ({ by: 'nothing', impossible: sentence })
