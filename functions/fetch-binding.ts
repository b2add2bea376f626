import { brokerOf } from '../shared/broker.ts'
import { BrokerError } from '../shared/errors.ts'
import { findBinding, show } from '../shared/kubedb/binding-fetch.ts'
import { bindingState, fetchingBinding } from '../shared/kubedb/decide.ts'
import { findInstance } from '../shared/kubedb/instance.ts'
import { Status } from '../shared/osb/answers.ts'
import { bindingAnswer } from '../shared/osb/binding-answer.ts'
import { serve } from '../shared/serve.ts'

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
