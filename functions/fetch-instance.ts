import { fetching, instanceState } from '../shared/kubedb/records/decide.ts'
import { findInstance } from '../shared/kubedb/records/instance-store.ts'
import { dashboard, Status } from '../shared/osb/messages/answers.ts'
import { brokerOf } from '../shared/serving/broker.ts'
import { serve } from '../shared/serving/serve.ts'
import { BrokerError } from '../shared/values/errors.ts'

/** GET /v2/service_instances/:instance_id (OSB: Fetching a Service Instance). */
await serve('fetch-instance', async function fetchInstance(c) {
  const instance = await findInstance(brokerOf(c), c.var.instanceId, c.var.caller)
  const state = instanceState(instance)
  switch (fetching[state]) {
    case 'not found':
      throw new BrokerError('NotFound', 'there is no such service instance, or it is not provisioned yet')
    case 'busy':
      throw new BrokerError(
        'ConcurrencyError',
        `the service instance is ${state}; wait for its last operation`,
      )
    case 'show': {
      if (!instance) throw new Error('an absent instance cannot be shown')
      const { serviceId, planId, parameters, maintenance, dashboardUrl } = instance.info
      return c.json(
        {
          service_id: serviceId,
          plan_id: planId,
          ...dashboard(c.var.config, c.var.instanceId, dashboardUrl),
          parameters,
          maintenance_info: { version: maintenance },
        },
        Status.OK,
      )
    }
  }
})
