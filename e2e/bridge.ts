/**
 * Leads pods of a cluster to the servers of the sandbox's operator, which listen on loopback of this machine: a relay
 * and an EndpointSlice for each Service that has a cluster IP.
 */
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import * as v from 'valibot'
import { apply, get } from './kubectl.ts'

/** Between two looks at names and Services, in milliseconds: kubectl runs only while a name waits for its Service. */
const interval = 500

const Services = v.object({
  items: v.array(
    v.object({
      metadata: v.object({ name: v.string() }),
      spec: v.object({
        clusterIP: v.optional(v.string(), ''),
        ports: v.optional(v.array(v.object({ name: v.optional(v.string(), ''), port: v.number() })), []),
      }),
    }),
  ),
})

type Service = v.InferOutput<typeof Services>['items'][number]

/** A name that the operator has given out. */
interface Named {
  /** of the Service */
  name: string
  namespace: string
  /** on loopback */
  address: string
}

export interface Bridge {
  stop(): Promise<void>
}

/**
 * @param file the operator's names.json
 * @param hostAddress where pods find this machine
 */
export function startBridge(file: string, hostAddress: string, log: (line: string) => void): Bridge {
  const relays = new Map<string, Server>()
  const done = new Set<string>()
  const complaints = new Set<string>()
  let stopped = false

  const follow = async () => {
    const all = await servicesNamedIn(file)
    const keys = new Set(all.map(keyOf))
    for (const key of done) if (!keys.has(key)) done.delete(key)
    const waiting = all.filter((one) => !done.has(keyOf(one)))
    for (const namespace of new Set(waiting.map((one) => one.namespace))) {
      const { items } = await get(Services, ['services', '-n', namespace])
      for (const named of waiting.filter((one) => one.namespace === namespace)) {
        // The operator names a server before its Service is there.
        const service = items.find(({ metadata }) => metadata.name === named.name)
        if (service === undefined) continue
        await lead(service, named)
        done.add(keyOf(named))
      }
    }
  }

  const lead = async ({ spec }: Service, { name, namespace, address }: Named) => {
    const [port] = spec.ports
    // Who asks for one without an address of its own asks for pods, and those are not there.
    if (spec.clusterIP === 'None' || !port) return
    const key = `${address}:${port.port}`
    const relay = relays.get(key) ?? (await relayTo(address, port.port, hostAddress))
    relays.set(key, relay)
    const listening = relay.address()
    if (listening === null || typeof listening === 'string') throw new Error('the relay has no port')
    await apply({
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: {
        name: `${name}-sandbox`,
        namespace,
        labels: {
          'kubernetes.io/service-name': name,
          'endpointslice.kubernetes.io/managed-by': 'sandbox.kubedb.com',
        },
      },
      addressType: 'IPv4',
      ports: [{ name: port.name, port: listening.port, protocol: 'TCP' }],
      endpoints: [{ addresses: [hostAddress], conditions: { ready: true } }],
    })
    log(
      `${name}.${namespace}:${port.port} is ${address} on this machine, by ${hostAddress}:${listening.port}`,
    )
  }

  const following = (async () => {
    while (!stopped) {
      await follow().catch((error) => {
        const line = `bridge: ${error instanceof Error ? error.message : error}`
        if (!stopped && !complaints.has(line)) log(line)
        complaints.add(line)
      })
      await delay(interval)
    }
  })()
  return {
    async stop() {
      stopped = true
      await following
      for (const relay of relays.values()) relay.close()
    },
  }
}

const keyOf = ({ name, namespace, address }: Named) => `${name} ${namespace} ${address}`

/** Names of pods, `POD.SERVICE.NAMESPACE.svc`, are in the file too: they are no Services. */
async function servicesNamedIn(file: string): Promise<Named[]> {
  const names = v.parse(v.record(v.string(), v.string()), JSON.parse(await textOf(file)))
  return Object.entries(names).flatMap(([full, address]) => {
    const [name, namespace, svc, ...more] = full.split('.')
    return name && namespace && svc === 'svc' && more.length === 0 ? [{ name, namespace, address }] : []
  })
}

/** The operator writes the file with its first Service. */
async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '{}'
    throw error
  }
}

async function relayTo(address: string, port: number, hostAddress: string): Promise<Server> {
  const relay = createServer((near) => {
    const far = connect(port, address)
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on('error', () => other.destroy())
      one.once('close', () => other.destroy())
    }
    near.pipe(far)
    far.pipe(near)
  }).listen(0, hostAddress)
  await once(relay, 'listening')
  return relay
}
