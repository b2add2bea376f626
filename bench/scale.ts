/** Whether an operation takes longer the more instances there are. */
import type { FunctionName } from '../shared/routes.ts'
import { copyInstanceRecord } from '../test/support/record-copies.ts'
import type { Bare } from './bare.ts'
import { type Latency, latencyOf } from './latency.ts'
import type { Operation } from './operations.ts'
import type { ServerProcess } from './server-process.ts'
import type { Site } from './site.ts'

export interface AtSize {
  /** instance records in the namespace */
  instances: number
  latencies: Map<FunctionName, Latency>
}

export const scaled: readonly FunctionName[] = ['fetch-instance', 'last-operation', 'bind']

/**
 * @param sizes numbers of instances, ascending
 * @param count requests of each operation at each size, and `limit` as in latencyOf
 */
export async function scaleOf(
  site: Site,
  operations: readonly Operation[],
  servers: ReadonlyMap<FunctionName, ServerProcess>,
  bares: ReadonlyMap<FunctionName, Bare>,
  sizes: readonly number[],
  count: number,
  limit: number,
): Promise<AtSize[]> {
  const results: AtSize[] = []
  let there = 1
  for (const instances of sizes) {
    await copyInstanceRecord(site.cluster, site.instanceId, instances - there)
    there = instances
    const latencies: AtSize['latencies'] = new Map()
    for (const operation of operations.filter(({ name }) => scaled.includes(name))) {
      const server = servers.get(operation.name)
      if (!server) throw new Error(`${operation.name} is not running`)
      latencies.set(
        operation.name,
        await latencyOf(site, operation, server, bares.get(operation.name), count, limit),
      )
    }
    results.push({ instances, latencies })
  }
  return results
}
