import { table } from '../../generate/table.ts'
import { warmRatio } from '../aims.ts'
import type { Latency } from '../latency.ts'
import { byEngine, idOf } from '../operations.ts'
import type { Results } from '../results.ts'
import { quantile } from '../statistics.ts'
import { median, milliseconds } from './format.ts'

const header = ['p50', 'p95', 'bare p50', 'bare p95', 'p50 ×', 'p95 ×', 'more, ms']

/** @returns how long operations take beside their own calls, on PostgreSQL and by engine */
export function warm({ warm, deeds }: Results): string[] {
  if (!warm) return []
  const { latencies } = warm
  const lines = (of: typeof deeds, lead: (deed: (typeof deeds)[number]) => string[]) =>
    of.flatMap((deed) => {
      const latency = latencies.get(idOf(deed))
      return latency ? [[...lead(deed), ...cells(latency)]] : []
    })
  const base = deeds.filter(({ engine }) => engine === 'PostgreSQL')
  const others = deeds.some(({ engine }) => engine !== 'PostgreSQL')
  return [
    '## Warm',
    'A function that runs already, asked over one kept-alive connection, beside a minimal client that makes the same ' +
      'calls of the API server in the same order, those of one round at once, and for binds and unbinds says the same ' +
      'to the database through the same driver. The way to a function and back alone takes ' +
      `${milliseconds(median(warm.way))} ms (the empty server); the bare calls have no such way. Milliseconds; *more* is ` +
      'what an operation takes beyond its calls.',
    ...(base.length === 0
      ? []
      : [
          table(
            ['', ...header],
            lines(base, ({ name }) => [name]),
          ),
        ]),
    ...(others
      ? [
          '### By engine',
          'Provisions, updates and deprovisions are those of the API server alone: KubeDB does the rest later. Binds and ' +
            'unbinds of Redis end with asking KubeDB, too (202); those of Memcached make and remove a record.',
          table(
            ['', '', ...header],
            lines(
              byEngine.flatMap((name) => deeds.filter((deed) => deed.name === name)),
              ({ name, engine }) => [name, engine],
            ),
          ),
        ]
      : []),
  ]
}

function cells(latency: Latency): string[] {
  const { operation, bare } = latency
  const ratio = warmRatio(latency)
  const [p50, p95] = [quantile(operation, 0.5), quantile(operation, 0.95)]
  if (ratio === undefined) return [milliseconds(p50), milliseconds(p95), 'none', '', '', '', '']
  const [bare50, bare95] = [quantile(bare, 0.5), quantile(bare, 0.95)]
  return [
    ...[p50, p95, bare50, bare95].map(milliseconds),
    ratio.toFixed(2),
    (p95 / bare95).toFixed(2),
    milliseconds(p50 - bare50),
  ]
}
