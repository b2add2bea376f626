/**
 * What Skaffold runs before it deploys: the namespaces, and the Secrets that are not there yet. Neither is among what it
 * deletes at the end, and what is there stays as it is.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { kubectl, serves } from '../e2e/kubectl.ts'
import { defaultNamespaces } from '../generate/rbac.ts'
import { mounted } from '../generate/services.ts'

const { broker } = defaultNamespaces
const users = mounted.users.volume.secret.secretName
const keys = mounted.keys.volume.secret.secretName

/** @returns whether it was made now */
async function makeUnlessThere(secret: string, content: Readonly<Record<string, string>>): Promise<boolean> {
  const found = await kubectl(['get', 'secret', secret, '-n', broker, '--ignore-not-found', '-o', 'name'])
  if (found.trim() !== '') return false
  const object = { apiVersion: 'v1', kind: 'Secret', metadata: { name: secret, namespace: broker } }
  // By its standard input: the arguments of a process are for everybody to read. Never over one that somebody made now.
  await kubectl(['create', '-f', '-'], JSON.stringify({ ...object, stringData: content }))
  return true
}

async function prepare(): Promise<void> {
  await kubectl([
    'apply',
    '--server-side',
    '--force-conflicts',
    '-k',
    join(import.meta.dirname, '../knative/namespaces'),
  ])
  const user = { username: 'developer', password: randomBytes(18).toString('base64url') }
  if (await makeUnlessThere(users, { 'users.json': JSON.stringify([user]) }))
    console.log(`Made the Secret ${users} with a user ${user.username}.`)
  const id = new Date().toISOString().slice(0, 10)
  if (await makeUnlessThere(keys, { [id]: randomBytes(32).toString('base64') }))
    console.log(`Made the Secret ${keys} with a key ${id}: all passwords of bindings are derived from it.`)
  if (!(await serves('kubedb.com/v1'))) {
    console.log(
      'KubeDB is not in this cluster: the broker will start, and provision nothing. Install KubeDB, or, where the API server runs on this machine, start what stands for its operator in another shell: npm run sandbox-operator',
    )
  }
}

await prepare().catch((error) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})
