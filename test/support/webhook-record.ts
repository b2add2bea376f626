/** What KubeDB's own webhooks answered: the files in test/kubedb-webhooks. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import * as v from 'valibot'
import { Answer, KindRecord } from '../../generate/webhook-record/record.ts'
import { isObject, JsonObject } from '../../shared/values/json.ts'

export { defaulted, everMade, firstDefaulted } from '../../generate/webhook-record/record.ts'
export type { Answer, KindRecord }

/** How the record is made anew. */
export const recordCommand = 'npm run record:webhooks -- --kubeconfig <file> --commit <commit of KubeDB>'

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
