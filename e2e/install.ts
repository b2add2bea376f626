/** Installs the broker as its users do: the namespaces, an overlay of one's own over knative/, and `kubectl apply -k`. */
import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { stringify } from 'yaml'
import { exampleHost } from '../generate/knative.ts'
import { defaultNamespaces } from '../generate/rbac.ts'
import { configurationName, image as imageInManifests } from '../generate/services.ts'
import { edgeRouter } from '../shared/routes.ts'
import { kubectl } from './kubectl.ts'

const root = join(import.meta.dirname, '..')
const { broker } = defaultNamespaces

export interface Installation {
  username: string
  password: string
  /** of the dashboard's cookies */
  cookieKey: Uint8Array
  /** The namespaces, the Secrets and the broker. */
  install(): Promise<void>
  /**
   * @param variables environment variables of the broker, beside the test's own
   * @param nodePort of the edge router without Knative; Kubernetes chooses one unless given
   */
  apply(variables: Readonly<Record<string, string>>, nodePort?: number): Promise<void>
  /** As an administrator does: databases, records and Secrets stay. */
  uninstall(): Promise<void>
  /** Takes the namespaces too, and so everything. */
  remove(): Promise<void>
}

/**
 * Writes the overlays; nothing is installed yet.
 *
 * @param base folder below knative/: `plain`, or one of `overlays/`
 * @param image `name:tag`
 */
export async function installationOf(base: string, image: string): Promise<Installation> {
  const folder = join(root, 'dist/e2e')
  const namespaces = join(folder, 'namespaces')
  await mkdir(namespaces, { recursive: true })
  const at = image.lastIndexOf(':')
  const user = { username: 'e2e', password: randomBytes(18).toString('base64url') }
  await writeFile(join(namespaces, 'users.json'), JSON.stringify([user]), { mode: 0o600 })
  await writeFile(join(namespaces, 'key-1'), randomBytes(32).toString('base64'), { mode: 0o600 })
  const cookieKey = randomBytes(32)
  const dashboard = {
    // Nobody signs in here, so nobody is asked.
    'settings.json': JSON.stringify({ issuer: 'https://login.example.com', rules: [] }),
    'client.json': JSON.stringify({ id: 'e2e', secret: randomBytes(18).toString('base64url') }),
    'cookie-key': cookieKey.toString('base64'),
  }
  for (const [name, text] of Object.entries(dashboard))
    await writeFile(join(namespaces, name), text, { mode: 0o600 })
  // Beside the namespaces, for they stay with them when the broker goes.
  const secret = { namespace: broker, options: { disableNameSuffixHash: true } }
  await writeKustomization(namespaces, {
    resources: [relative(namespaces, join(root, 'knative/namespaces'))],
    secretGenerator: [
      { name: 'osb-users', files: ['users.json'], ...secret },
      { name: 'osb-keys', files: ['key-1'], ...secret },
      { name: 'osb-dashboard', files: Object.keys(dashboard), ...secret },
    ],
    patches: [
      {
        target: { kind: 'Namespace', name: broker },
        patch: `- { op: add, path: /metadata/labels/pod-security.kubernetes.io~1enforce, value: restricted }\n`,
      },
    ],
  })
  async function apply(variables: Readonly<Record<string, string>>, nodePort?: number): Promise<void> {
    const set = { RETRY_AFTER: '1', DASHBOARD_URL: `https://${exampleHost}`, ...variables }
    const literals = Object.entries(set).map(([name, value]) => `${name}=${value}`)
    await writeKustomization(folder, {
      resources: [relative(folder, join(root, 'knative', base))],
      components: [relative(folder, join(root, 'knative/components', dashboardOf(base)))],
      images: [{ name: imageInManifests, newName: image.slice(0, at), newTag: image.slice(at + 1) }],
      configMapGenerator: [{ name: configurationName, namespace: broker, literals }],
      ...(nodePort !== undefined && {
        patches: [
          {
            target: { kind: 'Service', name: `osb-${edgeRouter}` },
            patch: `- { op: add, path: /spec/ports/0/nodePort, value: ${nodePort} }\n`,
          },
        ],
      }),
    })
    await kubectl(['apply', '--server-side', '-k', folder])
  }
  return {
    ...user,
    cookieKey,
    apply,
    async install() {
      await kubectl(['apply', '--server-side', '-k', namespaces])
      await apply({})
    },
    async uninstall() {
      await kubectl(['delete', '-k', folder, '--ignore-not-found', '--timeout', '120s'])
    },
    async remove() {
      await kubectl(['delete', '-k', folder, '--ignore-not-found', '--timeout', '120s'])
      await kubectl(['delete', '-k', namespaces, '--ignore-not-found', '--timeout', '120s'])
    },
  }
}

const dashboardOf = (base: string): string => (base === 'plain' ? 'dashboard-plain' : 'dashboard')

async function writeKustomization(folder: string, content: object): Promise<void> {
  const kind = { apiVersion: 'kustomize.config.k8s.io/v1beta1', kind: 'Kustomization' }
  await writeFile(join(folder, 'kustomization.yaml'), stringify({ ...kind, ...content }))
}
