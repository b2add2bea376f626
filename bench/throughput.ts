/** How much one core serves. */
import { type Functions, nothing } from './functions.ts'
import { empty } from './ladder.ts'
import type { Operation } from './operations.ts'
import type { ServerProcess, Wish } from './server-process.ts'
import type { Site } from './site.ts'

export interface Throughput {
  requests: number
  /** for each second of CPU time that the process took */
  perCore: number
  /** MiB at the end */
  memory: number
}

/** At once: enough that the process always has something to do. */
const clients = 8

/** @returns the empty server, and functions that answer without changing anything; `milliseconds` for each */
export async function throughputsOf(
  site: Site,
  operations: readonly Operation[],
  functions: Functions,
  milliseconds: number,
): Promise<Map<string, Throughput>> {
  const throughputs = new Map<string, Throughput>()
  throughputs.set(empty.name, await throughputOf(functions.idle, nothing, milliseconds))
  for (const operation of operations.filter(({ name }) => name === 'catalog' || name === 'fetch-instance')) {
    const wish = { ...(await operation.prepare()), headers: site.headers }
    const server = functions.of(operation.name)
    throughputs.set(operation.name, await throughputOf(server, wish, milliseconds))
  }
  return throughputs
}

/** @param milliseconds how long it is asked */
async function throughputOf(server: ServerProcess, wish: Wish, milliseconds: number): Promise<Throughput> {
  const ask = async () => {
    const { status, text } = await server.send(wish)
    if (status !== 200) throw new Error(`${server.name}: ${status} ${text}`)
  }
  for (let i = 0; i < 200; i++) await ask()
  const before = server.cpu()
  const end = performance.now() + milliseconds
  let requests = 0
  const client = async () => {
    while (performance.now() < end) {
      await ask()
      requests += 1
    }
  }
  await Promise.all(Array.from({ length: clients }, client))
  return { requests, perCore: requests / ((server.cpu() - before) / 1000), memory: server.memory() }
}
