/** One collection: documents by `_id`, and its indexes, of which only uniqueness has an effect. */
import { EventEmitter } from 'node:events'
import { Int32 } from 'bson'
import { valuesAt } from './path.ts'
import { Refusal } from './refusal.ts'
import { type Doc, keyOf, numberOf } from './value.ts'

export interface Index {
  readonly name: string
  readonly key: Doc
  readonly unique: boolean
  /** whether documents without the fields are left out */
  readonly sparse: boolean
}

export const idIndex: Index = { name: '_id_', key: { _id: new Int32(1) }, unique: false, sparse: false }

export class Collection {
  readonly name: string
  /** as `create` was told */
  readonly options: Doc
  readonly indexes: Index[] = [idIndex]
  /** emits `insert`, for those who wait at the end of a capped collection */
  readonly events = new EventEmitter().setMaxListeners(0)
  readonly #documents = new Map<string, Doc>()
  /** for each unique index, which document has which key */
  readonly #keys = new Map<string, Map<string, string>>()

  constructor(name: string, options: Doc) {
    this.name = name
    this.options = options
  }

  get capped(): boolean {
    return this.options.capped === true
  }

  get size(): number {
    return this.#documents.size
  }

  documents(): Doc[] {
    return [...this.#documents.values()]
  }

  find(id: unknown): Doc | undefined {
    return this.#documents.get(keyOf(id))
  }

  /** @throws {Refusal} DuplicateKey when a unique index holds another document with the same key */
  put(doc: Doc, namespace: string): void {
    const id = keyOf(doc._id)
    for (const index of this.indexes) {
      const keys = this.#keys.get(index.name)
      for (const key of index.unique ? keysOf(index, doc) : []) {
        const holder = keys?.get(key)
        if (holder !== undefined && holder !== id) throw duplicate(namespace, index, doc)
      }
    }
    this.#forget(id)
    for (const index of this.indexes.filter(({ unique }) => unique)) {
      for (const key of keysOf(index, doc)) this.#keys.get(index.name)?.set(key, id)
    }
    const isNew = !this.#documents.has(id)
    this.#documents.set(id, doc)
    this.#trim()
    if (isNew) this.events.emit('insert')
  }

  remove(doc: Doc): void {
    const id = keyOf(doc._id)
    this.#forget(id)
    this.#documents.delete(id)
  }

  /** @throws {Refusal} DuplicateKey when a unique index cannot be, for the documents that are there */
  addIndex(index: Index, namespace: string): void {
    if (index.unique) {
      const keys = new Map<string, string>()
      for (const doc of this.#documents.values()) {
        for (const key of keysOf(index, doc)) {
          const id = keyOf(doc._id)
          if ((keys.get(key) ?? id) !== id) throw duplicate(namespace, index, doc)
          keys.set(key, id)
        }
      }
      this.#keys.set(index.name, keys)
    }
    this.indexes.push(index)
  }

  removeIndex(name: string): void {
    this.#keys.delete(name)
    this.indexes.splice(
      this.indexes.findIndex((index) => index.name === name),
      1,
    )
  }

  #forget(id: string): void {
    const before = this.#documents.get(id)
    if (before === undefined) return
    for (const index of this.indexes.filter(({ unique }) => unique)) {
      for (const key of keysOf(index, before)) this.#keys.get(index.name)?.delete(key)
    }
  }

  /** A capped collection drops its oldest. Its size in bytes is not counted. */
  #trim(): void {
    const max = Number(numberOf(this.options.max) ?? 0)
    if (!this.capped || max <= 0) return
    for (const doc of this.documents().slice(0, Math.max(0, this.size - max))) this.remove(doc)
  }
}

export function duplicate(namespace: string, index: Index, doc: Doc): Refusal {
  const keyValue = Object.fromEntries(
    Object.keys(index.key).map((path) => [path, valuesAt(doc, path)[0] ?? null]),
  )
  const shown = Object.entries(keyValue)
    .map(([path, value]) => `${path}: ${JSON.stringify(value)}`)
    .join(', ')
  return new Refusal(
    11000,
    'DuplicateKey',
    `E11000 duplicate key error collection: ${namespace} index: ${index.name} dup key: { ${shown} }`,
    { keyPattern: index.key, keyValue },
  )
}

function keysOf(index: Index, doc: Doc): string[] {
  const columns = Object.keys(index.key).map((path) => {
    const values = valuesAt(doc, path)
    // of a list its elements count, not the list itself
    return Array.isArray(values[0]) && values.length > 1 ? values.slice(1) : values.slice(0, 1)
  })
  if (index.sparse && columns.every((values) => values.length === 0)) return []
  return columns.reduce<string[]>(
    (sofar, values) =>
      sofar.flatMap((key) =>
        (values.length === 0 ? [null] : values).map((value) => `${key}\0${keyOf(value)}`),
      ),
    [''],
  )
}
