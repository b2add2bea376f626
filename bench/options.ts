/** What is to be measured, and how thoroughly. */
import { parseArgs } from 'node:util'
import type { Engine } from './engines/engine.ts'
import { engines } from './engines/engines.ts'

const parts = ['cold', 'warm', 'edge', 'load', 'scale'] as const
export type Part = (typeof parts)[number]

export interface Options {
  extent: Extent
  parts: ReadonlySet<Part>
  /** whose operations are measured */
  engines: readonly Engine[]
  /** all of it: the page is to be written */
  whole: boolean
}

export interface Extent {
  coldStarts: number
  /** requests of operations that only read, and of those that write */
  reads: number
  writes: number
  /** most milliseconds for all cold starts, for the latency of one operation (on another engine), and for one load */
  coldStartTime: number
  latencyTime: number
  engineLatencyTime: number
  load: number
  instances: readonly number[]
  /** milliseconds after which a run is given up */
  limit: number
}

const full: Extent = {
  coldStarts: 12,
  reads: 200,
  writes: 60,
  coldStartTime: 150_000,
  latencyTime: 10_000,
  engineLatencyTime: 6000,
  load: 4000,
  instances: [10, 1000, 10_000],
  limit: 1_200_000,
}
const quick: Extent = {
  coldStarts: 2,
  reads: 20,
  writes: 5,
  coldStartTime: 15_000,
  latencyTime: 2000,
  engineLatencyTime: 1000,
  load: 500,
  instances: [10, 200],
  limit: 900_000,
}

/**
 * @param args of the command line
 * @throws for what is no part and no engine, saying which there are
 */
export function optionsOf(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true, default: [] },
      engine: { type: 'string', multiple: true, default: [] },
    },
  })
  const only = picked('--only', values.only, parts, (part) => part)
  const chosen = picked('--engine', values.engine, engines, ({ name }) => name.toLowerCase())
  return {
    extent: values.quick ? quick : full,
    parts: new Set(only),
    engines: chosen,
    whole: !values.quick && only.length === parts.length && chosen.length === engines.length,
  }
}

/** @returns what was named, in its own order; all where nothing was */
function picked<T>(
  option: string,
  said: readonly string[],
  from: readonly T[],
  nameOf: (one: T) => string,
): readonly T[] {
  const names = said.flatMap((text) => text.toLowerCase().split(','))
  const unknown = names.find((name) => !from.some((one) => nameOf(one) === name))
  if (unknown !== undefined) {
    throw new Error(`${option} ${unknown} is not known; there are ${from.map(nameOf).join(', ')}`)
  }
  return names.length === 0 ? from : from.filter((one) => names.includes(nameOf(one)))
}
