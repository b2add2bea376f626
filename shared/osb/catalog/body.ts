import type { JsonObject } from '../../values/json.ts'
import type { Traits } from '../../values/nouns.ts'
import { type Schemas, schemasOf } from '../parameters/schemas.ts'
import type { CatalogFile, PlanEntry, ServiceEntry } from './format.ts'
import { planOf } from './plan.ts'

/** A Service Offering Object of OSB. */
interface ServiceBody {
  id: string
  name: string
  description: string
  tags?: string[]
  bindable: boolean
  instances_retrievable: boolean
  bindings_retrievable: boolean
  allow_context_updates: boolean
  plan_updateable: boolean
  metadata?: JsonObject
  plans: PlanBody[]
}

/** A Service Plan Object of OSB, every boolean written out: some platforms take an absent one for false. */
interface PlanBody {
  id: string
  name: string
  description: string
  free: boolean
  bindable: boolean
  plan_updateable: boolean
  binding_rotatable: boolean
  maximum_polling_duration?: number
  maintenance_info: { version: string; description: string }
  metadata?: JsonObject
  schemas: Schemas
}

/**
 * @returns the answer to GET /v2/catalog (OSB: Catalog Management)
 * @throws {Error} when a service is of a kind that is not among the traits
 */
export function catalogBody(
  file: CatalogFile,
  traits: ReadonlyMap<string, Traits>,
): { services: ServiceBody[] } {
  return {
    services: file.services.map((service) => {
      const own = traits.get(service.kind)
      if (!own) throw new Error(`no traits of kind ${service.kind}`)
      return serviceBody(service, own)
    }),
  }
}

function serviceBody(service: ServiceEntry, traits: Traits): ServiceBody {
  const { kind: _, plans, ...shown } = service
  return { ...shown, plans: plans.map((plan) => planBody(service, plan, traits)) }
}

function planBody(service: ServiceEntry, entry: PlanEntry, traits: Traits): PlanBody {
  const plan = planOf(service, entry)
  const { id, name, description, free, binding_rotatable, maximum_polling_duration, metadata } = entry
  return {
    id,
    name,
    description,
    free,
    bindable: plan.bindable,
    plan_updateable: plan.planUpdateable,
    binding_rotatable,
    ...(maximum_polling_duration === undefined ? {} : { maximum_polling_duration }),
    maintenance_info: { version: plan.maintenanceVersion, description: `${service.kind} ${plan.version}` },
    ...(metadata === undefined ? {} : { metadata }),
    schemas: schemasOf(plan, traits, plan.bindable),
  }
}
