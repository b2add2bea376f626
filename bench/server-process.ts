/**
 * One process that serves HTTP: a function, or the empty server that it is compared with. It runs as in its image:
 * Node, the bundle, an environment; no gateway before it.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from '../sandbox/machine/free-port.ts'

/** milliseconds for a first answer, and for an end */
const patience = 20_000

/** However the benchmark ends, nothing of it goes on. */
const alive = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of alive) child.kill('SIGKILL')
})

export interface Program {
  name: string
  /** an ES module */
  file: string
  /** the whole environment, PORT aside */
  environment: Readonly<Record<string, string>>
}

export interface Wish {
  method: string
  /** with its query */
  path: string
  headers?: Readonly<Record<string, string>>
  /** sent as JSON */
  body?: unknown
}

export interface Answer {
  status: number
  text: string
}

export interface ServerProcess {
  name: string
  port: number
  /** over kept-alive connections */
  send(wish: Wish): Promise<Answer>
  /** milliseconds of CPU time since its start, user and system, of all its threads */
  cpu(): number
  /** resident memory in MiB */
  memory(): number
  /** SIGTERM, and SIGKILL for one that does not end */
  stop(): Promise<void>
}

export interface Started {
  server: ServerProcess
  answer: Answer
  /** milliseconds from the start of the process to the end of its first answer */
  wall: number
  /** milliseconds of CPU time that it took for that */
  cpu: number
}

/**
 * Starts a server and sends it a request as soon as it listens.
 *
 * @throws with all that the process printed, when it ends first or does not answer in time
 */
export async function startServer(program: Program, first: Wish): Promise<Started> {
  const port = await freePort()
  const begun = performance.now()
  const child = spawn(process.execPath, [program.file], {
    env: { ...program.environment, PORT: String(port) },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const server = serverOf(program.name, child, port)
  try {
    const answer = await firstAnswer(server, first, begun + patience)
    const wall = performance.now() - begun
    return { server, answer, wall, cpu: server.cpu() }
  } catch (error) {
    await server.stop()
    throw error
  }
}

async function firstAnswer(
  server: ServerProcess & { failure(): Error | undefined },
  wish: Wish,
  deadline: number,
): Promise<Answer> {
  for (;;) {
    try {
      return await server.send(wish)
    } catch (error) {
      const failure = server.failure()
      if (failure) throw failure
      if (!(error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED')) throw error
      if (performance.now() > deadline) throw new Error(`${server.name} does not listen`)
      await delay(1)
    }
  }
}

function serverOf(
  name: string,
  child: ChildProcess,
  port: number,
): ServerProcess & { failure(): Error | undefined } {
  const agent = new Agent({ keepAlive: true })
  alive.add(child)
  let printed = ''
  let ended: string | undefined
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      printed = `${printed}${chunk}`.slice(-20_000)
    })
  }
  const exited = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      ended = error.message
      resolve()
    })
    child.once('exit', (code, signal) => {
      ended = signal ? `by ${signal}` : `with code ${code}`
      resolve()
    })
  })
  const failure = () =>
    ended === undefined ? undefined : new Error(`${name} ended ${ended}, having printed:\n${printed}`)

  return {
    name,
    port,
    failure,
    send: ({ method, path, headers, body }) =>
      new Promise((resolve, reject) => {
        const content = body === undefined ? undefined : JSON.stringify(body)
        const outgoing = request(
          {
            host: '127.0.0.1',
            port,
            agent,
            method,
            path,
            headers: {
              ...headers,
              ...(content !== undefined && {
                'Content-Type': 'application/json',
                'Content-Length': Buffer.byteLength(content),
              }),
            },
            signal: AbortSignal.timeout(patience),
          },
          (response) => {
            text(response).then((received) => {
              resolve({ status: response.statusCode ?? 0, text: received })
            }, reject)
          },
        )
        outgoing.on('error', reject)
        outgoing.end(content)
      }),
    cpu: () => cpuOf(child.pid),
    memory: () => memoryOf(child.pid),
    async stop() {
      agent.destroy()
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), patience)
      await exited
      clearTimeout(timer)
      alive.delete(child)
    },
  }
}

/** The kernel's own clock of each thread, in nanoseconds: the one that `ps` shows ticks a hundred times a second. */
function cpuOf(pid: number | undefined): number {
  return read(pid, (folder) =>
    readdirSync(`${folder}/task`)
      .map((thread) => Number(readFileSync(`${folder}/task/${thread}/schedstat`, 'utf8').split(' ')[0]) / 1e6)
      .reduce((sum, one) => sum + one, 0),
  )
}

function memoryOf(pid: number | undefined): number {
  return read(pid, (folder) => {
    const kilobytes = /VmRSS:\s+(\d+)/.exec(readFileSync(`${folder}/status`, 'utf8'))?.[1]
    return Number(kilobytes) / 1024
  })
}

function read(pid: number | undefined, measure: (folder: string) => number): number {
  const value = measure(`/proc/${pid}`)
  if (!Number.isFinite(value)) throw new Error('this benchmark needs the /proc of Linux, with schedstat')
  return value
}
