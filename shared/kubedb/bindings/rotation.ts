/** Rotating a service binding: a successor with credentials of its own takes over what its predecessor was. */
import { BrokerError } from '../../values/errors.ts'
import { isExpired } from '../records/binding-record.ts'
import type { Broker } from '../records/broker.ts'
import type { BindRequest } from './bind.ts'
import { findBinding } from './fetch.ts'

export interface Succession {
  request: Omit<BindRequest, 'expiry'>
  /** whether there is a record of the successor already */
  known: boolean
}

/**
 * OSB "Binding Rotation". A successor that is there already speaks for itself: its predecessor may be gone by now.
 *
 * @param predecessor id of the binding to succeed
 * @returns what the successor is asked to be
 * @throws {BrokerError} BadRequest when there is no such predecessor, or none that is valid
 */
export async function succession(
  broker: Broker,
  instanceId: string,
  bindingId: string,
  predecessor: string,
): Promise<Succession> {
  const own = await findBinding(broker, instanceId, bindingId)
  const source = own ?? (await findBinding(broker, instanceId, predecessor))
  if (!source) {
    throw refusal('this service instance has no binding of that id; name one of its bindings that is in use')
  }
  const { serviceId, planId, appGuid, use, parameters, role, state } = source.info
  if (!own && state !== 'ready') {
    throw refusal(`that binding is ${being[state]}; only one that is in use can be rotated`)
  }
  if (!own && isExpired(source.info)) {
    throw refusal(`that binding expired at ${source.info.expiresAt}; make a new binding instead`)
  }
  return {
    request: { bindingId, serviceId, planId, appGuid, use, parameters, role, predecessor },
    known: own !== undefined,
  }
}

const being = { creating: 'still being made', failed: 'not made', deleting: 'being removed' } as const

function refusal(why: string): BrokerError {
  return new BrokerError('BadRequest', `predecessor_binding_id: ${why}`)
}
