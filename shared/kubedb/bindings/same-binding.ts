/** Whether two binds ask for the same. Pure. */
import { createHash } from 'node:crypto'
import { canonical, equal, type JsonObject } from '../../values/json.ts'
import type { BindingInfo } from '../records/binding-record.ts'

/** A bind as far as it decides whether two are the same: not context. */
export interface BindingAttributes {
  serviceId: string
  planId: string
  /** `app_guid` as sent; '' where none was */
  appGuid: string
  /** `bindingUse` of what was sent; undefined of a successor whose predecessor's record is older than it */
  use: string | undefined
  /** as sent; `{}` where none were */
  parameters: JsonObject
  /** id of the binding that this one is to succeed */
  predecessor: string | undefined
}

/**
 * What a binding is for: the application, which may be named in two places, and whatever else the platform says of it.
 * Nothing else is asked of it than whether it is the same, and it has no bound that a record could keep.
 *
 * @param appGuid '' where none was sent
 * @param resource `bind_resource`; a member that is null counts as absent
 * @returns sha256
 */
export function bindingUse(appGuid: string, resource: JsonObject): string {
  const members = Object.entries({ app_guid: appGuid, ...resource }).filter(([, value]) => value !== null)
  return createHash('sha256')
    .update(canonical(Object.fromEntries(members)))
    .digest('hex')
}

/** @returns whether the request is the one that made the binding */
export function sameBinding(info: BindingInfo, request: BindingAttributes): boolean {
  return (
    info.serviceId === request.serviceId &&
    info.planId === request.planId &&
    // A record from before there was `use` knows the application as far as `app_guid` named it.
    (info.use === undefined ? info.appGuid === request.appGuid : info.use === request.use) &&
    info.predecessor === request.predecessor &&
    equal(info.parameters, request.parameters)
  )
}
