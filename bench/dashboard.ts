/** The start of the dashboard: the page of an instance, for somebody who has signed in. */
import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CookieKey } from '../shared/dashboard/cookies.ts'
import { instanceRecordName } from '../shared/kubedb/records/names.ts'
import { textAt } from '../test/support/cluster.ts'
import type { Candidate } from './cold-start.ts'
import type { Instance, Site } from './site.ts'

/** By which its results are kept. */
export const dashboardPage = 'dashboard, the page of an instance'

/** Most that its cold start may be, in empty servers. */
export const dashboardAim = 2

/** @returns what is started, and the request for the page */
export async function dashboardOf(site: Site, { id }: Instance): Promise<Candidate> {
  const directory = join(site.directory, 'dashboard')
  const key = randomBytes(32)
  const files = {
    // Nobody signs in here, so nobody is asked.
    'settings.json': JSON.stringify({ issuer: 'https://login.example.com', rules: [] }),
    'client.json': JSON.stringify({ id: 'dashboard', secret: 'not asked for' }),
    'cookie-key': key.toString('base64'),
  }
  await mkdir(directory)
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text)
  const record = `${site.cluster.recordsPath()}/${instanceRecordName(id)}`
  const uid = textAt((await site.cluster.admin('GET', record)).body, 'metadata', 'uid')
  const session = { instance: id, uid, name: 'somebody' }
  const cookie = new CookieKey(key).seal('session', session, Date.now() + 86_400_000)
  return {
    name: dashboardPage,
    caches: ['warm', 'none'],
    program: (environment) =>
      site.program('dashboard', {
        DASHBOARD_URL: 'http://127.0.0.1',
        DASHBOARD_DIRECTORY: directory,
        ...environment,
      }),
    status: 200,
    prepare: () => ({
      method: 'GET',
      path: `/dashboard/instances/${id}`,
      headers: { Cookie: `osb-dashboard=${cookie}` },
    }),
    done: () => undefined,
  }
}
