/** What KubeDB's webhooks add to databases, by what they were recorded to answer. Pure. */
import { isObject, type Json } from '../../shared/values/json.ts'
import { unescaped } from '../webhook-record/difference.ts'
import { additions, everMade, type KindRecord } from '../webhook-record/record.ts'
import { bound } from './bounds.ts'
import { type Shape, shapeOf, union } from './shape.ts'

/** @returns the shape of all that KubeDB added to a spec */
export function addedTo(record: KindRecord): Shape {
  const found = new Map<string, Shape>()
  for (const difference of additions(record))
    for (const [path, value] of Object.entries(difference)) {
      const key = `${path} ${JSON.stringify(value)}`
      if (value !== null && !found.has(key)) found.set(key, shapeAt(path, value))
    }
  return [...found.values()].reduce<Shape>(union, {})
}

/**
 * @param path as a difference has it: `/spec/podTemplate/spec/containers/[postgres]/resources`
 * @returns the shape with nothing but what is there
 */
function shapeAt(path: string, value: Json): Shape {
  const [, root, ...steps] = path.split('/')
  if (root !== 'spec') throw new Error(`KubeDB adds ${path}, and no rule is about that; write one`)
  // What stands at the end of a list is a list itself.
  const keys = steps
    .filter((step) => step !== '+')
    .map((step) => (step.startsWith('[') ? '[]' : unescaped(step)))
  const name = keys.reduce(
    (text, key) => (key === '[]' || text === '' ? `${text}${key}` : `${text}.${key}`),
    '',
  )
  return keys.reduceRight<Shape>(
    (inner, key) => (key === '[]' ? [inner] : { [key]: inner }),
    shapeOf(value, bound, name),
  )
}

/** @returns what containers have had, by their names, whichever pod of a database they are in */
export function containersOf(record: KindRecord): { [name: string]: string[] } {
  const found = new Map<string, Set<string>>()
  const visit = (value: Json): void => {
    if (Array.isArray(value)) for (const each of value) visit(each)
    if (!isObject(value)) return
    for (const [key, inner] of Object.entries(value)) {
      if (key !== 'containers' && key !== 'initContainers') visit(inner)
      else for (const container of Array.isArray(inner) ? inner : []) note(container)
    }
  }
  const note = (container: Json): void => {
    if (!isObject(container) || typeof container.name !== 'string') return
    const members = found.get(container.name) ?? new Set()
    for (const key of Object.keys(container)) members.add(key)
    found.set(container.name, members)
  }
  for (const [, { spec }] of everMade(record)) visit(spec ?? null)
  return Object.fromEntries(
    [...found].sort(byName).map(([name, members]) => [name, [...members].sort()] as const),
  )
}

const byName = ([one]: [string, unknown], [other]: [string, unknown]) => (one < other ? -1 : 1)
