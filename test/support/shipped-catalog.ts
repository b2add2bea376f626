/** The catalog that the project ships, for tests that walk its plans. */

import type { Shipped } from '../../generate/plan-walk.ts'
import { kindOf, kinds } from '../../shared/kubedb/databases/kinds.ts'
import { catalogOf } from '../../shared/osb/catalog/catalog.ts'
import { checkCatalog } from '../../shared/osb/catalog/file.ts'
import { parseYaml } from '../../shared/osb/catalog/yaml.ts'
import { catalogParts, catalogWith } from './catalog-parts.ts'

export type { Shipped }

/** @returns every plan of the shipped catalog with its kind */
export function shippedPlans(): Shipped[] {
  return plansOf(catalogWith([]))
}

/** @returns those, and every plan of the services that an operator can add: all kinds that the broker knows */
export function allPlans(): Shipped[] {
  return plansOf(catalogWith(catalogParts()))
}

function plansOf(text: string): Shipped[] {
  const catalog = catalogOf(checkCatalog(parseYaml(text), kinds), kinds)
  return catalog.services.flatMap(({ plans }) => plans.map((plan) => ({ plan, kind: kindOf(plan.kind) })))
}

/**
 * @param service name of the service, such as mysql
 * @param name of the plan
 */
export function shippedPlan(service: string, name: string): Shipped {
  const found = shippedPlans().find(({ plan }) => plan.serviceName === service && plan.name === name)
  if (!found) throw new Error(`the shipped catalog has no plan ${name} of ${service}`)
  return found
}
