import type { Engine, Instance, Running } from '../../engines/parts/engine.ts'

/** The servers that this operator runs, one per database. */
export interface Servers {
  /** Starts the server unless it runs already. Throws the engine's words when it does not come up. */
  ensure(instance: Instance): Promise<void>
  /** The running server of a database, if there is one. */
  running(database: string): Running | undefined
  /** Connects as a client would, unless that went well a second ago. Throws what a client would see. */
  check(database: string): Promise<void>
  /** Ends a server; its data stays. */
  stop(database: string): Promise<void>
  stopAll(): Promise<void>
}

/** @param gone called with the database and the reason when a server ended that was not told to. */
export function openServers(engine: Engine, gone: (database: string, reason: string) => void): Servers {
  const servers = new Map<string, Running>()
  const checked = new Map<string, number>()
  return {
    async ensure(instance) {
      if (servers.has(instance.name)) return
      const server = await engine.start(instance)
      servers.set(instance.name, server)
      server.exited.then((reason) => {
        if (servers.get(instance.name) !== server) return
        servers.delete(instance.name)
        checked.delete(instance.name)
        gone(instance.name, reason)
      })
    },
    running: (database) => servers.get(database),
    async check(database) {
      const server = servers.get(database)
      if (!server) throw new Error('dial tcp: connect: connection refused')
      if (Date.now() - (checked.get(database) ?? 0) < 1000) return
      await server.check()
      checked.set(database, Date.now())
    },
    async stop(database) {
      const server = servers.get(database)
      servers.delete(database)
      checked.delete(database)
      await server?.stop()
    },
    async stopAll() {
      const all = [...servers.values()]
      servers.clear()
      await Promise.all(all.map((server) => server.stop()))
    },
  }
}
