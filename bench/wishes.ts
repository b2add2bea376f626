/** The requests of a platform, as they are sent over and over. */
import type { JsonObject } from '../shared/json.ts'
import { bindingPath, instancePath } from '../test/support/broker.ts'
import { planId, serviceId } from '../test/support/platform.ts'
import type { Wish } from './server-process.ts'

const ids = `service_id=${serviceId}&plan_id=${planId}`
const later = 'accepts_incomplete=true'

export const wishes = {
  catalog: (): Wish => ({ method: 'GET', path: '/v2/catalog' }),
  /** @param namespace of the database */
  provision: (instanceId: string, namespace: string): Wish => ({
    method: 'PUT',
    path: `${instancePath(instanceId)}?${later}`,
    body: {
      service_id: serviceId,
      plan_id: planId,
      organization_guid: 'organization',
      space_guid: 'space',
      context: { platform: 'kubernetes', namespace },
    },
  }),
  fetchInstance: (instanceId: string): Wish => ({ method: 'GET', path: instancePath(instanceId) }),
  update: (instanceId: string, parameters: JsonObject): Wish => ({
    method: 'PATCH',
    path: `${instancePath(instanceId)}?${later}`,
    body: { service_id: serviceId, parameters },
  }),
  deprovision: (instanceId: string): Wish => ({
    method: 'DELETE',
    path: `${instancePath(instanceId)}?${ids}&${later}`,
  }),
  lastOperation: (instanceId: string, operation: string): Wish => ({
    method: 'GET',
    path: `${instancePath(instanceId)}/last_operation?${ids}&operation=${encodeURIComponent(operation)}`,
  }),
  bind: (instanceId: string, bindingId: string): Wish => ({
    method: 'PUT',
    path: bindingPath(instanceId, bindingId),
    body: { service_id: serviceId, plan_id: planId },
  }),
  fetchBinding: (instanceId: string, bindingId: string): Wish => ({
    method: 'GET',
    path: bindingPath(instanceId, bindingId),
  }),
  unbind: (instanceId: string, bindingId: string): Wish => ({
    method: 'DELETE',
    path: `${bindingPath(instanceId, bindingId)}?${ids}`,
  }),
  lastBindingOperation: (instanceId: string, bindingId: string): Wish => ({
    method: 'GET',
    path: `${bindingPath(instanceId, bindingId)}/last_operation?${ids}`,
  }),
}
