import {
  type UpdateRequest,
  update,
  updateAgain,
  updateContext,
} from '../shared/kubedb/instances/updating.ts'
import { decided } from '../shared/kubedb/records/broker.ts'
import { findInstance } from '../shared/kubedb/records/instance-store.ts'
import { dashboard, Status } from '../shared/osb/messages/answers.ts'
import { body, query } from '../shared/osb/messages/body.ts'
import { ChangeQuery, UpdateBody } from '../shared/osb/messages/requests.ts'
import { brokerOf } from '../shared/serving/broker.ts'
import { serve } from '../shared/serving/serve.ts'
import { BrokerError } from '../shared/values/errors.ts'
import { changedInstance } from '../shared/wishes/update.ts'

/** PATCH /v2/service_instances/:instance_id (OSB: Updating a Service Instance). */
await serve('update', async function updating(c) {
  const { config, instanceId, caller } = c.var
  const broker = brokerOf(c)
  const { accepts_incomplete: asynchronous } = query(c, ChangeQuery)
  const sent = await body(c, UpdateBody)
  const request: UpdateRequest = {
    serviceId: sent.service_id,
    planId: sent.plan_id,
    parameters: sent.parameters,
    maintenance: sent.maintenance_info?.version,
  }

  const outcome = await decided(async () => {
    const instance = await findInstance(broker, instanceId, caller)
    if (!instance) throw new BrokerError('NotFound', 'there is no such service instance')
    if (instance.info.serviceId !== request.serviceId) {
      throw new BrokerError(
        'BadRequest',
        'service_id: this instance is of another service; a service cannot be changed',
      )
    }
    const known = await updateAgain(broker, instance, request, asynchronous)
    if (known) return known
    if (sent.plan_id === undefined && sent.parameters === undefined && sent.maintenance_info === undefined) {
      return updateContext(broker, instance, sent.context ?? instance.info.context)
    }
    return update(
      broker,
      instance,
      request,
      await changedInstance(config, instance, sent),
      sent.context,
      asynchronous,
    )
  })
  switch (outcome.state) {
    case 'done':
      return c.json(dashboard(config, instanceId, outcome.value.info.dashboardUrl), Status.OK)
    case 'under way':
      return c.json(
        { ...dashboard(config, instanceId, outcome.dashboardUrl), operation: outcome.operation },
        Status.Accepted,
      )
  }
})
