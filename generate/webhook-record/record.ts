/** What KubeDB's own webhooks answered of a kind: test/kubedb-webhooks has it. Pure. */
import * as v from 'valibot'
import { mergePatch } from '../../shared/osb/parameters/merge-patch.ts'
import { isObject, type Json, JsonObject } from '../../shared/values/json.ts'
import { changed, type Difference } from './difference.ts'

const Refused = v.strictObject({ allowed: v.literal(false), code: v.number(), message: v.string() })
/** The difference that its webhooks made, or the title of the first case in which they made the same. */
const Defaults = v.union([v.string(), JsonObject])
const Allowed = v.strictObject({ allowed: v.literal(true), defaults: v.optional(Defaults) })
export const Answer = v.variant('allowed', [Refused, Allowed])
export type Answer = v.InferOutput<typeof Answer>

const Databases = v.record(v.string(), v.strictObject({ draft: JsonObject, answer: Answer }))
const Changes = v.record(
  v.string(),
  v.strictObject({
    /** title of a database, or of a state */
    before: v.string(),
    write: v.union([
      v.strictObject({ opsRequest: JsonObject }),
      v.strictObject({ patch: JsonObject }),
      v.strictObject({ delete: v.literal(true) }),
    ]),
    /** none where KubeDB refuses the database before the change already */
    answer: v.optional(Answer),
  }),
)

export const KindRecord = v.strictObject({
  /** commit of kubedb/apimachinery */
  commit: v.string(),
  /** title → what the broker asks for, and what it was told */
  databases: Databases,
  /** databases in the middle of a change, which are never made like this */
  states: Databases,
  changes: Changes,
})
export type KindRecord = v.InferOutput<typeof KindRecord>

/**
 * @param title of a database or a state of the record
 * @returns `metadata` and `spec` as KubeDB made them; undefined where it refuses them
 */
export function defaulted(record: KindRecord, title: string): JsonObject | undefined {
  const found = record.databases[title] ?? record.states[title]
  if (!found) throw new Error(`the record has no ${title}`)
  if (!found.answer.allowed) return undefined
  return changed({ metadata: {}, spec: found.draft }, differenceOf(record, found.answer.defaults))
}

/**
 * @returns title → `metadata` and `spec` as KubeDB made them, of those in which it did something for the first time: the
 *   others differ from them in the draft alone
 */
export function firstDefaulted(record: KindRecord): [string, JsonObject][] {
  return Object.entries({ ...record.databases, ...record.states }).flatMap(([title, { answer }]) => {
    const made = answer.allowed && typeof answer.defaults !== 'string' ? defaulted(record, title) : undefined
    return made ? [[title, made] as [string, JsonObject]] : []
  })
}

/** @returns title → `metadata` and `spec` as KubeDB made them: of all databases, and of those that a patch has changed */
export function everMade(record: KindRecord): [string, JsonObject][] {
  const databases = Object.keys({ ...record.databases, ...record.states }).flatMap((title) => {
    const made = defaulted(record, title)
    return made ? [[title, made] as [string, JsonObject]] : []
  })
  const all = new Map(databases)
  const patched = Object.entries(record.changes).flatMap(([title, { before, write, answer }]) => {
    const made = all.get(before)
    if (!made || !('patch' in write) || !answer?.allowed) return []
    const after = changed(mergePatch(made, write.patch), differenceOf(record, answer.defaults))
    return [[title, after] as [string, JsonObject]]
  })
  return [...databases, ...patched]
}

/** @returns everything that KubeDB has added or changed, each thing once for each time that it was recorded */
export function additions({ databases, states, changes }: KindRecord): Difference[] {
  return [databases, states, changes].flatMap((cases) =>
    Object.values(cases).flatMap(({ answer }) =>
      answer?.allowed && isObject(answer.defaults) ? [answer.defaults] : [],
    ),
  )
}

function differenceOf(record: KindRecord, defaults: Json | undefined): Difference {
  if (isObject(defaults)) return defaults
  if (defaults === undefined) return {}
  const answer = (record.databases[String(defaults)] ?? record.states[String(defaults)])?.answer
  return answer?.allowed ? differenceOf(record, answer.defaults) : {}
}
