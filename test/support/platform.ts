/** What a platform does with a broker: requests of one plan, `small` of PostgreSQL unless told, and polls to their end. */
import { randomUUID } from 'node:crypto'
import type { JsonObject } from '../../shared/values/json.ts'
import { bindingPath, instancePath, type OsbAnswer, type TestBroker } from './broker.ts'
import { at, objectIn } from './cluster.ts'
import { type Offer, offerOf } from './offers.ts'

/** one server with a disk; cpu, memory, storage and suspended may change */
export const { serviceId, planId } = offerOf('postgresql', 'small')

const later = 'accepts_incomplete=true'

export interface Platform {
  provision(instanceId: string, parameters?: JsonObject): Promise<OsbAnswer>
  update(instanceId: string, parameters: JsonObject): Promise<OsbAnswer>
  deprovision(instanceId: string): Promise<OsbAnswer>
  fetch(instanceId: string): Promise<OsbAnswer>
  bind(instanceId: string, bindingId: string, options?: BindOptions): Promise<OsbAnswer>
  unbind(instanceId: string, bindingId: string, options?: { asynchronous?: boolean }): Promise<OsbAnswer>
  fetchBinding(instanceId: string, bindingId: string): Promise<OsbAnswer>
  /** Asks once for the latest operation, or the one of an answer 202. */
  poll(instanceId: string, begun?: OsbAnswer): Promise<OsbAnswer>
  pollBinding(instanceId: string, bindingId: string, begun?: OsbAnswer): Promise<OsbAnswer>
  /**
   * @returns the answer itself, or after 202 the end of its operation: 410, or `state` succeeded or failed. A poll that
   *   is answered 503, as a busy machine may have it, is sent again
   */
  settle(instanceId: string, begun: OsbAnswer): Promise<OsbAnswer>
  settleBinding(instanceId: string, bindingId: string, begun: OsbAnswer): Promise<OsbAnswer>
  /** @returns the id of a new instance that is ready */
  instance(parameters?: JsonObject): Promise<string>
}

export interface BindOptions {
  asynchronous?: boolean
  parameters?: JsonObject
}

/** @param offer what it asks for */
export function platformOf(broker: TestBroker, offer: Offer = { serviceId, planId }): Platform {
  const plan = { service_id: offer.serviceId, plan_id: offer.planId }
  const ids = new URLSearchParams(plan).toString()
  const settle = async (path: string, begun: OsbAnswer): Promise<OsbAnswer> => {
    if (begun.status !== 202) return begun
    for (let attempt = 1; ; attempt++) {
      const answer = await broker.poll(path, tokenIn(begun), { query: ids })
      if (answer.status !== 503 || attempt === 10) return answer
    }
  }
  const poll = (path: string, begun: OsbAnswer | undefined): Promise<OsbAnswer> => {
    const token = begun && tokenIn(begun)
    const query = token === undefined ? ids : `${ids}&operation=${encodeURIComponent(token)}`
    return broker.get(`${path}/last_operation`, { query })
  }
  const self: Platform = {
    provision: (instanceId, parameters = {}) =>
      broker.put(
        instancePath(instanceId),
        { ...plan, organization_guid: 'org', space_guid: 'space', parameters },
        { query: later },
      ),
    update: (instanceId, parameters) =>
      broker.patch(instancePath(instanceId), { service_id: offer.serviceId, parameters }, { query: later }),
    deprovision: (instanceId) => broker.delete(instancePath(instanceId), { query: `${ids}&${later}` }),
    fetch: (instanceId) => broker.get(instancePath(instanceId)),
    bind: (instanceId, bindingId, { asynchronous = true, parameters } = {}) =>
      broker.put(
        bindingPath(instanceId, bindingId),
        { ...plan, ...(parameters && { parameters }) },
        asynchronous ? { query: later } : {},
      ),
    unbind: (instanceId, bindingId, { asynchronous = true } = {}) =>
      broker.delete(bindingPath(instanceId, bindingId), { query: asynchronous ? `${ids}&${later}` : ids }),
    fetchBinding: (instanceId, bindingId) => broker.get(bindingPath(instanceId, bindingId)),
    poll: (instanceId, begun) => poll(instancePath(instanceId), begun),
    pollBinding: (instanceId, bindingId, begun) => poll(bindingPath(instanceId, bindingId), begun),
    settle: (instanceId, begun) => settle(instancePath(instanceId), begun),
    settleBinding: (instanceId, bindingId, begun) => settle(bindingPath(instanceId, bindingId), begun),
    async instance(parameters) {
      const instanceId = randomUUID()
      const end = await self.settle(instanceId, await self.provision(instanceId, parameters))
      if (end.body.state !== 'succeeded') throw new Error(`no instance: ${end.status} ${end.text}`)
      return instanceId
    },
  }
  return self
}

function tokenIn(answer: OsbAnswer): string | undefined {
  const operation = at(answer.body, 'operation')
  return typeof operation === 'string' ? operation : undefined
}

/** @returns the credentials of an answer to a bind or fetch */
export function credentialsIn(answer: OsbAnswer): JsonObject {
  const found = at(answer.body, 'credentials')
  if (found === undefined) throw new Error(`no credentials in ${answer.status} ${answer.text}`)
  return objectIn(JSON.stringify(found))
}

/** @returns an answer as failed assertions show it */
export function brief({ status, text }: OsbAnswer): string {
  return `${status} ${text.slice(0, 500)}`
}
