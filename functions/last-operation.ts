import { pollInstance } from '../shared/kubedb/instances/polling.ts'
import { decided } from '../shared/kubedb/records/broker.ts'
import { parseOperationToken } from '../shared/kubedb/records/token.ts'
import { query } from '../shared/osb/messages/body.ts'
import { answerPoll } from '../shared/osb/messages/last-operation.ts'
import { LastOperationQuery } from '../shared/osb/messages/requests.ts'
import { brokerOf } from '../shared/serving/broker.ts'
import { serve } from '../shared/serving/serve.ts'

/** GET /v2/service_instances/:instance_id/last_operation (OSB: Polling Last Operation for Service Instances). */
await serve('last-operation', async function lastOperation(c) {
  const hint = parseOperationToken(query(c, LastOperationQuery).operation)
  const { instanceId, caller } = c.var
  const broker = brokerOf(c)
  return answerPoll(c, await decided(() => pollInstance(broker, instanceId, hint, caller)))
})
