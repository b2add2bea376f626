import type { Context } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { errorFields, log } from '../../environment/log.ts'
import { BrokerError, type Problem } from '../../values/errors.ts'
import type { Edge } from './edge.ts'

const statuses: { readonly [P in Problem]: ContentfulStatusCode } = {
  BadRequest: 400,
  Unauthorized: 401,
  Forbidden: 403,
  NotFound: 404,
  MethodNotAllowed: 405,
  Conflict: 409,
  Gone: 410,
  PreconditionFailed: 412,
  Unprocessable: 422,
  AsyncRequired: 422,
  ConcurrencyError: 422,
  MaintenanceInfoConflict: 422,
  RequiresApp: 422,
  Misconfigured: 500,
  Unavailable: 503,
}

/** An error's body (OSB: Service Broker Errors). Undefined members do not appear in JSON. */
export interface ErrorBody {
  error?: string | undefined
  description?: string | undefined
  instance_usable?: boolean | undefined
  update_repeatable?: boolean | undefined
}

/**
 * @returns status and body of an error. Gone has the body `{}` that platforms parse; Unprocessable has no `error`,
 *   since platforms take an unknown code with 422 for a broken broker
 */
export function describe(error: BrokerError): { status: ContentfulStatusCode; body: ErrorBody } {
  const status = statuses[error.problem]
  if (error.problem === 'Gone') return { status, body: {} }
  return {
    status,
    body: {
      error: error.problem === 'Unprocessable' ? undefined : error.problem,
      description: error.message === '' ? undefined : error.message,
      instance_usable: error.instanceUsable,
      update_repeatable: error.updateRepeatable,
    },
  }
}

/** What the caller is told of an error that nobody expected; the log has the rest. */
export const unexpected: ErrorBody = {
  error: 'InternalServerError',
  description: 'the broker failed unexpectedly; its log says more',
}

/**
 * Answers for whatever a middleware or a handler threw (Hono's onError).
 *
 * @param error a BrokerError becomes the answer that the specification has for it; anything else is logged and
 *   becomes a 500 that tells nothing
 */
export function answerError(error: unknown, c: Context<Edge>): Response {
  const known = brokerError(error, c.var.signal)
  if (known === undefined) {
    log('error', 'unexpected error', { error: errorFields(error) })
    return c.json(unexpected, 500)
  }
  if (known.forOperator !== undefined) log('error', known.forOperator, { problem: known.problem })
  if (known.cause !== undefined) {
    log('debug', known.message, { problem: known.problem, cause: errorFields(known.cause) })
  }
  const { status, body } = describe(known)
  return c.json(body, status)
}

/** What the request's signal aborted fails with an error of its own, whose cause is the signal's reason. */
function brokerError(error: unknown, signal: AbortSignal | undefined): BrokerError | undefined {
  if (error instanceof BrokerError) return error
  const cause = error instanceof Error ? error.cause : undefined
  return cause instanceof BrokerError && cause === signal?.reason ? cause : undefined
}
