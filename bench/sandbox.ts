/**
 * The cluster that is measured on, in a process of its own: what the operator and its webhooks do meanwhile must not
 * hold up whoever looks at the clock.
 */
import { fork } from 'node:child_process'
import * as v from 'valibot'
import { startCluster } from '../sandbox/cluster.ts'

/** Where everything is. */
export const Sandbox = v.object({
  plane: v.object({
    url: v.string(),
    caFile: v.string(),
    adminToken: v.string(),
    kubeconfigFile: v.string(),
    collectsGarbage: v.boolean(),
  }),
  /** file: name of a Service → loopback address */
  names: v.string(),
})
export type Sandbox = v.InferOutput<typeof Sandbox>

const Message = v.union([
  v.object({ sandbox: Sandbox }),
  v.object({ progress: v.string() }),
  v.object({ log: v.string() }),
])

/** milliseconds; the control plane is built at its first start */
const patience = 600_000
const farewell = 30_000

/**
 * @param directory holds all of it
 * @param progress takes a line for people
 * @throws with what the operator said, when it does not start
 */
export async function startSandbox(
  directory: string,
  progress: (line: string) => void,
): Promise<Sandbox & { stop(): Promise<void> }> {
  const child = fork(import.meta.filename, [directory])
  // Much is removed here before the operator has come to it, and it says so: worth reading only where it fails.
  const said: string[] = []
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const stop = async () => {
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), farewell)
    await ended
    clearTimeout(timer)
  }
  const sandbox = new Promise<Sandbox>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('the sandbox does not start')), patience)
    child.on('message', (received) => {
      const message = v.parse(Message, received)
      if ('progress' in message) progress(message.progress)
      else if ('log' in message) said.push(message.log)
      else {
        clearTimeout(timer)
        resolve(message.sandbox)
      }
    })
    ended.then(() => {
      clearTimeout(timer)
      reject(new Error(`the sandbox ended, having said:\n${said.join('\n')}`))
    })
  })
  try {
    return { ...(await sandbox), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function serve(directory: string): Promise<void> {
  const send = (message: v.InferOutput<typeof Message>) => process.send?.(message)
  const { plane, names, stop } = await startCluster({
    directory,
    engineHome: `${directory}/engines`,
    progress: (progress) => send({ progress }),
    log: (log) => send({ log }),
  })
  const end = () => stop().then(() => process.exit(0))
  process.once('SIGTERM', end).once('disconnect', end)
  send({ sandbox: v.parse(Sandbox, { plane, names }) })
}

const [, program, directory] = process.argv
if (program === import.meta.filename && directory !== undefined) await serve(directory)
