import * as v from 'valibot'
import { reviewRoles } from '../../generate/reviews.ts'
import { brokerRoles, databaseRoles, nameOf, versionRoles } from '../../generate/roles.ts'
import { routes } from '../../shared/routes.ts'
import { configurationMap, dashboardCure, dashboardName, functionsOf } from '../configuration-map.ts'
import { broken, type Check, type Finding } from '../examination.ts'
import { find, granted, inTurns } from '../kube.ts'

const Review = v.object({ status: v.object({ allowed: v.boolean() }) })
const Anything = v.object({ metadata: v.object({ name: v.string() }) })

interface Question {
  account: string
  verb: string
  group: string
  resource: string
  /** '': of the whole cluster */
  namespace: string
}

/** Everything that the route map lets a function do is asked of the cluster's own authorizer. */
export const permissions: Check = {
  title: 'each function may do what its row of the route map says',
  async examine({ ask, broker, databases, kinds }) {
    const findings: Finding[] = []
    const configuration = await configurationMap({ ask, broker })
    const functions = functionsOf(configuration)
    const roles = [
      ...brokerRoles({ broker }, functions),
      ...databases.flatMap((namespace) => databaseRoles({ broker, databases: namespace }, kinds, functions)),
      ...versionRoles({ broker }, kinds),
    ]
    const questions = roles.flatMap((role) =>
      'rules' in role ? asked(role.rules, role.metadata.name, role.metadata.namespace) : [],
    )
    if (['bearer', 'both'].includes(configuration.data.AUTHENTICATION ?? '')) {
      const [{ rules }] = reviewRoles({ broker })
      questions.push(...routes.map(nameOf).flatMap((account) => asked(rules, account)))
    }
    const verdicts = await inTurns(questions, async ({ account, ...attributes }) => {
      const { status, body } = await ask('POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews', {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SubjectAccessReview',
        spec: {
          user: `system:serviceaccount:${broker}:${account}`,
          groups: ['system:serviceaccounts', `system:serviceaccounts:${broker}`, 'system:authenticated'],
          resourceAttributes: attributes,
        },
      })
      return v.parse(Review, granted('POST SubjectAccessReview', status, body)).status.allowed
    })
    const missing = questions.filter((_, index) => !verdicts[index])
    for (const { account, namespace, wants } of grouped(missing)) {
      findings.push(
        broken(
          `ServiceAccount ${account} may not ${wants.join('; ')} ${namespace === '' ? 'in the whole cluster' : `in namespace ${namespace}`}`,
          account === dashboardName
            ? `${dashboardCure}, its Role and RoleBinding in each namespace of databases`
            : `apply knative/base/2*.yaml again${wants.some((want) => want.includes('reviews')) ? ', and knative/components/bearer' : ''}${databases.includes(namespace) ? `, 220-database-roles.yaml for namespace ${namespace}` : ''}`,
        ),
      )
    }
    const accounts = `/api/v1/namespaces/${broker}/serviceaccounts`
    for (const account of functions.map(nameOf)) {
      if (await find(ask, Anything, `${accounts}/${account}`)) continue
      findings.push(
        broken(
          `ServiceAccount ${account} is not in namespace ${broker}`,
          account === dashboardName ? dashboardCure : 'apply knative/base/200-service-accounts.yaml',
        ),
      )
    }
    return findings
  },
}

/** @param namespace absent: in the whole cluster */
function asked(
  rules: readonly { apiGroups?: string[]; resources?: string[]; verbs: string[] }[],
  account: string,
  namespace = '',
): Question[] {
  return rules.flatMap(({ apiGroups = [], resources = [], verbs }) =>
    apiGroups.flatMap((group) =>
      resources.flatMap((resource) => verbs.map((verb) => ({ account, verb, group, resource, namespace }))),
    ),
  )
}

/** One sentence for an account in a namespace, not one for each verb. */
function grouped(questions: readonly Question[]): { account: string; namespace: string; wants: string[] }[] {
  const all = new Map<string, { account: string; namespace: string; resources: Map<string, string[]> }>()
  for (const { account, namespace, verb, group, resource } of questions) {
    const key = `${account} ${namespace}`
    const entry = all.get(key) ?? { account, namespace, resources: new Map() }
    const name = group === '' ? resource : `${resource}.${group}`
    entry.resources.set(name, [...(entry.resources.get(name) ?? []), verb])
    all.set(key, entry)
  }
  return [...all.values()].map(({ resources, ...where }) => ({
    ...where,
    wants: [...resources].map(([name, verbs]) => `${verbs.join(', ')} ${name}`),
  }))
}
