import { equal } from '../../../shared/values/json.ts'
import type { Condition } from './resources.ts'

/** What changes about a condition; the time of transition follows from the change. */
export interface ConditionChange {
  readonly type: string
  readonly status: 'True' | 'False' | 'Unknown'
  readonly reason: string
  readonly message: string
}

export function isTrue(conditions: readonly Condition[], type: string): boolean {
  return conditions.some((condition) => condition.type === type && condition.status === 'True')
}

export function isFalse(conditions: readonly Condition[], type: string): boolean {
  return conditions.some((condition) => condition.type === type && condition.status === 'False')
}

/** The list with one condition set: appended where new, its transition time moved only with its status. */
export function withCondition(
  conditions: readonly Condition[],
  change: ConditionChange,
  observedGeneration: number,
  now: Date,
): Condition[] {
  const old = conditions.find((condition) => condition.type === change.type)
  const lastTransitionTime =
    old?.status === change.status && old.lastTransitionTime !== '' ? old.lastTransitionTime : seconds(now)
  const next: Condition = { ...change, observedGeneration, lastTransitionTime }
  if (old === undefined) return [...conditions, next]
  return conditions.map((condition) => (condition === old ? next : condition))
}

export function withoutCondition(conditions: readonly Condition[], type: string): Condition[] {
  return conditions.filter((condition) => condition.type !== type)
}

/** Whether a write would change anything. */
export function sameConditions(left: readonly Condition[], right: readonly Condition[]): boolean {
  return equal(left, right)
}

/** RFC 3339 without fractions, as Kubernetes writes times. */
export function seconds(time: Date): string {
  return time.toISOString().replace(/\.\d+Z$/, 'Z')
}
