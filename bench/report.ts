/** Results as tables: on the terminal, and as docs/performance.md. */
import { table } from '../generate/table.ts'
import { routes } from '../shared/routes.ts'
import { coldStartAim, coldStartRatio, edgeAim, type Miss, misses, warmAim } from './aims.ts'
import type { Cache, ColdStarts } from './cold-start.ts'
import { empty, rungs } from './ladder.ts'
import type { Latency } from './latency.ts'
import type { Results } from './results.ts'
import { scaled } from './scale.ts'
import { quantile, spreadOf } from './statistics.ts'

const times = (ratio: number): string => `${ratio.toFixed(1)} ×`
const milliseconds = (value: number): string => value.toFixed(value < 10 ? 1 : 0)
const median = (values: readonly number[]): number => quantile(values, 0.5)
const spread = (values: readonly number[]): string => {
  const { min, median, max } = spreadOf(values)
  return `${milliseconds(min)} / ${milliseconds(median)} / ${milliseconds(max)}`
}

/** @returns the page, in Markdown */
export function report(results: Results): string {
  return `${[
    '# Performance',
    'Written by `npm run bench`: what this page says was measured, all of it in one run. Milliseconds are those of ' +
      `one machine (${results.cores} cores, Node ${results.node}); the ratios, each between things that took turns, ` +
      'are what should hold elsewhere.' +
      (results.busy
        ? ' Other work kept that machine busy: wall times are longer than they need be, and their ratios rough; CPU times suffer less.'
        : ''),
    '## Cold start',
    'From the start of a process to the end of its first answer, which is a real operation: the API server is asked, ' +
      'the database gets its user. min / median / max in milliseconds; × is the median of the ratio to an empty ' +
      '`node:http` server started just before. V8 finds its compile cache, as in the image:',
    coldStartTable(results, 'warm'),
    'Without the compile cache:',
    coldStartTable(results, 'none'),
    '### Where the time goes',
    'Programs between the empty server and a function. Whatever asks the API server pays for TLS (`node:https`, ' +
      '`node:crypto`, the handshake); whatever makes users pays for a driver and its handshake. ECMAScript modules ' +
      'that import `node:http` by name load all of `fetch` with it; the bundles go around that (`build.ts`).',
    ladderTable(results),
    shares(results),
    '## Warm',
    'A function that runs already, asked over one kept-alive connection, beside a minimal client that makes the same ' +
      'calls of the API server in the same order, those of one round at once, and for binds and unbinds says the ' +
      `same to PostgreSQL through the same driver. The way to a function and back alone takes ${milliseconds(median(results.way))} ms ` +
      '(the empty server); the bare calls have no such way.',
    warmTable(results),
    edgeLine(results),
    '## Calls of the API server',
    'Authentication aside. Calls of one round are made at once.',
    callsTable(results),
    '## Throughput and memory',
    'Eight clients at once; requests for each second of CPU time that the process took.',
    throughputTable(results),
    '## Number of instances',
    'p50 in milliseconds, beside that of the bare calls.',
    scaleTable(results),
    '## Aims',
    aims(results),
  ].join('\n\n')}\n`
}

function coldStartTable(results: Results, cache: Cache): string {
  const names = [empty.name, ...routes.map((route) => route.function)]
  return table(
    ['', 'wall time', '×', 'CPU time', '×', 'aim', 'memory, MiB', '×'],
    names.map((name) => {
      const { wall, cpu, memory } = coldStartOf(results, cache, name)
      const route = routes.find((one) => one.function === name)
      return [
        name,
        spread(wall),
        times(coldStartRatio(results, cache, name, 'wall')),
        spread(cpu),
        times(coldStartRatio(results, cache, name, 'cpu')),
        route ? `≤ ${times(coldStartAim(route.function))}` : '',
        median(memory).toFixed(0),
        times(coldStartRatio(results, cache, name, 'memory')),
      ]
    }),
  )
}

function coldStartOf({ coldStarts }: Results, cache: Cache, name: string): ColdStarts {
  const found = coldStarts[cache].get(name)
  if (!found) throw new Error(`${name} was not started`)
  return found
}

function ladderTable(results: Results): string {
  return table(
    ['', 'wall time', '×', 'CPU time', '×'],
    rungs.map(({ name }) => {
      const { wall, cpu } = coldStartOf(results, 'warm', name)
      return [
        name,
        spread(wall),
        times(coldStartRatio(results, 'warm', name, 'wall')),
        spread(cpu),
        times(coldStartRatio(results, 'warm', name, 'cpu')),
      ]
    }),
  )
}

/** What is left for the broker itself, by the ladder. */
function shares(results: Results): string {
  const cpu = (name: string) => median(coldStartOf(results, 'warm', name).cpu)
  const [base, , call, hono, engine] = rungs.map(({ name }) => cpu(name))
  if (base === undefined || call === undefined || hono === undefined || engine === undefined) {
    throw new Error('the ladder misses a rung')
  }
  const rest = (name: string, below: number) => `${name} ${milliseconds(Math.max(0, cpu(name) - below))}`
  return (
    `So of the CPU time of \`fetch-instance\` (${milliseconds(cpu('fetch-instance'))} ms), ${milliseconds(base)} are Node's own start, ` +
    `${milliseconds(call - base)} TLS and the call, ${milliseconds(hono - call)} the web application, and the rest is the broker's: ` +
    `configuration, users, the record and its checks. PostgreSQL's driver and handshake are ${milliseconds(engine - call)}. Left for the ` +
    `broker's own code and its further calls, in milliseconds: ${[
      ...['fetch-instance', 'last-operation', 'fetch-binding', 'last-binding-operation', 'deprovision'].map(
        (name) => rest(name, hono),
      ),
      ...['provision', 'update'].map((name) => rest(name, hono)),
      ...['bind', 'unbind'].map((name) => rest(name, hono + engine - call)),
    ].join(', ')}.`
  )
}

function warmTable({ latencies }: Results): string {
  return table(
    ['', 'p50', 'p95', 'bare p50', 'bare p95', 'p50 ×', 'p95 ×'],
    [...latencies].map(([name, latency]) => [name, ...latencyCells(latency)]),
  )
}

function edgeLine({ edge }: Results): string {
  const [through, direct] = [median(edge.operation), median(edge.bare)]
  const reached = through - direct <= edgeAim
  return (
    `The edge router, where it stands before the functions, adds ${(through - direct).toFixed(2)} ms to a request (p50 ` +
    `${through.toFixed(2)} and ${direct.toFixed(2)} ms; aim: at most ${edgeAim} ms${reached ? '' : ', not reached'}).`
  )
}

function latencyCells({ operation, bare }: Latency): string[] {
  const [p50, p95] = [quantile(operation, 0.5), quantile(operation, 0.95)]
  if (bare.length === 0) return [milliseconds(p50), milliseconds(p95), 'none', '', '', '']
  const [bare50, bare95] = [quantile(bare, 0.5), quantile(bare, 0.95)]
  return [
    ...[p50, p95, bare50, bare95].map(milliseconds),
    (p50 / bare50).toFixed(2),
    (p95 / bare95).toFixed(2),
  ]
}

function callsTable({ calls }: Results): string {
  return table(
    ['', 'rounds', 'calls', ''],
    [...calls].map(([name, rounds]) => [
      name,
      String(rounds.length),
      String(rounds.flat().length),
      rounds.map((round) => round.join(', ')).join('; then '),
    ]),
  )
}

function throughputTable(results: Results): string {
  const base = results.throughputs.get(empty.name)?.memory
  if (base === undefined) throw new Error('the empty server was not asked')
  return table(
    ['', 'requests per second and core', 'memory under load, MiB', '×'],
    [...results.throughputs].map(([name, { perCore, memory }]) => [
      name,
      perCore.toFixed(0),
      memory.toFixed(0),
      times(memory / base),
    ]),
  )
}

function scaleTable({ scale }: Results): string {
  return table(
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
  )
}

function aims(results: Results): string {
  const missed = misses(results)
  const said = `Cold start at most 1.5 empty servers for the catalog, 3 for bind and unbind, 2 for all others, in wall time and in CPU time; warm at most ${warmAim} times the bare calls.`
  if (missed.length === 0) return `${said} All are reached.`
  return `${said} Not reached (where the time goes: above):\n\n${missed.map((miss) => `- ${missedLine(results, miss)}`).join('\n')}`
}

function missedLine(results: Results, { name, what, reached, aim }: Miss): string {
  const line = `\`${name}\`, ${what}: ${reached.toFixed(1)} instead of ${aim.toFixed(1)}`
  const latency = results.latencies.get(name)
  if (!latency || latency.bare.length === 0 || what === 'CPU time') return line
  const calls = median(latency.bare)
  if (what === 'wall time')
    return `${line}; ${milliseconds(calls)} ms are what its calls take even without it`
  const more = median(latency.operation) - calls
  const way = Math.min(more, median(results.way))
  return `${line}: ${milliseconds(more)} ms more than the calls, ${milliseconds(way)} of them the way to the function and back`
}
