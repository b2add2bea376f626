/** What the broker sets out to reach, and what it reached. */
import type { FunctionName } from '../shared/routes.ts'
import { dashboardAim, dashboardPage } from './dashboard.ts'
import { empty } from './ladder.ts'
import type { Latency } from './latency.ts'
import { type Deed, idOf } from './operations.ts'
import type { Results } from './results.ts'
import { quantile, ratios } from './statistics.ts'

/** Most that a cold start may be, in empty servers: in wall time and in CPU time. */
export function coldStartAim(name: FunctionName): number {
  if (name === 'catalog') return 1.5
  return name === 'bind' || name === 'unbind' ? 3 : 2
}

/** Most that a warm operation may take, in times of its own calls. */
const warmAim = 1.3

/** Most milliseconds that the edge router may add to a request. */
const edgeAim = 1

/** One aim, and everything that is held to it. */
export interface Verdict {
  aim: string
  /** as people read numbers of it */
  unit: '×' | 'ms'
  most: number
  reached: { deed: Deed | undefined; value: number }[]
}

/** @returns median of the ratios of runs made side by side */
export function coldStartRatio(
  coldStarts: NonNullable<Results['coldStarts']>,
  cache: 'warm' | 'none',
  name: string,
  what: 'wall' | 'cpu' | 'memory',
): number {
  const own = coldStarts[cache].get(name)
  const base = coldStarts[cache].get(empty.name)
  if (!own || !base) throw new Error(`${name} was not started`)
  return quantile(ratios(own[what], base[what]), 0.5)
}

/** @returns how many times as long an operation takes as its calls; undefined where it makes none */
export function warmRatio({ operation, bare }: Latency): number | undefined {
  return bare.length === 0 ? undefined : quantile(operation, 0.5) / quantile(bare, 0.5)
}

/** @returns whether the value is within the aim, both as they are shown: 2.04 of 2 is 2.0 of 2.0 */
export const isReached = (value: number, { most }: Pick<Verdict, 'most'>): boolean =>
  Number(value.toFixed(1)) <= most

/** @returns the aims of what was measured, the image's compile cache in place */
export function verdicts(results: Results): Verdict[] {
  const { coldStarts, warm, edge, deeds } = results
  const found: Verdict[] = []
  if (coldStarts) {
    for (const [who, most] of [
      ['catalog', 1.5],
      ['bind and unbind', 3],
      ['the other functions', 2],
    ] as const) {
      for (const [what, said] of [
        ['wall', 'wall time'],
        ['cpu', 'CPU time'],
      ] as const) {
        const reached = deeds
          .filter((deed) => coldStartAim(deed.name) === most && coldStarts.warm.has(idOf(deed)))
          .map((deed) => ({ deed, value: coldStartRatio(coldStarts, 'warm', idOf(deed), what) }))
        found.push({ aim: `Cold start of ${who}, ${said}, in empty servers`, unit: '×', most, reached })
      }
    }
    for (const [what, said] of [
      ['wall', 'wall time'],
      ['cpu', 'CPU time'],
    ] as const) {
      const reached = coldStarts.warm.has(dashboardPage)
        ? [{ deed: undefined, value: coldStartRatio(coldStarts, 'warm', dashboardPage, what) }]
        : []
      const aim = `Cold start of the dashboard, ${said}, in empty servers`
      found.push({ aim, unit: '×', most: dashboardAim, reached })
    }
  }
  if (warm) {
    const reached = deeds.flatMap((deed) => {
      const latency = warm.latencies.get(idOf(deed))
      const value = latency && warmRatio(latency)
      return value === undefined ? [] : [{ deed, value }]
    })
    found.push({ aim: 'Warm operation, p50, in its own bare calls', unit: '×', most: warmAim, reached })
  }
  if (edge) {
    const value = quantile(edge.operation, 0.5) - quantile(edge.bare, 0.5)
    found.push({
      aim: 'What the edge router adds to a request, p50',
      unit: 'ms',
      most: edgeAim,
      reached: [{ deed: undefined, value }],
    })
  }
  return found.filter(({ reached }) => reached.length > 0)
}
