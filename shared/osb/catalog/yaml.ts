/** Apart from the rest, because parser and rules are loaded only when a catalog was edited and not rendered. */
import { parseDocument } from 'yaml'
import { BrokerError } from '../../values/errors.ts'
import type { Traits } from '../../values/nouns.ts'
import { checkCatalog } from './file.ts'
import type { CatalogFile } from './format.ts'
import { catalogJson } from './json.ts'

/**
 * @param text the catalog file as YAML
 * @throws {BrokerError} Misconfigured, naming every mistake by line and column
 */
export function parseYaml(text: string): unknown {
  const document = parseDocument(text)
  const mistakes = [...document.errors, ...document.warnings]
  if (mistakes.length > 0) {
    // The first line says what and where; those below draw it.
    const lines = mistakes.map(({ message }) => message.split('\n')[0]?.replace(/:$/, ''))
    throw new BrokerError('Misconfigured', `The catalog cannot be used, it is not YAML: ${lines.join('; ')}`)
  }
  return document.toJS()
}

/**
 * @param text the catalog file as YAML
 * @param traits the KubeDB kinds that this broker knows, by name
 * @returns the catalog, checked, with what it leaves out filled in
 * @throws {BrokerError} Misconfigured, naming every mistake by its place and cure
 */
export function readCatalogYaml(text: string, traits: ReadonlyMap<string, Traits>): CatalogFile {
  return checkCatalog(parseYaml(text), traits)
}

/**
 * Renders the catalog to the JSON that may be mounted beside it.
 *
 * @param text the catalog file as YAML
 * @param traits the KubeDB kinds that this broker knows, by name
 * @returns content of `catalog.json`
 * @throws {BrokerError} Misconfigured, naming every mistake by its place and cure
 */
export function renderCatalog(text: string, traits: ReadonlyMap<string, Traits>): string {
  return catalogJson(text, readCatalogYaml(text, traits))
}
