import type { Config } from '../environment/config.ts'
import type { BindRequest } from '../kubedb/bindings/bind.ts'
import { succession } from '../kubedb/bindings/rotation.ts'
import { bindingUse } from '../kubedb/bindings/same-binding.ts'
import { kindOf } from '../kubedb/databases/kinds.ts'
import type { Broker } from '../kubedb/records/broker.ts'
import type { InstanceRecord } from '../kubedb/records/instance-record.ts'
import { bindingExpiry } from '../osb/messages/binding-expiry.ts'
import type { BindBody } from '../osb/messages/requests.ts'
import { checkBindingParameters } from '../osb/parameters/parameters.ts'
import { BrokerError } from '../values/errors.ts'
import type { Plan } from '../values/nouns.ts'
import { currentCatalog, findPlan } from './catalog.ts'

/**
 * What a new binding is to be (OSB: Binding, Binding Rotation).
 *
 * @throws {BrokerError} BadRequest
 */
export async function newBinding(
  config: Config,
  broker: Broker,
  instance: InstanceRecord,
  bindingId: string,
  sent: BindBody,
): Promise<BindRequest> {
  const plan = await planOf(config, instance)
  const expiry = bindingExpiry(plan, Date.now())
  if (sent.predecessor_binding_id !== undefined) {
    const { request, known } = await succession(
      broker,
      instance.info.instanceId,
      bindingId,
      sent.predecessor_binding_id,
    )
    if (!known && !plan?.bindingRotatable) {
      throw new BrokerError(
        'BadRequest',
        'predecessor_binding_id: the plan of this instance is not binding_rotatable; make a new binding instead',
      )
    }
    return { ...request, expiry }
  }
  const {
    service_id: serviceId,
    plan_id: planId,
    app_guid: appGuid = '',
    bind_resource: resource = {},
    parameters = {},
  } = sent
  if (appGuid !== '' && resource.app_guid !== undefined && resource.app_guid !== appGuid) {
    throw new BrokerError(
      'BadRequest',
      'bind_resource.app_guid: names another application than app_guid, which is the older name of the same; send one of them, or the same in both',
    )
  }
  if (serviceId !== instance.info.serviceId) {
    throw new BrokerError('BadRequest', 'service_id: this instance is of another service')
  }
  // An instance's own plan may have left the catalog; its bindings go on.
  if (planId !== instance.info.planId) await findPlan(config, serviceId, planId)
  const { role } = checkBindingParameters(kindOf(instance.database.kind), parameters)
  const use = bindingUse(appGuid, resource)
  return { bindingId, serviceId, planId, appGuid, use, parameters, role, expiry, predecessor: undefined }
}

/** @returns the instance's plan as the catalog has it now; undefined where it has left the catalog */
async function planOf(config: Config, { info }: InstanceRecord): Promise<Plan | undefined> {
  return (await currentCatalog(config)).plan(info.serviceId, info.planId)
}
