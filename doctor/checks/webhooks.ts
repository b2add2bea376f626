import * as v from 'valibot'
import type { Database } from '../../shared/kubedb/databases/database.ts'
import { broken, type Check, type Finding } from '../examination.ts'
import { find, list } from '../kube.ts'

const strings = v.optional(v.array(v.string()), [])
const Configuration = v.object({
  webhooks: v.optional(
    v.array(
      v.object({ rules: v.optional(v.array(v.object({ apiGroups: strings, resources: strings })), []) }),
    ),
    [],
  ),
})
const Resources = v.object({ resources: v.array(v.object({ name: v.string() })) })
const api = '/apis/admissionregistration.k8s.io/v1'

/** KubeDB registers the webhooks of a kind only where its feature gate is on. */
export const webhooks: Check = {
  title: "KubeDB's webhooks complete and judge the databases of every kind, and its OpsRequests",
  async examine({ ask, kinds }) {
    const rulesOf = async (plural: string) =>
      ((await list(ask, Configuration, `${api}/${plural}`)) ?? []).flatMap(({ webhooks }) =>
        webhooks.flatMap(({ rules }) => rules),
      )
    const mutating = await rulesOf('mutatingwebhookconfigurations')
    const validating = await rulesOf('validatingwebhookconfigurations')
    const asked = (rules: typeof mutating, group: string, plural: string) =>
      rules.some(
        ({ apiGroups, resources }) =>
          apiGroups.some((one) => one === group || one === '*') &&
          resources.some((one) => one === plural || one === '*' || one === '*/*'),
      )
    const findings: Finding[] = []
    for (const kind of kinds) {
      // That a kind is not served is said elsewhere.
      if (!(await isServed(ask, kind))) continue
      const missing = [
        asked(mutating, 'kubedb.com', kind.plural) ? [] : `complete ${kind.plural}`,
        asked(validating, 'kubedb.com', kind.plural) ? [] : `judge ${kind.plural}`,
        asked(validating, 'ops.kubedb.com', kind.opsPlural) ? [] : `judge ${kind.opsPlural}`,
      ].flat()
      if (missing.length === 0) continue
      findings.push(
        broken(
          `no webhook of KubeDB is registered to ${missing.join(', to ')}: its feature gate ${kind.kind} is off, or its webhook server is not installed, and nobody makes such a database`,
          `\`helm upgrade … --reuse-values --set global.featureGates.${kind.kind}=true\` where KubeDB is installed, or take the service out of the catalog`,
        ),
      )
    }
    return findings
  },
}

async function isServed(
  ask: Parameters<Check['examine']>[0]['ask'],
  { apiVersion, plural }: Database,
): Promise<boolean> {
  const found = await find(ask, Resources, `/apis/${apiVersion}`)
  return found?.resources.some(({ name }) => name === plural) ?? false
}
