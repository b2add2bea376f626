/** Aggregation pipelines, as far as an application's first steps go. */
import { Int32 } from 'bson'
import { compileFilter } from './filter.ts'
import { valueAt, withValue } from './path.ts'
import { project, sorted } from './projection.ts'
import { failedToParse, notImplemented, Refusal } from './refusal.ts'
import { compare, type Doc, isDoc, keyOf, numberOf } from './value.ts'

const foreign =
  /^\$(bucket|bucketAuto|changeStream|collStats|densify|facet|fill|geoNear|graphLookup|indexStats|listLocalSessions|listSessions|lookup|merge|out|planCacheStats|redact|replaceRoot|replaceWith|sample|search|set|setWindowFields|sortByCount|unionWith|unset|unwind|addFields|documents)$/

/**
 * @param docs what the pipeline starts with
 * @throws {Refusal} for stages that MongoDB does not have, or that this stand-in does not know
 */
export function runPipeline(docs: readonly Doc[], stages: readonly Doc[]): Doc[] {
  return stages.reduce<Doc[]>((sofar, stage) => runStage(sofar, stage), [...docs])
}

function runStage(docs: Doc[], stage: Doc): Doc[] {
  const [[name, argument] = ['', undefined], ...more] = Object.entries(stage)
  if (more.length > 0 || name === '') {
    throw new Refusal(
      40323,
      'Location40323',
      'A pipeline stage specification object must contain exactly one field.',
    )
  }
  switch (name) {
    case '$match':
      return docs.filter(compileFilter(document(name, argument)))
    case '$sort':
      return sorted(docs, document(name, argument))
    case '$project':
      return docs.map((doc) => project(doc, document(name, argument)))
    case '$limit':
      return docs.slice(0, count(name, argument))
    case '$skip':
      return docs.slice(count(name, argument))
    case '$count':
      if (typeof argument !== 'string' || argument === '') {
        throw new Refusal(40156, 'Location40156', 'the count field must be a non-empty string')
      }
      return docs.length === 0 ? [] : [{ [argument]: new Int32(docs.length) }]
    case '$group':
      return group(docs, document(name, argument))
    default:
      if (foreign.test(name)) throw notImplemented(`the pipeline stage ${name}`)
      throw new Refusal(40324, 'Location40324', `Unrecognized pipeline stage name: '${name}'`)
  }
}

function group(docs: readonly Doc[], specification: Doc): Doc[] {
  if (!('_id' in specification)) {
    throw new Refusal(15955, 'Location15955', 'a group specification must include an _id')
  }
  const { _id: by, ...fields } = specification
  const groups = new Map<string, { id: unknown; members: Doc[] }>()
  for (const doc of docs) {
    const id = evaluated(doc, by) ?? null
    const known = groups.get(keyOf(id))
    if (known) known.members.push(doc)
    else groups.set(keyOf(id), { id, members: [doc] })
  }
  return [...groups.values()].map(({ id, members }) =>
    Object.entries(fields).reduce<Doc>(
      (sofar, [field, accumulator]) => withValue(sofar, field, accumulated(members, accumulator)),
      { _id: id },
    ),
  )
}

function accumulated(members: readonly Doc[], accumulator: unknown): unknown {
  const [[operator, expression] = ['', undefined]] = isDoc(accumulator) ? Object.entries(accumulator) : []
  const values = members.map((doc) => evaluated(doc, expression))
  const numbers = values.map(numberOf).filter((value) => value !== undefined)
  const total = numbers.reduce<number>((sofar, value) => sofar + Number(value), 0)
  switch (operator) {
    case '$sum':
      return total
    case '$avg':
      return numbers.length === 0 ? null : total / numbers.length
    case '$min':
      return values.filter((value) => value !== undefined).sort(compare)[0] ?? null
    case '$max':
      return (
        values
          .filter((value) => value !== undefined)
          .sort(compare)
          .at(-1) ?? null
      )
    case '$first':
      return values[0] ?? null
    case '$last':
      return values.at(-1) ?? null
    case '$push':
      return values.filter((value) => value !== undefined)
    case '$count':
      return members.length
    default:
      throw notImplemented(`the accumulator ${operator || String(accumulator)}`)
  }
}

/** A path (`$field`), a constant, or a document of them. */
function evaluated(doc: Doc, expression: unknown): unknown {
  if (typeof expression === 'string' && expression.startsWith('$')) {
    if (expression.startsWith('$$')) throw notImplemented(`the variable ${expression}`)
    return valueAt(doc, expression.slice(1))
  }
  if (!isDoc(expression)) return expression
  if ('$literal' in expression) return expression.$literal
  const operator = Object.keys(expression).find((key) => key.startsWith('$'))
  if (operator !== undefined) throw notImplemented(`the expression ${operator}`)
  return Object.fromEntries(Object.entries(expression).map(([key, inner]) => [key, evaluated(doc, inner)]))
}

function document(stage: string, argument: unknown): Doc {
  if (isDoc(argument)) return argument
  throw failedToParse(`the ${stage} specification must be an object`)
}

function count(stage: string, argument: unknown): number {
  const number = Number(numberOf(argument))
  if (!Number.isInteger(number) || number < 0 || (stage === '$limit' && number === 0)) {
    throw new Refusal(15958, 'Location15958', `the ${stage} must be a positive number`)
  }
  return number
}
