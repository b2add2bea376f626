import { brokerOf } from '../shared/broker.ts'
import { currentCatalog, findPlan } from '../shared/catalog.ts'
import type { Config } from '../shared/config.ts'
import { BrokerError } from '../shared/errors.ts'
import { bind } from '../shared/kubedb/binding.ts'
import { decided } from '../shared/kubedb/broker.ts'
import { kindOf } from '../shared/kubedb/databases/kinds.ts'
import { findInstance } from '../shared/kubedb/instance.ts'
import type { InstanceRecord } from '../shared/kubedb/instance-record.ts'
import { succession } from '../shared/kubedb/rotation.ts'
import type { Plan } from '../shared/nouns.ts'
import { Status } from '../shared/osb/answers.ts'
import { bindingAnswer } from '../shared/osb/binding-answer.ts'
import { bindingExpiry } from '../shared/osb/binding-expiry.ts'
import { body, query } from '../shared/osb/body.ts'
import { checkBindingParameters } from '../shared/osb/parameters.ts'
import { BindBody, ChangeQuery } from '../shared/osb/requests.ts'
import { serve } from '../shared/serve.ts'

/** PUT /v2/service_instances/:instance_id/service_bindings/:binding_id (OSB: Binding, Binding Rotation). */
await serve('bind', async function binding(c) {
  const { config, instanceId, bindingId, caller } = c.var
  const broker = brokerOf(c)
  const { accepts_incomplete: asynchronous } = query(c, ChangeQuery)
  const sent = await body(c, BindBody)

  const wish = async (instance: InstanceRecord, plan: Plan | undefined) => {
    if (sent.predecessor_binding_id !== undefined) {
      const { request, known } = await succession(broker, instanceId, bindingId, sent.predecessor_binding_id)
      if (!known && !plan?.bindingRotatable) {
        throw new BrokerError(
          'BadRequest',
          'predecessor_binding_id: the plan of this instance is not binding_rotatable; make a new binding instead',
        )
      }
      return request
    }
    const { service_id: serviceId, plan_id: planId, app_guid: appGuid = '', parameters = {} } = sent
    if (serviceId !== instance.info.serviceId) {
      throw new BrokerError('BadRequest', 'service_id: this instance is of another service')
    }
    // An instance's own plan may have left the catalog; its bindings go on.
    if (planId !== instance.info.planId) await findPlan(config, serviceId, planId)
    const { role } = checkBindingParameters(kindOf(instance.database.kind), parameters)
    return { bindingId, serviceId, planId, appGuid, parameters, role, predecessor: undefined }
  }

  const outcome = await decided(async () => {
    const instance = await findInstance(broker, instanceId, caller)
    if (!instance) throw new BrokerError('NotFound', 'there is no such service instance')
    const plan = await planOf(config, instance)
    const request = { ...(await wish(instance, plan)), expiry: bindingExpiry(plan, Date.now()) }
    return bind(broker, instance, request, asynchronous)
  })
  switch (outcome.state) {
    case 'done':
      return c.json(
        bindingAnswer(outcome.value, config.endpoints),
        outcome.created ? Status.Created : Status.OK,
      )
    case 'under way':
      return c.json({ operation: outcome.operation }, Status.Accepted)
  }
})

/** @returns the instance's plan as the catalog has it now; undefined where it has left the catalog */
async function planOf(config: Config, { info }: InstanceRecord): Promise<Plan | undefined> {
  return (await currentCatalog(config)).plan(info.serviceId, info.planId)
}
