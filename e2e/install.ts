/** Installs the broker as its users do: an overlay of one's own over knative/, and `kubectl apply -k`. */
import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { stringify } from 'yaml'
import { defaultNamespaces } from '../generate/rbac.ts'
import { image as imageInManifests } from '../generate/services.ts'
import { kubectl } from './kubectl.ts'

const root = join(import.meta.dirname, '..')
const { broker } = defaultNamespaces

export interface Installation {
  username: string
  password: string
  apply(): Promise<void>
  remove(): Promise<void>
}

/**
 * Writes the overlay; nothing is installed yet.
 *
 * @param base folder below knative/: `plain`, or one of `overlays/`
 * @param image `name:tag`
 */
export async function installationOf(base: string, image: string): Promise<Installation> {
  const folder = join(root, 'dist/e2e')
  await mkdir(folder, { recursive: true })
  const at = image.lastIndexOf(':')
  const user = { username: 'e2e', password: randomBytes(18).toString('base64url') }
  await writeFile(join(folder, 'users.json'), JSON.stringify([user]), { mode: 0o600 })
  await writeFile(join(folder, 'key-1'), randomBytes(32).toString('base64'), { mode: 0o600 })
  const generated = { namespace: broker, options: { disableNameSuffixHash: true } }
  await writeFile(
    join(folder, 'kustomization.yaml'),
    stringify({
      apiVersion: 'kustomize.config.k8s.io/v1beta1',
      kind: 'Kustomization',
      resources: [relative(folder, join(root, 'knative', base))],
      images: [{ name: imageInManifests, newName: image.slice(0, at), newTag: image.slice(at + 1) }],
      secretGenerator: [
        { name: 'osb-users', files: ['users.json'], ...generated },
        { name: 'osb-keys', files: ['key-1'], ...generated },
      ],
      configMapGenerator: [{ name: 'osb-configuration', literals: ['RETRY_AFTER=1'], ...generated }],
      patches: [
        {
          target: { kind: 'Namespace', name: broker },
          patch: `- { op: add, path: /metadata/labels/pod-security.kubernetes.io~1enforce, value: restricted }\n`,
        },
      ],
    }),
  )
  return {
    ...user,
    async apply() {
      await kubectl(['apply', '--server-side', '-k', folder])
    },
    async remove() {
      await kubectl(['delete', '-k', folder, '--ignore-not-found', '--timeout', '120s'])
    },
  }
}
