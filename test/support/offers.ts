/** What platforms ask for: the ids of plans, under the names that the catalog gives them. */
import { allPlans } from './shipped-catalog.ts'

export interface Offer {
  serviceId: string
  planId: string
}

let offers: ReadonlyMap<string, Offer> | undefined

/**
 * @param service of the shipped catalog or of an operator's part of it, such as mysql
 * @param plan name of the plan
 */
export function offerOf(service: string, plan: string): Offer {
  offers ??= new Map(
    allPlans().map(({ plan: { serviceName, name, serviceId, id } }) => [
      `${serviceName} ${name}`,
      { serviceId, planId: id },
    ]),
  )
  const found = offers.get(`${service} ${plan}`)
  if (!found) throw new Error(`there is no plan ${plan} of ${service}`)
  return found
}
