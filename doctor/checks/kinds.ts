import * as v from 'valibot'
import { broken, type Check, type Finding } from '../examination.ts'
import { find } from '../kube.ts'

const Resources = v.object({ resources: v.array(v.object({ name: v.string() })) })

/** The kinds that KubeDB's Helm chart switches on by itself (`global.featureGates`); of the others it installs nothing. */
const switchedOn = ['Elasticsearch', 'Kafka', 'MariaDB', 'MongoDB', 'MySQL', 'Postgres', 'Redis']

/** What is served, by API group and version. */
export const kinds: Check = {
  title: 'KubeDB serves every kind of the catalog, its OpsRequests and its versions',
  async examine({ ask, kinds }) {
    const groups = [
      'kubedb.com/v1',
      'kubedb.com/v1alpha2',
      'ops.kubedb.com/v1alpha1',
      'catalog.kubedb.com/v1alpha1',
      'appcatalog.appscode.com/v1alpha1',
    ]
    const served = new Map<string, Set<string>>()
    for (const group of groups) {
      const found = await find(ask, Resources, `/apis/${group}`)
      served.set(group, new Set(found?.resources.map(({ name }) => name)))
    }
    const has = (group: string, plural: string) => served.get(group)?.has(plural) ?? false
    const findings: Finding[] = []
    if (!has('appcatalog.appscode.com/v1alpha1', 'appbindings')) {
      findings.push(
        broken(
          'the cluster has no AppBindings (appbindings.appcatalog.appscode.com), in which the broker keeps its records',
          'install KubeDB: its Helm chart brings them',
        ),
      )
    }
    for (const kind of kinds) {
      const missing = [
        has(kind.apiVersion, kind.plural) ? [] : [`${kind.plural} (${kind.apiVersion})`],
        has('ops.kubedb.com/v1alpha1', kind.opsPlural) ? [] : [`${kind.opsPlural} (ops.kubedb.com/v1alpha1)`],
        has('catalog.kubedb.com/v1alpha1', kind.versionsPlural)
          ? []
          : [`${kind.versionsPlural} (catalog.kubedb.com/v1alpha1)`],
      ].flat()
      if (missing.length === 0) continue
      findings.push(
        broken(
          `KubeDB's ${kind.kind} is in the catalog, but the cluster does not serve ${missing.join(', ')}`,
          `${switchedOn.includes(kind.kind) ? '' : "KubeDB's chart leaves it off: "}enable it where KubeDB is installed (\`helm upgrade … --reuse-values --set global.featureGates.${kind.kind}=true\`), or take the service out of the catalog`,
        ),
      )
    }
    return findings
  },
}
