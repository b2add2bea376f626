import { brokerOf } from '../shared/broker.ts'
import { findPlan } from '../shared/catalog.ts'
import { BrokerError } from '../shared/errors.ts'
import { bind } from '../shared/kubedb/bindings.ts'
import { decided } from '../shared/kubedb/broker.ts'
import { kindOf } from '../shared/kubedb/databases/kinds.ts'
import { findInstance } from '../shared/kubedb/instance.ts'
import { Status } from '../shared/osb/answers.ts'
import { bindingAnswer } from '../shared/osb/binding-answer.ts'
import { body, query } from '../shared/osb/body.ts'
import { checkBindingParameters } from '../shared/osb/parameters.ts'
import { BindBody, ChangeQuery } from '../shared/osb/requests.ts'
import { serve } from '../shared/serve.ts'

/** PUT /v2/service_instances/:instance_id/service_bindings/:binding_id (OSB: Binding). */
await serve('bind', async function binding(c) {
  const { config, instanceId, bindingId, caller } = c.var
  const broker = brokerOf(c)
  const { accepts_incomplete: asynchronous } = query(c, ChangeQuery)
  const sent = await body(c, BindBody)
  if ('predecessor_binding_id' in sent && sent.predecessor_binding_id !== undefined) {
    throw new BrokerError(
      'BadRequest',
      'predecessor_binding_id: the plans of this broker are not binding_rotatable; make a new binding instead',
    )
  }
  const { service_id: serviceId, plan_id: planId, app_guid: appGuid = '', parameters = {} } = sent

  const outcome = await decided(async () => {
    const instance = await findInstance(broker, instanceId, caller)
    if (!instance) throw new BrokerError('NotFound', 'there is no such service instance')
    if (serviceId !== instance.info.serviceId) {
      throw new BrokerError('BadRequest', 'service_id: this instance is of another service')
    }
    // An instance's own plan may have left the catalog; its bindings go on.
    if (planId !== instance.info.planId) await findPlan(config, serviceId, planId)
    const { role } = checkBindingParameters(kindOf(instance.database.kind), parameters)
    return bind(broker, instance, { bindingId, serviceId, planId, appGuid, parameters, role }, asynchronous)
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
