import { table } from '../../generate/table.ts'
import { isReached, type Verdict, verdicts } from '../aims.ts'
import type { Results } from '../results.ts'

/** @returns each aim and whether it is met */
export function summary(results: Results): string[] {
  const all = verdicts(results)
  if (all.length === 0) return []
  return [
    '## Summary',
    'What the broker sets out to reach, over all functions and engines that are held to it:',
    table(
      ['aim', 'at most', 'reached', 'met', 'missed by'],
      all.map((verdict) => {
        const missed = missedBy(verdict)
        return [
          verdict.aim,
          `${verdict.most.toFixed(1)} ${verdict.unit}`,
          `${range(verdict.reached.map(({ value }) => value))} ${verdict.unit}`,
          missed === '' ? 'yes' : 'no',
          missed,
        ]
      }),
    ),
  ]
}

/** @returns the lowest and highest, or the one value that all have */
function range(values: readonly number[]): string {
  const ends = [Math.min(...values), Math.max(...values)].map((value) => value.toFixed(1))
  return [...new Set(ends)].join(' … ')
}

/** @returns by function what missed the aim: one number, or the lowest and highest, and which engines where not all did */
function missedBy(verdict: Verdict): string {
  const names = [...new Set(verdict.reached.map(({ deed }) => deed?.name))]
  return names
    .flatMap((name) => {
      const all = verdict.reached.filter(({ deed }) => deed?.name === name)
      const missed = all.filter(({ value }) => !isReached(value, verdict))
      if (missed.length === 0) return []
      const values = missed.map(({ value }) => value)
      const engines = missed.flatMap(({ deed }) => (deed ? [deed.engine] : []))
      const which = missed.length === all.length ? '' : ` (${engines.join(', ')})`
      return [`${name ?? 'it'} ${range(values)}${which}`]
    })
    .join(', ')
}
