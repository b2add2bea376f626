import type { JsonObject } from '../../values/json.ts'
import { fitsRecord } from './record-size.ts'

/**
 * @returns a context as records keep it: without annotations, which may be large and matter to nobody here
 * @throws {BrokerError} BadRequest where it is too large all the same
 */
export function keptContext(context: JsonObject): JsonObject {
  const kept = Object.fromEntries(Object.entries(context).filter(([key]) => !key.endsWith('_annotations')))
  fitsRecord('context', kept, 'context')
  return kept
}
