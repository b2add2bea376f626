/** Specs as the broker builds them, and what it takes to get from one to another: for the tests of every kind. */
import type { Database, Wanted } from '../../shared/kubedb/databases/database.ts'
import { planUpdate } from '../../shared/kubedb/instances/planner.ts'
import type { Resolved } from '../../shared/kubedb/records/instance-record.ts'
import type { JsonObject } from '../../shared/values/json.ts'
import { shippedPlan } from '../support/shipped-catalog.ts'

const inside = { addresses: 'cluster', instance: '6f0a1c6e' } as const
export const issuer = { kind: 'ClusterIssuer', name: 'internal-ca' } as const
export const issuerRef = { apiGroup: 'cert-manager.io', ...issuer }
export const other = { kind: 'Issuer', name: 'own-ca' } as const

/** @returns what is asked of KubeDB for a plan of the shipped catalog, at its version unless the parameters say so */
export function asked(service: string, name: string, wanted: Partial<Wanted> = {}): Resolved {
  const { plan, kind } = shippedPlan(service, name)
  const spec = kind.build(plan.spec, { version: plan.version, ...wanted }, inside)
  return { spec, database: 'app', labels: {}, annotations: {} }
}

/** @returns the steps as `type body` or `path value`, or the reason why there is no way */
export function planned(
  kind: Database,
  had: Resolved,
  wanted: Resolved,
  live: JsonObject = had.spec,
): (string | JsonObject)[] | string {
  const plan = planUpdate(kind, { had, wanted, unfinished: [], live })
  switch (plan.kind) {
    case 'nothing':
      return []
    case 'impossible':
      return plan.reason
    case 'steps':
      return plan.steps.flatMap(({ change }) =>
        change.by === 'opsRequest' ? [change.type, change.body] : [change.spec],
      )
  }
}

/** Names, passwords and databases that would break a URI put together carelessly. */
export const hostile = [
  ['buser', 'plain', 'app'],
  ['b@:/?#[]', 'p@ss:w/rd?#&=+%25 ü\\\'"', 'my-db'],
  ['%41', '%%', 'x_y'],
  [' ', "!*'();:@&=+$,/?#[]", 'a'],
] as const
