import type { JsonObject } from '../../values/json.ts'
import type { Bounds, Plan } from '../../values/nouns.ts'
import { engineVersion, semverOf } from '../../values/semver.ts'
import type { BoundsEntry, PlanEntry, ServiceEntry } from './format.ts'

/**
 * @param plan an entry that keeps the catalog's rules
 * @returns the plan as provisioning reads it, every default filled in
 * @throws {Error} when its version cannot be told as semver
 */
export function planOf(service: ServiceEntry, plan: PlanEntry): Plan {
  const maintenanceVersion = maintenanceVersionOf(plan)
  if (maintenanceVersion === undefined) throw new Error(`plan ${plan.name} has no engineVersion`)
  return {
    id: plan.id,
    name: plan.name,
    serviceId: service.id,
    serviceName: service.name,
    kind: service.kind,
    version: plan.version,
    maintenanceVersion,
    spec: { deletionPolicy: 'WipeOut', ...plan.spec } satisfies JsonObject,
    parameters: boundsOf(plan.versions, plan.parameters),
    maximumPollingDuration: plan.maximum_polling_duration,
    bindable: plan.bindable ?? service.bindable,
    planUpdateable: plan.plan_updateable ?? service.plan_updateable,
    bindingRotatable: plan.binding_rotatable,
    bindingExpiry: plan.bindingExpiry,
    dashboardUrl: plan.dashboardUrl,
  }
}

/** @returns the bounds, without what is switched off */
export function boundsOf(versions: string[] | undefined, entry: BoundsEntry | undefined): Bounds {
  const { database, configuration, suspended, metadata, spec, version: _, ...ranges } = entry ?? {}
  return {
    ...ranges,
    ...(versions ? { version: { enum: versions } } : {}),
    ...(database ? { database } : {}),
    ...(configuration ? { configuration } : {}),
    ...(suspended ? { suspended } : {}),
    ...(metadata ? { metadata } : {}),
    ...(spec ? { spec } : {}),
  }
}

/**
 * @returns the engine's version as semver (OSB: Maintenance Info Object); undefined where the name of the *Version
 *   object, such as 16.13-bookworm, does not tell it and engineVersion does not either
 */
export function maintenanceVersionOf(plan: {
  version: string
  engineVersion?: string | undefined
}): string | undefined {
  if (plan.engineVersion !== undefined) return semverOf(plan.engineVersion)
  return engineVersion(plan.version)
}
