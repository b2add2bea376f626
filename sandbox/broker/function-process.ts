import { type ChildProcess, spawn } from 'node:child_process'
import { Agent } from 'node:http'
import { createInterface } from 'node:readline'

export interface FunctionProcessOptions {
  name: string
  /** the bundle's entry */
  file: string
  /** URL of what `--import` loads first: pod.ts */
  preload: string
  /** the whole environment of the process, PORT aside */
  environment: Readonly<Record<string, string>>
  /** gets every line of stdout and stderr */
  log: (line: string) => void
}

/** Milliseconds a function has to end after SIGTERM. */
const patience = 10_000

/**
 * One running copy of a function. It is born starting; `listening` tells when it takes requests; after `exited` it is
 * never used again.
 */
export class FunctionProcess {
  /** the process's port on 127.0.0.1, once it listens
   * @throws {FunctionEnded} when it ends before */
  readonly listening: Promise<number>
  /** how it ended; never rejects */
  readonly exited: Promise<string>
  /** kept-alive connections to this copy alone */
  readonly agent = new Agent({ keepAlive: true })
  readonly pid: number | undefined
  #child: ChildProcess

  constructor(options: FunctionProcessOptions) {
    this.#child = spawn(process.execPath, ['--import', options.preload, options.file], {
      env: { ...options.environment, PORT: '8080', K_SERVICE: `osb-${options.name}` },
      // The channel tells the port and, by closing, that the gateway is gone.
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      // A Ctrl-C of the terminal is for the gateway, which ends its functions in order.
      detached: true,
    })
    this.pid = this.#child.pid
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream) createInterface({ input: stream }).on('line', options.log)
    }
    const child = this.#child
    this.exited = new Promise((resolve) => {
      child.once('error', (error) => resolve(error.message))
      child.once('exit', (code, signal) => {
        this.agent.destroy()
        resolve(signal ? `ended by ${signal}` : `exited with code ${code}`)
      })
    })
    this.listening = new Promise((resolve, reject) => {
      child.on('message', (message) => {
        if (typeof message === 'object' && 'port' in message && typeof message.port === 'number') {
          resolve(message.port)
        }
      })
      this.exited.then((how) => reject(new FunctionEnded(`${options.name} ${how} before it took a request`)))
    })
    // Who waits for it sees the rejection; nobody has to.
    this.listening.catch(() => {})
  }

  /**
   * SIGTERM, and SIGKILL for one that does not end in ten seconds.
   *
   * @returns once it has ended
   */
  async stop(): Promise<void> {
    this.#child.kill('SIGTERM')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), patience)
    await this.exited
    clearTimeout(timer)
  }

  /** SIGKILL */
  kill(): void {
    this.#child.kill('SIGKILL')
  }
}

/** The function's process ended before it took a request. */
export class FunctionEnded extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'FunctionEnded'
  }
}
