import { brokerOf } from '../shared/broker.ts'
import { findBinding } from '../shared/kubedb/binding-fetch.ts'
import { pollBinding } from '../shared/kubedb/binding-poll.ts'
import { decided } from '../shared/kubedb/broker.ts'
import { findInstance } from '../shared/kubedb/instance.ts'
import { parseOperationToken } from '../shared/kubedb/token.ts'
import { query } from '../shared/osb/body.ts'
import { answerPoll } from '../shared/osb/last-operation.ts'
import { LastOperationQuery } from '../shared/osb/requests.ts'
import { serve } from '../shared/serve.ts'

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
