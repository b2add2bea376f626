/**
 * Databases as KubeDB's own webhooks make them of the broker's drafts, before the admission policies of a real API server
 * with KubeDB's whole CRDs: every function that writes a database may write it, when it is made and at its next change.
 * And the OpsRequests that KubeDB takes: whoever makes them may.
 */
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import test from 'ava'
import * as v from 'valibot'
import { changed } from '../../generate/webhook-record/difference.ts'
import { applyRoles } from '../../sandbox/broker/service-accounts.ts'
import { administratorOf } from '../../sandbox/control-plane/administrator.ts'
import { type ControlPlane, startControlPlane } from '../../sandbox/control-plane/control-plane.ts'
import { installCrds } from '../../sandbox/control-plane/crds.ts'
import { type Answer, ask, mintToken } from '../../sandbox/control-plane/request.ts'
import { turns } from '../../sandbox/machine/turns.ts'
import { kindOf, kinds } from '../../shared/kubedb/databases/kinds.ts'
import { databaseOf } from '../../shared/kubedb/records/instance-record.ts'
import { hash26, instanceLabel } from '../../shared/kubedb/records/names.ts'
import { mergePatch } from '../../shared/osb/parameters/merge-patch.ts'
import { routes, type Verb } from '../../shared/routes.ts'
import { isObject, JsonObject } from '../../shared/values/json.ts'
import { instanceId, once, recordedDatabase } from '../support/plan-walk.ts'
import {
  defaulted,
  firstDefaulted,
  type KindRecord,
  readRecord,
  recordedKinds,
} from '../support/webhook-record.ts'

const upstream = process.env.KUBEDB_CRDS ?? join(import.meta.dirname, '../../../shared/crds/kubedb')
const hasUpstream = existsSync(upstream)
if (!hasUpstream)
  console.error(`skipped: the policy before what KubeDB makes of databases, for want of ${upstream}`)
const testUpstream = hasUpstream ? test : test.skip

const namespaces = { broker: 'broker', databases: 'databases' }
/** Requests at once. */
const width = 8
const strict = 'dryRun=All&fieldValidation=Strict'

type Send = (method: string, path: string, body?: unknown) => Promise<Answer>

let folder: string
let plane: ControlPlane
const functions = new Map<string, Send>()

test.before(async (t) => {
  if (!hasUpstream) return
  folder = await mkdtemp(join(tmpdir(), 'webhook-policy-'))
  plane = await startControlPlane({ directory: folder, progress: (line) => t.log(line) })
  await installCrds(plane, { folder: upstream })
  await applyRoles(administratorOf(plane), namespaces, [...kinds.values()])
  for (const { function: name } of routes) {
    const adminToken = await mintToken(plane, namespaces.broker, `osb-${name}`, 3600)
    functions.set(name, (method, path, body) => ask({ ...plane, adminToken }, method, path, body))
  }
  await Promise.all(recordedKinds().map(inForce))
})

/** Settles once the policy about databases of a kind refuses what it alone refuses. */
async function inForce(kind: string): Promise<void> {
  const [[, made] = ['', {}]] = firstDefaulted(readRecord(kind))
  const { spec, ...rest } = ofInstance(kind, instanceId, made)
  const monitored = {
    ...rest,
    spec: { ...(isObject(spec) ? spec : {}), monitor: { agent: 'prometheus.io' } },
  }
  const name = `osb-${kindOf(kind).plural}.${namespaces.broker}`
  for (const end = Date.now() + 60_000; ; await delay(100)) {
    const { body } = await as('provision')('POST', `${collection(kind)}?dryRun=All`, monitored)
    if (body.includes(`'${name}'`)) return
    if (Date.now() > end) throw new Error(`the policy ${name} is not in force: ${body}`)
  }
}

test.after.always(async () => {
  await plane?.stop()
  if (folder) await rm(folder, { recursive: true, force: true })
})

function as(name: string): Send {
  const send = functions.get(name)
  if (!send) throw new Error(`there is no function ${name}`)
  return send
}

const collection = (kind: string) => {
  const { apiVersion, plural } = kindOf(kind)
  return `/apis/${apiVersion}/namespaces/${namespaces.databases}/${plural}`
}

/** @returns the functions that may do this to databases, by the route map */
const writers = (verb: Verb) =>
  routes
    .filter(
      ({ permissions }) => 'databases' in permissions && permissions.databases.some((one) => one === verb),
    )
    .map((route) => route.function)

/** Who makes an OpsRequest, by what it is about: users that come, users that only go, the database. */
function makersOf({ configuration }: JsonObject): string[] {
  const users = isObject(configuration) && isObject(configuration.auth) ? configuration.auth : undefined
  if (users === undefined) return ['update', 'last-operation']
  const comers = ['bind', 'last-binding-operation']
  return 'syncACL' in users ? comers : [...comers, 'unbind', 'last-operation']
}

/** How much KubeDB leaves of a name where a long text follows. */
const cut = 35

/** The databases of the record become others. KubeDB names Secrets and ServiceAccounts after them. */
function renamed(kind: string, object: JsonObject, name: string): JsonObject {
  const recorded = recordedDatabase(kindOf(kind)).name
  const text = JSON.stringify(object)
    .replaceAll(recorded, name)
    .replaceAll(recorded.slice(0, cut), name.slice(0, cut))
  return v.parse(JsonObject, JSON.parse(text))
}

/** An instance by its number, and by what is tried with it. */
const idOf = (index: number, what: 'full' | 'bare') =>
  `${index.toString(16).padStart(8, '0')}-0000-4000-8000-00000000${what === 'full' ? 'f011' : 'ba5e'}`
const nameOf = (kind: string, id: string) => databaseOf(kindOf(kind), namespaces.databases, id).name

const ofInstance = (kind: string, id: string, { metadata, spec }: JsonObject): JsonObject => ({
  apiVersion: kindOf(kind).apiVersion,
  kind,
  metadata: {
    ...(isObject(metadata) ? metadata : {}),
    name: nameOf(kind, id),
    namespace: namespaces.databases,
    labels: { [instanceLabel]: hash26(id) },
  },
  spec: isObject(spec) ? renamed(kind, spec, nameOf(kind, id)) : {},
})

/** Everything that KubeDB made of drafts, by its title. */
const allMade = (record: KindRecord): [string, JsonObject][] =>
  [...Object.keys(record.databases), ...Object.keys(record.states)].flatMap((title) => {
    const made = defaulted(record, title)
    return made ? [[title, made] as [string, JsonObject]] : []
  })

/** A deprovision opens no database to the outside, and closes none. */
const isRefused = (writer: string, { spec }: JsonObject) =>
  writer === 'deprovision' && isObject(spec) && 'serviceTemplates' in spec

/** What OpsRequests about users have left in a database: no function makes one that has it. */
const isOfUsers = (title: string) => title.endsWith(': users removed')

for (const kind of recordedKinds()) {
  const record = readRecord(kind)

  testUpstream(`${kind}: what KubeDB makes of a draft may be made`, async (t) => {
    t.timeout(300_000)
    const busy = turns(width)
    const refused: string[] = []
    await Promise.all(
      writers('create').flatMap((name) =>
        allMade(record).map(([title, made]) =>
          busy(async () => {
            const object = ofInstance(kind, instanceId, made)
            const answer = await as(name)('POST', `${collection(kind)}?${strict}`, object)
            if (isOfUsers(title))
              t.regex(answer.body, /spec\.configuration\.acl: the broker writes no such field/)
            else if (answer.status !== 201) refused.push(`${name}, ${title}: ${answer.status} ${answer.body}`)
          }),
        ),
      ),
    )
    t.is(refused.length, 0, `${refused.length} are refused, the first: ${refused[0]}`)
  })

  testUpstream(`${kind}: every OpsRequest that KubeDB takes may be made`, async (t) => {
    const { opsKind, opsPlural, apiVersion } = kindOf(kind)
    const { name } = recordedDatabase(kindOf(kind))
    const path = `/apis/ops.kubedb.com/v1alpha1/namespaces/${namespaces.databases}/${opsPlural}?${strict}`
    const specs = once(
      Object.values(record.changes).flatMap(({ write, answer }) =>
        'opsRequest' in write && answer?.allowed ? [write.opsRequest] : [],
      ),
    )
    t.true(specs.length > 0)
    const refused: string[] = []
    for (const spec of specs) {
      for (const maker of makersOf(spec)) {
        const isAboutUsers = !makersOf(spec).includes('update')
        const { status, body } = await as(maker)('POST', path, {
          apiVersion: 'ops.kubedb.com/v1alpha1',
          kind: opsKind,
          metadata: {
            name: `${name}-${isAboutUsers ? 'users' : 'abcdefghijkl'}-1`,
            labels: { [instanceLabel]: hash26(instanceId) },
            ownerReferences: [{ apiVersion, kind, name, uid: '0b6f8a52-0000-4000-8000-000000000000' }],
          },
          spec: { ...spec, databaseRef: { name } },
        })
        if (status !== 201) refused.push(`${maker}, ${JSON.stringify(spec)}: ${status} ${body}`)
      }
    }
    t.is(refused.length, 0, `${refused.length} are refused, the first: ${refused[0]}`)
  })

  testUpstream(
    `${kind}: what KubeDB made of a draft may be changed, also where its webhook was away before`,
    async (t) => {
      t.timeout(300_000)
      const busy = turns(width)
      const refused: string[] = []
      const change = async (title: string, name: string, patch: JsonObject, sent: JsonObject = {}) => {
        for (const writer of writers('patch')) {
          const path = `${collection(kind)}/${name}?${strict}`
          const { metadata, spec } = renamed(kind, patch, name)
          // Metadata of users is not a deprovision's to change: stolen-tokens.test.ts.
          const body = writer === 'deprovision' || metadata === undefined ? { spec } : { metadata, spec }
          const answer = await as(writer)('PATCH', path, body)
          if (isRefused(writer, sent)) t.regex(answer.body, /a deprovision does not change it/, title)
          else if (answer.status !== 200) refused.push(`${writer}, ${title}: ${answer.status} ${answer.body}`)
        }
      }
      await Promise.all(
        firstDefaulted(record).map(([title, made], index) =>
          busy(async () => {
            const draft = {
              metadata: {},
              spec: (record.databases[title] ?? record.states[title])?.draft ?? {},
            }
            for (const [what, object] of [
              ['full', made],
              ['bare', draft],
            ] as const) {
              const body = ofInstance(kind, idOf(index, what), object)
              const stored = await ask(plane, 'POST', collection(kind), body)
              t.is(stored.status, 201, stored.body)
            }
            const full = nameOf(kind, idOf(index, 'full'))
            const bare = nameOf(kind, idOf(index, 'bare'))
            // The webhook fills in at the next write what it could not at the first.
            await change(`${title}, filled in`, bare, { spec: made.spec ?? {} })
            for (const [what, { before, write, answer }] of Object.entries(record.changes)) {
              if (before !== title || !('patch' in write) || !answer?.allowed) continue
              const { defaults } = answer
              const after = changed(mergePatch(made, write.patch), isObject(defaults) ? defaults : {})
              const patch = { ...write.patch, spec: after.spec ?? {} }
              await change(what, full, patch, write.patch)
              await change(`${what}, filled in`, bare, patch, write.patch)
            }
          }),
        ),
      )
      t.is(refused.length, 0, `${refused.length} are refused, the first: ${refused[0]}`)
    },
  )
}
