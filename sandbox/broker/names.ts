/**
 * For the sandbox only: makes a process resolve the names of Kubernetes Services. The operator writes which loopback
 * address each name has; nothing here is part of the product.
 */
import dns from 'node:dns'
import { readFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'

/**
 * Wraps `dns.lookup` and `dns.promises.lookup`, through which every connection of Node goes. Names that end neither
 * in `.svc` nor in `.svc.cluster.local` take the usual way.
 *
 * @param file the operator's names.json: `{"<service>.<namespace>.svc": "127.x.y.z"}`. It is read at every look-up of
 *   such a name, so a name resolves as soon as it is written
 */
export function resolveServiceNames(file: string): void {
  const { lookup } = dns
  const lookupPromise = dns.promises.lookup

  function lookupService(name: string, ...rest: unknown[]): unknown {
    const service = serviceName(name)
    if (service === undefined) return Reflect.apply(lookup, dns, [name, ...rest])
    const callback = rest.at(-1)
    if (typeof callback !== 'function')
      throw new TypeError('dns.lookup: the last argument must be a function')
    const address = addressOf(service, file)
    return process.nextTick(() => {
      if (address === undefined) callback(notFound(name))
      else if (wantsAll(rest[0])) callback(null, [{ address, family: 4 }])
      else callback(null, address, 4)
    })
  }

  async function lookupServicePromise(name: string, options?: unknown): Promise<unknown> {
    const service = serviceName(name)
    if (service === undefined) return Reflect.apply(lookupPromise, dns.promises, [name, options])
    const address = addressOf(service, file)
    if (address === undefined) throw notFound(name)
    return wantsAll(options) ? [{ address, family: 4 }] : { address, family: 4 }
  }

  Object.assign(dns, { lookup: lookupService })
  Object.assign(dns.promises, { lookup: lookupServicePromise })
  syncBuiltinESMExports()
}

/** @returns the form that names.json uses, or undefined for any other name */
function serviceName(name: unknown): string | undefined {
  if (typeof name !== 'string') return undefined
  const short = name
    .toLowerCase()
    .replace(/\.$/, '')
    .replace(/\.cluster\.local$/, '')
  return short.endsWith('.svc') ? short : undefined
}

function addressOf(service: string, file: string): string | undefined {
  const names: unknown = JSON.parse(textOf(file))
  const address = typeof names === 'object' && names !== null ? Reflect.get(names, service) : undefined
  return typeof address === 'string' ? address : undefined
}

/** The operator writes the file with its first Service: until then there are no names. */
function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '{}'
    throw error
  }
}

function wantsAll(options: unknown): boolean {
  return typeof options === 'object' && options !== null && 'all' in options && options.all === true
}

function notFound(name: string): Error {
  return Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), {
    code: 'ENOTFOUND',
    errno: -3008,
    syscall: 'getaddrinfo',
    hostname: name,
  })
}
