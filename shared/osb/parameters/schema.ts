import { isObject, type Json } from '../../values/json.ts'

type JsonType = 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean' | 'null'

/** The part of JSON Schema draft-04 that the catalog's schemas are written in. */
export interface Schema {
  readonly $schema?: string
  readonly title?: string
  readonly description?: string
  readonly type?: JsonType | readonly JsonType[]
  readonly default?: Json
  readonly enum?: readonly Json[]
  readonly minimum?: number
  readonly maximum?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly pattern?: string
  readonly not?: Schema
  readonly properties?: { readonly [name: string]: Schema }
  readonly patternProperties?: { readonly [pattern: string]: Schema }
  readonly additionalProperties?: false
}

export const draft04 = 'http://json-schema.org/draft-04/schema#'

/** Characters that could break out of a line: C0, DEL, C1 and Unicode's own line ends. */
export const controlCharacters = '[\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]'

/**
 * Holds a value against a schema.
 *
 * @param path the value's place, such as `parameters.storage`
 * @returns one sentence for each mistake: place, what is wrong, what would be right; empty when the value fits
 */
export function schemaMistakes(schema: Schema, value: unknown, path: string): string[] {
  const wanted = typesOf(schema)
  if (wanted.length > 0 && !wanted.some((type) => hasType(value, type))) {
    return [`${path}: must be ${wanted.map(named).join(' or ')}, not ${named(typeOf(value))}${hint(schema)}`]
  }
  if (schema.enum && !schema.enum.some((choice) => choice === value)) {
    return [`${path}: ${shown(value)} is not offered; choose ${list(schema.enum.map(shown))}`]
  }
  if (typeof value === 'number') return numberMistakes(schema, value, path)
  if (typeof value === 'string') return stringMistakes(schema, value, path)
  if (isObject(value)) return memberMistakes(schema, value, path)
  return []
}

/** @returns the place of a member, written so that it can be found: `parameters.spec`, `…labels["a/b"]`, `…containers[0]` */
export function member(path: string, key: string | number): string {
  if (typeof key === 'number') return `${path}[${key}]`
  return /^[A-Za-z_][A-Za-z0-9_-]{0,62}$/.test(key) ? `${path}.${key}` : `${path}[${shown(key)}]`
}

/** @returns the value for a message: short, on one line */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'undefined'
  return text.length > 60 ? `${text.slice(0, 57)}…` : text
}

/** @returns the choices in one line; what is beyond `most` is cut */
export function list(choices: readonly string[], most = 12): string {
  return choices.length > most ? `${choices.slice(0, most).join(', ')}, …` : choices.join(', ')
}

function typesOf(schema: Schema): readonly JsonType[] {
  if (schema.type === undefined) return []
  return typeof schema.type === 'string' ? [schema.type] : schema.type
}

function typeOf(value: unknown): JsonType {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  switch (typeof value) {
    case 'string':
      return 'string'
    case 'number':
      return 'number'
    case 'boolean':
      return 'boolean'
    default:
      return 'object'
  }
}

function hasType(value: unknown, type: JsonType): boolean {
  return type === 'integer' ? Number.isInteger(value) : typeOf(value) === type
}

const names: { readonly [T in JsonType]: string } = {
  object: 'an object',
  array: 'a list',
  string: 'a string',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  null: 'null',
}

function named(type: JsonType): string {
  return names[type]
}

function hint(schema: Schema): string {
  return schema.description === undefined ? '' : `. ${schema.description}`
}

function numberMistakes(schema: Schema, value: number, path: string): string[] {
  if (schema.minimum !== undefined && value < schema.minimum) {
    return [`${path}: ${value} is less than the smallest allowed, ${schema.minimum}`]
  }
  if (schema.maximum !== undefined && value > schema.maximum) {
    return [`${path}: ${value} is more than the largest allowed, ${schema.maximum}`]
  }
  return []
}

function stringMistakes(schema: Schema, value: string, path: string): string[] {
  const length = [...value].length
  if (schema.minLength !== undefined && length < schema.minLength) return [`${path}: must not be empty`]
  if (schema.maxLength !== undefined && length > schema.maxLength) {
    return [`${path}: has ${length} characters; at most ${schema.maxLength} are allowed`]
  }
  if (schema.not?.pattern !== undefined && matches(schema.not.pattern, value)) {
    return [`${path}: must not contain line breaks or other control characters`]
  }
  if (schema.not?.enum?.includes(value)) return [`${path}: ${shown(value)} is reserved; choose another`]
  if (schema.pattern !== undefined && !matches(schema.pattern, value)) {
    return [`${path}: ${shown(value)} does not fit ${schema.pattern}${hint(schema)}`]
  }
  return []
}

function memberMistakes(schema: Schema, value: { [key: string]: unknown }, path: string): string[] {
  const properties = schema.properties ?? {}
  const patterns = Object.entries(schema.patternProperties ?? {})
  return Object.keys(value).flatMap((key) => {
    const place = member(path, key)
    const schemas = patterns.filter(([pattern]) => matches(pattern, key)).map(([, of]) => of)
    const own = Object.hasOwn(properties, key) ? properties[key] : undefined
    if (own) schemas.push(own)
    if (schemas.length === 0 && schema.additionalProperties === false) {
      return [
        `${place}: ${patterns.length > 0 ? `the name does not fit${hint(schema)}` : notKnown(Object.keys(properties))}`,
      ]
    }
    return schemas.flatMap((of) => schemaMistakes(of, value[key], place))
  })
}

function notKnown(known: readonly string[]): string {
  return known.length === 0 ? 'nothing can be set here' : `cannot be set here; what can is ${list(known)}`
}

/** @returns whether the text holds a line break or another control character */
export function hasControlCharacters(text: string): boolean {
  return matches(controlCharacters, text)
}

function matches(pattern: string, text: string): boolean {
  return new RegExp(pattern, 'u').test(text)
}
