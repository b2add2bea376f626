/** From the start of a process to the end of its first answer. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { idOf, type Operation } from './operations.ts'
import { type Program, startServer, type Wish } from './server-process.ts'
import type { Site } from './site.ts'

/** What is started, and the request that it answers first. */
export interface Candidate {
  name: string
  /** states of the cache with which it is started */
  caches: readonly Cache[]
  program(environment: Readonly<Record<string, string>>): Program
  status: number
  prepare(): Promise<Wish> | Wish
  done(wish: Wish): Promise<void> | void
}

/** V8's compile cache: filled when the image is built, or not there. */
export type Cache = 'warm' | 'none'

/** Fewer tell nothing. */
const few = 3

export interface ColdStarts {
  /** milliseconds, one for each repetition */
  wall: number[]
  cpu: number[]
  /** MiB after the first answer */
  memory: number[]
}

/** @returns the functions, each with an operation that it really carries out */
export function functionsOf(
  site: Site,
  operations: readonly Operation[],
  caches: readonly Cache[],
): Candidate[] {
  return operations.map((operation) => ({
    ...operation,
    name: idOf(operation),
    caches,
    program: (environment) => site.program(operation.name, environment),
    async prepare() {
      return { ...(await operation.prepare()), headers: site.headers }
    },
  }))
}

/**
 * Starts all candidates in turn, again and again, so that whatever else the machine does meets all of them.
 *
 * @param repetitions of each candidate with each state of the cache
 * @param limit milliseconds after which it is enough, once there are three
 * @returns for each cache, by name of the candidate
 */
export async function coldStarts(
  site: Site,
  candidates: readonly Candidate[],
  repetitions: number,
  limit: number,
): Promise<Record<Cache, Map<string, ColdStarts>>> {
  const folder = join(site.directory, 'compile-cache')
  await mkdir(folder, { recursive: true })
  const environments = { warm: { NODE_COMPILE_CACHE: folder }, none: {} }
  // Node writes the cache when a process ends.
  for (const candidate of candidates) await once(candidate, environments.warm)
  const results: Record<Cache, Map<string, ColdStarts>> = { warm: new Map(), none: new Map() }
  const end = performance.now() + limit
  for (let repetition = 0; repetition < repetitions; repetition++) {
    if (performance.now() > end && repetition >= few) break
    for (const cache of ['warm', 'none'] as const) {
      for (const candidate of candidates) {
        if (!candidate.caches.includes(cache)) continue
        const { wall, cpu, memory } = await once(candidate, environments[cache])
        const result = results[cache].get(candidate.name) ?? { wall: [], cpu: [], memory: [] }
        results[cache].set(candidate.name, {
          wall: [...result.wall, wall],
          cpu: [...result.cpu, cpu],
          memory: [...result.memory, memory],
        })
      }
    }
  }
  return results
}

async function once(
  candidate: Candidate,
  environment: Readonly<Record<string, string>>,
): Promise<{ wall: number; cpu: number; memory: number }> {
  const wish = await candidate.prepare()
  const { server, answer, wall, cpu } = await startServer(candidate.program(environment), wish)
  const memory = server.memory()
  await server.stop()
  if (answer.status !== candidate.status) {
    throw new Error(`${candidate.name}: ${answer.status} instead of ${candidate.status}: ${answer.text}`)
  }
  await candidate.done(wish)
  return { wall, cpu, memory }
}
