/** A second opinion on JSON Schema draft-04, of as much of it as a catalog may use; any other keyword throws. */
import { isObject } from '../../shared/values/json.ts'

const kinds: { readonly [type: string]: (value: unknown) => boolean } = {
  null: (value) => value === null,
  boolean: (value) => typeof value === 'boolean',
  number: (value) => typeof value === 'number',
  integer: (value) => typeof value === 'number' && value % 1 === 0,
  string: (value) => typeof value === 'string',
  array: (value) => Array.isArray(value),
  object: isObject,
}

const silent = ['$schema', 'title', 'description', 'default', 'properties', 'patternProperties']

export function fits(schema: unknown, value: unknown): boolean {
  if (!isObject(schema)) throw new Error('a schema must be an object')
  return (
    Object.entries(schema).every(
      ([keyword, rule]) => silent.includes(keyword) || keeps(keyword, rule, value),
    ) && memberRules(schema, value)
  )
}

function keeps(keyword: string, rule: unknown, value: unknown): boolean {
  switch (keyword) {
    case 'type':
      return [rule].flat().some((type) => kinds[String(type)]?.(value))
    case 'enum':
      return Array.isArray(rule) && rule.includes(value)
    case 'minimum':
      return typeof value !== 'number' || value >= Number(rule)
    case 'maximum':
      return typeof value !== 'number' || value <= Number(rule)
    case 'minLength':
      return typeof value !== 'string' || Array.from(value).length >= Number(rule)
    case 'maxLength':
      return typeof value !== 'string' || Array.from(value).length <= Number(rule)
    case 'pattern':
      return typeof value !== 'string' || new RegExp(String(rule)).test(value)
    case 'not':
      return !fits(rule, value)
    case 'additionalProperties':
      return rule === false
    default:
      throw new Error(`no draft-04 keyword a catalog may use: ${keyword}`)
  }
}

function memberRules(schema: { [keyword: string]: unknown }, value: unknown): boolean {
  if (!isObject(value)) return true
  const properties = isObject(schema.properties) ? schema.properties : {}
  const patterns = isObject(schema.patternProperties) ? schema.patternProperties : {}
  return Object.entries(value).every(([name, member]) => {
    const rules = Object.keys(patterns)
      .filter((pattern) => new RegExp(pattern).test(name))
      .map((pattern) => patterns[pattern])
    if (Object.hasOwn(properties, name)) rules.push(properties[name])
    if (rules.length === 0) return schema.additionalProperties !== false
    return rules.every((rule) => fits(rule, member))
  })
}
