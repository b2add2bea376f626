/** Updates: a whole replacement, or operators on fields. */
import { Double, Int32, Long } from 'bson'
import { valueAt, valuesAt, withoutValue, withValue } from './path.ts'
import { badValue, failedToParse, notImplemented, Refusal } from './refusal.ts'
import { type Doc, equal, isDoc, numberOf } from './value.ts'

const known = ['$set', '$setOnInsert', '$unset', '$inc', '$push']
const foreign = /^\$(addToSet|pull|pullAll|pop|mul|min|max|rename|currentDate|bit)$/

export function isReplacement(update: Doc): boolean {
  return !Object.keys(update).some((field) => field.startsWith('$'))
}

/**
 * @param doc what is there; for an upsert the fields that the filter pins
 * @param inserting whether the document is made by this update
 * @returns the document as it should be
 * @throws {Refusal} for updates that MongoDB refuses
 */
export function applyUpdate(doc: Doc, update: unknown, inserting: boolean): Doc {
  if (Array.isArray(update)) throw notImplemented('updates by a pipeline')
  if (!isDoc(update)) throw failedToParse('Update argument must be either an object or an array')
  if (isReplacement(update)) return replacement(doc, update)
  const result = Object.entries(update).reduce(
    (sofar, [operator, fields]) => modified(sofar, operator, fields, inserting),
    doc,
  )
  if ('_id' in doc && !equal(doc._id, result._id)) throw immutable()
  return result
}

function replacement(doc: Doc, update: Doc): Doc {
  if ('_id' in doc && '_id' in update && !equal(doc._id, update._id)) throw immutable()
  return { ...('_id' in doc ? { _id: doc._id } : {}), ...update }
}

function modified(doc: Doc, operator: string, fields: unknown, inserting: boolean): Doc {
  if (foreign.test(operator)) throw notImplemented(`the update operator ${operator}`)
  if (!known.includes(operator)) {
    throw failedToParse(
      `Unknown modifier: ${operator}. Expected a valid update modifier or pipeline-style update specified as an array`,
    )
  }
  if (!isDoc(fields))
    throw failedToParse(`Modifiers operate on fields but we found another type: ${operator}`)
  if (operator === '$setOnInsert' && !inserting) return doc
  return Object.entries(fields).reduce((sofar, [path, value]) => {
    switch (operator) {
      case '$unset':
        return withoutValue(sofar, path)
      case '$inc':
        return withValue(sofar, path, sum(valueAt(sofar, path), value, path))
      case '$push':
        return withValue(sofar, path, pushed(sofar, path, value))
      default:
        return withValue(sofar, path, value)
    }
  }, doc)
}

function pushed(doc: Doc, path: string, value: unknown): unknown[] {
  if (isDoc(value) && Object.keys(value).some((key) => key.startsWith('$'))) {
    throw notImplemented('modifiers of $push')
  }
  const list = valueAt(doc, path)
  if (list === undefined && valuesAt(doc, path).length === 0) return [value]
  if (!Array.isArray(list)) throw badValue(`The field '${path}' must be an array`)
  return [...list, value]
}

function sum(present: unknown, more: unknown, path: string): unknown {
  const step = numberOf(more)
  if (step === undefined) {
    throw new Refusal(14, 'TypeMismatch', `Cannot increment with non-numeric argument: {${path}}`)
  }
  if (present === undefined) return more
  const start = numberOf(present)
  if (start === undefined) {
    throw new Refusal(14, 'TypeMismatch', `Cannot apply $inc to a value of non-numeric type in '${path}'`)
  }
  if (present instanceof Double || more instanceof Double) return new Double(Number(start) + Number(step))
  const total = BigInt(start) + BigInt(step)
  const small = total >= -(2n ** 31n) && total < 2n ** 31n
  return small && !(present instanceof Long) ? new Int32(Number(total)) : Long.fromBigInt(total)
}

const immutable = () =>
  new Refusal(
    66,
    'ImmutableField',
    "Performing an update on the path '_id' would modify the immutable field '_id'",
  )
