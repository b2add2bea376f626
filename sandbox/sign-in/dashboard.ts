/** What the dashboard needs on this machine: a provider that knows the one user, and files that say so. */
import { randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { writePrivateFile } from '../machine/atomic-file.ts'
import { freePort } from '../machine/free-port.ts'
import { type SignIns, startProvider } from './provider.ts'

export interface SandboxDashboard extends SignIns {
  /** variables of the functions */
  environment: Readonly<Record<string, string>>
}

/**
 * @param url of the broker
 * @param directory for the files
 * @param user who signs in with the same password as platforms, and may see everything
 */
export async function startDashboard(
  url: string,
  directory: string,
  user: { username: string; password: string },
): Promise<SandboxDashboard> {
  const client = { id: 'kubedb-dashboard', secret: randomBytes(24).toString('base64url') }
  const signIns = await startProvider({
    port: await freePort(),
    people: [{ ...user, name: user.username, email: `${user.username}@sandbox.example`, groups: [] }],
    client: { ...client, redirectUri: `${url}/dashboard/callback` },
  })
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const settings = {
    issuer: signIns.issuer,
    rules: [{ claim: 'sub', values: [user.username], everything: true }],
    commands: [
      {
        title: 'What there is of it in the cluster',
        command: 'kubectl get all -n {namespace} -l app.kubernetes.io/instance={name}',
      },
    ],
  }
  const files = {
    'settings.json': JSON.stringify(settings),
    'client.json': JSON.stringify(client),
    'cookie-key': randomBytes(32).toString('base64'),
  }
  for (const [name, text] of Object.entries(files)) await writePrivateFile(join(directory, name), text)
  return { ...signIns, environment: { DASHBOARD_URL: url, DASHBOARD_DIRECTORY: directory } }
}
