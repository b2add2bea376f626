/**
 * A proxy before PostgreSQL servers that sees every connection and every statement of the functions, and may break,
 * delay or silence them:
 *
 *   const proxy = await startEngineFaultProxy({ operatorNames, directory })
 *   … environment SANDBOX_NAMES: proxy.namesFile …
 *   await proxy.cover('osb-….databases.svc')     // before a function connects to it for the first time
 *   proxy.interference = { before: (call) => (call.verb === 'CONNECT' ? 'hang' : undefined) }
 *
 * Only for servers without TLS: inside TLS nothing can be told apart.
 */
import { randomInt } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import * as v from 'valibot'
import type { Call, Interference } from './fault-call.ts'
import { backendMessages, frontendMessages, type Message } from './postgres-messages.ts'

const port = 5432

export interface EngineFaultProxyOptions {
  /** names.json of the sandbox's operator */
  operatorNames: string
  /** folder for a names.json that leads here */
  directory: string
}

export interface EngineFaultProxy {
  /** for SANDBOX_NAMES of the functions */
  readonly namesFile: string
  readonly calls: Call[]
  interference: Interference
  /** Leads a Service's name here. Safe to call twice. */
  cover(host: string): Promise<void>
  stop(): Promise<void>
}

const Names = v.record(v.string(), v.string())

export async function startEngineFaultProxy(options: EngineFaultProxyOptions): Promise<EngineFaultProxy> {
  const namesFile = join(options.directory, 'names.json')
  const servers = new Map<string, { server: Server; address: string }>()
  const sockets = new Set<Socket>()
  const keep = (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    // Each side learns of the other's end by its own close.
    socket.on('error', () => undefined)
  }
  const addressOf = (host: string) =>
    v.parse(Names, JSON.parse(readFileSync(options.operatorNames, 'utf8')))[host]

  const writeNames = () => {
    const names = Object.fromEntries([...servers].map(([host, { address }]) => [host, address]))
    writeFileSync(namesFile, JSON.stringify(names))
  }

  const listen = async (host: string): Promise<{ server: Server; address: string }> => {
    for (let attempt = 1; ; attempt++) {
      const address = `127.2.${randomInt(256)}.${randomInt(1, 255)}`
      const server = createServer({ noDelay: true }, (client) => {
        keep(client)
        const real = addressOf(host)
        if (real === undefined) return client.destroy()
        relay(proxy, client, host, () => {
          const upstream = connect({ host: real, port, noDelay: true })
          keep(upstream)
          return upstream
        })
      })
      const failure = await new Promise<Error | undefined>((resolve) => {
        server.once('error', resolve)
        server.listen(port, address, () => resolve(undefined))
      })
      if (!failure) return { server, address }
      if (attempt === 10) throw failure
    }
  }

  const proxy: EngineFaultProxy = {
    namesFile,
    calls: [],
    interference: {},
    async cover(host) {
      if (servers.has(host)) return
      servers.set(host, await listen(host))
      writeNames()
    },
    async stop() {
      for (const socket of sockets) socket.destroy()
      await Promise.all(
        [...servers.values()].map(({ server }) => new Promise((resolve) => server.close(resolve))),
      )
    },
  }
  writeNames()
  return proxy
}

/** Carries one connection: what the client says up to the next statement, what the server says up to its end. */
function relay(proxy: EngineFaultProxy, client: Socket, host: string, dial: () => Socket): void {
  const opening: Call = { to: 'engine', verb: 'CONNECT', target: host, body: '', account: '', status: 0 }
  /** under way on this connection: its answer ends with the server's next ReadyForQuery */
  let current = opening
  let opened = false
  let upstream: Socket | undefined
  let silent = false

  const end = () => {
    client.destroy()
    upstream?.destroy()
  }
  client.on('close', end)

  /** @returns whether the connection goes on */
  const pass = async (call: Call, point: 'before' | 'after'): Promise<boolean> => {
    const fault = await proxy.interference[point]?.(call)
    if (fault === undefined) return true
    silent = true
    if (fault !== 'hang') end()
    return false
  }

  const queue = () => {
    let last = Promise.resolve()
    return (work: () => Promise<void> | void) => {
      last = last.then(() => (silent ? undefined : work())).catch(end)
    }
  }
  const inTurnWithClient = queue()
  const inTurnWithServer = queue()

  const fromClient = async (message: Message) => {
    const statement = message.statement
    if (statement !== undefined) {
      current = { to: 'engine', verb: 'QUERY', target: statement, body: '', account: '', status: 0 }
      proxy.calls.push(current)
      if (!(await pass(current, 'before'))) return
    }
    upstream?.write(message.bytes)
  }

  let held: Buffer[] = []
  const fromServer = async (message: Message) => {
    held.push(message.bytes)
    // Logging in goes to and fro; the answer to a statement is relayed whole or not at all.
    if (opened && !message.ready) return
    if (message.ready) {
      if (!(await pass(current, 'after'))) return
      opened = true
    }
    client.write(Buffer.concat(held))
    held = []
  }
  const farewell = () => {
    client.end(Buffer.concat(held))
  }

  proxy.calls.push(opening)
  pass(opening, 'before')
    .then((goesOn) => {
      if (!goesOn || client.destroyed) return
      const server = dial()
      upstream = server
      server.on(
        'data',
        backendMessages((message) => inTurnWithServer(() => fromServer(message))),
      )
      // What a server says when it ends a connection still reaches the client.
      server.on('close', () => inTurnWithServer(farewell))
      client.on(
        'data',
        frontendMessages((message) => inTurnWithClient(() => fromClient(message))),
      )
    })
    .catch(end)
}
