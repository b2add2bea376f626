/** Reading documents. */
import { once } from 'node:events'
import { Int32 } from 'bson'
import * as v from 'valibot'
import type { Collection } from '../parts/collection.ts'
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
  mayDo,
  onCollection,
  text,
} from '../parts/command.ts'
import { compileFilter } from '../parts/filter.ts'
import { type Cursor, idOf, type Operation } from '../parts/member.ts'
import { runPipeline } from '../parts/pipeline.ts'
import type { Need } from '../parts/privileges.ts'
import { project, sorted } from '../parts/projection.ts'
import {
  badValue,
  failedToParse,
  interrupted,
  notImplemented,
  Refusal,
  unauthorized,
} from '../parts/refusal.ts'
import { isSame, type UserName } from '../parts/users.ts'
import { type Doc, isDoc, numberOf } from '../parts/value.ts'

const defaultBatch = 101
/** milliseconds that a waiting getMore waits, unless told otherwise */
const awaitTime = 1000

export const queries: Commands = {
  find: {
    needs: onCollection('find'),
    run(call) {
      const args = argumentsOf(call, {
        filter: v.optional(doc, () => ({})),
        sort: v.optional(doc, () => ({})),
        projection: v.optional(doc, () => ({})),
        skip: v.optional(integer, 0),
        limit: v.optional(integer, 0),
        batchSize: v.optional(integer),
        singleBatch: v.optional(flag, false),
        tailable: v.optional(flag, false),
        awaitData: v.optional(flag, false),
        hint: v.optional(anything),
        noCursorTimeout: v.optional(flag),
        allowDiskUse: v.optional(flag),
        allowPartialResults: v.optional(flag),
        let: v.optional(anything),
        collation: v.optional(anything),
      })
      if (args.collation !== undefined) throw notImplemented('collations')
      const name = collectionOf(call)
      const namespace = `${call.db}.${name}`
      const collection = call.server.store.find(call.db, name)
      const matches = compileFilter(args.filter)
      if (args.tailable)
        return tail(call, namespace, collection, (docs) => docs.filter(matches), args.awaitData)
      const found = sorted(collection?.documents().filter(matches) ?? [], args.sort)
      const limit = Math.abs(args.limit)
      const chosen = found.slice(args.skip, limit === 0 ? undefined : args.skip + limit)
      const shown = chosen.map((document) => project(document, args.projection))
      if (!args.singleBatch && args.limit >= 0) return firstBatch(call, namespace, shown, args.batchSize)
      return firstBatch(call, namespace, shown, shown.length)
    },
  },

  getMore: {
    needs(call) {
      const { collection } = argumentsOf(call, moreArguments)
      const cursor = call.member.cursors.get(cursorId(call))
      // a cursor belongs to who opened it
      if (cursor?.owner && call.user && !isSame(cursor.owner, call.user)) {
        throw unauthorized(`cursor id ${cursorId(call)} was not created by the authenticated user`)
      }
      return collection.startsWith('$cmd') ? [] : [{ action: 'find', on: { db: call.db, collection } }]
    },
    async run(call) {
      const { collection, batchSize, maxTimeMS } = argumentsOf(call, moreArguments)
      const cursor = call.member.cursor(cursorId(call))
      if (cursor.namespace !== `${call.db}.${collection}`) {
        throw unauthorized(
          `Requested getMore on namespace '${call.db}.${collection}', but cursor belongs to a different namespace ${cursor.namespace}`,
        )
      }
      if (cursor.session !== call.operation.session) {
        throw unauthorized(`Cannot run getMore on cursor ${cursor.id}, which was created in another session`)
      }
      const size = batchSize === undefined || batchSize === 0 ? Number.MAX_SAFE_INTEGER : batchSize
      let batch = cursor.take(size)
      if (batch.length === 0 && cursor.more) {
        await wait(cursor, call.operation, maxTimeMS ?? awaitTime)
        batch = call.member.cursor(cursor.id).take(size)
      }
      if (cursor.exhausted) call.member.cursors.delete(cursor.id)
      const id = cursor.exhausted ? idOf(undefined) : idOf(cursor)
      return { cursor: { id, ns: cursor.namespace, nextBatch: batch } }
    },
  },

  killCursors: {
    needs: 'login',
    run(call) {
      const { cursors } = argumentsOf(call, { cursors: v.array(anything) })
      const outcome = { killed: [] as unknown[], notFound: [] as unknown[] }
      for (const id of cursors) {
        const cursor = call.member.cursors.get(BigInt(numberOf(id) ?? 0))
        const own = cursor?.owner && call.user && isSame(cursor.owner, call.user)
        if (cursor && !own && !mayDo(call, 'killAnyCursor', 'cluster')) {
          throw unauthorized(`not authorized on ${call.db} to execute command killCursors`)
        }
        outcome[cursor && call.member.cursors.delete(cursor.id) ? 'killed' : 'notFound'].push(id)
      }
      return {
        cursorsKilled: outcome.killed,
        cursorsNotFound: outcome.notFound,
        cursorsAlive: [],
        cursorsUnknown: [],
      }
    },
  },

  count: {
    needs: onCollection('find'),
    run(call) {
      const args = argumentsOf(call, {
        query: v.optional(doc, () => ({})),
        limit: v.optional(integer, 0),
        skip: v.optional(integer, 0),
        hint: v.optional(anything),
      })
      const found = documentsOf(call).filter(compileFilter(args.query)).slice(args.skip)
      return { n: new Int32(args.limit === 0 ? found.length : Math.min(found.length, Math.abs(args.limit))) }
    },
  },

  distinct: {
    needs: onCollection('find'),
    run(call) {
      const args = argumentsOf(call, { key: text, query: v.optional(doc, () => ({})) })
      const found = documentsOf(call).filter(compileFilter(args.query))
      const groups = runPipeline(found, [{ $group: { _id: `$${args.key}` } }])
      return { values: groups.map(({ _id }) => _id).filter((value) => value !== null) }
    },
  },

  aggregate: {
    needs(call): readonly Need[] {
      const { pipeline } = argumentsOf(call, aggregateArguments)
      if (isCurrentOperations(pipeline)) return []
      const about = call.args.aggregate
      if (typeof about !== 'string') return [{ action: 'find', on: { db: call.db } }]
      return [{ action: 'find', on: { db: call.db, collection: about } }, ...writtenTo(call, pipeline)]
    },
    run(call) {
      const { pipeline, cursor, explain, collation } = argumentsOf(call, aggregateArguments)
      if (explain) throw notImplemented('explain')
      if (collation !== undefined) throw notImplemented('collations')
      const size = numberOf(cursor?.batchSize)
      const batch = size === undefined ? undefined : Number(size)
      const [first, ...rest] = pipeline
      if (first !== undefined && isCurrentOperations(pipeline)) {
        if (call.db !== 'admin' || typeof call.args.aggregate === 'string') {
          throw new Refusal(
            73,
            'InvalidNamespace',
            "$currentOp must be run against the 'admin' database with {aggregate: 1}",
          )
        }
        const found = currentOperations(call, isDoc(first.$currentOp) ? first.$currentOp : {})
        return firstBatch(call, 'admin.$cmd.aggregate', runPipeline(found, rest), batch)
      }
      if (typeof call.args.aggregate !== 'string') throw notImplemented('aggregations without a collection')
      const namespace = `${call.db}.${collectionOf(call)}`
      return firstBatch(call, namespace, runPipeline(documentsOf(call), pipeline), batch)
    },
  },
}

const moreArguments = { collection: text, batchSize: v.optional(integer), maxTimeMS: v.optional(integer) }

const aggregateArguments = {
  pipeline: docs,
  cursor: v.optional(doc),
  explain: v.optional(flag),
  allowDiskUse: v.optional(flag),
  bypassDocumentValidation: v.optional(flag),
  hint: v.optional(anything),
  let: v.optional(anything),
  collation: v.optional(anything),
}

/**
 * @param size documents in the first batch; 0 asks for none yet
 * @returns the answer that begins a cursor, which stays open only while there is more
 */
export function firstBatch(call: Call, namespace: string, docs: Doc[], size: number = defaultBatch): Doc {
  if (size < 0) throw badValue('BatchSize value must be non-negative')
  const rest = docs.slice(size)
  const cursor =
    rest.length === 0
      ? undefined
      : call.member.open({
          namespace,
          owner: call.connection.user,
          session: call.operation.session,
          take: (count) => rest.splice(0, count),
          get exhausted() {
            return rest.length === 0
          },
        })
  return { cursor: { id: idOf(cursor), ns: namespace, firstBatch: docs.slice(0, size) } }
}

/** A cursor that stays at the end of a capped collection. */
function tail(
  call: Call,
  namespace: string,
  collection: Collection | undefined,
  matching: (docs: Doc[]) => Doc[],
  waits: boolean,
): Doc {
  if (collection === undefined) return { cursor: { id: idOf(undefined), ns: namespace, firstBatch: [] } }
  if (!collection.capped) {
    throw badValue(`error processing query: tailable cursor requested on non capped collection ${namespace}`)
  }
  const seen = new Set<Doc>()
  const take = (count: number) => {
    const found = matching(collection.documents().filter((document) => !seen.has(document))).slice(0, count)
    for (const document of found) seen.add(document)
    return found
  }
  const first = take(defaultBatch)
  const cursor = call.member.open({
    namespace,
    owner: call.connection.user,
    session: call.operation.session,
    take,
    exhausted: false,
    ...(waits
      ? {
          more: async (signal: AbortSignal) => {
            await once(collection.events, 'insert', { signal })
          },
        }
      : {}),
  })
  return { cursor: { id: idOf(cursor), ns: namespace, firstBatch: first } }
}

/** @throws {Refusal} Interrupted when the operation is killed or its client goes */
async function wait(cursor: Cursor, { abort }: Operation, time: number): Promise<void> {
  const signal = AbortSignal.any([abort.signal, AbortSignal.timeout(time)])
  try {
    await cursor.more?.(signal)
  } catch (error) {
    if (abort.signal.aborted) throw interrupted()
    if (!signal.aborted) throw error
  }
}

function cursorId({ args }: Call): bigint {
  const id = numberOf(args.getMore)
  if (id === undefined) throw failedToParse('getMore needs the id of a cursor')
  return BigInt(id)
}

function documentsOf(call: Call): Doc[] {
  return call.server.store.find(call.db, collectionOf(call))?.documents() ?? []
}

function isCurrentOperations(pipeline: readonly Doc[]): boolean {
  return pipeline[0] !== undefined && '$currentOp' in pipeline[0]
}

/** The privileges that a last stage needs which writes; that it is not carried out is said later. */
function writtenTo(call: Call, pipeline: readonly Doc[]): Need[] {
  const last = pipeline.at(-1) ?? {}
  const target = last.$out ?? (isDoc(last.$merge) ? last.$merge.into : last.$merge)
  if (target === undefined) return []
  const [db, collection] = isDoc(target) ? [target.db, target.coll] : [call.db, target]
  const on = { db: String(db ?? call.db), collection: String(collection) }
  return ['insert', '$out' in last ? 'remove' : 'update'].map((action) => ({ action, on }))
}

/** What is under way at this address, as `$currentOp` shows it, and the cursors that wait to be asked. */
export function currentOperations(call: Call, { allUsers, idleCursors }: Doc): Doc[] {
  const all = allUsers === true
  if (all && !mayDo(call, 'inprog', 'cluster')) {
    throw unauthorized('Unauthorized: $currentOp for all users needs the action inprog')
  }
  const visible = (user: UserName | undefined) => all || (user && call.user && isSame(user, call.user))
  const operations = [...call.member.operations.values()].filter(({ user }) => visible(user))
  const cursors = [...call.member.cursors.values()].filter(({ owner }) => visible(owner))
  return [
    ...operations.map((operation) => ({
      type: 'op',
      active: true,
      opid: new Int32(operation.id),
      connectionId: new Int32(operation.connection),
      op: operation.command === 'getMore' ? 'getmore' : 'command',
      ns: operation.namespace,
      // what a command says may hold a password
      command: { [operation.command]: '…' },
      effectiveUsers: usersShown(operation.user),
      microsecs_running: new Int32((Date.now() - operation.started) * 1000),
    })),
    ...(idleCursors === true ? cursors : []).map((cursor) => ({
      type: 'idleCursor',
      ns: cursor.namespace,
      cursor: { cursorId: idOf(cursor) },
      effectiveUsers: usersShown(cursor.owner),
    })),
  ]
}

const usersShown = (name: UserName | undefined): Doc[] => (name ? [{ user: name.user, db: name.db }] : [])
