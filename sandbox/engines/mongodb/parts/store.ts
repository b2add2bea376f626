/** All databases of a server, in memory, with a journal that brings them back. */
import { Binary, Int32, UUID } from 'bson'
import { Collection, type Index } from './collection.ts'
import { Journal } from './journal.ts'
import { badValue, Refusal } from './refusal.ts'
import { bytesOf, type Doc, isDoc } from './value.ts'

export class Store {
  readonly #databases = new Map<string, Map<string, Collection>>()
  readonly #journal: Journal

  /** @param file of the journal; made when absent */
  constructor(file: string) {
    this.#journal = Journal.open(file, (entry) => this.#replay(entry))
    this.#journal.rewrite(this.#entries())
  }

  databases(): string[] {
    return [...this.#databases].filter(([, collections]) => collections.size > 0).map(([name]) => name)
  }

  collections(db: string): Collection[] {
    return [...(this.#databases.get(db)?.values() ?? [])]
  }

  find(db: string, name: string): Collection | undefined {
    return this.#databases.get(db)?.get(name)
  }

  /** @returns roughly the bytes of a database */
  sizeOf(db: string): number {
    return this.collections(db)
      .flatMap((collection) => collection.documents())
      .reduce((sum, doc) => sum + bytesOf(doc).length, 0)
  }

  /**
   * @returns the collection, made when it is not there
   * @throws {Refusal} InvalidNamespace for names that MongoDB does not take
   */
  ensure(db: string, name: string, options: Doc = {}): Collection {
    const found = this.find(db, name)
    if (found) return found
    assertName(db, name)
    const uuid = new UUID().toBinary()
    this.#journal.append({ op: 'create', db, name, options: { ...options, uuid } })
    return this.#create(db, name, { ...options, uuid })
  }

  drop(db: string, name: string): void {
    if (!this.#databases.get(db)?.delete(name)) return
    this.#journal.append({ op: 'drop', db, name })
  }

  put(db: string, collection: Collection, doc: Doc): void {
    collection.put(doc, `${db}.${collection.name}`)
    this.#journal.append({ op: 'put', db, name: collection.name, doc })
  }

  remove(db: string, collection: Collection, doc: Doc): void {
    collection.remove(doc)
    this.#journal.append({ op: 'remove', db, name: collection.name, doc: { _id: doc._id } })
  }

  addIndex(db: string, collection: Collection, index: Index): void {
    collection.addIndex(index, `${db}.${collection.name}`)
    this.#journal.append({ op: 'index', db, name: collection.name, doc: { ...index } })
  }

  removeIndex(db: string, collection: Collection, name: string): void {
    collection.removeIndex(name)
    this.#journal.append({ op: 'dropIndex', db, name: collection.name, doc: { name } })
  }

  #create(db: string, name: string, options: Doc): Collection {
    const collections = this.#databases.get(db) ?? new Map<string, Collection>()
    this.#databases.set(db, collections)
    const collection = new Collection(name, options)
    collections.set(name, collection)
    return collection
  }

  #replay({ op, db, name, doc, options }: Doc): void {
    const [database, title] = [String(db), String(name)]
    const collection =
      this.find(database, title) ?? this.#create(database, title, isDoc(options) ? options : {})
    const content = isDoc(doc) ? doc : {}
    switch (op) {
      case 'drop':
        this.#databases.get(database)?.delete(title)
        break
      case 'put':
        collection.put(content, `${database}.${title}`)
        break
      case 'remove':
        collection.remove(content)
        break
      case 'index':
        collection.addIndex(indexOf(content), `${database}.${title}`)
        break
      case 'dropIndex':
        collection.removeIndex(String(content.name))
        break
    }
  }

  *#entries(): Generator<Doc> {
    for (const [db, collections] of this.#databases) {
      for (const [name, collection] of collections) {
        yield { op: 'create', db, name, options: collection.options }
        for (const index of collection.indexes.slice(1)) yield { op: 'index', db, name, doc: { ...index } }
        for (const doc of collection.documents()) yield { op: 'put', db, name, doc }
      }
    }
  }
}

function indexOf(doc: Doc): Index {
  return {
    name: String(doc.name),
    key: isDoc(doc.key) ? doc.key : { _id: new Int32(1) },
    unique: doc.unique === true,
    sparse: doc.sparse === true,
  }
}

/** @throws {Refusal} */
function assertName(db: string, name: string): void {
  if (name === '' || name.includes('\0') || name.includes('$') || name.startsWith('.')) {
    throw new Refusal(73, 'InvalidNamespace', `Invalid collection name: ${name}`)
  }
  if (Buffer.byteLength(`${db}.${name}`) > 255) throw badValue('the fully qualified namespace is too long')
}

/** @returns the id of a collection, as listCollections shows it */
export function uuidOf(collection: Collection): Binary {
  return collection.options.uuid instanceof Binary ? collection.options.uuid : new UUID().toBinary()
}
