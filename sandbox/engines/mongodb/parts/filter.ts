/** Query filters: which documents a find, update, delete or $match means. */
import { BSONRegExp } from 'bson'
import { valuesAt } from './path.ts'
import { badValue, notImplemented } from './refusal.ts'
import { comparable, compare, type Doc, equal, isDoc, numberOf } from './value.ts'

export type Predicate = (doc: Doc) => boolean

/**
 * @returns the test that the filter stands for
 * @throws {Refusal} for operators that MongoDB does not have, or that this stand-in does not know
 */
export function compileFilter(filter: Doc): Predicate {
  const tests = Object.entries(filter).map(([field, condition]) => clause(field, condition))
  return (doc) => tests.every((test) => test(doc))
}

/** @returns the fields that the filter pins to one value each: an upsert starts from them */
export function pinned(filter: Doc): [path: string, value: unknown][] {
  return Object.entries(filter).flatMap(([field, condition]): [string, unknown][] => {
    if (field === '$and' && Array.isArray(condition)) return condition.filter(isDoc).flatMap(pinned)
    if (field.startsWith('$')) return []
    if (!isOperators(condition)) return condition instanceof BSONRegExp ? [] : [[field, condition]]
    return '$eq' in condition ? [[field, condition.$eq]] : []
  })
}

const unknownOperators = /^\$(type|mod|text|where|expr|jsonSchema|all|size|elemMatch|geo\w*|near\w*|bits\w*)$/

function clause(field: string, condition: unknown): Predicate {
  if (field === '$comment') return () => true
  if (field === '$and' || field === '$or' || field === '$nor') {
    if (!Array.isArray(condition) || condition.length === 0 || !condition.every(isDoc)) {
      throw badValue(`${field} must be a nonempty array`)
    }
    const tests = condition.map(compileFilter)
    if (field === '$and') return (doc) => tests.every((test) => test(doc))
    if (field === '$or') return (doc) => tests.some((test) => test(doc))
    return (doc) => !tests.some((test) => test(doc))
  }
  if (field.startsWith('$')) {
    if (unknownOperators.test(field)) throw notImplemented(`the filter ${field}`)
    throw badValue(`unknown top level operator: ${field}`)
  }
  if (!isOperators(condition)) return (doc) => meets(valuesAt(doc, field), condition)
  const tests = Object.entries(condition).map(([name, operand]) => operator(name, operand, condition))
  return (doc) => {
    const values = valuesAt(doc, field)
    return tests.every((test) => test(values))
  }
}

type Test = (values: readonly unknown[]) => boolean

function operator(name: string, operand: unknown, all: Doc): Test {
  switch (name) {
    case '$eq':
      return (values) => meets(values, operand)
    case '$ne':
      return (values) => !meets(values, operand)
    case '$gt':
      return compared(operand, (order) => order > 0)
    case '$gte':
      return compared(operand, (order) => order >= 0)
    case '$lt':
      return compared(operand, (order) => order < 0)
    case '$lte':
      return compared(operand, (order) => order <= 0)
    case '$in':
    case '$nin': {
      if (!Array.isArray(operand)) throw badValue(`${name} needs an array`)
      const within: Test = (values) => operand.some((one) => meets(values, one))
      return name === '$in' ? within : (values) => !within(values)
    }
    case '$exists': {
      const wanted = operand === true || (numberOf(operand) ?? 0) !== 0
      return (values) => values.length > 0 === wanted
    }
    case '$not': {
      if (!isOperators(operand)) throw badValue('$not needs a regex or a document')
      const tests = Object.entries(operand).map(([inner, value]) => operator(inner, value, operand))
      return (values) => !tests.every((test) => test(values))
    }
    case '$regex': {
      const options = typeof all.$options === 'string' ? all.$options : ''
      const pattern = operand instanceof BSONRegExp ? operand : new BSONRegExp(String(operand), options)
      return (values) => meets(values, pattern)
    }
    case '$options':
      return () => true
    default:
      if (unknownOperators.test(name)) throw notImplemented(`the filter operator ${name}`)
      throw badValue(`unknown operator: ${name}`)
  }
}

function compared(operand: unknown, right: (order: number) => boolean): Test {
  return (values) => values.some((value) => comparable(value, operand) && right(compare(value, operand)))
}

/** Equality as MongoDB has it: null is also "not there", a regular expression is matched. */
function meets(values: readonly unknown[], wanted: unknown): boolean {
  if (wanted instanceof BSONRegExp) {
    const pattern = new RegExp(wanted.pattern, wanted.options.replace(/[^ims]/g, ''))
    return values.some((value) => typeof value === 'string' && pattern.test(value))
  }
  if (wanted === null && values.length === 0) return true
  return values.some((value) => equal(value, wanted))
}

function isOperators(value: unknown): value is Doc {
  if (!isDoc(value)) return false
  const [first] = Object.keys(value)
  return first?.startsWith('$') === true && first !== '$ref' && first !== '$id'
}
