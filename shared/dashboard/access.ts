/** Who may see which instance, by rules about what the provider says of a person. Pure. */
import type { InstanceInfo } from '../kubedb/records/instance-record.ts'
import type { Rule } from './settings.ts'

/** What a provider says of a person. */
export type Claims = { readonly [name: string]: unknown }

/**
 * Nobody may see anything that no rule is about.
 *
 * @returns whether one of the rules lets this person see the instance
 */
export function mayRead(rules: readonly Rule[], claims: Claims, info: InstanceInfo): boolean {
  return rules.some((rule) => isAbout(rule, info) && isMeant(rule, claims))
}

/** @returns the claims that the rules read */
export function claimsOf(rules: readonly Rule[]): string[] {
  return [...new Set(rules.map(({ claim }) => claim))]
}

function isMeant({ claim, values }: Rule, claims: Claims): boolean {
  if (!Object.hasOwn(claims, claim)) return false
  // An address that nobody has confirmed is only what somebody wrote into a form.
  if (claim === 'email' && claims.email_verified !== true) return false
  const found = claims[claim]
  const all: unknown[] = Array.isArray(found) ? found : [found]
  return all.some((one) => typeof one === 'string' && values.includes(one))
}

function isAbout(rule: Rule, { organizationGuid, spaceGuid, context, platform }: InstanceInfo): boolean {
  if (rule.platform !== undefined && rule.platform !== platform) return false
  const namespace = context.platform === 'kubernetes' ? context.namespace : undefined
  return (
    rule.everything === true ||
    (rule.organizations?.includes(organizationGuid) ?? false) ||
    (rule.spaces?.includes(spaceGuid) ?? false) ||
    (typeof namespace === 'string' && (rule.namespaces?.includes(namespace) ?? false))
  )
}
