/** What differs from engine to engine in the benchmarks. */
import type { JsonObject } from '../../shared/values/json.ts'
import type { Offer } from '../../test/support/offers.ts'
import type { Driver } from '../talk.ts'

export interface Engine {
  /** as people write it */
  name: EngineName
  /** a plan with one server */
  offer: Offer
  /** parameters of an update that KubeDB carries out by an OpsRequest */
  change: JsonObject
  /** whether binds and unbinds are answered 202, and polls bring them to their end */
  asynchronous: boolean
  /** that the broker makes and drops users through; without it, all that it asks is the API server */
  driver?: Driver
}

export type EngineName = 'PostgreSQL' | 'MySQL' | 'MongoDB' | 'OpenSearch' | 'Redis' | 'Memcached'

/** @returns an engine with users of its own and a disk, which KubeDB expands by an OpsRequest */
export function withUsersAndDisk(name: EngineName, offer: Offer, driver: Driver): Engine {
  return { name, offer, change: { storage: '20Gi' }, asynchronous: false, driver }
}
