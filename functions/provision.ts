import { brokerOf } from '../shared/broker.ts'
import { findPlan } from '../shared/catalog.ts'
import { BrokerError } from '../shared/errors.ts'
import { decided } from '../shared/kubedb/broker.ts'
import { findInstance } from '../shared/kubedb/instance.ts'
import {
  asyncRequired,
  type ProvisionRequest,
  provision,
  provisionAgain,
} from '../shared/kubedb/provisioning.ts'
import { targetOf } from '../shared/kubedb/target.ts'
import { databaseNamespace } from '../shared/namespaces.ts'
import { Status } from '../shared/osb/answers.ts'
import { body, query } from '../shared/osb/body.ts'
import { currentMaintenance } from '../shared/osb/maintenance.ts'
import { checkParameters } from '../shared/osb/parameters.ts'
import { ChangeQuery, ProvisionBody } from '../shared/osb/requests.ts'
import { serve } from '../shared/serve.ts'

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
    const wish = await wanted().catch((error: unknown) => {
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
      return c.json({}, outcome.created ? Status.Created : Status.OK)
    case 'under way':
      return c.json({ operation: outcome.operation }, Status.Accepted)
  }

  /** @throws {BrokerError} BadRequest, MaintenanceInfoConflict, AsyncRequired, in this order */
  async function wanted() {
    const { plan, kind } = await findPlan(config, request.serviceId, request.planId)
    const checked = checkParameters(plan, kind, sent.parameters, 'create', config.metadataPrefixes)
    const namespace = databaseNamespace(config, request.context)
    const version = checked.version ?? plan.version
    const target = targetOf(
      { plan, kind, sent: request.parameters, checked, version, maintenance: plan.maintenanceVersion },
      { ...config.databases, instance: instanceId },
    )
    currentMaintenance(plan, sent.maintenance_info)
    if (!asynchronous) throw asyncRequired()
    return { target, kind, namespace }
  }
})
