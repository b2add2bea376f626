/**
 * The catalog rendered to JSON, to be mounted beside the YAML it was rendered from: functions wake faster with it,
 * having no YAML parser to load and no rules to check again. Measured at a function's start, CPU time: 6 ms instead of
 * 65 for one service with five plans, 8 ms instead of 130 for six.
 */
import { createHash } from 'node:crypto'
import { isObject } from '../../values/json.ts'
import type { CatalogFile } from './format.ts'

/** Raised whenever `CatalogFile` changes: a rendering by another broker is then not used. */
const format = 1

/**
 * @param yaml text of the catalog file
 * @param file what that text says, checked
 * @returns content of the JSON file
 */
export function catalogJson(yaml: string, file: CatalogFile): string {
  return `${start(yaml)}${JSON.stringify(file)}}\n`
}

/**
 * @param json content of the JSON file
 * @param yaml text of the catalog file as it is now
 * @returns the catalog; undefined if the JSON was rendered from another text, or is of another format
 * @throws {SyntaxError} when it was cut off or tampered with
 */
export function readCatalogJson(json: string, yaml: string): CatalogFile | undefined {
  // The hash is compared before anything is parsed.
  if (!json.startsWith(start(yaml))) return undefined
  const rendered: unknown = JSON.parse(json)
  return isObject(rendered) && isChecked(rendered.catalog) ? rendered.catalog : undefined
}

/** The hash vouches for the rest: only `catalogJson` writes it, and only of a catalog that has been checked. */
function isChecked(value: unknown): value is CatalogFile {
  return isObject(value) && value.v === 1 && Array.isArray(value.services)
}

function start(yaml: string): string {
  const source = createHash('sha256').update(yaml).digest('hex')
  return `{"format":${format},"source":"${source}","catalog":`
}
