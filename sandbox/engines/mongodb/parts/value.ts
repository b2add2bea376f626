/** BSON values as the stand-in keeps them: numbers in their own types, so that what was stored comes back as it was. */
import { Binary, Double, deserialize, Int32, Long, ObjectId, serialize, Timestamp } from 'bson'

/** A document. */
export type Doc = { [field: string]: unknown }

export function isDoc(value: unknown): value is Doc {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Date) &&
    !('_bsontype' in value)
  )
}

/** @throws when the bytes are not one whole document */
export function parseDoc(bytes: Uint8Array): Doc {
  return deserialize(bytes, { promoteValues: false, promoteBuffers: false, bsonRegExp: true })
}

export function bytesOf(doc: Doc): Uint8Array {
  return serialize(doc, { ignoreUndefined: true })
}

/** @returns a copy that shares nothing with the document */
export function copyOf(doc: Doc): Doc {
  return parseDoc(bytesOf(doc))
}

/** @returns the number that a BSON value stands for, or undefined when it is none */
export function numberOf(value: unknown): number | bigint | undefined {
  if (typeof value === 'number' || typeof value === 'bigint') return value
  if (value instanceof Int32 || value instanceof Double) return value.value
  if (value instanceof Long) {
    const number = value.toNumber()
    return Number.isSafeInteger(number) ? number : value.toBigInt()
  }
  return undefined
}

/** The order in which MongoDB sorts values of different types. */
function rank(value: unknown): number {
  if (value === undefined || value === null) return 1
  if (numberOf(value) !== undefined) return 2
  if (typeof value === 'string') return 3
  if (isDoc(value)) return 4
  if (Array.isArray(value)) return 5
  if (value instanceof Binary) return 6
  if (value instanceof ObjectId) return 7
  if (typeof value === 'boolean') return 8
  if (value instanceof Date) return 9
  if (value instanceof Timestamp) return 10
  return 11
}

/** @returns whether two values are of types that MongoDB compares with each other */
export function comparable(one: unknown, other: unknown): boolean {
  return rank(one) === rank(other)
}

/** @returns below, above or equal to zero, over all types */
export function compare(one: unknown, other: unknown): number {
  const [left, right] = [numberOf(one), numberOf(other)]
  if (left !== undefined && right !== undefined) return order(left, right)
  if (!comparable(one, other)) return rank(one) - rank(other)
  if (one === undefined || one === null) return 0
  if (typeof one === 'string' && typeof other === 'string') {
    return Buffer.compare(Buffer.from(one), Buffer.from(other))
  }
  if (typeof one === 'boolean' && typeof other === 'boolean') return order(Number(one), Number(other))
  if (one instanceof Date && other instanceof Date) return order(one.getTime(), other.getTime())
  if (Array.isArray(one) && Array.isArray(other)) return compareLists(one, other)
  if (isDoc(one) && isDoc(other)) {
    return compareLists(Object.entries(one).flat(), Object.entries(other).flat())
  }
  return Buffer.compare(bytesOf({ value: one }), bytesOf({ value: other }))
}

export function equal(one: unknown, other: unknown): boolean {
  return compare(one, other) === 0
}

/** @returns a text that is the same for equal values and no others, as the key of an index */
export function keyOf(value: unknown): string {
  const number = numberOf(value)
  if (number !== undefined) return `n${number}`
  if (typeof value === 'string') return `s${value}`
  if (value === null || value === undefined) return 'null'
  return Buffer.from(bytesOf({ value })).toString('base64')
}

function compareLists(one: readonly unknown[], other: readonly unknown[]): number {
  for (const [index, value] of one.entries()) {
    if (index >= other.length) return 1
    const result = compare(value, other[index])
    if (result !== 0) return result
  }
  return one.length - other.length
}

function order(one: number | bigint, other: number | bigint): number {
  return one < other ? -1 : one > other ? 1 : 0
}
