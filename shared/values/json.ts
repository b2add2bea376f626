import * as v from 'valibot'

/** A value that JSON can carry. */
export type Json = null | boolean | number | string | Json[] | JsonObject
export type JsonObject = { [key: string]: Json }

/** Validates any JSON value. */
export const Json = v.custom<Json>(isJson, 'must be a JSON value')

/** Validates a JSON object. */
export const JsonObject = v.custom<JsonObject>(
  (value) => isObject(value) && isJson(value),
  'must be a JSON object',
)

function isJson(value: unknown): boolean {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true
    case 'number':
      return Number.isFinite(value)
    case 'object':
      return value === null || Object.values(value).every(isJson)
    default:
      return false
  }
}

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
