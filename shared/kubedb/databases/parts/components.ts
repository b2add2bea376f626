/**
 * The parts of a database that are sized on their own: one server and its copies, or shards, config servers and
 * routers. Pure.
 */
import { BrokerError } from '../../../values/errors.ts'
import { isObject, type Json, type JsonObject } from '../../../values/json.ts'
import type { Parameters } from '../../../values/nouns.ts'
import { at, merge, put, without } from './spec.ts'

export interface Component {
  /** name of its block in OpsRequests */
  readonly name: string
  /** dotted path of its part of the KubeDB spec; '' is the spec itself */
  readonly path: string
  /** whether KubeDB gives it a disk */
  readonly disk: boolean
}

export interface Layout {
  /** name of the engine's container */
  readonly container: string
  /** the paths of all components there may be */
  readonly paths: readonly string[]
  /** @returns the components of a KubeDB spec, first the one that parameters are about */
  components(spec: JsonObject): readonly Component[]
}

/** @returns the layout of a kind whose servers are all alike */
export function alike(container: string, { disk }: { disk: boolean } = { disk: true }): Layout {
  const component = { name: container, path: '', disk }
  return { container, paths: [''], components: () => [component] }
}

/** @returns the path of `key` in a component's part of the spec */
export const below = (path: string, key: string): string => (path === '' ? key : `${path}.${key}`)

/** @returns the paths of `key` in the parts of all components */
export const throughout = ({ paths }: Layout, key: string): string[] => paths.map((path) => below(path, key))

export const containersKey = 'podTemplate.spec.containers'
export const sizeKey = 'storage.resources.requests.storage'
export const classKey = 'storage.storageClassName'

const containers = (spec: JsonObject, path: string): JsonObject[] => {
  const list = at(spec, below(path, containersKey))
  return Array.isArray(list) ? list.filter((one): one is JsonObject => isObject(one)) : []
}

/** @returns requests and limits of the engine's container, in the part of the spec at `path` */
export function resourcesOf(spec: JsonObject, container: string, path = ''): JsonObject {
  const found = containers(spec, path).find((one) => one.name === container)
  const resources = found?.resources
  return isObject(resources) ? resources : {}
}

/**
 * Writes cpu and memory into the engine's container of the first component. Memory is requested and limited alike, CPU
 * is not limited.
 */
export function withResources(spec: JsonObject, layout: Layout, { cpu, memory }: Parameters): JsonObject {
  if (cpu === undefined && memory === undefined) return spec
  const { container } = layout
  const path = layout.components(spec)[0]?.path ?? ''
  const resources = merge(resourcesOf(spec, container, path), {
    requests: { ...(cpu === undefined ? {} : { cpu }), ...(memory === undefined ? {} : { memory }) },
    ...(memory === undefined ? {} : { limits: { memory } }),
  })
  const others = containers(spec, path).filter((one) => one.name !== container)
  const engine = containers(spec, path).find((one) => one.name === container) ?? { name: container }
  return put(spec, below(path, containersKey), [{ ...engine, resources }, ...others])
}

/**
 * Storage type, and size and class of the disks. The size is that of the first component, the class that of all.
 *
 * @param fallback the disk of a component that does not say one
 * @throws {BrokerError} BadRequest where size and type do not go together
 */
export function withStorage(
  spec: JsonObject,
  layout: Layout,
  { storage, storageClass }: Parameters,
  fallback: Json = null,
): JsonObject {
  const all = layout.components(spec)
  const disks = all.filter(({ disk }) => disk)
  const said =
    storage !== undefined ||
    disks.some(({ path }) => isObject(at(spec, below(path, 'storage')))) ||
    isObject(fallback)
  const type = at(spec, 'storageType') ?? (said ? 'Durable' : null)
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
    return all.reduce<JsonObject>((result, { path }) => without(result, below(path, 'storage')), {
      ...spec,
      storageType: type,
    })
  }
  return disks.reduce<JsonObject>(
    (result, { path }, index) =>
      withDisk(result, path, index === 0 ? storage : undefined, storageClass, fallback),
    { ...spec, storageType: type },
  )
}

function withDisk(
  spec: JsonObject,
  path: string,
  size: string | undefined,
  storageClass: string | undefined,
  fallback: Json,
): JsonObject {
  const place = below(path, 'storage')
  let disk = at(spec, place) ?? fallback
  if (!isObject(disk)) disk = {}
  if (size !== undefined) disk = put(disk, 'resources.requests.storage', size)
  if (storageClass !== undefined) disk = put(disk, 'storageClassName', storageClass)
  if (at(disk, 'resources.requests.storage') === null) {
    throw new BrokerError(
      'BadRequest',
      path === ''
        ? 'parameters.storage: missing; this plan keeps its data on a disk, say how large'
        : `parameters.spec.${below(path, sizeKey)}: missing; this plan keeps its data on a disk, say how large`,
    )
  }
  if (at(disk, 'accessModes') === null) disk = put(disk, 'accessModes', ['ReadWriteOnce'])
  return put(spec, place, disk)
}
