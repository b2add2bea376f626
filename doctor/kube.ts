/** The cluster as the doctor looks at it: with the kubeconfig that kubectl would use, or the pod's own account. */
import { type RequestOptions, request } from 'node:https'
import { text } from 'node:stream/consumers'
import { KubeConfig } from '@kubernetes/client-node'
import * as v from 'valibot'

export interface Answer {
  status: number
  /** parsed; undefined where it is no JSON, as the 404 of a kind that is not served */
  body: unknown
}

/** In whose name something is asked: a ServiceAccount. */
export interface Account {
  namespace: string
  name: string
}

/**
 * @param as impersonated; whoever looks must be allowed to
 * @throws when the API server cannot be reached
 */
export type Ask = (method: 'GET' | 'POST', path: string, body?: unknown, as?: Account) => Promise<Answer>

/** @returns the headers that ask in the name of a ServiceAccount, and so of its groups */
export function impersonating({ namespace, name }: Account): { [header: string]: string } {
  return { 'impersonate-user': `system:serviceaccount:${namespace}:${name}` }
}

/** milliseconds for one answer */
const patience = 30_000

/**
 * @returns how to ask the cluster of the current context
 * @throws with a sentence for people when there is none
 */
export function ambientCluster(): Ask {
  const config = new KubeConfig()
  try {
    config.loadFromDefault()
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new Error(`the kubeconfig cannot be read: ${why}; KUBECONFIG names the file`, { cause: error })
  }
  const cluster = config.getCurrentCluster()
  if (!cluster)
    throw new Error('the kubeconfig has no current context: `kubectl config use-context` sets one')
  return async function ask(method, path, body, as) {
    const content = body === undefined ? undefined : JSON.stringify(body)
    const options: RequestOptions = {
      method,
      signal: AbortSignal.timeout(patience),
      headers: {
        accept: 'application/json',
        ...(as && impersonating(as)),
        ...(content !== undefined && {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(content),
        }),
      },
    }
    await config.applyToHTTPSOptions(options)
    const base = cluster.server.replace(/\/$/, '')
    return new Promise((resolve, reject) => {
      const outgoing = request(new URL(base + path), options, (answer) => {
        text(answer).then((body) => resolve({ status: answer.statusCode ?? 0, body: json(body) }), reject)
      })
      outgoing.once('error', (error) =>
        reject(new Error(`${cluster.server} cannot be reached: ${error.message}`, { cause: error })),
      )
      outgoing.end(content)
    })
  }
}

function json(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const Status = v.object({ kind: v.literal('Status'), message: v.optional(v.string(), '') })

/** The doctor may not look there; says what it would have looked at. */
export class NotAllowed extends Error {}

/** @returns what is there, undefined where nothing is, or where its kind is not served */
export async function find<T>(
  ask: Ask,
  schema: v.GenericSchema<unknown, T>,
  path: string,
): Promise<T | undefined> {
  const { status, body } = await ask('GET', path)
  if (status === 404) return undefined
  return v.parse(schema, granted(`GET ${path}`, status, body))
}

/** @returns the objects of a collection, undefined where their kind is not served */
export async function list<T>(
  ask: Ask,
  schema: v.GenericSchema<unknown, T>,
  path: string,
): Promise<T[] | undefined> {
  return (await find(ask, v.object({ items: v.array(schema) }), path))?.items
}

/** @throws where the API server says anything but yes */
export function granted(what: string, status: number, body: unknown): unknown {
  if (status >= 200 && status < 300) return body
  const found = v.safeParse(Status, body)
  const message = `${what}: ${status}${found.success ? ` ${found.output.message}` : ''}`
  throw status === 401 || status === 403 ? new NotAllowed(message) : new Error(message)
}

/** Many questions, a few at a time. */
export async function inTurns<T, R>(all: readonly T[], act: (one: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  for (let from = 0; from < all.length; from += 16) {
    results.push(...(await Promise.all(all.slice(from, from + 16).map(act))))
  }
  return results
}
