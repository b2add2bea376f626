import { brokerOf } from '../shared/broker.ts'
import { decided } from '../shared/kubedb/broker.ts'
import { deprovision } from '../shared/kubedb/deprovisioning.ts'
import { Status } from '../shared/osb/answers.ts'
import { query } from '../shared/osb/body.ts'
import { DeleteQuery } from '../shared/osb/requests.ts'
import { serve } from '../shared/serve.ts'

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
