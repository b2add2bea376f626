/**
 * The API server as one request of a platform sees it: reads that are tried again, writes whose doubtful outcome is
 * settled by reading before anything is decided on it, nothing after the caller has gone away or its time is up.
 */
import { setTimeout as delay } from 'node:timers/promises'
import * as v from 'valibot'
import { span } from '../../telemetry/telemetry.ts'
import type { JsonObject } from '../../values/json.ts'
import { ApiError } from './api-error.ts'
import type { Connection, Reply } from './connection.ts'
import { Anything } from './object.ts'

/** A collection of the API: `/apis/kubedb.com/v1` + namespace + `postgreses`. */
export interface Collection {
  /** e.g. /api/v1 or /apis/kubedb.com/v1 */
  api: string
  /** absent: objects of the whole cluster */
  namespace?: string
  plural: string
}

/** What is to be written: a complete object, or a merge patch. */
export type Draft = JsonObject & {
  metadata: JsonObject & { name: string; annotations?: { [key: string]: string } }
}

export interface Preconditions {
  uid?: string
  resourceVersion?: string
}

type Schema<T> = v.GenericSchema<unknown, T>

export interface Cluster {
  readonly signal: AbortSignal
  /** milliseconds since the epoch */
  readonly deadline: number
  /** @returns the object, or undefined when there is none of that name */
  get<T>(schema: Schema<T>, of: Collection, name: string): Promise<T | undefined>
  /** @param query e.g. `labelSelector=…`, encoded */
  list<T>(schema: Schema<T>, of: Collection, query: string): Promise<T[]>
  /**
   * @returns the object as stored
   * @throws {ApiError} `conflict` when the name is taken by another object
   */
  create<T>(schema: Schema<T>, of: Collection, draft: Draft, options?: { dryRun?: boolean }): Promise<T>
  /**
   * Replaces an object that has not changed since it was read.
   *
   * @throws {ApiError} `conflict` when it has
   */
  replace<T>(schema: Schema<T>, of: Collection, draft: Draft, resourceVersion: string): Promise<T>
  /**
   * JSON merge patch.
   *
   * @throws {ApiError} 404, or 422 when the UID is another's
   */
  patch<T>(
    schema: Schema<T>,
    of: Collection,
    name: string,
    patch: JsonObject,
    options?: { dryRun?: boolean },
  ): Promise<T>
  /**
   * @returns `gone` when there was nothing of that name, `deleted` when the request was taken
   * @throws {ApiError} `conflict` when a precondition does not hold
   */
  remove(of: Collection, name: string, preconditions?: Preconditions): Promise<'deleted' | 'gone'>
}

export interface Limits {
  signal: AbortSignal
  deadline: number
}

/** Who writes, for the API server's bookkeeping of fields: one name for all functions. */
const fieldManager = 'kubedb-service-broker'

const attempts = 4
/** milliseconds for one answer; a watch cache that is slow to start takes seconds */
const patience = 12_000

const pathOf = (of: Collection, name?: string) =>
  `${of.api}${of.namespace === undefined ? '' : `/namespaces/${encodeURIComponent(of.namespace)}`}/${of.plural}${name === undefined ? '' : `/${encodeURIComponent(name)}`}`

/**
 * @param connection the process's way to the API server
 * @param limits of the request that is being served
 */
export function cluster(connection: Connection, limits: Limits): Cluster {
  const send = async (
    method: string,
    path: string,
    body?: string,
    type = 'application/json',
  ): Promise<unknown> => {
    const left = limits.deadline - Date.now()
    if (left <= 0) throw new ApiError(0, 'Deadline', 'the time for this request is up')
    let reply: Reply
    try {
      reply = await span(`kubernetes ${method}`, { 'http.request.method': method }, async (note) => {
        note({ 'url.path': path.replace(/\?.*/, '') })
        const answer = await connection.send(method, path, body, type, Math.min(left, patience))
        note({ 'http.response.status_code': answer.status })
        return answer
      })
    } catch (error) {
      throw new ApiError(0, 'NoAnswer', error instanceof Error ? error.message : String(error))
    }
    if (reply.status >= 200 && reply.status < 300) return parseBody(reply)
    throw failure(reply)
  }

  /** Repeats what is known not to have happened, or what does no harm when it happens twice. */
  const persist = async <T>(repeatable: (error: ApiError) => boolean, act: () => Promise<T>): Promise<T> => {
    for (let attempt = 1; ; attempt++) {
      try {
        return await act()
      } catch (error) {
        const again = error instanceof ApiError && (error.status === 429 || repeatable(error))
        if (!again || attempt === attempts) throw error
        const wait = error.retryAfter === undefined ? 50 * 2 ** attempt : 1000 * error.retryAfter
        if (Date.now() + wait + 500 > limits.deadline) throw error
        await delay(wait)
      }
    }
  }

  /** No write after the caller has gone away: it may already be undoing what it asked for. */
  const write = async (method: string, path: string, body: string, type?: string): Promise<unknown> => {
    if (limits.signal.aborted) throw new ApiError(0, 'CallerGone', 'the caller has gone away')
    return send(method, path, body, type)
  }

  const read = async (path: string): Promise<unknown> => {
    try {
      return await persist(
        (error) => error.inDoubt,
        () => send('GET', path),
      )
    } catch (error) {
      if (error instanceof ApiError && error.absent) return undefined
      throw error
    }
  }

  const self: Cluster = {
    ...limits,

    async get(schema, of, name) {
      const found = await read(pathOf(of, name))
      return found === undefined ? undefined : v.parse(schema, found)
    },

    async list(schema, of, query) {
      const found = await read(`${pathOf(of)}${query === '' ? '' : `?${query}`}`)
      return v
        .parse(v.object({ items: v.array(v.unknown()) }), found ?? { items: [] })
        .items.map((item) => v.parse(schema, item))
    },

    async create(schema, of, draft, options = {}) {
      const path = `${pathOf(of)}?fieldManager=${fieldManager}&fieldValidation=Strict${options.dryRun ? '&dryRun=All' : ''}`
      let doubted = false
      const stored = await persist(
        // A name that is taken is AlreadyExists; Conflict on a POST is two requests counting on the same quota.
        (error) => error.reason === 'NotThereYet' || (error.conflict && error.reason === 'Conflict'),
        async () => {
          try {
            return await write('POST', path, JSON.stringify(draft))
          } catch (error) {
            if (options.dryRun || !(error instanceof ApiError) || error.reason === 'CallerGone') throw error
            // After a doubtful attempt, what has the name may be what that attempt has made.
            if (!error.inDoubt && !(doubted && error.conflict)) throw error
            doubted = true
            const there = await read(pathOf(of, draft.metadata.name))
            if (there === undefined) throw new ApiError(error.status, 'NotThereYet', error.message)
            if (carries(there, draft)) return there
            throw new ApiError(409, 'AlreadyExists', `${of.plural} "${draft.metadata.name}" already exists`)
          }
        },
      )
      return v.parse(schema, stored)
    },

    async replace(schema, of, draft, resourceVersion) {
      const body = JSON.stringify({ ...draft, metadata: { ...draft.metadata, resourceVersion } })
      const path = `${pathOf(of, draft.metadata.name)}?fieldManager=${fieldManager}&fieldValidation=Strict`
      const stored = await persist(
        (error) => error.reason === 'NotThereYet',
        async () => {
          try {
            return await write('PUT', path, body)
          } catch (error) {
            if (!(error instanceof ApiError) || !error.inDoubt || error.reason === 'CallerGone') throw error
            const there = await read(pathOf(of, draft.metadata.name))
            if (there !== undefined && carries(there, draft)) return there
            const version =
              there === undefined ? undefined : v.parse(Anything, there).metadata.resourceVersion
            if (version === resourceVersion) throw new ApiError(error.status, 'NotThereYet', error.message)
            throw new ApiError(409, 'Conflict', `${of.plural} "${draft.metadata.name}" has changed`)
          }
        },
      )
      return v.parse(schema, stored)
    },

    async patch(schema, of, name, patch, options = {}) {
      const path = `${pathOf(of, name)}?fieldManager=${fieldManager}&fieldValidation=Strict${options.dryRun ? '&dryRun=All' : ''}`
      // The same merge patch twice is the same as once, and it carries the UID.
      const stored = await persist(
        (error) => error.inDoubt && error.reason !== 'CallerGone',
        () => write('PATCH', path, JSON.stringify(patch), 'application/merge-patch+json'),
      )
      return v.parse(schema, stored)
    },

    async remove(of, name, preconditions = {}) {
      const body = JSON.stringify({
        apiVersion: 'v1',
        kind: 'DeleteOptions',
        ...(Object.keys(preconditions).length === 0 ? {} : { preconditions }),
      })
      try {
        await persist(
          (error) => error.inDoubt && error.reason !== 'CallerGone',
          () => write('DELETE', pathOf(of, name), body),
        )
        return 'deleted'
      } catch (error) {
        if (error instanceof ApiError && error.absent) return 'gone'
        throw error
      }
    },
  }
  return self
}

/** @returns whether the stored object has every annotation of the draft: then it is the one that was sent */
function carries(stored: unknown, draft: Draft): boolean {
  const { annotations } = v.parse(Anything, stored).metadata
  const sent = draft.metadata.annotations ?? {}
  const keys = Object.keys(sent)
  return keys.length > 0 && keys.every((key) => annotations[key] === sent[key])
}

function parseBody(reply: Reply): unknown {
  try {
    return JSON.parse(reply.body)
  } catch {
    throw new ApiError(0, 'NotJson', 'the API server answered with something that is not JSON')
  }
}

const Status = v.object({
  kind: v.literal('Status'),
  reason: v.optional(v.string(), ''),
  message: v.optional(v.string(), ''),
  details: v.optional(
    v.object({
      causes: v.optional(
        v.array(v.object({ field: v.optional(v.string(), ''), message: v.optional(v.string(), '') })),
        [],
      ),
    }),
    { causes: [] },
  ),
})

function failure({ status, body, retryAfter }: Reply): ApiError {
  let parsed: unknown
  try {
    parsed = JSON.parse(body)
  } catch {
    // An absent CRD answers `404 page not found` in plain text.
    return new ApiError(status, 'NotAStatus', body.slice(0, 200).trim(), [], retryAfter)
  }
  const found = v.safeParse(Status, parsed)
  if (!found.success) return new ApiError(status, 'NotAStatus', `HTTP ${status}`, [], retryAfter)
  const { reason, message, details } = found.output
  return new ApiError(status, reason, message, details.causes, retryAfter)
}
