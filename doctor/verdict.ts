/** What the cluster says of an object that was only tried out (`dryRun=All`). Pure. */
import * as v from 'valibot'
import { webhook } from '../shared/kubedb/cluster/api-error.ts'
import type { Answer } from './kube.ts'

export type Verdict =
  | { by: 'nobody' }
  /** KubeDB's webhook: refused in words, or tripped over it */
  | { by: 'KubeDB' | 'webhook away'; why: string }
  /** a ValidatingAdmissionPolicy */
  | { by: 'policy'; policy: string; why: string }
  /** KubeDB's CRD, or the API server by it */
  | { by: 'schema'; why: string }
  /** quota, a namespace that is not there */
  | { by: 'namespace'; why: string }
  /** whoever asked may not make databases, or not in the name of a function */
  | { by: 'authorizer'; why: string }
  /** the kind is not served: said elsewhere */
  | { by: 'absence' }

const Status = v.object({
  message: v.optional(v.string(), ''),
  reason: v.optional(v.string(), ''),
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

/** @throws where it is nothing that the object, the cluster or whoever asked could be blamed for */
export function verdictOf({ status, body }: Answer): Verdict {
  if (status >= 200 && status < 300) return { by: 'nobody' }
  const found = v.safeParse(Status, body)
  // An absent kind is told of in plain text.
  if (status === 404 && !found.success) return { by: 'absence' }
  if (!found.success) throw new Error(`the API server answers ${status} without a Status`)
  const { message, reason, details } = found.output
  const denied = webhook.exec(message)
  if (denied) return { by: 'KubeDB', why: denied[2]?.trim() || `refused by ${denied[1]}` }
  const policy = /ValidatingAdmissionPolicy '([^']+)'.*? denied request: ([\s\S]*)$/.exec(message)
  if (policy) return { by: 'policy', policy: policy[1] ?? '', why: policy[2] ?? '' }
  if (/failed calling webhook/.test(message)) return { by: 'webhook away', why: message }
  if (status === 404 && reason === 'NotFound' && /^namespaces /.test(message))
    return { by: 'namespace', why: message }
  if (status === 404) return { by: 'absence' }
  if (status === 403 && /exceeded quota|is being terminated/.test(message))
    return { by: 'namespace', why: message }
  if (status === 401 || status === 403) return { by: 'authorizer', why: message }
  // The whole message of a strict decoding quotes the object.
  const strict = /strict decoding error: ([\s\S]*)$/.exec(message)
  if (strict?.[1]) return { by: 'schema', why: strict[1].trim() }
  if (status === 422) {
    const causes = details.causes.map(({ field, message }) => `${field}: ${message}`)
    return { by: 'schema', why: causes.length > 0 ? causes.join('; ') : message }
  }
  throw new Error(`the API server answers ${status} ${message}`)
}
