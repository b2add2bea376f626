import * as v from 'valibot'
import type { Issuer } from '../../shared/values/nouns.ts'
import { broken, type Check, type Finding } from '../examination.ts'
import { find } from '../kube.ts'

const Ready = v.object({
  status: v.optional(
    v.object({
      conditions: v.optional(
        v.array(v.object({ type: v.string(), status: v.string(), message: v.optional(v.string(), '') })),
        [],
      ),
    }),
    { conditions: [] },
  ),
})

/** Of certificates; cert-manager's. */
export const issuers: Check = {
  title: 'the issuers of certificates that plans name are there and ready',
  async examine({ ask, databases, services }) {
    const named = new Map<string, { issuer: Issuer; plans: string[] }>()
    for (const service of services) {
      for (const plan of service.plans) {
        for (const issuer of Object.values(plan.parameters.tls?.issuers ?? {})) {
          const key = `${issuer.kind} ${issuer.name}`
          const plans = [...(named.get(key)?.plans ?? []), `${service.name}/${plan.name}`]
          named.set(key, { issuer, plans })
        }
      }
    }
    const findings: Finding[] = []
    for (const [words, { issuer, plans }] of named) {
      const api = '/apis/cert-manager.io/v1'
      const places =
        issuer.kind === 'ClusterIssuer'
          ? [{ path: `${api}/clusterissuers/${issuer.name}`, where: 'the cluster' }]
          : databases.map((namespace) => ({
              path: `${api}/namespaces/${namespace}/issuers/${issuer.name}`,
              where: `namespace ${namespace}`,
            }))
      for (const { path, where } of places) {
        const found = await find(ask, Ready, path)
        const ready = found?.status.conditions.find(({ type }) => type === 'Ready')
        if (found && ready?.status !== 'False') continue
        const problem = found
          ? `${words} in ${where} is not ready: ${ready?.message}`
          : `${words} is not in ${where}`
        findings.push(
          broken(
            `${problem}; plans that name it: ${[...new Set(plans)].join(', ')}`,
            found
              ? `\`kubectl describe ${issuer.kind.toLowerCase()} ${issuer.name}\` says more`
              : 'make it with cert-manager, or take it out of parameters.tls.issuers of the plans',
          ),
        )
      }
    }
    return findings
  },
}
