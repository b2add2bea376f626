/**
 * KubeDB's stand-in for a cluster without KubeDB: the sandbox's CRDs and its operator, which runs on this machine. Its
 * servers listen on loopback; a relay for each, and an EndpointSlice in the cluster, lead pods there. The API server
 * has to run on this machine too: it asks the operator's webhooks on loopback.
 */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import * as v from 'valibot'
import { stringify } from 'yaml'
import { installCrds } from '../sandbox/crds.ts'
import { startOperator } from '../sandbox/operator/operator.ts'
import { apply, get, kubectl } from './kubectl.ts'

const account = 'osb-e2e-operator'
const Services = v.object({
  spec: v.object({
    clusterIP: v.optional(v.string(), ''),
    ports: v.array(v.object({ name: v.optional(v.string(), ''), port: v.number() })),
  }),
})
const KubeconfigView = v.object({
  clusters: v.tuple([
    v.object({
      cluster: v.object({ server: v.string(), 'certificate-authority-data': v.string() }),
    }),
  ]),
})

export interface SandboxOperator {
  stop(): Promise<void>
}

/**
 * @param directory for its state, its programs and its log
 * @param hostAddress where pods find this machine
 */
export async function startSandboxOperator(
  directory: string,
  hostAddress: string,
  log: (line: string) => void,
): Promise<SandboxOperator> {
  await chmod(directory, 0o755)
  await apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: account, namespace: 'default' } })
  await apply({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name: account },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
    subjects: [{ kind: 'ServiceAccount', name: account, namespace: 'default' }],
  })
  const token = (await kubectl(['create', 'token', account, '-n', 'default', '--duration', '2h'])).trim()
  const view = v.parse(
    KubeconfigView,
    JSON.parse(await kubectl(['config', 'view', '--minify', '--flatten', '-o', 'json'])),
  )
  const { server, 'certificate-authority-data': ca } = view.clusters[0].cluster
  const caFile = join(directory, 'cluster-ca.crt')
  await writeFile(caFile, Buffer.from(ca, 'base64'))
  const kubeconfigFile = join(directory, 'operator.kubeconfig')
  await writeFile(
    kubeconfigFile,
    stringify({
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'e2e',
      clusters: [{ name: 'e2e', cluster: { server, 'certificate-authority-data': ca } }],
      users: [{ name: 'operator', user: { token } }],
      contexts: [{ name: 'e2e', context: { cluster: 'e2e', user: 'operator' } }],
    }),
    { mode: 0o600 },
  )
  log('Installing the CRDs of the sandbox')
  await installCrds({ url: server, caFile, adminToken: token })
  const [certificateFile, keyFile] = [join(directory, 'webhook.crt'), join(directory, 'webhook.key')]
  execFileSync(
    'openssl',
    // biome-ignore format: as one types it
    ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=127.0.0.1',
      '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', keyFile, '-out', certificateFile],
    { stdio: 'ignore' },
  )
  const stateDirectory = join(directory, 'operator')
  const engineHome = join(directory, 'engines')
  await mkdir(engineHome, { recursive: true, mode: 0o755 })
  const operator = await startOperator({
    kubeconfigFile,
    certificateFile,
    keyFile,
    caFile: certificateFile,
    collectsGarbage: true,
    engineHome,
    stateDirectory,
    log,
  })
  const bridge = startBridge(join(stateDirectory, 'names.json'), hostAddress, log)
  return {
    async stop() {
      bridge.stop()
      await operator.stop()
      const webhooks = (
        await kubectl(['get', 'mutatingwebhookconfigurations,validatingwebhookconfigurations', '-o', 'name'])
      ).split('\n')
      const ours = webhooks.filter((name) => name.includes('kubedb'))
      if (ours.length > 0) await kubectl(['delete', ...ours])
      await kubectl(['delete', 'clusterrolebinding', account])
      await kubectl(['delete', 'serviceaccount', account, '-n', 'default'])
    },
  }
}

/** Follows the names that the operator gives out: a relay and an EndpointSlice for each Service. */
function startBridge(file: string, hostAddress: string, log: (line: string) => void): { stop(): void } {
  const relays = new Map<string, Server>()
  let stopped = false
  const follow = async () => {
    const names = v.parse(v.record(v.string(), v.string()), JSON.parse(await readFile(file, 'utf8')))
    for (const [name, address] of Object.entries(names)) {
      const key = `${name} ${address}`
      if (relays.has(key)) continue
      const [service = '', namespace = ''] = name.split('.')
      const { spec } = await get(Services, ['service', service, '-n', namespace])
      const [port] = spec.ports
      if (spec.clusterIP === 'None' || !port) continue
      const relay = createServer((near) => {
        const far = connect(port.port, address)
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
      relays.set(key, relay)
      await once(relay, 'listening')
      const listening = relay.address()
      if (listening === null || typeof listening === 'string') throw new Error('the relay has no port')
      await apply({
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: {
          name: `${service}-sandbox`,
          namespace,
          labels: {
            'kubernetes.io/service-name': service,
            'endpointslice.kubernetes.io/managed-by': 'sandbox.kubedb.com',
          },
        },
        addressType: 'IPv4',
        ports: [{ name: port.name, port: listening.port, protocol: 'TCP' }],
        endpoints: [{ addresses: [hostAddress], conditions: { ready: true } }],
      })
      log(`${name}:${port.port} is ${address} on this machine, by ${hostAddress}:${listening.port}`)
    }
  }
  void (async () => {
    while (!stopped) {
      await follow().catch((error) => {
        // A Service that is not there yet, or no more.
        if (!stopped && !String(error).includes('NotFound')) log(`bridge: ${error}`)
      })
      await delay(300)
    }
  })()
  return {
    stop() {
      stopped = true
      for (const relay of relays.values()) relay.close()
    },
  }
}
