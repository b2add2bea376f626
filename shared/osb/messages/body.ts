/** Bodies and queries: foreign data becomes typed data, or a 400 that says what is wrong. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Context } from 'hono'
import * as v from 'valibot'
import { BrokerError } from '../../values/errors.ts'
import { isObject } from '../../values/json.ts'
import type { Edge } from '../edge/edge.ts'

/** bytes */
export const maximumBody = 1024 * 1024
/** of a body that is too large, this much is read all the same: bytes, and milliseconds */
const discarded = 16 * maximumBody
const discardTime = 500
/** objects and lists inside one another; what walks a body by recursion is safe with this */
export const maximumDepth = 64

/**
 * Reads the request's body, whatever its Content-Type says (OSB: Request Content Type).
 *
 * @returns the body as the schema has it
 * @throws {BrokerError} BadRequest: too large, not UTF-8, not a JSON object, too deep, or not what the schema asks;
 *   it names the path of each wrong field, the type that was sent and what would be right, never a value
 */
export async function body<const S extends v.GenericSchema>(
  c: Context<Edge>,
  schema: S,
): Promise<v.InferOutput<S>> {
  const parsed = parseJson(await bytes(c))
  if (!isObject(parsed))
    throw new BrokerError('BadRequest', `body: must be a JSON object, not ${typeName(parsed)}`)
  return check(schema, tame(parsed))
}

/**
 * @returns the request's query as the schema has it; of a repeated parameter the first counts
 * @throws {BrokerError} BadRequest, as for bodies
 */
export function query<const S extends v.GenericSchema>(c: Context<Edge>, schema: S): v.InferOutput<S> {
  return check(schema, c.req.query())
}

function check<const S extends v.GenericSchema>(schema: S, value: unknown): v.InferOutput<S> {
  const result = v.safeParse(schema, value)
  if (result.success) return result.output
  const mistakes = result.issues.map((issue) => {
    const path = v.getDotPath(issue) ?? 'body'
    const absent = issue.input === undefined || issue.input === ''
    return absent
      ? `${path}: is missing or empty, ${issue.message}`
      : `${path}: ${issue.message}, not ${typeName(issue.input)}`
  })
  throw new BrokerError('BadRequest', mistakes.join('; '))
}

function typeName(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

async function bytes(c: Context<Edge>): Promise<Uint8Array> {
  const tooLarge = new BrokerError('BadRequest', `body: must not be larger than ${maximumBody} bytes`)
  const length = c.req.header('Content-Length')
  try {
    // Node passes no more of a body than its Content-Length announces.
    if (length !== undefined && Number(length) <= maximumBody)
      return new Uint8Array(await c.req.arrayBuffer())
    const reader = c.req.raw.body?.getReader()
    const chunks: Uint8Array[] = []
    let size = Number(length ?? 0)
    for (;;) {
      if (size > maximumBody) {
        await discard(reader)
        throw tooLarge
      }
      const { done, value } = (await reader?.read()) ?? { done: true }
      if (done || value === undefined) return Buffer.concat(chunks)
      size += value.length
      chunks.push(value)
    }
  } catch (error) {
    if (error === tooLarge) throw error
    throw new BrokerError('BadRequest', 'body: ended before it was complete', { cause: error })
  }
}

/** Reads on for a while: a client that is still sending may not see an answer. */
async function discard(reader: ReadableStreamDefaultReader<Uint8Array> | undefined): Promise<void> {
  const until = delay(discardTime)
  for (let left = discarded; left > 0; ) {
    const next = await Promise.race([reader?.read(), until])
    if (next?.value === undefined) return
    left -= next.value.length
  }
}

function parseJson(content: Uint8Array): unknown {
  if (content.length === 0) throw new BrokerError('BadRequest', 'body: is empty, must be a JSON object')
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(content))
  } catch {
    // The message of JSON.parse quotes the body.
    throw new BrokerError('BadRequest', 'body: is not JSON in UTF-8, must be a JSON object')
  }
}

/**
 * Takes out members named `__proto__`, which would change the prototype of whatever they are assigned to. Goes
 * without recursion, since the depth is what it is to check.
 */
function tame(root: unknown): unknown {
  let level: unknown[] = [root]
  for (let depth = 1; level.length > 0; depth++) {
    const next: unknown[] = []
    for (const value of level) {
      if (typeof value !== 'object' || value === null) continue
      if (depth > maximumDepth) {
        throw new BrokerError('BadRequest', `body: must not be nested deeper than ${maximumDepth} levels`)
      }
      if (Object.hasOwn(value, '__proto__')) Reflect.deleteProperty(value, '__proto__')
      for (const member of Object.values(value)) next.push(member)
    }
    level = next
  }
  return root
}
