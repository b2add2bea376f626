/** One server process with its log, from the start of its program to the moment it accepts connections. */
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type GuardedProcess,
  type GuardedProcessOptions,
  startGuarded,
} from '../../machine/guarded-process.ts'

export interface Server extends GuardedProcess {
  /** The reason, once it is gone. */
  gone(): string | undefined
  /** What it has written since its start. */
  said(): Promise<string>
}

/** Starts a program in the folder of its database, where `server.log` gets what it writes; does not wait. */
export async function startServer(
  [program, ...parameters]: readonly [string, ...string[]],
  options: Omit<GuardedProcessOptions, 'log'>,
): Promise<Server> {
  const file = join(options.folder, 'server.log')
  const log = await open(file, 'a', 0o644)
  const { size } = await log.stat()
  const server = startGuarded(program, parameters, { ...options, log: log.fd })
  await log.close()
  let reason: string | undefined
  server.exited.then((words) => {
    reason = words
  })
  return {
    ...server,
    gone: () => reason,
    said: async () => (await readFile(file)).subarray(size).toString('utf8'),
  }
}

interface Waiting {
  /** What the server is called. */
  readonly title: string
  readonly seconds: number
  /** Milliseconds between two attempts. */
  readonly pause: number
  /** Connects as a client would. Throws what a client would see. */
  check(): Promise<unknown>
  /** What went wrong, out of the server's log; empty when it says nothing. */
  complaints(log: string): string
  /**
   * Whether an error says that a server is there and knows another password: a stranger's on the address, and ours is
   * then gone at once; else the error is thrown as it is.
   */
  isWrongPassword?(error: unknown): boolean
}

/**
 * Waits until a server accepts connections.
 *
 * @throws in the server's words when it is gone or takes too long; it does not run then
 */
export async function untilAccepting(server: Server, waiting: Waiting): Promise<void> {
  const { title, complaints, isWrongPassword } = waiting
  try {
    await accepting(server, waiting)
  } catch (error) {
    const died = server.gone() !== undefined
    await server.stop()
    const words = died || !isWrongPassword ? complaints(await server.said()) : ''
    throw words === '' ? error : new Error(`${title} did not start: ${words}`, { cause: error })
  }
}

async function accepting(server: Server, { title, seconds, pause, check, isWrongPassword }: Waiting) {
  const gone = server.exited.then((reason): never => {
    throw new Error(`${title} did not start: ${reason}`)
  })
  for (const end = Date.now() + seconds * 1000; ; await sleep(pause)) {
    try {
      await Promise.race([gone, check()])
      return
    } catch (error) {
      const isStranger = isWrongPassword?.(error) ?? false
      if (isStranger) await sleep(300)
      if (server.gone() !== undefined) await gone
      if (isStranger || Date.now() > end) throw error
    }
  }
}
