/**
 * KubeDB's stand-in for a cluster without KubeDB: the sandbox's CRDs and its operator, which runs on this machine. Its
 * servers listen on loopback; a relay for each, and an EndpointSlice in the cluster, lead pods there. The API server
 * has to run on this machine too: it asks the operator's webhooks on loopback.
 */
import { execFileSync } from 'node:child_process'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as v from 'valibot'
import { stringify } from 'yaml'
import { installCrds } from '../sandbox/control-plane/crds.ts'
import { startOperator } from '../sandbox/operator/operator.ts'
import { startBridge } from './bridge.ts'
import { apply, kubectl } from './kubectl.ts'

const account = 'osb-e2e-operator'
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
      await bridge.stop()
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
