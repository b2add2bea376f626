/**
 * For the sandbox only: what a pod gives a function, as a preload (`--import`) of its process. The function listens
 * on a port of its own on loopback whatever PORT says and the gateway is told which; Service names resolve; the
 * process ends with the gateway, even when that is killed. Nothing here is part of the product.
 */
import { Server } from 'node:net'
import { resolveServiceNames } from './names.ts'

const { listen } = Server.prototype

/** Every function believes it has 8080 to itself, as in a pod. */
function listenOnLoopback(this: Server, ...rest: unknown[]): Server {
  const callback = rest.at(-1)
  this.once('listening', () => {
    const address = this.address()
    if (address !== null && typeof address === 'object') process.send?.({ port: address.port })
  })
  return Reflect.apply(listen, this, [
    { host: '127.0.0.1', port: 0 },
    ...(typeof callback === 'function' ? [callback] : []),
  ])
}

Object.assign(Server.prototype, { listen: listenOnLoopback })

process.once('disconnect', () => process.exit(1))
// The channel alone must not keep a function alive that has closed its server.
process.channel?.unref()

if (process.env.SANDBOX_NAMES) resolveServiceNames(process.env.SANDBOX_NAMES)
