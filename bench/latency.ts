/** Warm functions: how long an operation takes, and how long the calls that it makes. */
import type { Bare } from './bare.ts'
import { idOf, type Operation } from './operations.ts'
import type { ServerProcess } from './server-process.ts'
import type { Site } from './site.ts'

export interface Latency {
  /** milliseconds of each request */
  operation: number[]
  /** milliseconds of the same calls without the broker; empty where it makes none */
  bare: number[]
}

/** Most requests that are not counted: until then a process still learns. */
const warmUp = 20

/** Fewer tell nothing. */
const few = 10

/**
 * One after the other, the operation and its calls in turn.
 *
 * @param count requests that are counted
 * @param limit milliseconds after which it is enough, once there are ten
 */
export async function latencyOf(
  site: Site,
  operation: Operation,
  server: ServerProcess,
  bare: Bare | undefined,
  count: number,
  limit: number,
): Promise<Latency> {
  const latency: Latency = { operation: [], bare: [] }
  const begun = performance.now()
  const end = begun + limit
  for (let i = -Math.min(warmUp, Math.ceil(count / 3)); i < count; i++) {
    // What takes seconds is not made faster by more of it.
    if (i < 0 && performance.now() > begun + limit / 3) i = 0
    if (performance.now() > end && latency.operation.length >= few) break
    const wish = await operation.prepare()
    const asked = await timed(async () => {
      const answer = await server.send({ ...wish, headers: site.headers })
      if (answer.status !== operation.status) {
        throw new Error(`${idOf(operation)}: ${answer.status} ${answer.text}`)
      }
    })
    await operation.done(wish)
    if (i >= 0) latency.operation.push(asked)
    if (!bare) continue
    await bare.prepare()
    const called = await timed(bare.act)
    await bare.settle()
    if (i >= 0) latency.bare.push(called)
  }
  return latency
}

async function timed(act: () => Promise<void>): Promise<number> {
  const begun = performance.now()
  await act()
  return performance.now() - begun
}
