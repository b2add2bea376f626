/**
 * What can go wrong with a request, in the specification's terms. `shared/osb/edge/errors.ts` turns each into a status
 * code and a body; everything else only throws it.
 */
export type Problem =
  /** 400: the request itself is wrong */
  | 'BadRequest'
  | 'Unauthorized'
  /** 403: a caller that is known, and may not do this */
  | 'Forbidden'
  | 'NotFound'
  | 'MethodNotAllowed'
  /** 409: the id is in use with other attributes */
  | 'Conflict'
  /** 410: nothing to delete */
  | 'Gone'
  | 'PreconditionFailed'
  /** 422 without a code of the specification: a change that cannot be made */
  | 'Unprocessable'
  | 'AsyncRequired'
  | 'ConcurrencyError'
  | 'MaintenanceInfoConflict'
  | 'RequiresApp'
  /** 500: the broker is set up wrongly; a person has to act */
  | 'Misconfigured'
  /** 503: the cluster or the database did not answer; the same request may succeed later */
  | 'Unavailable'

export interface Hints {
  /** only for failed updates and deprovisions */
  instanceUsable?: boolean
  /** only for failed updates */
  updateRepeatable?: boolean
  /** a sentence for the log: what a person has to do about it */
  forOperator?: string
  cause?: unknown
}

/** An answer that is not success. `message` is for the platform's user and never holds a secret. */
export class BrokerError extends Error {
  readonly problem: Problem
  readonly instanceUsable: boolean | undefined
  readonly updateRepeatable: boolean | undefined
  readonly forOperator: string | undefined

  /**
   * @param problem what went wrong
   * @param description a sentence for the platform's user: which field, what was wrong, what would be right
   */
  constructor(problem: Problem, description: string, hints: Hints = {}) {
    super(description, hints.cause === undefined ? undefined : { cause: hints.cause })
    this.name = 'BrokerError'
    this.problem = problem
    this.instanceUsable = hints.instanceUsable
    this.updateRepeatable = hints.updateRepeatable
    this.forOperator = hints.forOperator
  }
}
