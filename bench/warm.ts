/** All operations, warm, and what they are held against. */
import { shapeOf } from '../test/support/fault-call.ts'
import type { Bares } from './bares.ts'
import { type Functions, nothing } from './functions.ts'
import { type Latency, latencyOf } from './latency.ts'
import { idOf, type Operation } from './operations.ts'
import type { Extent } from './options.ts'
import type { Warm } from './results.ts'
import type { Site } from './site.ts'

export async function warmOf(
  site: Site,
  operations: readonly Operation[],
  functions: Functions,
  bares: Bares,
  extent: Extent,
  progress: (line: string) => void,
): Promise<Warm> {
  const way = await latencyOf(
    site,
    askingNothing,
    functions.idle,
    undefined,
    extent.reads,
    extent.latencyTime,
  )
  const latencies = new Map<string, Latency>()
  let engine = ''
  for (const operation of operations) {
    if (operation.engine !== engine) progress(`Warm operations: ${operation.engine}`)
    engine = operation.engine
    const count = reads.has(operation.name) ? extent.reads : extent.writes
    const limit = operation.engine === 'PostgreSQL' ? extent.latencyTime : extent.engineLatencyTime
    const server = functions.of(operation.name)
    const latency = await latencyOf(site, operation, server, bares.of(operation), count, limit)
    latencies.set(idOf(operation), latency)
  }
  return {
    calls: new Map(
      operations.map((operation) => [
        idOf(operation),
        (bares.recordings.get(idOf(operation))?.rounds ?? []).map((round) => round.map(shapeOf).toSorted()),
      ]),
    ),
    talks: new Map(
      [...bares.talks].flatMap(([engine, talks]) =>
        (['bind', 'unbind'] as const).map((name) => {
          const { statements, inTurn } = talks[name]
          return [idOf({ name, engine }), { engine, statements, inTurn }] as const
        }),
      ),
    ),
    way: way.operation,
    latencies,
  }
}

const reads: ReadonlySet<Operation['name']> = new Set([
  'catalog',
  'fetch-instance',
  'last-operation',
  'fetch-binding',
  'last-binding-operation',
])

/** What the empty server is asked as if it were a function. */
const askingNothing: Operation = {
  name: 'catalog',
  engine: 'PostgreSQL',
  status: 200,
  prepare: () => nothing,
  done: () => undefined,
}
