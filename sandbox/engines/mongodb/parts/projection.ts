/** Which fields of a document an answer has, and in which order documents come. */
import { valueAt, valuesAt, withoutValue, withValue } from './path.ts'
import { badValue, notImplemented } from './refusal.ts'
import { compare, type Doc, numberOf } from './value.ts'

/** @returns the document with the fields that are asked for */
export function project(doc: Doc, fields: Doc): Doc {
  const flags = Object.entries(fields).map(([path, flag]) => [path, shown(path, flag)] as const)
  if (flags.length === 0) return doc
  const others = flags.filter(([path]) => path !== '_id')
  const inclusive = (others[0] ?? flags[0])?.[1] === true
  if (others.some(([, flag]) => flag !== inclusive)) {
    throw badValue('Cannot do exclusion in inclusion projection, or the other way round')
  }
  if (!inclusive) {
    return flags.filter(([, flag]) => !flag).reduce((sofar, [path]) => withoutValue(sofar, path), doc)
  }
  const hidden = flags.some(([path, flag]) => path === '_id' && !flag)
  const start: Doc = hidden || !('_id' in doc) ? {} : { _id: doc._id }
  return others
    .filter(([path]) => valuesAt(doc, path).length > 0)
    .reduce((sofar, [path]) => withValue(sofar, path, valueAt(doc, path)), start)
}

function shown(path: string, flag: unknown): boolean {
  if (typeof flag === 'boolean') return flag
  const number = numberOf(flag)
  if (number === undefined) throw notImplemented(`the projection of ${path} by an expression`)
  return number !== 0
}

/** @returns the documents in the order asked for */
export function sorted(docs: readonly Doc[], order: Doc): Doc[] {
  const keys = Object.entries(order).map(([path, direction]) => {
    const sign = numberOf(direction)
    if (sign !== 1 && sign !== -1)
      throw badValue(`$sort key ordering must be 1 (for ascending) or -1: ${path}`)
    return { path, sign }
  })
  return [...docs].sort((one, other) => {
    for (const { path, sign } of keys) {
      const result = compare(valueAt(one, path), valueAt(other, path))
      if (result !== 0) return sign * result
    }
    return 0
  })
}
