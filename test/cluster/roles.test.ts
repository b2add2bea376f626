import test from 'ava'
import * as v from 'valibot'
import { nameOf, resourcesOf } from '../../generate/roles.ts'
import { kinds } from '../../shared/kubedb/databases/kinds.ts'
import type { Route } from '../../shared/routes.ts'
import { useCluster } from '../support/cluster.ts'
import { rows } from '../support/used-permissions.ts'

const cluster = useCluster(test, { dashboard: true })

const Review = v.object({
  status: v.object({
    incomplete: v.boolean(),
    resourceRules: v.array(
      v.object({
        verbs: v.array(v.string()),
        apiGroups: v.array(v.string()),
        resources: v.array(v.string()),
        resourceNames: v.optional(v.array(v.string())),
      }),
    ),
  }),
})

/** What everybody who is known may ask. */
const aboutOneself = /^create selfsubject(accessreviews|rulesreviews|reviews)\./

/**
 * Asks the API server's own authorizer for everything that a ServiceAccount of the broker may do in a namespace,
 * which includes what it may do in the whole cluster.
 *
 * @returns e.g. `get secrets.`, `create postgreses.kubedb.com`
 */
async function allowedTo(account: string, namespace: string): Promise<string[]> {
  const ask = await cluster.as(account)
  const { status, body, text } = await ask('POST', '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews', {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectRulesReview',
    spec: { namespace },
  })
  if (status !== 201) throw new Error(text)
  const review = v.parse(Review, body).status
  if (review.incomplete) throw new Error(`the authorizer does not know all: ${text}`)
  return review.resourceRules
    .flatMap(({ verbs, apiGroups, resources, resourceNames }) =>
      verbs.flatMap((verb) =>
        apiGroups.flatMap((group) =>
          resources.map((resource) => `${verb} ${resource}.${group}${resourceNames ? ' by name' : ''}`),
        ),
      ),
    )
    .filter((rule) => !aboutOneself.test(rule))
    .sort()
}

/** @returns the same of the route map: what a row grants in the given places */
function grantedBy(route: Route, ...places: ('broker' | 'databases' | 'cluster')[]): string[] {
  const targets = new Map(Object.entries(resourcesOf([...kinds.values()])))
  return Object.entries(route.permissions)
    .flatMap(([name, verbs]) => {
      const target = targets.get(name)
      if (!target || !places.includes(target.place)) return []
      return target.resources.flatMap((resource) =>
        verbs.map((verb) => `${verb} ${resource}.${target.group}`),
      )
    })
    .sort()
}

for (const route of rows) {
  test(`${route.function} may do in the cluster what its row of the route map says, and nothing else`, async (t) => {
    const { broker, databases } = cluster.namespaces
    t.deepEqual(await allowedTo(nameOf(route), broker), grantedBy(route, 'broker', 'cluster'))
    t.deepEqual(await allowedTo(nameOf(route), databases), grantedBy(route, 'databases', 'cluster'))
    for (const elsewhere of ['default', 'kube-system', 'not-there']) {
      t.deepEqual(await allowedTo(nameOf(route), elsewhere), grantedBy(route, 'cluster'))
    }
  })
}

test('a token of a ServiceAccount is what the authorizer decides by', async (t) => {
  const fetchInstance = await cluster.as('osb-fetch-instance')
  t.is((await fetchInstance('GET', `${cluster.recordsPath()}/nothing`)).status, 404)
  t.is((await fetchInstance('GET', cluster.recordsPath())).status, 403)
  t.is((await fetchInstance('GET', `${cluster.databasesPath('postgreses')}/nothing`)).status, 403)
})
