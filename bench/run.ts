/**
 * Measures the broker against what it cannot be faster than: an empty server, and the bare calls that an operation
 * makes. Everything in one run on one API server with one instance of each engine; what is compared takes turns.
 *
 * Usage: `npm run bench` (about ten minutes; writes docs/performance.md). With `--quick` (two minutes), with
 * `--only cold,warm,edge,load,scale` for some parts or `--engine postgresql,mysql,mongodb,opensearch,redis,memcached`
 * for some engines it prints only. All write bench/results.json.
 */
import { writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { type Bares, baresOf } from './bares.ts'
import { othersOf } from './busy.ts'
import { coldStarts, functionsOf } from './cold-start.ts'
import { dashboardOf } from './dashboard.ts'
import { edgeOf } from './edge.ts'
import { engines } from './engines/engines.ts'
import { startFunctions } from './functions.ts'
import { empty, ladder } from './ladder.ts'
import { byEngine, type Operation, operationsOf } from './operations.ts'
import { type Options, optionsOf } from './options.ts'
import { page } from './page/page.ts'
import type { Results } from './results.ts'
import { scaled, scaleOf } from './scale.ts'
import { type Instance, openSite, type Site } from './site.ts'
import { throughputsOf } from './throughput.ts'
import { warmOf } from './warm.ts'

const root = join(import.meta.dirname, '..')
const begun = performance.now()

function say(line: string): void {
  console.error(`${((performance.now() - begun) / 1000).toFixed(0).padStart(4)} s  ${line}`)
}

/** What is measured: everything on PostgreSQL, and on the other engines what differs there. */
interface Plan {
  base: Instance
  /** of the base, whether they are measured by themselves or not */
  ofBase: readonly Operation[]
  /** of the engines that were chosen */
  operations: readonly Operation[]
}

function planOf(site: Site, options: Options): Plan {
  const [base, ...others] = site.instances
  if (!base) throw new Error('there is no instance')
  const ofBase = operationsOf(site, base)
  const ofOthers = others.flatMap((instance) =>
    operationsOf(site, instance).filter(({ name }) => byEngine.includes(name)),
  )
  return { base, ofBase, operations: [...(options.engines.includes(base.engine) ? ofBase : []), ...ofOthers] }
}

const ofBindings: ReadonlySet<Operation['name']> = new Set(['bind', 'fetch-binding', 'unbind'])

async function measure(site: Site, options: Options, busy: boolean): Promise<Results> {
  const { extent, parts } = options
  const { base, ofBase, operations } = planOf(site, options)
  const results: Results = {
    cores: availableParallelism(),
    busy,
    node: process.versions.node.split('.')[0] ?? '',
    deeds: operations.map(({ name, engine }) => ({ name, engine })),
  }
  const steps = await ladder(site, base)
  const emptyServer = steps.find(({ name }) => name === empty.name)
  if (!emptyServer) throw new Error('there is no empty server')
  if (parts.has('cold')) {
    say('Cold starts')
    const isBase = ({ engine }: Operation) => engine === base.engine.name
    const candidates = [
      ...steps,
      ...functionsOf(site, operations.filter(isBase), ['warm', 'none']),
      await dashboardOf(site, base),
      // What differs from engine to engine when a function starts; compiling a driver is in the ladder.
      ...functionsOf(
        site,
        operations.filter((one) => !isBase(one) && ofBindings.has(one.name)),
        ['warm'],
      ),
    ]
    results.coldStarts = await coldStarts(site, candidates, extent.coldStarts, extent.coldStartTime)
  }

  const needed = [
    ...(parts.has('warm') ? operations : []),
    ...(parts.has('scale') || parts.has('load') ? ofBase : []),
  ]
  const functions = await startFunctions(site, needed, emptyServer)
  let bares: Bares | undefined
  try {
    if (parts.has('edge')) {
      say('The edge router')
      results.edge = await edgeOf(site, functions.idle, extent.reads, extent.latencyTime)
    }
    if (parts.has('warm') || parts.has('scale')) {
      say('What each operation asks')
      const scaledToo = parts.has('scale') ? ofBase.filter(({ name }) => scaled.includes(name)) : []
      bares = await baresOf(site, [...new Set([...(parts.has('warm') ? operations : []), ...scaledToo])])
      if (parts.has('warm')) results.warm = await warmOf(site, operations, functions, bares, extent, say)
    }
    if (parts.has('load')) {
      say('Throughput')
      results.throughputs = await throughputsOf(site, ofBase, functions, extent.load)
    }
    if (parts.has('scale') && bares) {
      say(`${extent.instances.join(', ')} instances`)
      results.scale = await scaleOf(site, base, ofBase, functions, bares, extent)
    }
  } finally {
    await functions.stop()
    bares?.close()
  }
  return results
}

/** Maps as objects. */
function plain(_: string, value: unknown): unknown {
  return value instanceof Map ? Object.fromEntries(value) : value
}

const options = optionsOf(process.argv.slice(2))
const others = await othersOf()
if (others.busy) {
  const share = (100 * others.share).toFixed(0)
  say(`Others use ${share} % of this machine's cores: wall times will be long, ratios rough`)
}
// Ends what was started: see server-process.ts and sandbox.ts.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
const { limit } = options.extent
const late = setTimeout(() => {
  say(`Not done after ${limit / 1000} seconds`)
  process.exit(1)
}, limit)
try {
  // The first of all engines is there in any case.
  const needed = engines.filter((engine, index) => index === 0 || options.engines.includes(engine))
  const site = await openSite(needed, say)
  let text: string
  try {
    const results = await measure(site, options, others.busy)
    text = page(results)
    await writeFile(join(import.meta.dirname, 'results.json'), `${JSON.stringify(results, plain, 1)}\n`)
  } finally {
    await site.stop()
  }
  if (options.whole) await writeFile(join(root, 'docs/performance.md'), text)
  console.log(text)
  say('Done')
} finally {
  clearTimeout(late)
}
