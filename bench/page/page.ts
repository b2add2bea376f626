/** Results as Markdown: on the terminal, and as docs/performance.md. */
import type { Results } from '../results.ts'
import { calls } from './calls.ts'
import { coldStart } from './cold-start.ts'
import { edge } from './edge.ts'
import { scale, throughput } from './load.ts'
import { summary } from './summary.ts'
import { warm } from './warm.ts'

/** @returns the page, without the parts that were not measured */
export function page(results: Results): string {
  const sections = [summary, coldStart, warm, edge, calls, throughput, scale]
  return `${[
    '# Performance',
    'Written by `npm run bench`: what this page says was measured, all of it in one run. Milliseconds are those of ' +
      `one machine (${results.cores} cores, Node ${results.node}); the ratios, each between things that took turns, ` +
      'are what should hold elsewhere. Where no engine is named, it is PostgreSQL.' +
      (results.busy
        ? ' Other work kept that machine busy: wall times are longer than they need be, and their ratios rough; CPU times suffer less.'
        : ''),
    ...sections.flatMap((section) => section(results)),
  ].join('\n\n')}\n`
}
