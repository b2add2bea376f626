/** Databases, collections and indexes. */
import { Int32, Long } from 'bson'
import * as v from 'valibot'
import { type Collection, type Index, idIndex } from '../parts/collection.ts'
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
  onDatabase,
  text,
} from '../parts/command.ts'
import { compileFilter } from '../parts/filter.ts'
import { mayAnythingIn } from '../parts/privileges.ts'
import { badValue, namespaceNotFound, notImplemented, Refusal, unauthorized } from '../parts/refusal.ts'
import { uuidOf } from '../parts/store.ts'
import { type Doc, equal, isDoc, numberOf } from '../parts/value.ts'
import { firstBatch } from './queries.ts'

export const collections: Commands = {
  listDatabases: {
    adminOnly: true,
    needs: 'login',
    run(call) {
      const args = argumentsOf(call, {
        nameOnly: v.optional(flag),
        filter: v.optional(doc),
        authorizedDatabases: v.optional(flag),
      })
      const all = mayDo(call, 'listDatabases', 'cluster')
      if (args.authorizedDatabases === false && !all) {
        throw unauthorized('Not authorized to list all databases')
      }
      const matches = compileFilter(args.filter ?? {})
      const { store } = call.server
      const found = store
        .databases()
        .filter((db) => all || mayAnythingIn(call.privileges, db))
        .map((name): Doc => ({ name, sizeOnDisk: Long.fromNumber(store.sizeOf(name)), empty: false }))
        .filter(matches)
      if (args.nameOnly) return { databases: found.map(({ name }) => ({ name })) }
      const total = found.reduce((sum, { sizeOnDisk }) => sum + Number(numberOf(sizeOnDisk) ?? 0), 0)
      return { databases: found, totalSize: Long.fromNumber(total) }
    },
  },

  listCollections: {
    needs(call) {
      const { nameOnly, authorizedCollections } = argumentsOf(call, listArguments)
      if (nameOnly && authorizedCollections && mayAnythingIn(call.privileges, call.db)) return []
      if (!mayDo(call, 'listCollections', { db: call.db })) {
        throw unauthorized(`Not authorized to list collections on db: ${call.db}`)
      }
      return []
    },
    run(call) {
      const { nameOnly, filter, cursor } = argumentsOf(call, listArguments)
      const found = call.server.store
        .collections(call.db)
        .map((collection) => shown(collection, nameOnly === true))
        .filter(compileFilter(filter ?? {}))
      return firstBatch(call, `${call.db}.$cmd.listCollections`, found, batchSize(cursor))
    },
  },

  create: {
    writes: true,
    needs: onCollection('createCollection'),
    run(call) {
      const name = collectionOf(call)
      const args = argumentsOf(call, {
        capped: v.optional(flag),
        size: v.optional(integer),
        max: v.optional(integer),
        // these make other kinds of collections
        viewOn: v.optional(anything),
        timeseries: v.optional(anything),
        validator: v.optional(anything),
        collation: v.optional(anything),
      })
      for (const field of ['viewOn', 'timeseries', 'validator', 'collation'] as const) {
        if (args[field] !== undefined) throw notImplemented(`collections with ${field}`)
      }
      if (args.capped && args.size === undefined) {
        throw new Refusal(72, 'InvalidOptions', "the 'size' field is required when 'capped' is true")
      }
      const options: Doc = args.capped
        ? { capped: true, size: args.size, ...(args.max === undefined ? {} : { max: args.max }) }
        : {}
      const present = call.server.store.find(call.db, name)
      if (present && present.capped !== (args.capped === true)) {
        throw new Refusal(
          48,
          'NamespaceExists',
          `namespace ${call.db}.${name} already exists, but with different options`,
        )
      }
      call.server.store.ensure(call.db, name, options)
      return {}
    },
  },

  drop: {
    writes: true,
    needs: onCollection('dropCollection'),
    run(call) {
      argumentsOf(call, {})
      const name = collectionOf(call)
      const collection = call.server.store.find(call.db, name)
      if (!collection) return {}
      call.server.store.drop(call.db, name)
      return { nIndexesWas: new Int32(collection.indexes.length), ns: `${call.db}.${name}` }
    },
  },

  dropDatabase: {
    writes: true,
    needs: onDatabase('dropDatabase'),
    run(call) {
      argumentsOf(call, {})
      const { store } = call.server
      if (call.db === 'admin') {
        throw new Refusal(20, 'IllegalOperation', "Dropping the 'admin' database is prohibited.")
      }
      for (const { name } of store.collections(call.db)) store.drop(call.db, name)
      return {}
    },
  },

  createIndexes: {
    writes: true,
    needs: onCollection('createIndex'),
    run(call) {
      const { indexes } = argumentsOf(call, { indexes: docs, commitQuorum: v.optional(anything) })
      const { store } = call.server
      const created = store.find(call.db, collectionOf(call)) === undefined
      const collection = store.ensure(call.db, collectionOf(call))
      const before = collection.indexes.length
      for (const specification of indexes) {
        const index = indexOf(specification)
        const same = collection.indexes.find(({ name, key }) => name === index.name || equal(key, index.key))
        if (same === undefined) store.addIndex(call.db, collection, index)
        else if (!equal(same.key, index.key) || same.unique !== index.unique || same.name !== index.name) {
          throw new Refusal(
            86,
            'IndexKeySpecsConflict',
            `An existing index has the same name or keys as the requested index ${index.name}`,
          )
        }
      }
      return {
        numIndexesBefore: new Int32(before),
        numIndexesAfter: new Int32(collection.indexes.length),
        createdCollectionAutomatically: created,
      }
    },
  },

  listIndexes: {
    needs: onCollection('listIndexes'),
    run(call) {
      const { cursor } = argumentsOf(call, { cursor: v.optional(doc) })
      const collection = existing(call)
      const found = collection.indexes.map(
        ({ name, key, unique, sparse }): Doc => ({
          v: new Int32(2),
          key,
          name,
          ...(unique ? { unique } : {}),
          ...(sparse ? { sparse } : {}),
        }),
      )
      return firstBatch(call, `${call.db}.${collection.name}`, found, batchSize(cursor))
    },
  },

  dropIndexes: {
    writes: true,
    needs: onCollection('dropIndex'),
    run(call) {
      const { index } = argumentsOf(call, { index: anything })
      const collection = existing(call)
      const before = collection.indexes.length
      const doomed = collection.indexes
        .slice(1)
        .filter(({ name, key }) => index === '*' || index === name || (isDoc(index) && equal(index, key)))
      if (doomed.length === 0 && index !== '*') {
        if (index === idIndex.name) throw new Refusal(72, 'InvalidOptions', 'cannot drop _id index')
        throw new Refusal(27, 'IndexNotFound', `index not found with name [${String(index)}]`)
      }
      for (const { name } of doomed) call.server.store.removeIndex(call.db, collection, name)
      return { nIndexesWas: new Int32(before) }
    },
  },
}

const listArguments = {
  filter: v.optional(doc),
  nameOnly: v.optional(flag),
  authorizedCollections: v.optional(flag),
  cursor: v.optional(doc),
}

function batchSize(cursor: Doc | undefined): number | undefined {
  const size = numberOf(cursor?.batchSize)
  return size === undefined ? undefined : Number(size)
}

function existing(call: Call): Collection {
  const name = collectionOf(call)
  const collection = call.server.store.find(call.db, name)
  if (!collection) throw namespaceNotFound(`ns does not exist: ${call.db}.${name}`)
  return collection
}

function shown(collection: Collection, nameOnly: boolean): Doc {
  const { name, options } = collection
  if (nameOnly) return { name, type: 'collection' }
  const { uuid: _, ...others } = options
  const info = { readOnly: false, uuid: uuidOf(collection) }
  return {
    name,
    type: 'collection',
    options: others,
    info,
    idIndex: { v: new Int32(2), key: idIndex.key, name: '_id_' },
  }
}

const Specification = v.object({
  key: doc,
  name: text,
  unique: v.optional(flag),
  sparse: v.optional(flag),
  v: v.optional(integer),
  background: v.optional(flag),
})

function indexOf(specification: Doc): Index {
  const strange = Object.keys(specification).find((field) => !(field in Specification.entries))
  if (strange !== undefined) throw notImplemented(`indexes with ${strange}`)
  const parsed = v.safeParse(Specification, specification)
  if (!parsed.success) throw badValue(`not the description of an index: ${JSON.stringify(specification)}`)
  const { key, name, unique = false, sparse = false } = parsed.output
  if (Object.keys(key).length === 0) {
    throw new Refusal(67, 'CannotCreateIndex', 'Index keys cannot be an empty object')
  }
  for (const direction of Object.values(key)) {
    if (numberOf(direction) === undefined) throw notImplemented(`indexes of type ${String(direction)}`)
  }
  return { key, name, unique, sparse }
}
