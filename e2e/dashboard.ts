/**
 * The dashboard of an installed broker. There is no provider of sign-ins in a cluster of one node, so a session is made
 * here with the installation's own key, as the dashboard makes it for who has signed in.
 */
import * as v from 'valibot'
import { defaultNamespaces } from '../generate/rbac.ts'
import { CookieKey } from '../shared/dashboard/cookies.ts'
import { instanceRecordName } from '../shared/kubedb/records/names.ts'
import { get } from './kubectl.ts'
import { send } from './platform.ts'
import { check } from './steps.ts'

const Record = v.object({ metadata: v.object({ uid: v.string() }) })

/** What people reach the broker by: the address, and its name where that is only an address. */
export interface Entry {
  url: string
  host?: string
}

/** @returns status and text of a page */
export async function pageAt(
  { url, host }: Entry,
  path: string,
  cookie?: string,
): Promise<{ status: number; text: string }> {
  const headers = {
    ...(host !== undefined && { Host: host }),
    ...(cookie !== undefined && { Cookie: cookie }),
  }
  const { status, received } = await send(`${url}/dashboard/${path}`, 'GET', headers, undefined)
  return { status, text: received }
}

/**
 * Whoever has a session for this instance sees it, and nobody else.
 *
 * @param key of the cookies
 * @throws when that is not so
 */
export async function assertShown(entry: Entry, instanceId: string, key: Uint8Array): Promise<void> {
  const path = `instances/${instanceId}`
  const record = ['appbinding', instanceRecordName(instanceId), '-n', defaultNamespaces.broker]
  const { uid } = (await get(Record, record)).metadata
  const cookieFor = (instance: string) =>
    `osb-dashboard=${new CookieKey(key).seal('session', { instance, uid, name: 'e2e' }, Date.now() + 60_000)}`
  const page = await pageAt(entry, path, cookieFor(instanceId))
  check(page.status === 200, `${page.status} ${page.text.slice(0, 500)}`)
  for (const part of [instanceId, 'Ready', ':5432', 'Provisioned']) {
    check(page.text.includes(part), `the page has no ${part}`)
  }
  check(!/cannot be read just now|not known just now/.test(page.text), 'a part of the page could not be read')
  for (const cookie of [undefined, cookieFor('another')]) {
    const { status, text } = await pageAt(entry, path, cookie)
    check(status !== 200 && !text.includes(instanceId), `without a session for it: ${status}`)
  }
}
