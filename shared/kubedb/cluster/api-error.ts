import { BrokerError } from '../../values/errors.ts'

/** How a webhook's refusal reads: its name, and why. */
export const webhook = /^admission webhook "([^"]+)" denied the request(?: without explanation|: ([\s\S]*))$/
/** How a policy's refusal reads: its name, and its message. */
const policy = /ValidatingAdmissionPolicy '([^']+)'(?:.*? denied request: ([\s\S]*))?/
/** What stands in for a message where the policy has none, or could not be worked out: nobody's sentence. */
const isExpression = /^(failed expression:|expression ')/
/** How a webhook answers whose code fell over; whoever asks again with the same object gets the same. */
const panic = /^admission webhook "[^"]+" denied the request: panic: ([\s\S]*?)(?: \[recovered\])?$/

/** What the API server answered other than success, or that it did not answer. */
export class ApiError extends Error {
  /** HTTP status; 0 when there was no answer */
  readonly status: number
  readonly reason: string
  /** of a 422: which fields, and what was wrong with each */
  readonly causes: readonly { field: string; message: string }[]
  /** seconds after which the server wants to be asked again */
  readonly retryAfter: number | undefined

  constructor(
    status: number,
    reason: string,
    message: string,
    causes: readonly { field: string; message: string }[] = [],
    retryAfter?: number,
  ) {
    super(message)
    this.name = 'ApiError'
    this.status = status
    this.reason = reason
    this.causes = causes
    this.retryAfter = retryAfter
  }

  /** A webhook fell over the object. Nothing was written, and nothing will be. */
  get panicked(): boolean {
    return this.status === 500 && panic.test(this.message)
  }

  /** The request may have been carried out all the same. */
  get inDoubt(): boolean {
    return (
      this.status === 0 ||
      (this.status === 500 && !this.panicked) ||
      this.status === 502 ||
      this.status === 503 ||
      this.status === 504
    )
  }

  /**
   * There is no object of that name. An absent CRD answers 404 too, but without this reason, and a webhook that looked
   * for something in vain, but in its own words.
   */
  get absent(): boolean {
    return this.status === 404 && this.reason === 'NotFound' && !webhook.test(this.message)
  }

  /** An object of that name is there already (POST), or the object has changed since it was read. */
  get conflict(): boolean {
    return this.status === 409
  }
}

/**
 * @returns the sentence why the cluster refuses an object because of what is in it, or undefined when the refusal
 *   is about something else (permissions, quota, the server's own trouble). Never the whole Status message: a
 *   strict-decoding failure quotes the object.
 */
export function refusal(error: ApiError): string | undefined {
  if (error.status === 403) {
    const found = webhook.exec(error.message)
    if (found) return found[2]?.trim() || `refused by ${found[1]}`
    const quota = /exceeded quota: ([^,]+)/.exec(error.message)
    if (quota) return `the namespace's quota "${quota[1]}" would be exceeded`
    return undefined
  }
  if (error.status === 422) {
    const found = webhook.exec(error.message)
    if (found?.[2]) return found[2].trim()
    const denial = policy.exec(error.message)
    if (denial) {
      const [, name, sentence] = denial
      const why = sentence && !isExpression.test(sentence) ? `: ${sentence.trim()}` : ''
      return `refused by the cluster's policy ${name}${why}`
    }
    if (error.causes.length > 0)
      return error.causes.map((cause) => `${cause.field}: ${cause.message}`).join('; ')
    return undefined
  }
  if (error.status === 404) {
    // What a webhook does not find, such as the *Version object, comes through as the 404 that it met itself.
    return webhook.exec(error.message)?.[2]?.trim()
  }
  if (error.status === 400) {
    const strict = /strict decoding error: ([\s\S]*)$/.exec(error.message)
    if (strict?.[1]) return strict[1].trim()
    const found = webhook.exec(error.message)
    if (found?.[2]) return found[2].trim()
  }
  if (error.panicked) return `its webhook fails on it (${panic.exec(error.message)?.[1]?.trim()})`
  return undefined
}

/** @returns who refused it, and what has to follow: what was refused, and {@link refusal} */
export function refuser(error: ApiError): string {
  return error.panicked ? 'KubeDB cannot handle' : 'KubeDB refuses'
}

/**
 * @param what what was being done, e.g. `reading the service instance`
 * @returns what the platform is told when the API server's answer cannot be worked with
 */
export function translate(error: unknown, what: string): BrokerError {
  if (error instanceof BrokerError) return error
  if (!(error instanceof ApiError)) throw error
  const why = refusal(error)
  if (why !== undefined) {
    return new BrokerError('Misconfigured', `${what} was refused by the cluster: ${why}`, { cause: error })
  }
  if (error.status === 401 || error.status === 403) {
    return new BrokerError(
      'Misconfigured',
      `${what} was refused: the broker's ServiceAccount lacks a permission; the log says which`,
      { cause: error },
    )
  }
  if (error.status === 404) {
    return new BrokerError(
      'Misconfigured',
      `${what} failed: the cluster does not have this resource (${error.message})`,
      {
        cause: error,
      },
    )
  }
  if (error.status === 409) {
    return new BrokerError(
      'ConcurrencyError',
      `${what} met another request for the same resource; try again`,
      {
        cause: error,
      },
    )
  }
  return new BrokerError(
    'Unavailable',
    `${what} failed: the cluster's API server did not answer properly; try again`,
    {
      cause: error,
    },
  )
}
