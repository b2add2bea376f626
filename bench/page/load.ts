import { table } from '../../generate/table.ts'
import { empty } from '../ladder.ts'
import type { Results } from '../results.ts'
import { scaled } from '../scale.ts'
import { median, milliseconds, times } from './format.ts'

/** @returns how much a core serves */
export function throughput({ throughputs }: Results): string[] {
  if (!throughputs) return []
  const base = throughputs.get(empty.name)?.memory
  if (base === undefined) throw new Error('the empty server was not asked')
  return [
    '## Throughput and memory',
    'Eight clients at once; requests for each second of CPU time that the process took.',
    table(
      ['', 'requests per second and core', 'memory under load, MiB', '×'],
      [...throughputs].map(([name, { perCore, memory }]) => [
        name,
        perCore.toFixed(0),
        memory.toFixed(0),
        times(memory / base),
      ]),
    ),
  ]
}

/** @returns whether more instances make it slower */
export function scale({ scale }: Results): string[] {
  if (!scale) return []
  return [
    '## Number of instances',
    'p50 in milliseconds, beside that of the bare calls.',
    table(
      ['instances', ...scaled.flatMap((name) => [name, 'bare', '×'])],
      scale.map(({ instances, latencies }) => [
        instances.toLocaleString('en'),
        ...scaled.flatMap((name) => {
          const latency = latencies.get(name)
          if (!latency) throw new Error(`${name} was not measured with ${instances} instances`)
          const [own, bare] = [median(latency.operation), median(latency.bare)]
          return [milliseconds(own), milliseconds(bare), (own / bare).toFixed(2)]
        }),
      ]),
    ),
  ]
}
