import { once } from 'node:events'
import { createServer } from 'node:net'

/**
 * From 20000 to 24999: ports that systems give to nobody by themselves, as they do for connections (32768 and above) and
 * for Services of type NodePort (30000 and above), and that no engine has. One that the system picked could go to
 * somebody else again before its program listens.
 */
const first = 20_000
const portsOfProcess = 50
const processes = 100

let given = 0

/**
 * @returns a port on which nothing listens, for a program that is to be started on it. Processes that ask at the same
 *   time get different ones
 * @throws when all ports of this process are in use
 */
export async function freePort(): Promise<number> {
  const own = first + (process.pid % processes) * portsOfProcess
  for (let tries = 0; tries < portsOfProcess; tries++) {
    const port = own + (given++ % portsOfProcess)
    if (await isFree(port)) return port
  }
  throw new Error(`No port from ${own} to ${own + portsOfProcess - 1} is free`)
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port)
  try {
    await once(server, 'listening')
  } catch {
    return false
  }
  server.close()
  await once(server, 'close')
  return true
}
