/** The catalog of the operator, as functions look things up in it and as platforms see it. */
import { createHash } from 'node:crypto'
import type { Plan, Traits } from '../../values/nouns.ts'
import { catalogBody } from './body.ts'
import type { CatalogFile } from './format.ts'
import { planOf } from './plan.ts'

/** What is on offer: the catalog file as OSB shows it and as provisioning reads it. */
export interface Catalog {
  /** the exact JSON text of the answer to GET /v2/catalog (OSB: Catalog Management); made when first asked for */
  readonly body: string
  /** the body's entity tag, quotes included */
  readonly etag: string
  readonly services: readonly Service[]
  service(id: string): Service | undefined
  /** @returns the plan, if it is one of this service */
  plan(serviceId: string, planId: string): Plan | undefined
}

export interface Service {
  readonly id: string
  readonly name: string
  /** KubeDB kind */
  readonly kind: string
  readonly plans: readonly Plan[]
}

/**
 * @param file a catalog that keeps the rules
 * @param traits the KubeDB kinds that this broker knows, by name
 */
export function catalogOf(file: CatalogFile, traits: ReadonlyMap<string, Traits>): Catalog {
  const services = file.services.map((service) => ({
    id: service.id,
    name: service.name,
    kind: service.kind,
    plans: service.plans.map((plan) => planOf(service, plan)),
  }))
  const body = once(() => JSON.stringify(catalogBody(file, traits)))
  const etag = once(() => `"${createHash('sha256').update(body()).digest('base64url')}"`)
  const service = (id: string): Service | undefined => services.find((one) => one.id === id)
  return {
    get body() {
      return body()
    },
    get etag() {
      return etag()
    },
    services,
    service,
    plan: (serviceId, planId) => service(serviceId)?.plans.find((one) => one.id === planId),
  }
}

function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined
  return () => {
    made ??= { value: make() }
    return made.value
  }
}
