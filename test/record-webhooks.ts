/**
 * Asks KubeDB's own admission webhooks about everything that the broker may write, and keeps what they answer in
 * test/kubedb-webhooks.
 *
 * Usage: `npm run record:webhooks -- --kubeconfig <file> --commit <commit>`, and `--kind <Kind>` for some kinds only,
 * `--refused` for what the broker does not ask for and KubeDB refuses.
 * The cluster has KubeDB's webhooks, its CRDs and *Version objects, and the StorageClasses `standard` and `fast`;
 * KubeDB's operator does not run in it, nor the sandbox's stand-in. The commit is that of kubedb/apimachinery from
 * which the webhooks are.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import * as v from 'valibot'
import { changed, type Difference, difference } from '../generate/webhook-record/difference.ts'
import type { Administrator } from '../sandbox/control-plane/administrator.ts'
import { clusterOfKubeconfig } from '../sandbox/control-plane/kubeconfig.ts'
import type { Answer as HttpAnswer } from '../sandbox/control-plane/request.ts'
import { turns } from '../sandbox/machine/turns.ts'
import type { Draft } from '../shared/kubedb/cluster/cluster.ts'
import type { Database } from '../shared/kubedb/databases/database.ts'
import { kindOf } from '../shared/kubedb/databases/kinds.ts'
import { mergePatch } from '../shared/osb/parameters/merge-patch.ts'
import { canonical, equal, JsonObject } from '../shared/values/json.ts'
import { refusedWrites } from './cluster/refused-writes.ts'
import { recordedDatabase } from './support/plan-walk.ts'
import {
  type ChangeCase,
  type DatabaseCase,
  type KindCases,
  specOf,
  usersSecret,
  webhookCases,
} from './support/webhook-cases.ts'
import {
  type Answer,
  type KindRecord,
  type RefusedRecord,
  recordNamespace,
  withoutChance,
  writeRecord,
  writeRefused,
} from './support/webhook-record.ts'

/**
 * Made for the questions and removed after them. Databases of one name are made in all of them at once; what is recorded
 * names the first.
 */
const namespace = recordNamespace
const namespaces = [0, 1, 2, 3, 4, 5].map((index) => namespace.replace('0', String(index)))
const dry = 'dryRun=All&fieldValidation=Strict'

/** Requests at once, of each kind. */
const width = 8

/** Milliseconds in which a deleted database is gone where no operator holds it. */
const gone = 20_000

const Made = v.object({ metadata: JsonObject, spec: JsonObject })
const Status = v.object({ code: v.number(), message: v.string() })
const Hooks = v.object({
  items: v.array(
    v.object({
      webhooks: v.optional(
        v.array(
          v.object({
            rules: v.optional(
              v.array(v.object({ apiGroups: v.array(v.string()), resources: v.array(v.string()) })),
              [],
            ),
          }),
        ),
        [],
      ),
    }),
  ),
})

/** What the API server adds by itself, and where the object is. */
const notAnswered = [
  'creationTimestamp',
  'generation',
  'managedFields',
  'name',
  'namespace',
  'resourceVersion',
  'uid',
]

/** Values that KubeDB makes by chance, as they stand in the record instead. */
const made: { [kind: string]: [place: RegExp, value: string][] } = {
  Kafka: [[/(?<="name":"KAFKA_CLUSTER_ID","value":")[^"]*(?=")/g, '11ef-8d3c-0242ac12000w']],
}

/** One kind in the cluster. */
interface Place {
  ask: Administrator
  kind: Database
  namespace: string
}

const collection = ({ namespace }: Place, api: string, plural: string) =>
  `/apis/${api}/namespaces/${namespace}/${plural}`
const databases = (place: Place) => collection(place, place.kind.apiVersion, place.kind.plural)

/** An object as KubeDB would store it, or why it would not. */
type Judged = { allowed: true; object: JsonObject } | Exclude<Answer, { allowed: true }>

async function run(): Promise<void> {
  const { values } = parseArgs({
    options: {
      kubeconfig: { type: 'string' },
      commit: { type: 'string' },
      kind: { type: 'string', multiple: true },
      refused: { type: 'boolean', default: false },
    },
  })
  const { kubeconfig, commit } = values
  if (!kubeconfig || !commit)
    throw new Error('--kubeconfig <file> and --commit <commit of KubeDB> are needed')
  process.env.KUBECONFIG = kubeconfig
  const { administrator } = await clusterOfKubeconfig()
  const cases = webhookCases().filter(({ kind }) => values.kind?.includes(kind.kind) ?? !values.refused)
  await allAreJudged(
    administrator,
    cases.map(({ kind }) => kind),
  )
  const all = '/api/v1/namespaces'
  try {
    for (const name of namespaces) {
      taken('making a namespace', await administrator('POST', all, { metadata: { name } }))
      // KubeDB looks whether the passwords of users that it is to make are there.
      for (const { kind } of cases.filter(({ kind }) => kind.accounts.by === 'declaration')) {
        const secret = { metadata: { name: usersSecret(kind) }, stringData: {} }
        taken('making a Secret', await administrator('POST', `${all}/${name}/secrets`, secret))
      }
    }
    const busy = turns(3)
    await Promise.all(cases.map((one) => busy(() => record(patient(administrator), commit, one))))
    if (values.refused || values.kind === undefined) await recordRefused(patient(administrator), commit)
  } finally {
    for (const name of namespaces) await administrator('DELETE', `${all}/${name}`)
  }
}

/** Asks again where a webhook had no time, which is no answer of it. */
function patient(ask: Administrator): Administrator {
  return async (...request) => {
    for (let left = 5; ; left -= 1) {
      const answer = await ask(...request)
      const late = answer.status === 500 && answer.body.includes('failed calling webhook')
      if (!late || left === 0) return answer
      await delay(1000)
    }
  }
}

/** A kind whose webhooks are not there would seem to be taken as it is. */
async function allAreJudged(ask: Administrator, kinds: readonly Database[]): Promise<void> {
  for (const configurations of ['mutatingwebhookconfigurations', 'validatingwebhookconfigurations']) {
    const answer = await ask('GET', `/apis/admissionregistration.k8s.io/v1/${configurations}`)
    const { items } = v.parse(Hooks, JSON.parse(taken(`reading ${configurations}`, answer)))
    const rules = items.flatMap(({ webhooks }) => webhooks.flatMap((hook) => hook.rules))
    const judged = (group: string, plural: string) =>
      rules.some(({ apiGroups, resources }) => apiGroups.includes(group) && resources.includes(plural))
    for (const { kind, plural, opsPlural } of kinds) {
      const all =
        judged('kubedb.com', plural) &&
        (configurations.startsWith('mutating') || judged('ops.kubedb.com', opsPlural))
      if (!all)
        throw new Error(`${configurations}: no webhook judges ${kind}; is its feature gate of KubeDB on?`)
    }
  }
}

async function record(ask: Administrator, commit: string, cases: KindCases): Promise<void> {
  const { kind } = cases
  const place: Place = { ask, kind, namespace }
  const busy = turns(width)
  const judged = new Map<string, Judged>()
  await Promise.all(
    cases.databases.map(({ title, draft }) =>
      busy(async () => {
        const ask = title.endsWith(' {}') ? twice : once
        judged.set(title, await ask(place, draft))
      }),
    ),
  )
  const result: KindRecord = { commit, databases: {}, states: {}, changes: {} }
  const keeping = keeper()
  const titles = new Map<string, string>()
  for (const { title, draft } of cases.databases) {
    const answer = judged.get(title)
    if (!answer) throw new Error(`nothing was answered to ${title}`)
    result.databases[title] = { draft: specOf(draft), answer: keeping(title, draft, answer) }
    titles.set(canonical(draft.spec), title)
  }
  const states = byState(cases.changes)
  const answers = new Map<JsonObject, Awaited<ReturnType<typeof inState>>>()
  const left = [...states]
  await Promise.all(
    namespaces.map(async (namespace) => {
      for (let next = left.shift(); next; next = left.shift()) {
        const [before, changes] = next
        answers.set(before, await inState({ ...place, namespace }, like(cases.databases, before), changes))
      }
    }),
  )
  for (const [before, changes] of states) {
    const draft = like(cases.databases, before)
    const found = answers.get(before)
    if (!found) throw new Error('a state that nobody asked about')
    const title = titles.get(canonical(before)) ?? changes[0]?.title.replace(/: [^:]*, after /, ', after ')
    if (title === undefined) continue
    if (!titles.has(canonical(before)))
      result.states[title] = { draft: before, answer: keeping(title, draft, found.made) }
    changes.forEach(({ title: name, write }, index) => {
      const answer = found.answers[index]
      result.changes[name] = { before: title, write, ...(answer ? { answer } : {}) }
    })
  }
  writeRecord(kind.kind, result)
  const counts = [cases.databases.length, Object.keys(result.states).length, cases.changes.length]
  console.log(`${kind.kind}: ${counts[0]} databases, ${counts[1]} on their way, ${counts[2]} changes`)
}

/** What the broker does not ask for, so that the stand-in can be held against it. */
async function recordRefused(ask: Administrator, commit: string): Promise<void> {
  const result: RefusedRecord = { commit, writes: {} }
  for (const { title, kind: own, before, write } of refusedWrites()) {
    const kind = kindOf(own.kind)
    const place: Place = { ask, kind, namespace }
    const { name } = recordedDatabase(kind)
    const draft = (spec: JsonObject) => ({
      apiVersion: kind.apiVersion,
      kind: kind.kind,
      metadata: { name, namespace },
      spec,
    })
    if ('create' in write) {
      result.writes[title] = { write, answer: plain(await once(place, draft(write.create))) }
    } else if (before) {
      const { made, answers } = await inState(place, draft(before), [{ title, before, write }])
      const [answer] = answers
      if (!answer) throw new Error(`${title}: the database before is refused: ${canonical(made)}`)
      result.writes[title] = { before, write, answer }
    }
  }
  writeRefused(result)
  console.log(`${Object.keys(result.writes).length} writes that the broker does not ask for`)
}

/** Changes by the databases that they are about. */
function byState(changes: readonly ChangeCase[]): Map<JsonObject, ChangeCase[]> {
  const states = new Map<string, ChangeCase[]>()
  for (const change of changes) {
    const key = canonical(change.before)
    states.set(key, [...(states.get(key) ?? []), change])
  }
  return new Map(
    [...states.values()].flatMap((of) => (of[0] ? [[of[0].before, of] as [JsonObject, ChangeCase[]]] : [])),
  )
}

function like(databases: readonly DatabaseCase[], spec: JsonObject): Draft {
  const [first] = databases
  if (!first) throw new Error('there are no databases')
  return { ...first.draft, spec }
}

async function once(place: Place, draft: Draft): Promise<Judged> {
  return judgedOf(place, await place.ask('POST', `${databases(place)}?${dry}`, inNamespace(place, draft)))
}

/** Once to know, and once more to see that nothing of it is by chance. */
async function twice(place: Place, draft: Draft): Promise<Judged> {
  const [one, other] = [await once(place, draft), await once(place, draft)]
  if (!equal(one, other)) {
    throw new Error(
      `KubeDB does not answer the same twice: ${canonical(one)} and ${canonical(other)}; name what it makes by chance in test/record-webhooks.ts`,
    )
  }
  return one
}

const inNamespace = ({ namespace }: Place, { metadata, ...rest }: Draft) => ({
  ...rest,
  metadata: { ...metadata, namespace },
})

/** Makes a database, asks for changes of it without making them, and removes it. */
async function inState(
  place: Place,
  draft: Draft,
  changes: readonly ChangeCase[],
): Promise<{ made: Judged; answers: (Answer | undefined)[] }> {
  const { ask } = place
  const answer = await ask('POST', `${databases(place)}?fieldValidation=Strict`, inNamespace(place, draft))
  const made = judgedOf(place, answer)
  if (!made.allowed) return { made, answers: [] }
  const one = `${databases(place)}/${draft.metadata.name}`
  const opsRequests = collection(place, 'ops.kubedb.com/v1alpha1', place.kind.opsPlural)
  try {
    const busy = turns(width)
    const answers = await Promise.all(
      changes.map(({ write }) =>
        busy(async (): Promise<Answer> => {
          if ('delete' in write) return plain(judgedOf(place, await ask('DELETE', `${one}?dryRun=All`)))
          if ('opsRequest' in write) {
            const request = requestOf(place, draft, write.opsRequest)
            return plain(judgedOf(place, await ask('POST', `${opsRequests}?${dry}`, request)))
          }
          const patched = judgedOf(place, await ask('PATCH', `${one}?${dry}`, write.patch))
          if (!patched.allowed) return patched
          const defaults = difference(mergePatch(made.object, write.patch), patched.object)
          return { allowed: true, ...(Object.keys(defaults).length > 0 ? { defaults } : {}) }
        }),
      ),
    )
    return { made, answers }
  } finally {
    await remove(ask, one)
  }
}

/** Of an answer that changes nothing, whether it is a consent. */
const plain = (judged: Judged): Answer => (judged.allowed ? { allowed: true } : judged)

function requestOf({ kind, namespace }: Place, draft: Draft, spec: JsonObject) {
  return {
    apiVersion: 'ops.kubedb.com/v1alpha1',
    kind: kind.opsKind,
    metadata: { name: `${draft.metadata.name}-abcdefghijkl-1`, namespace },
    spec: { databaseRef: { name: draft.metadata.name }, ...spec },
  }
}

async function remove(ask: Administrator, path: string): Promise<void> {
  taken(`removing ${path}`, await ask('DELETE', path))
  for (const end = Date.now() + gone; (await ask('GET', path)).status !== 404; ) {
    if (Date.now() > end) throw new Error(`${path} is not removed: does an operator of KubeDB run?`)
  }
}

function judgedOf({ kind, namespace: its }: Place, { status, body }: HttpAnswer): Judged {
  if (status >= 300) {
    const { code, message } = v.parse(Status, JSON.parse(body))
    // What is not about the object, such as a server that has no time, is no answer.
    if (code !== 422 && !message.startsWith('admission webhook "')) throw new Error(`${code} ${message}`)
    return { allowed: false, code, message: withoutChance(message.replaceAll(its, namespace)) }
  }
  const parsed: unknown = JSON.parse(steady(kind, body))
  const found = v.safeParse(Made, parsed)
  if (!found.success) return { allowed: true, object: {} }
  const metadata = Object.fromEntries(
    Object.entries(found.output.metadata).filter(([key]) => !notAnswered.includes(key)),
  )
  return { allowed: true, object: { metadata, spec: found.output.spec } }
}

function steady({ kind }: Database, body: string): string {
  return (made[kind] ?? []).reduce((text, [place, value]) => text.replace(place, value), body)
}

/** @returns keeps an answer: what is as before by the title of the first that was so */
function keeper(): (title: string, draft: Draft, judged: Judged) => Answer {
  const first = new Map<string, string>()
  return (title, draft, judged) => {
    if (!judged.allowed) return judged
    const before: JsonObject = { metadata: metadataOf(draft), spec: specOf(draft) }
    const defaults: Difference = difference(before, judged.object)
    if (!equal(changed(before, defaults), judged.object))
      throw new Error(`${title}: the difference does not lead to what KubeDB made`)
    const key = canonical(defaults)
    const same = first.get(key)
    if (same !== undefined) return { allowed: true, defaults: same }
    first.set(key, title)
    return { allowed: true, defaults }
  }
}

function metadataOf({ metadata: { labels, annotations } }: Draft): JsonObject {
  return { ...(labels ? { labels } : {}), ...(annotations ? { annotations } : {}) }
}

/** @throws with what the API server said, unless it did it */
function taken(what: string, { status, body }: HttpAnswer): string {
  if (status >= 300) throw new Error(`${what}: ${status} ${body.trim()}`)
  return body
}

await run()
