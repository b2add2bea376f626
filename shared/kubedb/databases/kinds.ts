/** The KubeDB kinds that this broker offers, one line each. */
import type { Database } from './database.ts'
import { postgres } from './postgres.ts'

export const kinds: ReadonlyMap<string, Database> = new Map([postgres].map((kind) => [kind.kind, kind]))

/** @throws {Error} when a record or a catalog names a kind that this broker does not have */
export function kindOf(name: string): Database {
  const kind = kinds.get(name)
  if (!kind) throw new Error(`this broker does not know the KubeDB kind ${name}`)
  return kind
}
