import * as v from 'valibot'

/** What a webhook is asked and what it may answer (admission.k8s.io/v1). */

export const AdmissionReview = v.looseObject({
  request: v.looseObject({
    uid: v.string(),
    operation: v.string(),
    subResource: v.optional(v.string(), ''),
    namespace: v.optional(v.string(), ''),
    name: v.optional(v.string(), ''),
    object: v.optional(v.nullable(v.unknown())),
    oldObject: v.optional(v.nullable(v.unknown())),
  }),
})
export type AdmissionRequest = v.InferOutput<typeof AdmissionReview>['request']

/** A refusal in KubeDB's words. A plain Go error there is 403 Forbidden here. */
export class Refusal extends Error {
  override readonly name: string = 'Refusal'
}

/** An object that Go code did not find, whatever it said around that: the API's own 404 comes through. */
export class NotFound extends Refusal {
  override readonly name = 'NotFound'
  readonly resource: string
  readonly object: string

  /** @param resource as the message names it, e.g. `PostgresVersion.catalog.kubedb.com` */
  constructor(resource: string, object: string) {
    super(`${resource} "${object}" not found`)
    this.resource = resource
    this.object = object
  }
}

/** One wrong field of an object that is invalid. */
export interface FieldError {
  readonly field: string
  readonly value: string
  readonly detail: string
}

/** Go code that fell over what it was asked: the library around it answers 500 with these words. */
export class Panic extends Refusal {
  override readonly name = 'Panic'

  constructor(error = 'runtime error: invalid memory address or nil pointer dereference') {
    super(`panic: ${error} [recovered]`)
  }
}

/** KubeDB's `NewInvalid`: 422 with one cause per field. */
export class Invalid extends Refusal {
  override readonly name = 'Invalid'
  readonly group: string
  readonly kind: string
  readonly object: string
  readonly errors: readonly FieldError[]

  constructor(group: string, kind: string, object: string, errors: readonly FieldError[]) {
    const texts = errors.map((error) => `${error.field}: ${causeOf(error)}`)
    const all = texts.length === 1 ? texts.join('') : `[${texts.join(', ')}]`
    super(`${kind}.${group} "${object}" is invalid: ${all}`)
    this.group = group
    this.kind = kind
    this.object = object
    this.errors = errors
  }
}

function causeOf({ value, detail }: FieldError): string {
  return `Invalid value: ${JSON.stringify(value)}: ${detail}`
}

/** A field error that Go code returned as it is: 403, with the text of one cause. */
export function fieldRefusal(error: FieldError): Refusal {
  return new Refusal(`${error.field}: ${causeOf(error)}`)
}

/** The Status that goes into the answer of a webhook. */
export function statusOf(refusal: Refusal): object {
  if (refusal instanceof NotFound) return { code: 404, reason: 'NotFound', message: refusal.message }
  if (refusal instanceof Panic) return { code: 500, message: refusal.message }
  if (!(refusal instanceof Invalid)) return { code: 403, reason: 'Forbidden', message: refusal.message }
  return {
    code: 422,
    reason: 'Invalid',
    message: refusal.message,
    details: {
      name: refusal.object,
      group: refusal.group,
      kind: refusal.kind,
      causes: refusal.errors.map((error) => ({
        reason: 'FieldValueInvalid',
        message: causeOf(error),
        field: error.field,
      })),
    },
  }
}
