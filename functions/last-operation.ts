import { brokerOf } from '../shared/broker.ts'
import { decided } from '../shared/kubedb/broker.ts'
import { pollInstance } from '../shared/kubedb/polling.ts'
import { parseOperationToken } from '../shared/kubedb/token.ts'
import { query } from '../shared/osb/body.ts'
import { answerPoll } from '../shared/osb/last-operation.ts'
import { LastOperationQuery } from '../shared/osb/requests.ts'
import { serve } from '../shared/serve.ts'

/** GET /v2/service_instances/:instance_id/last_operation (OSB: Polling Last Operation for Service Instances). */
await serve('last-operation', async function lastOperation(c) {
  const hint = parseOperationToken(query(c, LastOperationQuery).operation)
  const { instanceId, caller } = c.var
  const broker = brokerOf(c)
  return answerPoll(c, await decided(() => pollInstance(broker, instanceId, hint, caller)))
})
