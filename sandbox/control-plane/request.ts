import { readFileSync } from 'node:fs'
import { request } from 'node:https'
import * as v from 'valibot'

/** What it takes to speak to a control plane as its administrator. */
export interface Endpoint {
  url: string
  caFile: string
  adminToken: string
}

/** An answer of the API server, whatever its status. */
export interface Answer {
  status: number
  body: string
}

/** The ways to change an object: as a merge of fields, or as a claim to the whole of it (server-side apply). */
export type PatchType = 'application/merge-patch+json' | 'application/apply-patch+yaml'

/**
 * Sends one request to the API server.
 *
 * @param path with its query, beginning with a slash
 * @param body sent as JSON
 * @param patchType what the body of a PATCH is; a JSON merge patch unless it says otherwise
 * @param headers more of them
 * @returns the answer, also one that refuses
 * @throws if there is no whole answer within 30 seconds
 */
export function ask(
  plane: Endpoint,
  method: string,
  path: string,
  body?: unknown,
  patchType: PatchType = 'application/merge-patch+json',
  headers: { [name: string]: string } = {},
): Promise<Answer> {
  const text = body === undefined ? undefined : JSON.stringify(body)
  return new Promise((resolve, reject) => {
    const outgoing = request(new URL(path, plane.url), {
      method,
      ca: readFileSync(plane.caFile),
      signal: AbortSignal.timeout(30_000),
      headers: {
        authorization: `Bearer ${plane.adminToken}`,
        accept: 'application/json',
        ...headers,
        ...(text !== undefined && {
          'content-type': method === 'PATCH' ? patchType : 'application/json',
          'content-length': Buffer.byteLength(text),
        }),
      },
    })
    outgoing.on('error', reject)
    outgoing.on('response', (incoming) => {
      let received = ''
      incoming.setEncoding('utf8')
      incoming.on('data', (chunk: string) => {
        received += chunk
      })
      incoming.on('error', reject)
      incoming.on('end', () => resolve({ status: incoming.statusCode ?? 0, body: received }))
    })
    outgoing.end(text)
  })
}

/**
 * The answer's body, if the request was granted.
 *
 * @throws with the API server's own words if it was not
 */
export function granted<Schema extends v.GenericSchema>(
  schema: Schema,
  request: string,
  answer: Answer,
): v.InferOutput<Schema> {
  if (answer.status >= 300) throw new Error(`${request}: ${answer.status} ${answer.body.trim()}`)
  return v.parse(schema, JSON.parse(answer.body))
}

const TokenRequest = v.object({ status: v.object({ token: v.string() }) })

/**
 * A token of a ServiceAccount, as a pod running under it would be given.
 *
 * @param seconds how long it is valid, at least 600
 * @throws if the ServiceAccount does not exist
 */
export async function mintToken(
  plane: Endpoint,
  namespace: string,
  name: string,
  seconds: number,
): Promise<string> {
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`
  const wish = {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: { expirationSeconds: seconds },
  }
  const answer = await ask(plane, 'POST', path, wish)
  return granted(TokenRequest, `token for ServiceAccount ${namespace}/${name}`, answer).status.token
}
