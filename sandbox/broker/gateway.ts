/**
 * The sandbox's gateway: one address for the ten functions, by the route map. It starts a function's process at its
 * first request, holds requests until the process listens, and stops it when idle, so that scale to zero is what
 * developers live with. In a cluster a real gateway and Knative do this.
 */
import { existsSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { match } from '../../shared/gateway/match.ts'
import { proxy } from '../../shared/gateway/proxy.ts'
import type { ProgramName } from '../../shared/routes.ts'
import { FunctionProcess } from './function-process.ts'
import { preload } from './preload.ts'

export interface GatewayOptions {
  /** on 127.0.0.1; 0 for any free one */
  port: number
  /** holds `<function>/index.js` */
  functionsDirectory: string
  /** whether there is a dashboard beside the functions */
  dashboard?: boolean
  /** @returns the whole environment of that function's process; asked at each start */
  environment: (name: ProgramName) => Readonly<Record<string, string>>
  /** a process without requests ends after this long; 60 by default, Infinity for never */
  idleSeconds?: number
  /** from a request's arrival to the end of its answer, cold start included; 58 by default */
  timeoutSeconds?: number
  /** gets every line the functions print, and what the gateway itself has to tell (under the name `gateway`) */
  log: (name: ProgramName | 'gateway', line: string) => void
  /** called at each start of a process */
  onStart?: (name: ProgramName, pid: number | undefined) => void
}

export interface Gateway {
  url: string
  port: number
  /** @returns the process of that function, if one runs just now */
  pid(name: ProgramName): number | undefined
  /** Ends the function's process as scaling to zero does; the next request starts another. */
  scaleToZero(name: ProgramName): Promise<void>
  /** Takes no more requests and ends every process. Safe to call twice. */
  stop(): Promise<void>
}

/** A running function and what it has to do. */
interface Copy {
  process: FunctionProcess
  requests: number
  idle: NodeJS.Timeout | undefined
}

/**
 * @returns the gateway, once it listens
 * @throws the error of `listen`, e.g. with code EADDRINUSE
 */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { functionsDirectory, environment, idleSeconds = 60, timeoutSeconds = 58, log, onStart } = options
  const pod = await preload()
  const copies = new Map<ProgramName, Copy>()
  /** all that have not ended, those on their way out included */
  const alive = new Set<FunctionProcess>()
  let stopping = false

  function copyOf(name: ProgramName): Copy {
    const known = copies.get(name)
    if (known) return known
    const file = join(functionsDirectory, name, 'index.js')
    if (!existsSync(file)) throw new Error(`there is no bundle ${file}: build the functions first`)
    const started = new FunctionProcess({
      name,
      file,
      preload: pod,
      environment: environment(name),
      log: (line) => log(name, line),
    })
    const copy: Copy = { process: started, requests: 0, idle: undefined }
    copies.set(name, copy)
    alive.add(started)
    onStart?.(name, started.pid)
    started.exited.then((how) => {
      alive.delete(started)
      clearTimeout(copy.idle)
      // Retired ones have left the map before: only an end that nobody asked for is worth a line.
      if (copies.get(name) !== copy) return
      copies.delete(name)
      log('gateway', `${name} ${how}`)
    })
    return copy
  }

  /** Takes the copy out of service, so that the next request starts another, and ends it. */
  function retire(name: ProgramName, copy: Copy): Promise<void> {
    if (copies.get(name) === copy) copies.delete(name)
    clearTimeout(copy.idle)
    return copy.process.stop()
  }

  function release(name: ProgramName, copy: Copy): void {
    copy.requests -= 1
    const inService = copies.get(name) === copy
    if (!inService || copy.requests > 0 || idleSeconds === Number.POSITIVE_INFINITY) return
    copy.idle = setTimeout(() => void retire(name, copy), idleSeconds * 1000)
  }

  async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const found = match(incoming.method ?? '', incoming.url ?? '', options)
    if ('unknown' in found) return refuse(incoming, response, 404, 'NotFound', 'There is no such path.')
    if ('allowed' in found) {
      response.setHeader('Allow', found.allowed.join(', '))
      const description = `This path takes ${found.allowed.join(', ')}.`
      return refuse(incoming, response, 405, 'MethodNotAllowed', description)
    }
    const name = found.to
    const gone = new AbortController()
    response.once('close', () => {
      if (!response.writableFinished) gone.abort()
    })
    let late = false
    const timer = setTimeout(() => {
      late = true
      gone.abort()
    }, timeoutSeconds * 1000)
    let copy: Copy | undefined
    try {
      copy = copyOf(name)
      copy.requests += 1
      clearTimeout(copy.idle)
      const port = await unless(gone.signal, copy.process.listening)
      await proxy(incoming, response, { host: '127.0.0.1', port, agent: copy.process.agent }, gone.signal)
    } catch (error) {
      if (late) {
        refuse(incoming, response, 504, 'Timeout', `${name} did not answer within ${timeoutSeconds} seconds.`)
      } else if (!response.destroyed) {
        // Of a process that died, its sockets tell first: wait for its end, or the next request meets the dead.
        const how = copy && (await Promise.race([copy.process.exited, delay(200)]))
        const reason = error instanceof Error ? error.message : String(error)
        log('gateway', `${name}: ${reason}`)
        refuse(incoming, response, 502, 'BadGateway', `${name} did not answer: ${how ?? reason}.`)
      }
    } finally {
      clearTimeout(timer)
      if (copy) release(name, copy)
    }
  }

  const server = createServer((incoming, response) => void serve(incoming, response))
  // The functions judge requests: the gateway's own limits are only those of a connection that does nothing.
  server.requestTimeout = 0
  server.keepAliveTimeout = 75_000
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port, '127.0.0.1', () => resolve())
  })
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : options.port

  return {
    url: `http://127.0.0.1:${port}`,
    port,
    pid: (name) => copies.get(name)?.process.pid,
    async scaleToZero(name) {
      const copy = copies.get(name)
      if (copy) await retire(name, copy)
    },
    async stop() {
      if (!stopping) {
        stopping = true
        server.close()
        server.closeAllConnections()
      }
      for (const [name, copy] of copies) void retire(name, copy)
      await Promise.all([...alive].map((process) => process.exited))
    },
  }
}

/** @throws the signal's reason, as soon as it aborts */
async function unless<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  signal.throwIfAborted()
  return Promise.race([
    promise,
    new Promise<never>((_, reject) =>
      signal.addEventListener('abort', () => reject(signal.reason), { once: true }),
    ),
  ])
}

/** Answers in the shape of OSB's errors, or breaks off an answer that had begun. */
function refuse(
  incoming: IncomingMessage,
  response: ServerResponse,
  status: number,
  error: string,
  description: string,
): void {
  if (response.headersSent) return void response.destroy()
  incoming.resume()
  response.writeHead(status, { 'Content-Type': 'application/json' })
  response.end(JSON.stringify({ error, description }))
}
