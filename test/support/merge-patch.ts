/** JSON merge patches (RFC 7386), as the API server takes them. Pure. */
import { isObject, type Json, type JsonObject } from '../../shared/values/json.ts'

/** @returns the object as the patch leaves it */
export function mergePatched(object: JsonObject, patch: JsonObject): JsonObject {
  const result: JsonObject = { ...object }
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key]
    else result[key] = into(result[key], value)
  }
  return result
}

const into = (before: Json | undefined, value: Json): Json =>
  isObject(value) ? mergePatched(isObject(before) ? before : {}, value) : value
