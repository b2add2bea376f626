import { findBinding } from '../shared/kubedb/bindings/fetch.ts'
import { pollBinding } from '../shared/kubedb/bindings/poll.ts'
import { decided } from '../shared/kubedb/records/broker.ts'
import { findInstance } from '../shared/kubedb/records/instance-store.ts'
import { parseOperationToken } from '../shared/kubedb/records/token.ts'
import { query } from '../shared/osb/messages/body.ts'
import { answerPoll } from '../shared/osb/messages/last-operation.ts'
import { LastOperationQuery } from '../shared/osb/messages/requests.ts'
import { brokerOf } from '../shared/serving/broker.ts'
import { serve } from '../shared/serving/serve.ts'

/**
 * GET /v2/service_instances/:instance_id/service_bindings/:binding_id/last_operation (OSB: Polling Last Operation for
 * Service Bindings).
 */
await serve('last-binding-operation', async function lastBindingOperation(c) {
  const hint = parseOperationToken(query(c, LastOperationQuery).operation)
  const { instanceId, bindingId, caller } = c.var
  const broker = brokerOf(c)
  const last = await decided(async () => {
    const [instance, binding] = await Promise.all([
      findInstance(broker, instanceId, caller),
      findBinding(broker, instanceId, bindingId),
    ])
    return pollBinding(broker, instance, binding, hint)
  })
  return answerPoll(c, last)
})
