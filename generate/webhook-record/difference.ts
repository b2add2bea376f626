/**
 * What one JSON value has that another has not, as paths: how the record of KubeDB's answers keeps a database that its
 * webhook has filled in. Lists of named objects are compared by their names. Pure.
 */
import { equal, isObject, type Json, type JsonObject } from '../../shared/values/json.ts'

/**
 * Path → what is there afterwards; null where it is gone. A path is keys joined by slashes (`~1` stands for a slash in
 * a key, `~0` for a tilde); `[x]` is the member named x of a list, `+` what the list has at its end besides.
 */
export type Difference = { [path: string]: Json }

/** What members of lists are known by. */
const names = ['name', 'alias']

/** @returns what to do to `before` to get `after`; nothing in them may be null */
export function difference(before: JsonObject, after: JsonObject, path = ''): Difference {
  const found: Difference = {}
  for (const key of Object.keys({ ...before, ...after }).sort()) {
    Object.assign(found, between(before[key], after[key], `${path}/${escaped(key)}`))
  }
  return found
}

function between(before: Json | undefined, after: Json | undefined, path: string): Difference {
  if (equal(before, after)) return {}
  if (isObject(before) && isObject(after)) return difference(before, after, path)
  const [had, has] = [named(before), named(after)]
  if (had && has && startsWith([...has.keys()], [...had.keys()])) {
    const changed = [...had].map(([name, one]) =>
      difference(one, has.get(name) ?? {}, `${path}/[${escaped(name)}]`),
    )
    const more = [...has].filter(([name]) => !had.has(name)).map(([, one]) => one)
    return Object.assign({}, ...changed, more.length > 0 ? { [`${path}/+`]: more } : {})
  }
  return { [path]: after ?? null }
}

/** @returns `before` with a difference made to it */
export function changed(before: JsonObject, difference: Difference): JsonObject {
  return Object.entries(difference).reduce<JsonObject>(
    (object, [path, value]) => inObject(object, path.split('/').slice(1), value),
    before,
  )
}

function inObject(object: JsonObject, [first = '', ...rest]: readonly string[], value: Json): JsonObject {
  const key = unescaped(first)
  if (rest.length === 0 && value === null) {
    const { [key]: _, ...others } = object
    return others
  }
  return { ...object, [key]: rest.length === 0 ? value : inside(object[key], rest, value) }
}

function inside(within: Json | undefined, path: readonly string[], value: Json): Json {
  const [first = '', ...rest] = path
  if (!Array.isArray(within)) return inObject(isObject(within) ? within : {}, path, value)
  if (first === '+') return [...within, ...(Array.isArray(value) ? value : [])]
  const name = unescaped(first.slice(1, -1))
  return within.map((one) => (isObject(one) && nameOf(one) === name ? inObject(one, rest, value) : one))
}

/** @returns the members of a list by their names; undefined where one has none, or two have the same */
function named(list: Json | undefined): Map<string, JsonObject> | undefined {
  if (!Array.isArray(list)) return undefined
  const found = new Map<string, JsonObject>()
  for (const one of list) {
    const name = isObject(one) ? nameOf(one) : undefined
    if (!isObject(one) || name === undefined || found.has(name)) return undefined
    found.set(name, one)
  }
  return found
}

function nameOf(object: JsonObject): string | undefined {
  const name = names.map((key) => object[key]).find((value) => value !== undefined)
  return typeof name === 'string' ? name : undefined
}

const startsWith = (list: readonly string[], start: readonly string[]) =>
  start.every((one, index) => list[index] === one)

const escaped = (key: string) => key.replaceAll('~', '~0').replaceAll('/', '~1')
/** @returns a key as a path of a difference has it, as it is */
export const unescaped = (key: string) => key.replaceAll('~1', '/').replaceAll('~0', '~')
