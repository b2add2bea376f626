/** Whether an operation takes longer the more instances there are. */
import type { FunctionName } from '../shared/routes.ts'
import { copyInstanceRecord } from '../test/support/record-copies.ts'
import type { Bares } from './bares.ts'
import type { Functions } from './functions.ts'
import { type Latency, latencyOf } from './latency.ts'
import type { Operation } from './operations.ts'
import type { Extent } from './options.ts'
import type { Instance, Site } from './site.ts'

export interface AtSize {
  /** instance records in the namespace */
  instances: number
  latencies: Map<FunctionName, Latency>
}

export const scaled: readonly FunctionName[] = ['fetch-instance', 'last-operation', 'bind']

/** @param extent says which numbers of instances, ascending, and how often each operation is asked */
export async function scaleOf(
  site: Site,
  base: Instance,
  operations: readonly Operation[],
  functions: Functions,
  bares: Bares,
  extent: Extent,
): Promise<AtSize[]> {
  const results: AtSize[] = []
  let there = site.instances.length
  for (const instances of extent.instances) {
    await copyInstanceRecord(site.cluster, base.id, instances - there)
    there = instances
    const latencies: AtSize['latencies'] = new Map()
    for (const operation of operations.filter(({ name }) => scaled.includes(name))) {
      const server = functions.of(operation.name)
      const bare = bares.of(operation)
      latencies.set(
        operation.name,
        await latencyOf(site, operation, server, bare, extent.writes, extent.latencyTime),
      )
    }
    results.push({ instances, latencies })
  }
  return results
}
