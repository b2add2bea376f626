/** What a command is, and how its arguments are read. */
import * as v from 'valibot'
import type { Connection } from './connection.ts'
import type { Member, Operation } from './member.ts'
import { allows, type Need, type Target } from './privileges.ts'
import { Refusal, typeMismatch } from './refusal.ts'
import type { Privilege } from './roles.ts'
import type { Server } from './server.ts'
import type { User } from './users.ts'
import { type Doc, isDoc, numberOf } from './value.ts'

/** One command being carried out. */
export interface Call {
  readonly server: Server
  readonly member: Member
  readonly connection: Connection
  readonly operation: Operation
  readonly name: string
  readonly db: string
  readonly args: Doc
  /** who is logged in, as this address knows it */
  readonly user: User | undefined
  readonly privileges: readonly Privilege[]
}

export interface Command {
  /**
   * Who may: anybody, whoever is logged in, or who has these privileges. The function may refuse in words of its own.
   */
  readonly needs: 'nothing' | 'login' | ((call: Call) => readonly Need[])
  readonly adminOnly?: true
  /** only a primary carries it out */
  readonly writes?: true
  run(call: Call): Doc | Promise<Doc>
}

export type Commands = { readonly [name: string]: Command }

export function mayDo({ privileges }: Call, action: string, on: Target): boolean {
  return allows(privileges, { action, on })
}

/** A document as argument. */
export const doc = v.custom<Doc>(isDoc)
export const docs = v.array(doc)
export const text = v.string()
export const flag = v.pipe(
  v.custom<unknown>((value) => typeof value === 'boolean' || numberOf(value) !== undefined),
  v.transform((value) => value === true || Number(numberOf(value) ?? 0) !== 0),
)
export const integer = v.pipe(
  v.custom<unknown>((value) => Number.isInteger(Number(numberOf(value)))),
  v.transform((value) => Number(numberOf(value))),
)
export const anything = v.unknown()

/** Fields that every command may have. */
const generic = new Set([
  '$db',
  'lsid',
  'txnNumber',
  '$clusterTime',
  '$readPreference',
  'readConcern',
  'writeConcern',
  'maxTimeMS',
  'comment',
  'apiVersion',
  'apiStrict',
  'apiDeprecationErrors',
])

/**
 * @param entries the arguments that the command has
 * @throws {Refusal} naming a field that is missing, of a wrong type, or unknown
 */
export function argumentsOf<T extends v.ObjectEntries>(
  { name, args }: Pick<Call, 'name' | 'args'>,
  entries: T,
): v.InferOutput<v.ObjectSchema<T, undefined>> {
  for (const field of Object.keys(args)) {
    if (!(field in entries) && !generic.has(field) && field !== name) {
      throw new Refusal(40415, 'Location40415', `BSON field '${name}.${field}' is an unknown field.`)
    }
  }
  const result = v.safeParse(v.object(entries), args)
  if (result.success) return result.output
  const path = v.getDotPath(result.issues[0]) ?? ''
  if (!Object.hasOwn(args, path.split('.')[0] ?? '')) {
    throw new Refusal(40414, 'Location40414', `BSON field '${name}.${path}' is missing but a required field`)
  }
  throw typeMismatch(`BSON field '${name}.${path}' is the wrong type`)
}

/** @throws {Refusal} InvalidNamespace when the command's own field is not the name of a collection */
export function collectionOf({ name, db, args }: Pick<Call, 'name' | 'db' | 'args'>): string {
  const collection = args[name]
  if (typeof collection !== 'string') {
    throw new Refusal(73, 'InvalidNamespace', `collection name has invalid type for ${name}`)
  }
  if (collection === '') throw new Refusal(73, 'InvalidNamespace', `Invalid namespace specified '${db}.'`)
  return collection
}

/** @returns the need for an action on the collection that the command names */
export function onCollection(...actions: string[]): (call: Call) => Need[] {
  return (call) => {
    const on = { db: call.db, collection: collectionOf(call) }
    return actions.map((action) => ({ action, on }))
  }
}

/** @returns the need for an action on the command's database */
export function onDatabase(action: string): (call: Call) => Need[] {
  return ({ db }) => [{ action, on: { db } }]
}

/** @returns the need for an action on the server as a whole */
export function onCluster(action: string): (call: Call) => Need[] {
  return () => [{ action, on: 'cluster' }]
}
