/**
 * A proxy before the servers of an engine that sees every connection and every statement of the functions, and may
 * break, delay or silence them:
 *
 *   const proxy = await startEngineFaultProxy({ protocol: postgresProtocol, operatorNames, directory })
 *   … environment SANDBOX_NAMES: proxy.namesFile …
 *   await proxy.cover('osb-….databases.svc')     // before a function connects to it for the first time
 *   proxy.interference = { before: (call) => (call.verb === 'CONNECT' ? 'hang' : undefined) }
 *
 * Inside TLS nothing can be told apart: for a server that speaks it, the proxy is given the server's own certificate.
 */
import { randomInt } from 'node:crypto'
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { createSecureContext, connect as secure, TLSSocket } from 'node:tls'
import * as v from 'valibot'
import type { Call, Interference } from './fault-call.ts'
import type { Message, Protocol } from './wire/wire.ts'

/** PEM */
export interface Encryption {
  ca: string
  cert: string
  key: string
}

export interface EngineFaultProxyOptions {
  protocol: Protocol
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
  cover(host: string, encryption?: Encryption): Promise<void>
  stop(): Promise<void>
}

const Names = v.record(v.string(), v.string())

export async function startEngineFaultProxy(options: EngineFaultProxyOptions): Promise<EngineFaultProxy> {
  const { protocol } = options
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
    // Functions read it all the time: the old content or the new, whole.
    writeFileSync(`${namesFile}.new`, JSON.stringify(names))
    renameSync(`${namesFile}.new`, namesFile)
  }

  const listen = async (
    host: string,
    encryption: Encryption | undefined,
  ): Promise<{ server: Server; address: string }> => {
    const { port } = protocol
    for (let attempt = 1; ; attempt++) {
      const address = `127.2.${randomInt(256)}.${randomInt(1, 255)}`
      const server = createServer({ noDelay: true }, (plain) => {
        keep(plain)
        const real = addressOf(host)
        if (real === undefined) return plain.destroy()
        const client = encryption
          ? new TLSSocket(plain, { isServer: true, secureContext: createSecureContext(encryption) })
          : plain
        if (client !== plain) keep(client)
        relay(proxy, protocol, client, host, () => {
          const upstream = encryption
            ? secure({ host: real, port, ca: encryption.ca, servername: host })
            : connect({ host: real, port, noDelay: true })
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
    async cover(host, encryption) {
      if (servers.has(host)) return
      servers.set(host, await listen(host, encryption))
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
function relay(
  proxy: EngineFaultProxy,
  protocol: Protocol,
  client: Socket,
  host: string,
  dial: () => Socket,
): void {
  const call = (verb: string, target: string, reads: boolean): Call => {
    const made: Call = { to: 'engine', verb, target, body: '', account: '', status: 0, reads }
    proxy.calls.push(made)
    return made
  }
  const opening = call('CONNECT', host, true)
  /** under way on this connection: it ends with the server's next whole answer */
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
  const pass = async (one: Call, point: 'before' | 'after'): Promise<boolean> => {
    const fault = await proxy.interference[point]?.(one)
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

  const fromClient = async ({ bytes, statement }: Message) => {
    if (statement !== undefined) {
      current = call('QUERY', statement, protocol.reads(statement))
      if (!(await pass(current, 'before'))) return
    }
    upstream?.write(bytes)
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
  const listen = () =>
    client.on(
      'data',
      protocol.fromClient((message) => inTurnWithClient(() => fromClient(message))),
    )

  pass(opening, 'before')
    .then((goesOn) => {
      if (!goesOn || client.destroyed) return
      const server = dial()
      upstream = server
      server.on(
        'data',
        protocol.fromServer((message) => inTurnWithServer(() => fromServer(message))),
      )
      // What a server says when it ends a connection still reaches the client.
      server.on('close', () => inTurnWithServer(farewell))
      if (protocol.greets) return void listen()
      server.once(server instanceof TLSSocket ? 'secureConnect' : 'connect', () =>
        inTurnWithServer(async () => {
          if (!(await pass(opening, 'after'))) return
          opened = true
          listen()
        }),
      )
    })
    .catch(end)
}
