/**
 * Holds answers against the OpenAPI document of Open Service Broker 2.17, where that lies beside the checkout. The
 * document is data for tests only; without it nothing is checked, and `openApi` says so.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { isObject, type Json } from '../../shared/values/json.ts'
import { at } from './cluster.ts'

const file = join(import.meta.dirname, '../../../shared/reference/osb-openapi-2.17.yaml')

/** undefined where the document is not there */
export const openApi: Json | undefined = existsSync(file) ? parse(readFileSync(file, 'utf8')) : undefined

/** What the specification's text has and its OpenAPI document has not. */
const more: { [method: string]: readonly number[] } = {
  get: [401, 404, 412, 422, 500, 503],
  put: [404, 412, 500, 503],
  patch: [404, 412, 500, 503],
  delete: [412, 500, 503],
}

/** Members of a service that only the text has. */
const moreMembers = ['instances_retrievable', 'bindings_retrievable', 'allow_context_updates']

/**
 * @param path as it was requested, without query
 * @returns what is wrong with an answer, one sentence each
 */
export function openApiMistakes(method: string, path: string, status: number, body: Json): string[] {
  if (openApi === undefined) return []
  const template = path
    .replace(/^(\/v2\/service_instances\/)[^/]+/, '$1{instance_id}')
    .replace(/(\/service_bindings\/)[^/]+/, '$1{binding_id}')
  const verb = method.toLowerCase()
  const operation = at(openApi, 'paths', template, verb)
  if (operation === undefined) return [`${method} ${template} is no operation`]
  const schema = at(operation, 'responses', String(status), 'content', 'application/json', 'schema')
  if (schema !== undefined) return mistakes(schema, body, '')
  return more[verb]?.includes(status)
    ? mistakes({ $ref: '#/components/schemas/Error' }, body, '')
    : [`${status} is no answer to ${method} ${template}`]
}

/** The document uses no more of JSON Schema than this. A member it does not know is a mistake too. */
function mistakes(found: Json, value: Json, path: string): string[] {
  const reference = at(found, '$ref')
  const schema = typeof reference === 'string' ? at(openApi, ...reference.split('/').slice(1)) : found
  const type = at(schema, 'type')
  const choices = at(schema, 'enum')
  const kind = value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value
  if (type !== kind && !(type === 'integer' && Number.isInteger(value))) {
    return [`${path || 'body'}: is ${kind}, must be ${String(type)}`]
  }
  if (Array.isArray(choices) && !choices.includes(value)) return [`${path}: ${String(value)} is not allowed`]
  if (Array.isArray(value)) {
    const items = at(schema, 'items')
    return items === undefined ? [] : value.flatMap((one, index) => mistakes(items, one, `${path}[${index}]`))
  }
  const properties = at(schema, 'properties')
  if (!isObject(value) || !isObject(properties)) return []
  const required = at(schema, 'required')
  return [
    ...(Array.isArray(required) ? required : [])
      .filter((name) => !Object.hasOwn(value, String(name)))
      .map((name) => `${path}.${String(name)} is missing`),
    ...Object.entries(value).flatMap(([name, inner]) => {
      if (moreMembers.includes(name)) return []
      const own = Object.hasOwn(properties, name) ? properties[name] : undefined
      return own === undefined ? [`${path}.${name} is unknown`] : mistakes(own, inner, `${path}.${name}`)
    }),
  ]
}
