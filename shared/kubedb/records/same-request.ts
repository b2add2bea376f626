/** Whether two provisions ask for the same. Pure. */
import { createHash } from 'node:crypto'
import { canonical, type JsonObject } from '../../values/json.ts'
import type { InstanceInfo } from './instance-record.ts'

/** The request as far as it decides whether two are the same. */
export interface Attributes {
  serviceId: string
  planId: string
  organizationGuid: string
  spaceGuid: string
  /** `{}` where none were sent */
  parameters: JsonObject
}

/** @returns sha256 of what two requests must share to be the same (P-8): not context, not maintenance_info */
export function requestHash(request: Attributes): string {
  const { serviceId, planId, organizationGuid, spaceGuid, parameters } = request
  return createHash('sha256')
    .update(canonical({ serviceId, planId, organizationGuid, spaceGuid, parameters }))
    .digest('hex')
}

/** @returns whether the request is the one that made the instance, or describes it as it is now (P-13) */
export function sameRequest(info: InstanceInfo, request: Attributes): boolean {
  const asked = requestHash(request)
  return asked === info.request || asked === requestHash(info)
}
