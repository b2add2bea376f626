import { isObject, type Json, type JsonObject } from '../../values/json.ts'

/**
 * JSON Merge Patch (RFC 7386): members of the patch replace those of the target, objects are merged, null removes.
 *
 * @returns a new value; neither argument is changed
 */
export function mergePatch(target: JsonObject, patch: JsonObject): JsonObject {
  const kept = Object.entries(target).filter(([key]) => !Object.hasOwn(patch, key))
  const changed = Object.entries(patch)
    .filter(([, value]) => value !== null)
    .map(
      ([key, value]) => [key, patched(Object.hasOwn(target, key) ? target[key] : undefined, value)] as const,
    )
  // fromEntries defines members, so a key `__proto__` stays data.
  return Object.fromEntries([...kept, ...changed])
}

function patched(target: Json | undefined, patch: Json): Json {
  if (!isJsonObject(patch)) return patch
  return mergePatch(target !== undefined && isJsonObject(target) ? target : {}, patch)
}

function isJsonObject(value: Json): value is JsonObject {
  return isObject(value)
}
