/** What the broker sets out to reach, and whether it did. */
import type { FunctionName } from '../shared/routes.ts'
import { empty } from './ladder.ts'
import type { Results } from './results.ts'
import { quantile, ratios } from './statistics.ts'

/** Most that a cold start may be, in empty servers: in wall time and in CPU time. */
export function coldStartAim(name: FunctionName): number {
  if (name === 'catalog') return 1.5
  return name === 'bind' || name === 'unbind' ? 3 : 2
}

/** Most that a warm operation may take, in times of its own calls. */
export const warmAim = 1.3

/** Most milliseconds that the edge router may add to a request. */
export const edgeAim = 1

export interface Miss {
  name: FunctionName
  what: 'wall time' | 'CPU time' | 'warm'
  reached: number
  aim: number
}

/** @returns median of the ratios of runs made side by side */
export function coldStartRatio(
  { coldStarts }: Results,
  cache: keyof Results['coldStarts'],
  name: string,
  what: 'wall' | 'cpu' | 'memory',
): number {
  const own = coldStarts[cache].get(name)
  const base = coldStarts[cache].get(empty.name)
  if (!own || !base) throw new Error(`${name} was not started`)
  return quantile(ratios(own[what], base[what]), 0.5)
}

/** @returns where a function is slower than it should be, the image's compile cache in place */
export function misses(results: Results): Miss[] {
  const found: Miss[] = []
  for (const name of results.calls.keys()) {
    const aim = coldStartAim(name)
    const wall = coldStartRatio(results, 'warm', name, 'wall')
    const cpu = coldStartRatio(results, 'warm', name, 'cpu')
    found.push({ name, what: 'wall time', reached: wall, aim }, { name, what: 'CPU time', reached: cpu, aim })
    const latency = results.latencies.get(name)
    if (!latency || latency.bare.length === 0) continue
    const reached = quantile(latency.operation, 0.5) / quantile(latency.bare, 0.5)
    found.push({ name, what: 'warm', reached, aim: warmAim })
  }
  // Both as they are shown: 2.04 of 2 is 2.0 of 2.0.
  return found.filter(({ reached, aim }) => Number(reached.toFixed(1)) > aim)
}
