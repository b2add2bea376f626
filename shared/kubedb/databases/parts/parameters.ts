/** What may be asked of a kind that keeps data on disks. */
import type { Parameters } from '../../../values/nouns.ts'

/** In the order in which they are told. */
const all = [
  'version',
  'cpu',
  'memory',
  'storage',
  'storageClass',
  'replicas',
  'shards',
  'tls',
  'database',
  'configuration',
  'deletionPolicy',
  'suspended',
  'metadata',
  'spec',
] as const satisfies readonly (keyof Parameters)[]

type NotEveryKinds = 'shards' | 'tls' | 'database'

/** @returns the parameters of every such kind, and those that this one has besides */
export function parametersWith(...more: readonly NotEveryKinds[]): readonly (keyof Parameters)[] {
  const left = new Set<string>(
    ['shards', 'tls', 'database'].filter((name) => !more.some((one) => one === name)),
  )
  return all.filter((name) => !left.has(name))
}
