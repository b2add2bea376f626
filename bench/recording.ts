/** What each operation really asks of the API server, to be asked again without the broker. */
import type { FunctionName } from '../shared/routes.ts'
import type { Call } from '../test/support/fault-call.ts'
import { startFaultProxy } from '../test/support/fault-proxy.ts'
import { callsInRounds } from '../test/support/rounds.ts'
import { idOf, type Operation } from './operations.ts'
import { type ServerProcess, startServer, type Wish } from './server-process.ts'
import type { Site } from './site.ts'

export interface Recording {
  wish: Wish
  /** the calls of one round are sent at once; the next round waits for their answers */
  rounds: Call[][]
}

/** @returns for every operation what its second request asks: the first one opens connections */
export async function record(site: Site, operations: readonly Operation[]): Promise<Map<string, Recording>> {
  const { url, caFile } = site.cluster
  const proxy = await startFaultProxy({
    upstream: url,
    caFile,
    // The control plane's certificate is its own authority; the key lies beside it.
    certificateFile: caFile,
    keyFile: caFile.replace(/\.crt$/, '.key'),
  })
  const recordings = new Map<string, Recording>()
  const servers = new Map<FunctionName, ServerProcess>()
  /** Sends what has to be answered before anything is recorded. */
  const begin = async (operation: Operation): Promise<ServerProcess> => {
    const wish = { ...(await operation.prepare()), headers: site.headers }
    const running = servers.get(operation.name)
    if (running) {
      await answered(operation, running, wish)
      await operation.done(wish)
      return running
    }
    const program = site.program(operation.name, {
      KUBERNETES_SERVICE_HOST: '127.0.0.1',
      KUBERNETES_SERVICE_PORT: String(proxy.port),
    })
    const { server } = await startServer(program, wish)
    servers.set(operation.name, server)
    await operation.done(wish)
    return server
  }
  try {
    for (const operation of operations) {
      const server = await begin(operation)
      const wish = await operation.prepare()
      const rounds = await callsInRounds(
        (interference) => {
          proxy.interference = interference
        },
        () => answered(operation, server, { ...wish, headers: site.headers }),
      )
      await operation.done(wish)
      recordings.set(idOf(operation), { wish, rounds })
    }
  } finally {
    await Promise.all([...servers.values()].map((server) => server.stop()))
    await proxy.stop()
  }
  return recordings
}

async function answered(operation: Operation, server: ServerProcess, wish: Wish): Promise<void> {
  const { status, text } = await server.send(wish)
  if (status !== operation.status) throw new Error(`${idOf(operation)}: ${status} ${text}`)
}
