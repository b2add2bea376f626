/** The catalog that functions serve, and look plans up in. */
import { type Config, fromConfig } from './config.ts'
import { BrokerError } from './errors.ts'
import type { Database } from './kubedb/databases/database.ts'
import { kinds } from './kubedb/databases/kinds.ts'
import type { Plan } from './nouns.ts'
import type { Catalog } from './osb/catalog.ts'
import { mountedCatalog } from './osb/mounted-catalog.ts'

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
