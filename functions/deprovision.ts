import { deprovision } from '../shared/kubedb/instances/deprovisioning.ts'
import { decided } from '../shared/kubedb/records/broker.ts'
import { Status } from '../shared/osb/messages/answers.ts'
import { query } from '../shared/osb/messages/body.ts'
import { DeleteQuery } from '../shared/osb/messages/requests.ts'
import { brokerOf } from '../shared/serving/broker.ts'
import { serve } from '../shared/serving/serve.ts'

/** DELETE /v2/service_instances/:instance_id (OSB: Deprovisioning). Parameters are checked before existence. */
await serve('deprovision', async function deprovisioning(c) {
  const { service_id: serviceId, accepts_incomplete: asynchronous } = query(c, DeleteQuery)
  const { instanceId, caller } = c.var
  const broker = brokerOf(c)
  const outcome = await decided(() => deprovision(broker, instanceId, serviceId, caller, asynchronous))
  switch (outcome.state) {
    case 'done':
      return c.json({}, Status.OK)
    case 'under way':
      return c.json({ operation: outcome.operation }, Status.Accepted)
  }
})
