import test from 'ava'
import { nameOf } from '../../generate/roles.ts'
import { type Route, routes, type Target, type Verb } from '../../shared/routes.ts'
import { at, type TestCluster, useCluster } from '../support/cluster.ts'

const cluster = useCluster(test)

const verbs: readonly Verb[] = ['get', 'list', 'create', 'update', 'patch', 'delete']

/** Asks the API server's own authorizer about a ServiceAccount of the broker. */
async function allowed(
  { admin, namespaces }: TestCluster,
  account: string,
  resource: { namespace: string; group: string; resource: string; verb: string },
): Promise<boolean> {
  const { body, status, text } = await admin('POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews', {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SubjectAccessReview',
    spec: {
      user: `system:serviceaccount:${namespaces.broker}:${account}`,
      groups: [
        'system:serviceaccounts',
        `system:serviceaccounts:${namespaces.broker}`,
        'system:authenticated',
      ],
      resourceAttributes: resource,
    },
  })
  if (status !== 201) throw new Error(text)
  return at(body, 'status', 'allowed') === true
}

const places: Record<Target, { place: 'broker' | 'databases' | 'cluster'; group: string; resource: string }> =
  {
    records: { place: 'broker', group: 'appcatalog.appscode.com', resource: 'appbindings' },
    databases: { place: 'databases', group: 'kubedb.com', resource: 'postgreses' },
    opsRequests: { place: 'databases', group: 'ops.kubedb.com', resource: 'postgresopsrequests' },
    appBindings: { place: 'databases', group: 'appcatalog.appscode.com', resource: 'appbindings' },
    secrets: { place: 'databases', group: '', resource: 'secrets' },
    services: { place: 'databases', group: '', resource: 'services' },
    pods: { place: 'databases', group: '', resource: 'pods' },
    persistentVolumeClaims: { place: 'databases', group: '', resource: 'persistentvolumeclaims' },
    versions: { place: 'cluster', group: 'catalog.kubedb.com', resource: 'postgresversions' },
    events: { place: 'databases', group: '', resource: 'events' },
  }

for (const route of routes as readonly Route[]) {
  test(`${route.function} may do in the cluster what its row of the route map says, and nothing else`, async (t) => {
    const wrong: string[] = []
    for (const [target, { place, group, resource }] of Object.entries(places)) {
      const namespace = place === 'cluster' ? '' : cluster.namespaces[place]
      const wanted: readonly string[] =
        Object.entries(route.permissions).find(([name]) => name === target)?.[1] ?? []
      for (const verb of [...verbs, 'watch', 'deletecollection']) {
        const may = await allowed(cluster, nameOf(route), { namespace, group, resource, verb })
        if (may !== wanted.includes(verb)) wrong.push(`${verb} ${target}: ${may}`)
      }
    }
    t.deepEqual(wrong, [])
  })

  test(`${route.function} may do nothing beyond its two namespaces`, async (t) => {
    const wrong: string[] = []
    for (const { place, group, resource } of Object.values(places).filter(
      ({ place }) => place !== 'cluster',
    )) {
      for (const verb of verbs) {
        for (const namespace of ['default', 'kube-system', '']) {
          if (await allowed(cluster, nameOf(route), { namespace, group, resource, verb })) {
            wrong.push(`${verb} ${resource} in ${namespace || 'the cluster'}`)
          }
        }
      }
      // Where only the records are, secrets of the broker itself lie too.
      if (place === 'databases') {
        const { broker: namespace } = cluster.namespaces
        const own = group !== 'appcatalog.appscode.com'
        if (own && (await allowed(cluster, nameOf(route), { namespace, group, resource, verb: 'get' }))) {
          wrong.push(`get ${resource} in the broker's namespace`)
        }
      }
    }
    t.deepEqual(wrong, [])
  })
}

test('a token of a ServiceAccount is what the authorizer decides by', async (t) => {
  const fetchInstance = await cluster.as('osb-fetch-instance')
  t.is((await fetchInstance('GET', `${cluster.recordsPath()}/nothing`)).status, 404)
  t.is((await fetchInstance('GET', cluster.recordsPath())).status, 403)
  t.is((await fetchInstance('GET', `${cluster.databasesPath('postgreses')}/nothing`)).status, 403)
})
