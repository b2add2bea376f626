/** The functions as processes that go on running, beside the empty server. */
import type { FunctionName } from '../shared/routes.ts'
import type { Candidate } from './cold-start.ts'
import type { Operation } from './operations.ts'
import { type ServerProcess, startServer, type Wish } from './server-process.ts'
import type { Site } from './site.ts'

export interface Functions {
  /** @throws where it does not run */
  of(name: FunctionName): ServerProcess
  idle: ServerProcess
  stop(): Promise<void>
}

/** What the empty server is asked. */
export const nothing: Wish = { method: 'GET', path: '/' }

/**
 * @param operations each function is started by the first of its own
 * @param empty the empty server
 */
export async function startFunctions(
  site: Site,
  operations: readonly Operation[],
  empty: Candidate,
): Promise<Functions> {
  const servers = new Map<FunctionName, ServerProcess>()
  const running: ServerProcess[] = []
  const stop = async () => {
    await Promise.all(running.map((server) => server.stop()))
  }
  try {
    for (const operation of operations) {
      if (servers.has(operation.name)) continue
      const wish = await operation.prepare()
      const program = site.program(operation.name)
      const { server } = await startServer(program, { ...wish, headers: site.headers })
      running.push(server)
      servers.set(operation.name, server)
      await operation.done(wish)
    }
    const { server: idle } = await startServer(empty.program({}), nothing)
    running.push(idle)
    return {
      of(name) {
        const server = servers.get(name)
        if (!server) throw new Error(`${name} is not running`)
        return server
      },
      idle,
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}
