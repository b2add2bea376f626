import { BrokerError } from '../../values/errors.ts'
import type { Json } from '../../values/json.ts'

/**
 * The most bytes of JSON that a record keeps of what a platform sends, parameters aside: all annotations of an object
 * share 256 KiB, and no platform comes near these.
 */
const maximum = { id: 1024, context: 16 * 1024 } as const

/**
 * @param field as the platform calls it
 * @throws {BrokerError} BadRequest naming the field, where its value is too large for a record
 */
export function fitsRecord(field: string, value: Json, kind: keyof typeof maximum): void {
  const size = Buffer.byteLength(JSON.stringify(value))
  if (size > maximum[kind]) {
    throw new BrokerError(
      'BadRequest',
      `${field}: has ${size} bytes as JSON; at most ${maximum[kind]} are taken`,
    )
  }
}
