/** Services that the shipped catalog lacks and that an operator adds to it: `examples/catalog`. */
import { readdirSync, readFileSync } from 'node:fs'

const shipped = new URL('../../knative/base/catalog.yaml', import.meta.url)
const folder = new URL('../../examples/catalog/', import.meta.url)

/** @returns the names of the files, such as mariadb.yaml */
export function catalogParts(): string[] {
  return readdirSync(folder)
}

/** @returns the text of the shipped catalog with what these files add, put there as they say */
export function catalogWith(parts: readonly string[]): string {
  return [readFileSync(shipped, 'utf8'), ...parts.map(added)].join('\n')
}

function added(part: string): string {
  const [, services] = readFileSync(new URL(part, folder), 'utf8').split('\nservices:\n')
  if (services === undefined) throw new Error(`examples/catalog/${part} has no list "services"`)
  return services
}
