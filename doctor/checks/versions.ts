import * as v from 'valibot'
import { broken, type Check, doubtful, type Finding, note } from '../examination.ts'
import { list } from '../kube.ts'

const Version = v.object({
  metadata: v.object({ name: v.string() }),
  spec: v.object({ deprecated: v.optional(v.boolean(), false), endOfLife: v.optional(v.boolean(), false) }),
})

export const versions: Check = {
  title: 'the cluster has every version that a plan names',
  async examine({ ask, kinds, services }) {
    const findings: Finding[] = []
    for (const { kind, versionsPlural } of kinds) {
      const found = await list(ask, Version, `/apis/catalog.kubedb.com/v1alpha1/${versionsPlural}`)
      // That the kind is not served is said elsewhere.
      if (!found) continue
      const known = new Map(found.map(({ metadata, spec }) => [metadata.name, spec]))
      const named = new Map<string, string[]>()
      const standard = new Set<string>()
      for (const service of services.filter((one) => one.kind === kind)) {
        for (const plan of service.plans) {
          standard.add(plan.version)
          for (const version of new Set([plan.version, ...(plan.parameters.version?.enum ?? [])])) {
            named.set(version, [...(named.get(version) ?? []), `${service.name}/${plan.name}`])
          }
        }
      }
      for (const [version, plans] of named) {
        const spec = known.get(version)
        if (!spec) {
          findings.push(
            broken(
              `${kind}Version ${version} is not in the cluster; plans that name it: ${plans.join(', ')}`,
              `install it with KubeDB's catalog, or name another version in the plans (\`kubectl get ${versionsPlural}\` lists them)`,
            ),
          )
        } else if (spec.deprecated) {
          findings.push(
            broken(
              `${kind}Version ${version} is deprecated, and KubeDB refuses it; plans that name it: ${plans.join(', ')}`,
              'name a newer version in the plans',
            ),
          )
        } else if (spec.endOfLife && !standard.has(version)) {
          findings.push(
            note(
              `${kind}Version ${version}, which may be chosen, is at the end of its life; plans that offer it: ${plans.join(', ')}`,
              'take it out of the plans, unless it is what an upgrade has to go by',
            ),
          )
        } else if (spec.endOfLife) {
          findings.push(
            doubtful(
              `${kind}Version ${version}, which new instances get, is at the end of its life; plans that name it: ${plans.join(', ')}`,
              'name a newer version in the plans',
            ),
          )
        }
      }
    }
    return findings
  },
}
