/** What KubeDB's own webhooks answered: the files in test/kubedb-webhooks. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import * as v from 'valibot'
import { isObject, type Json, JsonObject } from '../../shared/values/json.ts'
import { changed } from './difference.ts'

/** How the record is made anew. */
export const recordCommand = 'npm run record:webhooks -- --kubeconfig <file> --commit <commit of KubeDB>'

const Refused = v.strictObject({ allowed: v.literal(false), code: v.number(), message: v.string() })
/** The difference that its webhooks made, or the title of the first case in which they made the same. */
const Defaults = v.union([v.string(), JsonObject])
const Allowed = v.strictObject({ allowed: v.literal(true), defaults: v.optional(Defaults) })
const Answer = v.variant('allowed', [Refused, Allowed])
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

/** What is refused, and the broker does not ask for: title → the database before, the write, the answer. */
const RefusedRecord = v.strictObject({
  commit: v.string(),
  writes: v.record(
    v.string(),
    v.strictObject({
      before: v.optional(JsonObject),
      write: v.union([v.strictObject({ create: JsonObject }), v.strictObject({ opsRequest: JsonObject })]),
      answer: Answer,
    }),
  ),
})
export type RefusedRecord = v.InferOutput<typeof RefusedRecord>

/** The namespace that answers name. */
export const recordNamespace = 'kubedb-webhooks-record-0'

const folder = new URL('../kubedb-webhooks/', import.meta.url)
const refusedFile = new URL('refused.json', folder)

/** @returns the kinds that were asked about */
export function recordedKinds(): string[] {
  return readdirSync(folder)
    .filter((name) => /^[A-Z].*\.json$/.test(name))
    .map((name) => name.replace(/\.json$/, ''))
}

export function readRecord(kind: string): KindRecord {
  return v.parse(KindRecord, JSON.parse(readFileSync(new URL(`${kind}.json`, folder), 'utf8')))
}

export function writeRecord(kind: string, record: KindRecord): void {
  write(new URL(`${kind}.json`, folder), record)
}

/** @returns an answer without the places in KubeDB's memory that some of them tell */
export const withoutChance = (message: string): string => message.replaceAll(/\b0x[0-9a-f]+\b/g, '0x0')

export function readRefused(): RefusedRecord {
  return v.parse(RefusedRecord, JSON.parse(readFileSync(refusedFile, 'utf8')))
}

export function writeRefused(record: RefusedRecord): void {
  write(refusedFile, record)
}

function write(file: URL, record: object): void {
  writeFileSync(file, `${JSON.stringify(sorted(record), null, 1)}\n`)
}

/** Keys in order, so that what changes from one KubeDB to the next is all that a diff shows. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (!isObject(value)) return value
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sorted((value as { [key: string]: unknown })[key])]),
  )
}

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

function differenceOf(record: KindRecord, defaults: Json | undefined): { [path: string]: Json } {
  if (isObject(defaults)) return defaults
  if (defaults === undefined) return {}
  const answer = (record.databases[String(defaults)] ?? record.states[String(defaults)])?.answer
  return answer?.allowed ? differenceOf(record, answer.defaults) : {}
}
