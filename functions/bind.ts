import { bind } from '../shared/kubedb/bindings/bind.ts'
import { decided } from '../shared/kubedb/records/broker.ts'
import { findInstance } from '../shared/kubedb/records/instance-store.ts'
import { Status } from '../shared/osb/messages/answers.ts'
import { bindingAnswer } from '../shared/osb/messages/binding-answer.ts'
import { body, query } from '../shared/osb/messages/body.ts'
import { BindBody, ChangeQuery } from '../shared/osb/messages/requests.ts'
import { brokerOf } from '../shared/serving/broker.ts'
import { serve } from '../shared/serving/serve.ts'
import { BrokerError } from '../shared/values/errors.ts'
import { newBinding } from '../shared/wishes/bind.ts'

/** PUT /v2/service_instances/:instance_id/service_bindings/:binding_id (OSB: Binding, Binding Rotation). */
await serve('bind', async function binding(c) {
  const { config, instanceId, bindingId, caller } = c.var
  const broker = brokerOf(c)
  const { accepts_incomplete: asynchronous } = query(c, ChangeQuery)
  const sent = await body(c, BindBody)

  const outcome = await decided(async () => {
    const instance = await findInstance(broker, instanceId, caller)
    if (!instance) throw new BrokerError('NotFound', 'there is no such service instance')
    return bind(broker, instance, await newBinding(config, broker, instance, bindingId, sent), asynchronous)
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
