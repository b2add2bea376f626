/** Reading and changing KubeDB specs by dotted paths. Pure. */
import { isObject, type Json, type JsonObject } from '../../../values/json.ts'

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

/** @returns a copy without the value at the dotted path */
export function without(spec: JsonObject, path: string): JsonObject {
  const [key = '', ...rest] = path.split('.')
  if (rest.length === 0) {
    const { [key]: _, ...others } = spec
    return others
  }
  const inside = spec[key]
  return isObject(inside) ? { ...spec, [key]: without(inside, rest.join('.')) } : spec
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
