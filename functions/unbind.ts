import { findBinding } from '../shared/kubedb/bindings/fetch.ts'
import { forgetBinding } from '../shared/kubedb/bindings/removal.ts'
import { unbind } from '../shared/kubedb/bindings/unbinding.ts'
import { decided } from '../shared/kubedb/records/broker.ts'
import { findInstance } from '../shared/kubedb/records/instance-store.ts'
import { Status } from '../shared/osb/messages/answers.ts'
import { query } from '../shared/osb/messages/body.ts'
import { DeleteQuery } from '../shared/osb/messages/requests.ts'
import { brokerOf } from '../shared/serving/broker.ts'
import { serve } from '../shared/serving/serve.ts'
import { BrokerError } from '../shared/values/errors.ts'

/**
 * DELETE /v2/service_instances/:instance_id/service_bindings/:binding_id (OSB: Unbinding). Existence is checked before
 * parameters.
 */
await serve('unbind', async function unbinding(c) {
  const { instanceId, bindingId, caller } = c.var
  const broker = brokerOf(c)
  const outcome = await decided(async () => {
    const [instance, binding] = await Promise.all([
      findInstance(broker, instanceId, caller),
      findBinding(broker, instanceId, bindingId),
    ])
    if (binding && !instance) await forgetBinding(broker, binding)
    if (!instance || !binding) throw new BrokerError('Gone', 'there is no such service binding')
    const { service_id: serviceId, accepts_incomplete: asynchronous } = query(c, DeleteQuery)
    if (serviceId !== binding.info.serviceId) {
      throw new BrokerError(
        'BadRequest',
        'service_id: this binding is of another service; send the id it was made with',
      )
    }
    return unbind(broker, instance, binding, asynchronous)
  })
  switch (outcome.state) {
    case 'done':
      return c.json({}, Status.OK)
    case 'under way':
      return c.json({ operation: outcome.operation }, Status.Accepted)
  }
})
