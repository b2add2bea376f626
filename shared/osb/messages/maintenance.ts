import { BrokerError } from '../../values/errors.ts'
import type { Plan } from '../../values/nouns.ts'
import { distribution } from '../../values/semver.ts'

/**
 * @param sent `maintenance_info` of a provision or update
 * @throws {BrokerError} MaintenanceInfoConflict where its version is not the catalog's (OSB: Maintenance Info Object)
 */
export function currentMaintenance(plan: Plan, sent: { version: string } | undefined): void {
  if (sent !== undefined && sent.version !== plan.maintenanceVersion) {
    throw new BrokerError(
      'MaintenanceInfoConflict',
      `maintenance_info.version: plan ${plan.name} is at ${plan.maintenanceVersion} now; fetch the catalog again`,
    )
  }
}

/**
 * A change of plan keeps the version in force, which must be of a make that the plan is about: an Elasticsearch in a
 * plan for OpenSearch would not be what it says it is.
 *
 * @param version that the instance has, or is to have
 * @throws {BrokerError} BadRequest
 */
export function sameMake(plan: Plan, version: string): void {
  const offered = [plan.version, ...(plan.parameters.version?.enum ?? [])]
  if (offered.map(distribution).includes(distribution(version))) return
  throw new BrokerError(
    'BadRequest',
    `plan_id: the plan is of another make of the engine, ${plan.version}, and this instance is ${version}; make a new instance and copy the data`,
  )
}
