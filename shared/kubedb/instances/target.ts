/** From plan and parameters to what is asked of KubeDB. Pure. */
import { isObject, type Json, type JsonObject } from '../../values/json.ts'
import type { Parameters, Plan } from '../../values/nouns.ts'
import type { Circumstances, Database, Wanted } from '../databases/database.ts'
import type { Resolved, Target } from '../records/instance-record.ts'

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
  /** what is in force, where there is an instance already */
  had?: Resolved
}

/** @throws {BrokerError} BadRequest where plan and parameters do not go together */
export function targetOf(
  { plan, kind, sent, checked, version, maintenance, had }: Wish,
  circumstances: Circumstances,
): Target {
  const { tls, ...rest } = checked
  const issuers = plan.parameters.tls?.issuers ?? {}
  const issuer = tls !== undefined && Object.hasOwn(issuers, tls) ? issuers[tls] : undefined
  const wanted: Wanted = { ...rest, ...(issuer ? { issuer } : {}), version }
  const asked = kind.build(plan.spec, wanted, circumstances)
  const storageClass = unsaidClass(plan, kind, asked, had?.spec)
  return {
    planId: plan.id,
    parameters: sent,
    resolved: {
      spec:
        storageClass === undefined
          ? asked
          : kind.build(plan.spec, { ...wanted, storageClass }, circumstances),
      database: had?.database ?? checked.database ?? kind.databaseName?.default ?? '',
      labels: checked.metadata?.labels ?? {},
      annotations: checked.metadata?.annotations ?? {},
    },
    maintenance,
    maximumPollingDuration: plan.maximumPollingDuration,
  }
}

/**
 * @param template of the plan
 * @param names what its placeholders stand for; the protocol lets none of them have more than RFC 3986's unreserved
 *   characters, but they are encoded all the same
 * @returns the address of a page about an instance
 */
export function dashboardUrl(
  template: string | undefined,
  names: { name: string; namespace: string; instance: string },
): string | undefined {
  const values = new Map(Object.entries(names))
  return template?.replace(/\{([a-z]+)\}/g, (_, name: string) => encodeURIComponent(values.get(name) ?? ''))
}

/**
 * KubeDB moves disks to another class only where the database names the one that they have. So where a plan lets users
 * choose, what nobody has chosen is written out too: the first of the plan's classes. An instance keeps what it has, or
 * an update of something else would move its disks.
 *
 * @param asked the spec without it
 * @param had the spec in force, where there is an instance already
 */
function unsaidClass(
  plan: Plan,
  kind: Database,
  asked: JsonObject,
  had: JsonObject | undefined,
): string | undefined {
  const offered = plan.parameters.storageClass?.enum ?? []
  const classesIn = (spec: JsonObject): Json[] => {
    const value = kind.dimensions.find(({ name }) => name === 'storageClass')?.read(spec)
    return isObject(value) ? Object.values(value) : []
  }
  if (asked.storageType === 'Ephemeral' || classesIn(asked).some((name) => name !== null)) return undefined
  if (had === undefined) return offered[0]
  const [before] = classesIn(had).filter((name) => typeof name === 'string')
  return before === undefined || offered.length === 0 || offered.includes(before) ? before : offered[0]
}
