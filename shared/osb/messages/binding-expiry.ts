import type { Plan } from '../../values/nouns.ts'

/** When credentials end, and from when on they should be rotated (OSB: Binding Metadata Object). ISO times. */
export interface BindingExpiry {
  expiresAt: string
  renewBefore: string
}

/**
 * @param plan of the instance; undefined where it has left the catalog
 * @param now milliseconds since the epoch
 * @returns undefined where the plan sets no end
 */
export function bindingExpiry(
  plan: Pick<Plan, 'bindingExpiry'> | undefined,
  now: number,
): BindingExpiry | undefined {
  if (!plan?.bindingExpiry) return undefined
  const { after, renewBefore } = plan.bindingExpiry
  const end = now + after * 1000
  return {
    expiresAt: new Date(end).toISOString(),
    renewBefore: new Date(end - renewBefore * 1000).toISOString(),
  }
}
