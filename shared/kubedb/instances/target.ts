/** From plan and parameters to what is asked of KubeDB. Pure. */
import type { JsonObject } from '../../values/json.ts'
import type { Parameters, Plan } from '../../values/nouns.ts'
import type { Circumstances, Database } from '../databases/database.ts'
import type { Target } from '../records/instance-record.ts'

export interface Wish {
  plan: Plan
  kind: Database
  /** as the user sent them */
  sent: JsonObject
  /** the same, checked */
  checked: Parameters
  /** name of a *Version object */
  version: string
  /** maintenance_info.version in force */
  maintenance: string
  /** the application's database where it is fixed already */
  database?: string
}

/** @throws {BrokerError} BadRequest where plan and parameters do not go together */
export function targetOf(
  { plan, kind, sent, checked, version, maintenance, database }: Wish,
  circumstances: Circumstances,
): Target {
  const { tls, ...rest } = checked
  const issuers = plan.parameters.tls?.issuers ?? {}
  const issuer = tls !== undefined && Object.hasOwn(issuers, tls) ? issuers[tls] : undefined
  return {
    planId: plan.id,
    parameters: sent,
    resolved: {
      spec: kind.build(plan.spec, { ...rest, ...(issuer ? { issuer } : {}), version }, circumstances),
      database: database ?? checked.database ?? kind.databaseName?.default ?? '',
      labels: checked.metadata?.labels ?? {},
      annotations: checked.metadata?.annotations ?? {},
    },
    maintenance,
    maximumPollingDuration: plan.maximumPollingDuration,
  }
}
