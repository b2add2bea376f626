import * as v from 'valibot'

/** A value that JSON can carry. */
export type Json = null | boolean | number | string | Json[] | JsonObject
export type JsonObject = { [key: string]: Json }

/** Validates any JSON value, depth unlimited (what JSON.parse can return). */
export const Json: v.GenericSchema<Json> = v.lazy(() =>
  v.union([v.null(), v.boolean(), v.number(), v.string(), v.array(Json), v.record(v.string(), Json)]),
)

export const JsonObject: v.GenericSchema<JsonObject> = v.record(v.string(), Json)

/** @returns whether the value is a JSON object: neither null nor a list */
export function isObject(value: Json | undefined): value is JsonObject
export function isObject(value: unknown): value is { [key: string]: unknown }
export function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * One text for equal JSON values: keys sorted, no white space. For comparing and hashing.
 *
 * @param value any JSON value; undefined members of objects are left out
 */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (isObject(value)) {
    const members = Object.keys(value)
      .filter((key) => value[key] !== undefined)
      .sort()
      .map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`)
    return `{${members.join(',')}}`
  }
  return JSON.stringify(value ?? null)
}

/** @returns whether two JSON values are equal, the order of keys aside */
export function equal(one: unknown, other: unknown): boolean {
  return canonical(one) === canonical(other)
}
