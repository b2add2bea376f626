/** What each operation really asks of the API server, to be asked again without the broker. */
import type { Call } from '../test/support/fault-call.ts'
import { startFaultProxy } from '../test/support/fault-proxy.ts'
import { callsInRounds } from '../test/support/rounds.ts'
import type { Operation } from './operations.ts'
import { startServer, type Wish } from './server-process.ts'
import type { Site } from './site.ts'

export interface Recording {
  wish: Wish
  /** the calls of one round are sent at once; the next round waits for their answers */
  rounds: Call[][]
}

/** @returns for every operation what its second request asks: the first one opens connections */
export async function record(
  site: Site,
  operations: readonly Operation[],
): Promise<Map<Operation['name'], Recording>> {
  const { url, caFile } = site.cluster
  const proxy = await startFaultProxy({
    upstream: url,
    caFile,
    // The control plane's certificate is its own authority; the key lies beside it.
    certificateFile: caFile,
    keyFile: caFile.replace(/\.crt$/, '.key'),
  })
  const recordings = new Map<Operation['name'], Recording>()
  try {
    for (const operation of operations) {
      const program = site.program(operation.name, {
        KUBERNETES_SERVICE_HOST: '127.0.0.1',
        KUBERNETES_SERVICE_PORT: String(proxy.port),
      })
      const first = await operation.prepare()
      const { server } = await startServer(program, { ...first, headers: site.headers })
      try {
        operation.done(first)
        const wish = await operation.prepare()
        const rounds = await callsInRounds(
          (interference) => {
            proxy.interference = interference
          },
          async () => {
            const answer = await server.send({ ...wish, headers: site.headers })
            if (answer.status !== operation.status) {
              throw new Error(`${operation.name}: ${answer.status} ${answer.text}`)
            }
          },
        )
        operation.done(wish)
        recordings.set(operation.name, { wish, rounds })
      } finally {
        await server.stop()
      }
    }
  } finally {
    await proxy.stop()
  }
  return recordings
}
