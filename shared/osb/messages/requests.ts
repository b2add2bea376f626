/**
 * What platforms send, by section of the specification. Unknown members are ignored; optional ones may be null, as
 * some platforms send them; a wrong member is a mistake by its path.
 */
import * as v from 'valibot'
import { isObject, Json, type JsonObject } from '../../values/json.ts'

const required = v.pipe(
  v.optional(v.string('must be a non-empty string'), ''),
  v.nonEmpty('must be a non-empty string'),
)

/** Absent, null or a value. */
function optional<const S extends v.GenericSchema<never, unknown> | v.GenericSchema>(schema: S) {
  return v.pipe(
    v.nullish(schema),
    v.transform((value) => value ?? undefined),
  )
}

const name = optional(
  v.pipe(v.string('must be a non-empty string'), v.nonEmpty('must be a non-empty string')),
)
/** Platforms send an empty string for none. */
const emptyable = optional(
  v.pipe(
    v.string('must be a string'),
    v.transform((text) => (text === '' ? undefined : text)),
  ),
)
/** The body came out of JSON.parse, so an object in it holds nothing but JSON. */
const object = optional(v.custom<JsonObject>(isObject, 'must be an object'))

/** Only `version` counts; without one it is as if it had not been sent. */
const maintenanceInfo = optional(
  v.pipe(
    v.custom<object>(isObject, 'must be an object'),
    v.object({ version: emptyable }),
    v.transform(({ version }) => (version === undefined ? undefined : { version })),
  ),
)

/** Anything but the literal `true` counts as not set (OSB: Asynchronous Operations). */
const acceptsIncomplete = v.optional(
  v.pipe(
    v.string(),
    v.transform((value) => value === 'true'),
  ),
  'false',
)

/** Query of provision, update and bind. */
export const ChangeQuery = v.object({ accepts_incomplete: acceptsIncomplete })

/** Query of deprovision and unbind. */
export const DeleteQuery = v.object({
  service_id: required,
  plan_id: required,
  accepts_incomplete: acceptsIncomplete,
})

/** Query of the two last operations. */
export const LastOperationQuery = v.object({
  service_id: emptyable,
  plan_id: emptyable,
  operation: emptyable,
})

/** Body of provision (OSB: Provisioning). */
export const ProvisionBody = v.object({
  service_id: required,
  plan_id: required,
  organization_guid: required,
  space_guid: required,
  context: object,
  parameters: object,
  maintenance_info: maintenanceInfo,
})
export type ProvisionBody = v.InferOutput<typeof ProvisionBody>

/** Body of update (OSB: Updating a Service Instance). `previous_values` says nothing that the records do not. */
export const UpdateBody = v.object({
  service_id: required,
  plan_id: name,
  context: object,
  parameters: object,
  maintenance_info: maintenanceInfo,
})
export type UpdateBody = v.InferOutput<typeof UpdateBody>

/** What the binding is for; platforms add members of their own (OSB: Bind Resource Object). */
const bindResource = optional(
  v.pipe(
    v.custom<object>(isObject, 'must be an object'),
    v.objectWithRest({ app_guid: emptyable, route: emptyable }, Json),
    v.transform(
      ({ app_guid, route, ...others }): JsonObject => ({
        ...others,
        ...(app_guid === undefined ? {} : { app_guid }),
        ...(route === undefined ? {} : { route }),
      }),
    ),
  ),
)

const NewBindingBody = v.object({
  predecessor_binding_id: v.pipe(
    v.nullish(v.undefined()),
    v.transform(() => undefined),
  ),
  service_id: required,
  plan_id: required,
  context: object,
  app_guid: emptyable,
  bind_resource: bindResource,
  parameters: object,
})

/** Everything else comes from the predecessor (OSB: Rotating a Service Binding). */
const RotationBody = v.object({ predecessor_binding_id: required })

/** Body of bind (OSB: Binding): a new binding, or with `predecessor_binding_id` the successor of one. */
export const BindBody = v.lazy((input) =>
  isObject(input) && input.predecessor_binding_id != null ? RotationBody : NewBindingBody,
)
export type BindBody = v.InferOutput<typeof BindBody>
