import type { Config } from '../environment/config.ts'
import type { Database } from '../kubedb/databases/database.ts'
import { asyncRequired, type ProvisionRequest } from '../kubedb/instances/provisioning.ts'
import { dashboardUrl, targetOf } from '../kubedb/instances/target.ts'
import { databaseOf, type Target } from '../kubedb/records/instance-record.ts'
import { currentMaintenance } from '../osb/messages/maintenance.ts'
import type { ProvisionBody } from '../osb/messages/requests.ts'
import { checkParameters } from '../osb/parameters/parameters.ts'
import { findPlan } from './catalog.ts'
import { databaseNamespace } from './namespace.ts'

/** What a new instance is to be, and where. */
export interface NewInstance {
  target: Target
  kind: Database
  namespace: string
}

/**
 * What a provision asks of KubeDB (OSB: Provisioning).
 *
 * @param asynchronous whether the platform allows an answer of 202
 * @throws {BrokerError} BadRequest, MaintenanceInfoConflict, AsyncRequired, in this order
 */
export async function newInstance(
  config: Config,
  request: ProvisionRequest,
  sent: ProvisionBody,
  asynchronous: boolean,
): Promise<NewInstance> {
  const { plan, kind } = await findPlan(config, request.serviceId, request.planId)
  const checked = checkParameters(plan, kind, sent.parameters, 'create', config.metadataPrefixes)
  const namespace = databaseNamespace(config, request.context)
  const version = checked.version ?? plan.version
  const target = targetOf(
    { plan, kind, sent: request.parameters, checked, version, maintenance: plan.maintenanceVersion },
    { ...config.databases, instance: request.instanceId },
  )
  currentMaintenance(plan, sent.maintenance_info)
  if (!asynchronous) throw asyncRequired()
  const { name } = databaseOf(kind, namespace, request.instanceId)
  const url = dashboardUrl(plan.dashboardUrl, { name, namespace, instance: request.instanceId })
  return { target: { ...target, dashboardUrl: url }, kind, namespace }
}
