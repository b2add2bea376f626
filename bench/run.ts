/**
 * Measures the broker against what it cannot be faster than: an empty server, and the bare calls that an operation
 * makes. Everything in one run on one API server with one PostgreSQL instance; what is compared takes turns.
 *
 * Usage: `npm run bench` (up to six minutes; writes docs/performance.md), `npm run bench -- --quick` (one minute; prints
 * only). Both write bench/results.json.
 */
import { writeFile } from 'node:fs/promises'
import { availableParallelism, loadavg } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { FunctionName } from '../shared/routes.ts'
import { shapeOf } from '../test/support/fault-call.ts'
import { bareOf } from './bare.ts'
import { coldStarts, functionsOf } from './cold-start.ts'
import { edgeOf } from './edge.ts'
import { recordEngine } from './engine-recording.ts'
import { empty, ladder } from './ladder.ts'
import { type Latency, latencyOf } from './latency.ts'
import { type Operation, operationsOf } from './operations.ts'
import { record } from './recording.ts'
import { report } from './report.ts'
import type { Results } from './results.ts'
import { scaleOf } from './scale.ts'
import { type ServerProcess, startServer, type Wish } from './server-process.ts'
import { openSite, type Site } from './site.ts'
import { type Throughput, throughputOf } from './throughput.ts'

interface Extent {
  coldStarts: number
  /** requests of operations that only read, and of those that write */
  reads: number
  writes: number
  /** most milliseconds for all cold starts, for the latency of one operation, and for one load */
  coldStartTime: number
  latencyTime: number
  load: number
  instances: readonly number[]
  /** milliseconds after which a run is given up */
  limit: number
}

const full: Extent = {
  coldStarts: 12,
  reads: 200,
  writes: 60,
  coldStartTime: 90_000,
  latencyTime: 10_000,
  load: 4000,
  instances: [10, 1000, 10_000],
  limit: 600_000,
}
const quick: Extent = {
  coldStarts: 2,
  reads: 20,
  writes: 10,
  coldStartTime: 15_000,
  latencyTime: 2000,
  load: 500,
  instances: [10, 200],
  limit: 240_000,
}

const root = join(import.meta.dirname, '..')
const begun = performance.now()

function say(line: string): void {
  console.error(`${((performance.now() - begun) / 1000).toFixed(0).padStart(4)} s  ${line}`)
}

async function measure(site: Site, extent: Extent, busy: boolean): Promise<Results> {
  const operations = operationsOf(site)
  const steps = await ladder(site)
  const candidates = [...steps, ...functionsOf(site, operations)]
  say('Cold starts')
  const cold = await coldStarts(site, candidates, extent.coldStarts, extent.coldStartTime)
  say('What each operation asks')
  const recordings = await record(site, operations)
  const bares = bareOf(site, recordings, await recordEngine(site))
  const servers = new Map<FunctionName, ServerProcess>()
  const running: ServerProcess[] = []
  try {
    for (const operation of operations) {
      const wish = await operation.prepare()
      const program = site.program(operation.name)
      const { server } = await startServer(program, { ...wish, headers: site.headers })
      operation.done(wish)
      running.push(server)
      servers.set(operation.name, server)
    }
    const base = steps.find(({ name }) => name === empty.name)
    if (!base) throw new Error('there is no empty server')
    const root: Wish = { method: 'GET', path: '/' }
    const { server: idle } = await startServer(base.program({}), root)
    running.push(idle)

    say('Warm latencies')
    const asEmpty: Operation = { name: 'catalog', status: 200, prepare: () => root, done: () => undefined }
    const way = await latencyOf(site, asEmpty, idle, undefined, extent.reads, extent.latencyTime)
    const edge = await edgeOf(site, idle, extent.reads, extent.latencyTime)
    const latencies = new Map<FunctionName, Latency>()
    for (const operation of operations) {
      const server = servers.get(operation.name)
      if (!server) continue
      const count = operation.status === 200 && operation.name !== 'unbind' ? extent.reads : extent.writes
      latencies.set(
        operation.name,
        await latencyOf(site, operation, server, bares.get(operation.name), count, extent.latencyTime),
      )
    }
    say('Throughput')
    const throughputs = new Map<string, Throughput>()
    throughputs.set(empty.name, await throughputOf(idle, root, extent.load))
    for (const operation of operations.filter(({ name }) => ['catalog', 'fetch-instance'].includes(name))) {
      const server = servers.get(operation.name)
      if (!server) continue
      const wish = { ...(await operation.prepare()), headers: site.headers }
      throughputs.set(operation.name, await throughputOf(server, wish, extent.load))
    }
    say(`${extent.instances.join(', ')} instances`)
    const scale = await scaleOf(
      site,
      operations,
      servers,
      bares,
      extent.instances,
      extent.writes,
      extent.latencyTime,
    )
    return {
      cores: availableParallelism(),
      busy,
      node: process.versions.node.split('.')[0] ?? '',
      coldStarts: cold,
      calls: new Map(
        [...recordings].map(([name, { rounds }]) => [
          name,
          rounds.map((round) => round.map(shapeOf).toSorted()),
        ]),
      ),
      way: way.operation,
      edge,
      latencies,
      throughputs,
      scale,
    }
  } finally {
    await Promise.all(running.map((server) => server.stop()))
    for (const bare of bares.values()) bare.close()
  }
}

/** Maps as objects. */
function plain(_: string, value: unknown): unknown {
  return value instanceof Map ? Object.fromEntries(value) : value
}

const { values } = parseArgs({ options: { quick: { type: 'boolean', default: false } } })
const extent = values.quick ? quick : full
const [load = 0] = loadavg()
const busy = load > availableParallelism()
if (busy) say(`This machine is busy (load ${load.toFixed(1)}): wall times will be long, ratios rough`)
// Ends what was started: see server-process.ts and sandbox.ts.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
const late = setTimeout(() => {
  say(`Not done after ${extent.limit / 1000} seconds`)
  process.exit(1)
}, extent.limit)
try {
  const site = await openSite(say)
  let page: string
  try {
    const results = await measure(site, extent, busy)
    page = report(results)
    await writeFile(join(import.meta.dirname, 'results.json'), `${JSON.stringify(results, plain, 1)}\n`)
  } finally {
    await site.stop()
  }
  if (!values.quick) await writeFile(join(root, 'docs/performance.md'), page)
  console.log(page)
  say('Done')
} finally {
  clearTimeout(late)
}
