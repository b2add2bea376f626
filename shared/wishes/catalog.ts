/**
 * From what a request sends to what KubeDB is asked for. First of all the catalog: functions serve it, and look plans up
 * in it.
 */
import { type Config, fromConfig } from '../environment/config.ts'
import type { Database } from '../kubedb/databases/database.ts'
import { kinds } from '../kubedb/databases/kinds.ts'
import type { Catalog } from '../osb/catalog/catalog.ts'
import { mountedCatalog } from '../osb/catalog/mounted-catalog.ts'
import { BrokerError } from '../values/errors.ts'
import type { Plan } from '../values/nouns.ts'

const catalogs = fromConfig((config) => mountedCatalog(config.catalogFile, kinds))

/**
 * @returns the mounted catalog, as it is now
 * @throws {BrokerError} Misconfigured with path and cure
 */
export function currentCatalog(config: Config): Promise<Catalog> {
  return catalogs(config)()
}

/**
 * @returns the plan and its KubeDB kind
 * @throws {BrokerError} BadRequest naming the id that is not in the catalog
 */
export async function findPlan(
  config: Config,
  serviceId: string,
  planId: string,
): Promise<{ plan: Plan; kind: Database }> {
  const catalog = await currentCatalog(config)
  const service = catalog.service(serviceId)
  if (!service) {
    throw new BrokerError(
      'BadRequest',
      'service_id: no service of this catalog has that id; GET /v2/catalog lists them',
    )
  }
  const plan = catalog.plan(serviceId, planId)
  if (!plan) {
    throw new BrokerError(
      'BadRequest',
      `plan_id: service ${service.name} has no plan of that id; GET /v2/catalog lists them`,
    )
  }
  const kind = kinds.get(plan.kind)
  if (!kind)
    throw new BrokerError(
      'Misconfigured',
      `plan ${plan.name} is of a KubeDB kind that this broker does not know`,
    )
  return { plan, kind }
}
