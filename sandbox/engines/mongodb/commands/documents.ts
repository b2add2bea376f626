/** Writing documents. */
import { Int32, ObjectId } from 'bson'
import * as v from 'valibot'
import { type Collection, duplicate, idIndex } from '../parts/collection.ts'
import {
  anything,
  argumentsOf,
  type Call,
  type Commands,
  collectionOf,
  doc,
  docs,
  flag,
  integer,
  onCollection,
} from '../parts/command.ts'
import { compileFilter, pinned } from '../parts/filter.ts'
import { withValue } from '../parts/path.ts'
import { project, sorted } from '../parts/projection.ts'
import { badValue, failedToParse, notImplemented, Refusal } from '../parts/refusal.ts'
import { applyUpdate, isReplacement } from '../parts/update.ts'
import { copyOf, type Doc, isDoc } from '../parts/value.ts'

const writing = {
  ordered: v.optional(flag, true),
  bypassDocumentValidation: v.optional(flag),
  let: v.optional(anything),
}

const Update = v.strictObject({
  q: doc,
  u: anything,
  multi: v.optional(flag, false),
  upsert: v.optional(flag, false),
  hint: v.optional(anything),
})

const Delete = v.strictObject({ q: doc, limit: integer, hint: v.optional(anything) })

export const documents: Commands = {
  insert: {
    writes: true,
    needs: onCollection('insert'),
    run(call) {
      const args = argumentsOf(call, { ...writing, documents: docs })
      if (args.documents.length === 0) throw badValue('Write batch sizes must be between 1 and 100000')
      const name = collectionOf(call)
      const { store } = call.server
      const failures = each(args.documents, args.ordered, (document) => {
        const collection = store.ensure(call.db, name)
        const whole = withId(document)
        if (collection.find(whole._id)) throw duplicate(`${call.db}.${name}`, idIndex, whole)
        store.put(call.db, collection, whole)
      })
      return { n: count(args.documents.length, failures, args.ordered), ...errors(failures) }
    },
  },

  update: {
    writes: true,
    needs(call) {
      const { updates } = argumentsOf(call, { ...writing, updates: docs })
      const upsert = updates.some((update) => update.upsert === true)
      return onCollection('update', ...(upsert ? ['insert'] : []))(call)
    },
    run(call) {
      const { updates, ordered } = argumentsOf(call, { ...writing, updates: docs })
      const totals = { n: 0, nModified: 0, upserted: [] as Doc[] }
      const failures = each(updates, ordered, (update, index) => {
        const result = updateOne(call, one(Update, update))
        totals.n += result.matched
        totals.nModified += result.modified
        if ('upserted' in result) {
          totals.n++
          totals.upserted.push({ index: new Int32(index), _id: result.upserted })
        }
      })
      return {
        n: new Int32(totals.n),
        nModified: new Int32(totals.nModified),
        ...(totals.upserted.length > 0 ? { upserted: totals.upserted } : {}),
        ...errors(failures),
      }
    },
  },

  delete: {
    writes: true,
    needs: onCollection('remove'),
    run(call) {
      const { deletes, ordered } = argumentsOf(call, { ...writing, deletes: docs })
      const { store } = call.server
      let removed = 0
      const failures = each(deletes, ordered, (entry) => {
        const { q, limit } = one(Delete, entry)
        if (limit !== 0 && limit !== 1)
          throw failedToParse(`The limit field in delete objects must be 0 or 1. Got ${limit}`)
        const collection = store.find(call.db, collectionOf(call))
        const matches = compileFilter(q)
        const found = collection?.documents().filter(matches) ?? []
        for (const document of limit === 1 ? found.slice(0, 1) : found) {
          if (collection) store.remove(call.db, collection, document)
          removed++
        }
      })
      return { n: new Int32(removed), ...errors(failures) }
    },
  },

  findAndModify: {
    writes: true,
    needs(call) {
      const { remove, upsert } = argumentsOf(call, modifying)
      return onCollection('find', remove ? 'remove' : 'update', ...(upsert ? ['insert'] : []))(call)
    },
    run(call) {
      const args = argumentsOf(call, modifying)
      const { store } = call.server
      const collection = store.find(call.db, collectionOf(call))
      const found = sorted(collection?.documents().filter(compileFilter(args.query)) ?? [], args.sort)
      const [before] = found
      const shown = (document: Doc | undefined) => (document ? project(document, args.fields) : null)
      if (args.remove) {
        if (args.update !== undefined) throw failedToParse('Cannot specify both an update and remove=true')
        if (before && collection) store.remove(call.db, collection, before)
        return { lastErrorObject: { n: new Int32(before ? 1 : 0) }, value: shown(before) }
      }
      const query = before ? { _id: before._id } : args.query
      const result = updateOne(call, { q: query, u: args.update, multi: false, upsert: args.upsert })
      const id = 'upserted' in result ? result.upserted : before?._id
      const after = id === undefined ? undefined : store.find(call.db, collectionOf(call))?.find(id)
      return {
        lastErrorObject: {
          n: new Int32(after ? 1 : 0),
          updatedExisting: before !== undefined,
          ...('upserted' in result ? { upserted: result.upserted } : {}),
        },
        value: shown(args.new ? after : before),
      }
    },
  },
}

const modifying = {
  query: v.optional(doc, () => ({})),
  sort: v.optional(doc, () => ({})),
  fields: v.optional(doc, () => ({})),
  update: v.optional(anything),
  remove: v.optional(flag, false),
  new: v.optional(flag, false),
  upsert: v.optional(flag, false),
  bypassDocumentValidation: v.optional(flag),
}

type Result = { matched: number; modified: number } | { matched: 0; modified: 0; upserted: unknown }

function updateOne(call: Call, { q, u, multi, upsert }: Omit<v.InferOutput<typeof Update>, 'hint'>): Result {
  if (multi && isDoc(u) && isReplacement(u)) {
    throw failedToParse('multi update is not supported for replacement-style update')
  }
  const { store } = call.server
  const name = collectionOf(call)
  const collection = store.find(call.db, name)
  const found = collection?.documents().filter(compileFilter(q)) ?? []
  const chosen = multi ? found : found.slice(0, 1)
  if (chosen.length === 0 || !collection) {
    const start = pinned(q).reduce<Doc>((sofar, [path, value]) => withValue(sofar, path, value), {})
    const made = applyUpdate(start, u, true)
    if (!upsert) return { matched: 0, modified: 0 }
    return { matched: 0, modified: 0, upserted: put(call, store.ensure(call.db, name), made)._id }
  }
  let modified = 0
  for (const before of chosen) {
    const after = applyUpdate(before, u, false)
    if (JSON.stringify(after) === JSON.stringify(before)) continue
    put(call, collection, after)
    modified++
  }
  return { matched: chosen.length, modified }
}

function put(call: Call, collection: Collection, document: Doc): Doc {
  const whole = copyOf(withId(document))
  call.server.store.put(call.db, collection, whole)
  return whole
}

function withId(document: Doc): Doc {
  if (Array.isArray(document._id))
    throw new Refusal(53, 'InvalidIdField', "The '_id' value cannot be of type array")
  return '_id' in document ? document : { _id: new ObjectId(), ...document }
}

interface Failure {
  readonly index: number
  readonly refusal: Refusal
}

/** Carries out the parts of a batch; an ordered one ends at its first failure. */
function each<T>(parts: readonly T[], ordered: boolean, work: (part: T, index: number) => void): Failure[] {
  const failures: Failure[] = []
  for (const [index, part] of parts.entries()) {
    try {
      work(part, index)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      failures.push({ index, refusal: error })
      if (ordered) break
    }
  }
  return failures
}

function count(parts: number, failures: readonly Failure[], ordered: boolean): Int32 {
  const [first] = failures
  return new Int32(ordered && first ? first.index : parts - failures.length)
}

function errors(failures: readonly Failure[]): Doc {
  if (failures.length === 0) return {}
  return {
    writeErrors: failures.map(({ index, refusal }) => ({
      index: new Int32(index),
      code: new Int32(refusal.code),
      errmsg: refusal.message,
      ...refusal.more,
    })),
  }
}

/** @throws {Refusal} for parts of a batch that the stand-in does not know (collation, arrayFilters, …) */
function one<T extends v.StrictObjectSchema<v.ObjectEntries, undefined>>(
  schema: T,
  part: Doc,
): v.InferOutput<T> {
  const strange = Object.keys(part).find((field) => !(field in schema.entries))
  if (strange !== undefined) throw notImplemented(`writes with ${strange}`)
  const parsed = v.safeParse(schema, part)
  if (parsed.success) return parsed.output
  throw failedToParse(`not a statement of a write: ${v.getDotPath(parsed.issues[0]) ?? ''}`)
}
