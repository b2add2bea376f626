import type { FunctionName } from '../shared/routes.ts'
import type { Cache, ColdStarts } from './cold-start.ts'
import type { Latency } from './latency.ts'
import type { AtSize } from './scale.ts'
import type { Throughput } from './throughput.ts'

/** Everything that was measured in one run. */
export interface Results {
  cores: number
  /** something else kept the cores busy when the run began */
  busy: boolean
  /** version of Node */
  node: string
  /** by name of the function or rung */
  coldStarts: Record<Cache, Map<string, ColdStarts>>
  /** what each operation asks of the API server, by round */
  calls: Map<FunctionName, string[][]>
  /** milliseconds of a request to the empty server: what the way there takes */
  way: number[]
  /** through the edge router, and without it */
  edge: Latency
  latencies: Map<FunctionName, Latency>
  throughputs: Map<string, Throughput>
  scale: AtSize[]
}
