/** What leads pods of a real cluster to the sandbox's servers: the API server and kubectl are real, servers echo. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import test from 'ava'
import * as v from 'valibot'
import { useCluster } from '../support/cluster.ts'
import { kubectlFile } from '../support/go-programs.ts'

const cluster = useCluster(test)
let directory: string

/** Pods cannot ask for loopback, and the API server takes none. */
const [own] = Object.values(networkInterfaces())
  .flatMap((list) => list ?? [])
  .filter(({ internal, family }) => !internal && family === 'IPv4')

const Slice = v.object({
  ports: v.tuple([v.object({ port: v.number() })]),
  endpoints: v.tuple([v.object({ addresses: v.tuple([v.string()]) })]),
})

test.before('kubectl', async (t) => {
  // It is built at its first use.
  t.timeout(20 * 60_000)
  const program = await kubectlFile(console.error)
  directory = await mkdtemp(join(tmpdir(), 'bridge-'))
  // Counts how often it is run: a cluster has better to do.
  const counting = join(directory, 'kubectl')
  await writeFile(counting, `#!/bin/sh\necho x >> '${directory}/runs'\nexec '${program}' "$@"\n`, {
    mode: 0o755,
  })
  await writeFile(join(directory, 'runs'), '')
  process.env.KUBECTL = counting
  process.env.KUBECONFIG = cluster.kubeconfigFile
})

test.after.always(() => rm(directory, { recursive: true, force: true }))

async function echo(address: string, port: number, word: string): Promise<() => void> {
  const server = createServer((socket) => socket.end(word)).listen(port, address)
  await once(server, 'listening')
  return () => void server.close()
}

test('names of pods, and a Service that is missing, keep no other database from being reached', async (t) => {
  if (own === undefined) {
    t.log('skipped: this machine has no address but loopback')
    return t.pass()
  }
  // It reads KUBECTL when it is loaded.
  const { startBridge } = await import('../../e2e/bridge.ts')
  const { databases: namespace } = cluster.namespaces
  const services = `/api/v1/namespaces/${namespace}/services`
  const put = (name: string, spec: object) => cluster.admin('POST', services, { metadata: { name }, spec })
  const ports = [{ name: 'primary', port: 15_432 }]
  await put('first-pods', { clusterIP: 'None', ports })
  await put('first', { ports })
  await put('second', { ports })
  const ends = [await echo('127.9.9.1', 15_432, 'first'), await echo('127.9.9.2', 15_432, 'second')]
  const file = join(directory, 'names.json')
  await writeFile(
    file,
    JSON.stringify({
      [`first-0.first-pods.${namespace}.svc`]: '127.9.9.1',
      [`first-pods.${namespace}.svc`]: '127.9.9.1',
      [`not-there.${namespace}.svc`]: '127.9.9.3',
      [`first.${namespace}.svc`]: '127.9.9.1',
      [`second.${namespace}.svc`]: '127.9.9.2',
    }),
  )
  const lines: string[] = []
  const bridge = startBridge(file, own.address, (line) => lines.push(line))
  t.teardown(async () => {
    await bridge.stop()
    for (const end of ends) end()
  })
  const read = async (name: string) => {
    const path = `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices/${name}-sandbox`
    for (const end = Date.now() + 20_000; ; await delay(100)) {
      const { status, body } = await cluster.admin('GET', path)
      if (status === 200) {
        const { ports, endpoints } = v.parse(Slice, body)
        return text(connect(ports[0].port, endpoints[0].addresses[0]))
      }
      if (Date.now() > end) throw new Error(`${name}: ${lines.join('; ')}`)
    }
  }
  t.is(await read('first'), 'first')
  t.is(await read('second'), 'second')
  t.is(lines.length, 2, lines.join('; '))

  await put('not-there', { ports })
  ends.push(await echo('127.9.9.3', 15_432, 'late'))
  t.is(await read('not-there'), 'late')
  // Everything is reached: there is nothing to ask any more.
  await delay(1000)
  const runs = () => readFileSync(join(directory, 'runs'), 'utf8').length
  const before = runs()
  await delay(2000)
  t.is(runs(), before)
})
