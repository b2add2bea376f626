import type { Config } from '../environment/config.ts'
import { dashboardUrl, targetOf } from '../kubedb/instances/target.ts'
import type { InstanceRecord, Target } from '../kubedb/records/instance-record.ts'
import { currentMaintenance, sameMake } from '../osb/messages/maintenance.ts'
import type { UpdateBody } from '../osb/messages/requests.ts'
import { mergePatch } from '../osb/parameters/merge-patch.ts'
import { checkParameters } from '../osb/parameters/parameters.ts'
import { BrokerError } from '../values/errors.ts'
import { equal, type JsonObject } from '../values/json.ts'
import { engineVersion } from '../values/semver.ts'
import { currentCatalog, findPlan } from './catalog.ts'

/**
 * What an instance is to be after an update: what is not sent stays as it is (OSB: Updating a Service Instance).
 *
 * @throws {BrokerError} BadRequest, Unprocessable, MaintenanceInfoConflict
 */
export async function changedInstance(
  config: Config,
  { info, database }: InstanceRecord,
  sent: UpdateBody,
): Promise<Target> {
  const { plan, kind } = await planFor(config, info, sent.plan_id ?? info.planId)
  if (plan.id !== info.planId && !plan.planUpdateable) {
    throw new BrokerError('Unprocessable', `plan_id: instances cannot be moved to plan ${plan.name}`)
  }
  const { parameters, fresh } = merged(config, info, sent)
  checkParameters(plan, kind, fresh, 'update', config.metadataPrefixes)
  const checked = inPlan(
    () => checkParameters(plan, kind, parameters, 'create', config.metadataPrefixes),
    plan.name,
  )
  currentMaintenance(plan, sent.maintenance_info)

  const before = String(info.resolved.spec.version)
  const upgrade = sent.maintenance_info !== undefined
  if (upgrade && checked.version !== undefined && checked.version !== plan.version) {
    throw new BrokerError(
      'Unprocessable',
      `maintenance_info: this instance has a version of its own, ${checked.version}; send parameters.version ${plan.version} (or null) to upgrade it`,
    )
  }
  const version = checked.version ?? (upgrade ? plan.version : before)
  if (plan.id !== info.planId) inPlan(() => sameMake(plan, version), plan.name)
  const moved = version === before ? info.maintenance : (engineVersion(version) ?? info.maintenance)
  const target = inPlan(
    () =>
      targetOf(
        {
          plan,
          kind,
          sent: parameters,
          checked,
          version,
          maintenance: upgrade ? plan.maintenanceVersion : moved,
          had: info.resolved,
        },
        { ...config.databases, instance: info.instanceId },
      ),
    plan.name,
  )
  const { name, namespace } = database
  return {
    ...target,
    dashboardUrl: dashboardUrl(plan.dashboardUrl, { name, namespace, instance: info.instanceId }),
  }
}

/**
 * @param id of the plan that the instance is to have
 * @throws {BrokerError} BadRequest for a plan that is not in the catalog; Unprocessable where it is the instance's own,
 *   which has left it: the platform did nothing wrong, but nobody knows any more what the plan allows
 */
async function planFor(config: Config, info: InstanceRecord['info'], id: string) {
  return findPlan(config, info.serviceId, id).catch(async (error: unknown) => {
    if (id !== info.planId || !(error instanceof BrokerError && error.problem === 'BadRequest')) throw error
    const others = (await currentCatalog(config)).service(info.serviceId)?.plans ?? []
    const names = others.filter(({ planUpdateable }) => planUpdateable).map(({ name }) => name)
    throw new BrokerError(
      'Unprocessable',
      names.length > 0
        ? `the plan of this instance is offered no more, and what it allows is not known; move the instance to another plan (${names.join(', ')}) with plan_id`
        : 'the service of this instance is offered no more; the instance can be used and deprovisioned, not changed',
      { cause: error },
    )
  })
}

/**
 * Parameters after the update (OSB leaves to brokers what sending some of them means). A platform that compares what
 * it sent with what is fetched sends all of them; others send what changes, null taking one away.
 */
function merged(
  config: Config,
  info: InstanceRecord['info'],
  sent: UpdateBody,
): { parameters: JsonObject; fresh: JsonObject } {
  if (sent.parameters === undefined) return { parameters: info.parameters, fresh: {} }
  const platform = sent.context?.platform ?? info.context.platform
  const replace =
    config.updateParameters === 'replace' ||
    (config.updateParameters === 'context' && platform === 'kubernetes')
  const fresh = Object.fromEntries(
    Object.entries(sent.parameters).filter(([name, value]) => !equal(value, info.parameters[name])),
  )
  return {
    parameters: replace ? mergePatch({}, sent.parameters) : mergePatch(info.parameters, sent.parameters),
    fresh,
  }
}

/** What the user sent was right in itself, but does not fit what is there: 422, not 400. */
function inPlan<T>(check: () => T, plan: string): T {
  try {
    return check()
  } catch (error) {
    if (error instanceof BrokerError && error.problem === 'BadRequest') {
      throw new BrokerError('Unprocessable', `with plan ${plan}: ${error.message}`, { cause: error })
    }
    throw error
  }
}
