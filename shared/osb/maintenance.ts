import { BrokerError } from '../errors.ts'
import type { Plan } from '../nouns.ts'

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
