import { findBinding, show } from '../shared/kubedb/bindings/fetch.ts'
import { bindingState, fetchingBinding } from '../shared/kubedb/records/decide.ts'
import { findInstance } from '../shared/kubedb/records/instance-store.ts'
import { Status } from '../shared/osb/messages/answers.ts'
import { bindingAnswer } from '../shared/osb/messages/binding-answer.ts'
import { brokerOf } from '../shared/serving/broker.ts'
import { serve } from '../shared/serving/serve.ts'
import { BrokerError } from '../shared/values/errors.ts'

/** GET /v2/service_instances/:instance_id/service_bindings/:binding_id (OSB: Fetching a Service Binding). */
await serve('fetch-binding', async function fetchBinding(c) {
  const { config, instanceId, bindingId, caller } = c.var
  const broker = brokerOf(c)
  const [instance, binding] = await Promise.all([
    findInstance(broker, instanceId, caller),
    findBinding(broker, instanceId, bindingId),
  ])
  if (!instance || !binding || fetchingBinding[bindingState(binding)] === 'not found') {
    throw new BrokerError('NotFound', 'there is no such service binding, or it is not ready yet')
  }
  const bound = await show(broker, instance, binding)
  return c.json({ ...bindingAnswer(bound, config.endpoints), parameters: binding.info.parameters }, Status.OK)
})
