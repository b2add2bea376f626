/** Dotted paths into documents. */
import { type Doc, isDoc } from './value.ts'

/**
 * @returns every value that a path leads to, through lists as MongoDB does: the list itself and each of its elements.
 *   Empty where the path leads nowhere
 */
export function valuesAt(doc: Doc, path: string): unknown[] {
  const found = walk(doc, path.split('.'))
  return found.flatMap((value) => (Array.isArray(value) ? [value, ...value] : [value]))
}

/** @returns the one value at a path that crosses no list */
export function valueAt(doc: Doc, path: string): unknown {
  return walk(doc, path.split('.'))[0]
}

/** @returns the document with the value at the path; what is missing on the way is made */
export function withValue(doc: Doc, path: string, value: unknown): Doc {
  const [field = '', ...rest] = path.split('.')
  if (rest.length === 0) return { ...doc, [field]: value }
  const inner = doc[field]
  return { ...doc, [field]: withValue(isDoc(inner) ? inner : {}, rest.join('.'), value) }
}

/** @returns the document without what the path leads to */
export function withoutValue(doc: Doc, path: string): Doc {
  const [field = '', ...rest] = path.split('.')
  const { [field]: inner, ...others } = doc
  if (rest.length === 0) return others
  return isDoc(inner) ? { ...doc, [field]: withoutValue(inner, rest.join('.')) } : doc
}

function walk(value: unknown, fields: readonly string[]): unknown[] {
  const [field, ...rest] = fields
  if (field === undefined) return [value]
  if (Array.isArray(value)) {
    const place = /^\d+$/.test(field) && Number(field) < value.length ? walk(value[Number(field)], rest) : []
    return [...place, ...value.flatMap((element) => (isDoc(element) ? walk(element, fields) : []))]
  }
  return isDoc(value) && Object.hasOwn(value, field) ? walk(value[field], rest) : []
}
