import type { Cache, ColdStarts } from './cold-start.ts'
import type { EngineName } from './engines/engine.ts'
import type { Latency } from './latency.ts'
import type { Deed } from './operations.ts'
import type { AtSize } from './scale.ts'
import type { Throughput } from './throughput.ts'

/** Everything that was measured in one run. What is kept by name is kept by that of a rung, or by `idOf` a deed. */
export interface Results {
  cores: number
  /** something else kept the cores busy when the run began */
  busy: boolean
  /** version of Node */
  node: string
  /** what was done to which engine, in the order of the tables */
  deeds: readonly Deed[]
  coldStarts?: Record<Cache, Map<string, ColdStarts>>
  warm?: Warm
  /** through the edge router, and without it */
  edge?: Latency
  throughputs?: Map<string, Throughput>
  scale?: AtSize[]
}

export interface Warm {
  /** what each operation asks of the API server, by round */
  calls: Map<string, string[][]>
  /** what binds and unbinds say to their engine, where they say anything */
  talks: Map<string, { engine: EngineName; statements: number; inTurn: number }>
  /** milliseconds of a request to the empty server: what the way there takes */
  way: number[]
  latencies: Map<string, Latency>
}
