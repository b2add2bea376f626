/** How much one core serves. */
import type { ServerProcess, Wish } from './server-process.ts'

export interface Throughput {
  requests: number
  /** for each second of CPU time that the process took */
  perCore: number
  /** MiB at the end */
  memory: number
}

/** At once: enough that the process always has something to do. */
const clients = 8

/** @param milliseconds how long it is asked */
export async function throughputOf(
  server: ServerProcess,
  wish: Wish,
  milliseconds: number,
): Promise<Throughput> {
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
