/** What can change in a running database, as far as more than one kind shares it. Pure. */
import { equal, isObject, type Json, type JsonObject } from '../../../values/json.ts'
import { parseQuantity } from '../../../values/quantity.ts'
import { distribution } from '../../../values/semver.ts'
import type { Change, Dimension } from '../database.ts'
import {
  below,
  classKey,
  containersKey,
  type Layout,
  resourcesOf,
  sizeKey,
  throughout,
} from './components.ts'
import { at, put } from './spec.ts'

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

/** @returns the member of that name, an empty object where there is none */
export const section = (value: Json, name: string): JsonObject => object(object(value)[name])

/** @returns the value where it is an object, else an empty one */
export const object = (value: Json | undefined): JsonObject => (isObject(value) ? value : {})

/** @returns whether requests and limits that are wanted are there; others may be there too */
const hasResources = (live: JsonObject, wanted: JsonObject): boolean =>
  ['requests', 'limits'].every((part) =>
    Object.entries(section(wanted, part)).every(([name, value]) =>
      sameQuantity(section(live, part)[name], value),
    ),
  )

/** @returns the members of a value that is an object */
const members = (value: Json): [string, Json][] => (isObject(value) ? Object.entries(value) : [])

/**
 * @returns the blocks of `wanted` that differ from those of `now`: an OpsRequest names only what it changes
 */
export const changed = (now: Json, wanted: Json): JsonObject =>
  Object.fromEntries(
    members(wanted).filter(([name, value]) => !equal(isObject(now) ? now[name] : null, value)),
  )

/** cpu and memory of every component, changed by VerticalScaling; also while the database is not ready: it may be why. */
export function resources(layout: Layout): Dimension {
  return {
    name: 'resources',
    paths: throughout(layout, containersKey),
    read: (spec) =>
      Object.fromEntries(
        layout
          .components(spec)
          .map(({ name, path }) => [name, resourcesOf(spec, layout.container, path)] as const),
      ),
    reached: (live, wanted) =>
      members(wanted).every(([name]) => hasResources(section(live, name), section(wanted, name))),
    change: (now, wanted) => ({
      by: 'opsRequest',
      type: 'VerticalScaling',
      apply: 'Always',
      timeout: '15m',
      body: {
        verticalScaling: Object.fromEntries(
          members(wanted)
            .filter(([name]) => !hasResources(section(now, name), section(wanted, name)))
            .map(([name, value]) => [name, { resources: value }]),
        ),
      },
    }),
  }
}

/** Sizes of the disks. They only grow; a disk that somebody has grown further is left alone. */
function disks(layout: Layout): Dimension {
  const several = layout.paths.length > 1
  return {
    name: 'storage',
    paths: throughout(layout, 'storage.resources'),
    read: (spec) => disksOf(layout, spec, sizeKey),
    reached: (live, wanted) =>
      members(wanted).every(([name, size]) => atLeast(isObject(live) ? live[name] : null, size)),
    change(now, wanted): Change {
      const grown: JsonObject = {}
      for (const [name, size] of members(wanted)) {
        const before = isObject(now) ? now[name] : undefined
        const what = several ? `storage of ${name}` : 'storage'
        if (atLeast(before, size) && atLeast(size, before)) continue
        if (typeof before !== 'string' || typeof size !== 'string') {
          return impossible(`${what}: a database in memory cannot get a disk, nor one with a disk lose it`)
        }
        if (compareQuantities(size, before) < 0) {
          return impossible(`${what}: a disk cannot shrink; it is ${before} now, ask for that or more`)
        }
        grown[name] = size
      }
      return {
        by: 'opsRequest',
        type: 'VolumeExpansion',
        apply: 'Always',
        timeout: '30m',
        body: { volumeExpansion: { mode: 'Online', ...grown } },
      }
    },
  }
}

const atLeast = (live: Json | undefined, wanted: Json | undefined): boolean =>
  typeof live === 'string' && typeof wanted === 'string'
    ? compareQuantities(live, wanted) >= 0
    : equal(live ?? null, wanted ?? null)

/** @returns what stands at `key` in every component with a disk, by the component's name */
const disksOf = (layout: Layout, spec: JsonObject, key: string): JsonObject =>
  Object.fromEntries(
    layout
      .components(spec)
      .filter(({ disk }) => disk)
      .map(({ name, path }) => [name, at(spec, below(path, key))] as const),
  )

/**
 * StorageClass of the disks, changed by StorageMigration: KubeDB copies every server's data to a new disk, one after
 * the other, and removes the old one.
 *
 * @param blocks `each`: the OpsRequest names every component; `one`: it knows one class for all
 * @param unnamed whether KubeDB moves disks that name no class, and so are of the cluster's default class of their day
 */
function storageClass(layout: Layout, blocks: 'one' | 'each', unnamed: 'stay' | 'move' = 'stay'): Dimension {
  return {
    name: 'storageClass',
    paths: throughout(layout, classKey),
    read: (spec) => disksOf(layout, spec, classKey),
    reached: (live, wanted) => Object.keys(changed(live, wanted)).length === 0,
    change(now, wanted): Change {
      const moved = Object.entries(changed(now, wanted))
      const moves = moved.flatMap(([name, to]) =>
        typeof to === 'string'
          ? [[name, { storageClassName: to, oldPVReclaimPolicy: 'Delete' }] as const]
          : [],
      )
      const [first] = moves
      if (!first || moves.length < moved.length) {
        return impossible(
          'storageClass: disks move to a class that is named, not back to whichever the cluster takes for its default; name one',
        )
      }
      if (unnamed === 'stay' && members(now).some(([, from]) => from === null)) {
        return impossible(
          'storageClass: this instance was made without one, and KubeDB moves only disks whose class the database names; make a new instance with storageClass and copy the data',
        )
      }
      return {
        by: 'opsRequest',
        type: 'StorageMigration',
        apply: 'IfReady',
        timeout: '2h',
        body: { migration: blocks === 'one' ? first[1] : Object.fromEntries(moves) },
      }
    },
  }
}

/**
 * Engine version, by name of a *Version object. Goes up only, and last: it cannot be undone.
 *
 * @param otherMakes whether one make of the engine may become another; without it, never
 */
export function version(otherMakes: (now: string, wanted: string) => boolean = () => false): Dimension {
  return {
    name: 'version',
    paths: ['version'],
    read: (spec) => at(spec, 'version'),
    reached: (live, wanted) =>
      typeof live === 'string' &&
      typeof wanted === 'string' &&
      distribution(live) === distribution(wanted) &&
      compareVersions(live, wanted) > 0,
    change(now, wanted): Change {
      if (typeof now === 'string' && typeof wanted === 'string') {
        if (distribution(now) !== distribution(wanted) && !otherMakes(now, wanted)) {
          return impossible(
            `version: ${now} cannot become ${wanted}, which is another make of the engine; make a new instance and copy the data`,
          )
        }
        if (compareVersions(wanted, now) < 0) {
          return impossible(`version: ${now} cannot go back to ${wanted}; databases are not downgraded`)
        }
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

interface Scaling {
  paths: readonly string[]
  /** @returns the numbers, by the names that HorizontalScaling has for them */
  read(spec: JsonObject): JsonObject
  /** @returns what of the change is named in the OpsRequest; without it, the numbers that differ */
  body?(now: Json, wanted: Json): JsonObject
  /** @returns why there is no way */
  limit?(now: Json, wanted: Json): string | undefined
}

/** Numbers of servers and shards, changed by HorizontalScaling. */
export function servers({ paths, read, body = changed, limit = () => undefined }: Scaling): Dimension {
  return {
    name: 'replicas',
    paths,
    read,
    reached: (live, wanted) => Object.keys(changed(live, wanted)).length === 0,
    change(now, wanted): Change {
      const why = limit(now, wanted)
      if (why !== undefined) return impossible(why)
      return {
        by: 'opsRequest',
        type: 'HorizontalScaling',
        apply: 'IfReady',
        timeout: '30m',
        body: { horizontalScaling: body(now, wanted) },
      }
    },
  }
}

/** Engine settings in the files of `spec.configuration.inline`, changed by Reconfigure; a full disk is never Ready. */
export function configuration(): Dimension {
  return {
    name: 'configuration',
    paths: ['configuration.inline'],
    read: (spec) => section(section(spec, 'configuration'), 'inline'),
    reached: (live, wanted) => equal(live, wanted),
    change: (_, wanted) => ({
      by: 'opsRequest',
      type: 'Reconfigure',
      apply: 'Always',
      timeout: '15m',
      body: { configuration: reconfigured(wanted) },
    }),
  }
}

/** What was there goes first: settings no longer wanted would stay otherwise. */
export function reconfigured(files: Json): JsonObject {
  return {
    removeCustomConfig: true,
    ...(members(files).length === 0 ? {} : { applyConfig: files }),
    restart: 'auto',
  }
}

interface Encryption {
  /** keys of the spec that the OpsRequest has beside the issuer */
  also?: readonly string[]
  /** paths that belong to it besides `tls` */
  paths?: readonly string[]
}

/** @returns the issuer of a spec's certificates and what goes with it; null where there is none */
export function encryption(spec: JsonObject, also: readonly string[] = []): Json {
  const { kind, name } = section(section(spec, 'tls'), 'issuerRef')
  if (kind === undefined || name === undefined) return null
  const said = also.filter((key) => spec[key] !== undefined).map((key) => [key, spec[key] ?? null] as const)
  return { issuerRef: { apiGroup: 'cert-manager.io', kind, name }, ...Object.fromEntries(said) }
}

/** Encrypted connections, changed by ReconfigureTLS. */
export function tls({ also = [], paths = [] }: Encryption = {}): Dimension {
  return {
    name: 'tls',
    paths: ['tls.issuerRef', ...also, ...paths],
    read: (spec) => encryption(spec, also),
    reached: (live, wanted) => equal(live, wanted),
    change: (_, wanted) => ({
      by: 'opsRequest',
      type: 'ReconfigureTLS',
      apply: 'IfReady',
      timeout: '30m',
      body: { tls: wanted ?? { remove: true } },
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

const addresses = patched('addresses', 'serviceTemplates', [])

/** What all kinds have of plain patches and of what is chosen once. */
export const ordinary: readonly Dimension[] = [
  patched('suspended', 'halted', false),
  patched('deletionPolicy', 'deletionPolicy', 'WipeOut'),
  { ...addresses, read: (spec) => withoutEmptyMetadata(addresses.read(spec)) },
]

/** KubeDB's webhook writes `metadata: {}` beside what was asked for. */
function withoutEmptyMetadata(templates: Json): Json {
  if (!Array.isArray(templates)) return templates
  return templates.map((template) => {
    if (!isObject(template) || !equal(template.metadata ?? {}, {})) return template
    const { metadata: _, ...rest } = template
    return rest
  })
}

const storageType: Dimension = {
  ...fixed(
    'storageType',
    'storageType',
    'data cannot move between memory and disk; make a new instance and copy the data',
  ),
  defining: true,
}

/**
 * @param blocks of a StorageMigration: one for all, or one for each component
 * @param topology how the servers work together, where that can differ
 * @param unnamed whether KubeDB moves disks that name no class
 * @returns what can change in a kind with disks before its number of servers does, in the order of change
 */
export function beforeServers(
  layout: Layout,
  blocks: 'one' | 'each',
  topology: readonly Dimension[] = [],
  unnamed: 'stay' | 'move' = 'stay',
): Dimension[] {
  return [
    ...ordinary,
    storageType,
    ...topology,
    storageClass(layout, blocks, unnamed),
    disks(layout),
    resources(layout),
  ]
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
