import * as v from 'valibot'
import { edgeRouter } from '../../shared/routes.ts'
import { broken, type Check, type Finding } from '../examination.ts'
import { list } from '../kube.ts'

const Condition = v.object({ type: v.string(), status: v.string(), message: v.optional(v.string(), '') })
/** HTTPRoutes tell of each gateway; HTTPProxies of themselves. */
const Route = v.object({
  metadata: v.object({ name: v.string() }),
  status: v.optional(
    v.object({
      parents: v.optional(v.array(v.object({ conditions: v.optional(v.array(Condition), []) })), []),
      currentStatus: v.optional(v.string()),
      description: v.optional(v.string(), ''),
    }),
    { parents: [], description: '' },
  ),
})
const labelled = `labelSelector=${encodeURIComponent('app.kubernetes.io/part-of=kubedb-service-broker')}`

/** One URL in front of ten functions, by whichever gateway. */
export const route: Check = {
  title: 'a gateway leads to the functions',
  async examine({ ask, broker }) {
    const inBroker = (api: string, plural: string, query = `?${labelled}`) =>
      list(ask, Route, `/apis/${api}/namespaces/${broker}/${plural}${query}`)
    const found = {
      HTTPRoute: await inBroker('gateway.networking.k8s.io/v1', 'httproutes'),
      VirtualService: await inBroker('networking.istio.io/v1', 'virtualservices'),
      HTTPProxy: await inBroker('projectcontour.io/v1', 'httpproxies'),
      'edge router': [
        ...((await inBroker('serving.knative.dev/v1', 'services', '')) ?? []),
        ...((await inBroker('apps/v1', 'deployments', '')) ?? []),
      ].filter(({ metadata }) => metadata.name === `osb-${edgeRouter}`),
    }
    if (Object.values(found).every((routes) => routes === undefined || routes.length === 0)) {
      return [
        broken(
          `nothing in namespace ${broker} leads from outside to the functions: no HTTPRoute, VirtualService or HTTPProxy of the broker, no edge router`,
          'apply one of knative/overlays/: gateway-api, istio, contour or edge-router, with your host name in it',
        ),
      ]
    }
    const findings: Finding[] = []
    for (const [kind, routes = []] of Object.entries(found)) {
      for (const { metadata, status } of routes) {
        const refusals = status.parents
          .flatMap(({ conditions }) => conditions)
          .filter((one) => ['Accepted', 'ResolvedRefs'].includes(one.type) && one.status === 'False')
          .map(({ type, message }) => `${type}: ${message}`)
        if (status.currentStatus === 'invalid') refusals.push(status.description)
        if (refusals.length === 0) continue
        findings.push(
          broken(
            `${kind} ${metadata.name} is refused by its gateway: ${refusals.join('; ')}`,
            'correct the names of gateway and host in the overlay, and apply it again',
          ),
        )
      }
    }
    return findings
  },
}
