/** The requests of a platform, as they are sent over and over. */
import { bindingPath, instancePath } from '../test/support/broker.ts'
import type { Engine } from './engines/engine.ts'
import type { Wish } from './server-process.ts'

export interface Wishes {
  catalog(): Wish
  /** @param namespace of the database */
  provision(instanceId: string, namespace: string): Wish
  fetchInstance(instanceId: string): Wish
  update(instanceId: string): Wish
  deprovision(instanceId: string): Wish
  lastOperation(instanceId: string, operation: string): Wish
  bind(instanceId: string, bindingId: string): Wish
  fetchBinding(instanceId: string, bindingId: string): Wish
  unbind(instanceId: string, bindingId: string): Wish
  lastBindingOperation(instanceId: string, bindingId: string): Wish
}

const later = 'accepts_incomplete=true'

/** @returns what is asked of a service of this engine */
export function wishesOf({ offer, change, asynchronous }: Engine): Wishes {
  const plan = { service_id: offer.serviceId, plan_id: offer.planId }
  const ids = new URLSearchParams(plan).toString()
  return {
    catalog: () => ({ method: 'GET', path: '/v2/catalog' }),
    provision: (instanceId, namespace) => ({
      method: 'PUT',
      path: `${instancePath(instanceId)}?${later}`,
      body: {
        ...plan,
        organization_guid: 'organization',
        space_guid: 'space',
        context: { platform: 'kubernetes', namespace },
      },
    }),
    fetchInstance: (instanceId) => ({ method: 'GET', path: instancePath(instanceId) }),
    update: (instanceId) => ({
      method: 'PATCH',
      path: `${instancePath(instanceId)}?${later}`,
      body: { service_id: offer.serviceId, parameters: change },
    }),
    deprovision: (instanceId) => ({
      method: 'DELETE',
      path: `${instancePath(instanceId)}?${ids}&${later}`,
    }),
    lastOperation: (instanceId, operation) => ({
      method: 'GET',
      path: `${instancePath(instanceId)}/last_operation?${ids}&operation=${encodeURIComponent(operation)}`,
    }),
    bind: (instanceId, bindingId) => ({
      method: 'PUT',
      path: `${bindingPath(instanceId, bindingId)}${asynchronous ? `?${later}` : ''}`,
      body: plan,
    }),
    fetchBinding: (instanceId, bindingId) => ({
      method: 'GET',
      path: bindingPath(instanceId, bindingId),
    }),
    unbind: (instanceId, bindingId) => ({
      method: 'DELETE',
      path: `${bindingPath(instanceId, bindingId)}?${ids}${asynchronous ? `&${later}` : ''}`,
    }),
    lastBindingOperation: (instanceId, bindingId) => ({
      method: 'GET',
      path: `${bindingPath(instanceId, bindingId)}/last_operation?${ids}`,
    }),
  }
}
