import * as v from 'valibot'
import { BrokerError } from '../../values/errors.ts'
import type { Traits } from '../../values/nouns.ts'
import { type CatalogFile, catalogFormat } from './format.ts'
import { shapeMistake, withNames } from './mistakes.ts'
import { catalogRuleMistakes } from './rules.ts'

/**
 * Checks a catalog file as its owner wrote it.
 *
 * @param document the file, parsed
 * @param traits the KubeDB kinds that this broker knows, by name
 * @returns the file, with what it leaves out filled in
 * @throws {BrokerError} Misconfigured, naming every mistake by its place and cure
 */
export function checkCatalog(document: unknown, traits: ReadonlyMap<string, Traits>): CatalogFile {
  const shape = v.safeParse(catalogFormat(), document)
  const mistakes = [
    ...(shape.success ? [] : shape.issues.map(shapeMistake)),
    ...catalogRuleMistakes(document, traits),
  ]
  if (shape.success && mistakes.length === 0) return shape.output
  const named = mistakes.map((mistake) => withNames(document, mistake))
  throw new BrokerError('Misconfigured', `The catalog cannot be used: ${named.join('; ')}`)
}
