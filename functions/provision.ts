import { type ProvisionRequest, provision, provisionAgain } from '../shared/kubedb/instances/provisioning.ts'
import { decided } from '../shared/kubedb/records/broker.ts'
import { findInstance } from '../shared/kubedb/records/instance-store.ts'
import { dashboard, Status } from '../shared/osb/messages/answers.ts'
import { body, query } from '../shared/osb/messages/body.ts'
import { ChangeQuery, ProvisionBody } from '../shared/osb/messages/requests.ts'
import { brokerOf } from '../shared/serving/broker.ts'
import { serve } from '../shared/serving/serve.ts'
import { BrokerError } from '../shared/values/errors.ts'
import { newInstance } from '../shared/wishes/provision.ts'

/** PUT /v2/service_instances/:instance_id (OSB: Provisioning). */
await serve('provision', async function provisioning(c) {
  const { config, instanceId, caller, originatingIdentity } = c.var
  const broker = brokerOf(c)
  const { accepts_incomplete: asynchronous } = query(c, ChangeQuery)
  const sent = await body(c, ProvisionBody)
  const request: ProvisionRequest = {
    instanceId,
    serviceId: sent.service_id,
    planId: sent.plan_id,
    organizationGuid: sent.organization_guid,
    spaceGuid: sent.space_guid,
    parameters: sent.parameters ?? {},
    context: sent.context ?? {},
    caller,
    by: originatingIdentity?.user ?? caller.name,
  }

  const outcome = await decided(async () => {
    // What is wrong with the request counts only where the instance does not exist: one that does has its own answer.
    const wish = await newInstance(config, request, sent, asynchronous).catch((error: unknown) => {
      if (error instanceof BrokerError) return error
      throw error
    })
    if (!(wish instanceof BrokerError))
      return provision(broker, request, wish.target, wish.kind, wish.namespace)
    const existing = await findInstance(broker, instanceId, caller)
    if (!existing) throw wish
    return provisionAgain(broker, existing, request, asynchronous)
  })
  switch (outcome.state) {
    case 'done':
      return c.json(
        dashboard(config, instanceId, outcome.value.info.dashboardUrl),
        outcome.created ? Status.Created : Status.OK,
      )
    case 'under way':
      return c.json(
        { ...dashboard(config, instanceId, outcome.dashboardUrl), operation: outcome.operation },
        Status.Accepted,
      )
  }
})
