/**
 * Stands for Kourier's controller where it cannot be had: it is no module of the Go proxy. Reads Knative's Ingresses and
 * leads a real gateway (Contour and its Envoy) by HTTPRoutes that mean the same; tells Knative when that gateway answers.
 * Of TLS it knows nothing: what asks for it stays unready, and a line here says so.
 *
 * Usage: node e2e/knative/ingress.ts CLASS NAMESPACE/NAME ADDRESS   until it is ended
 *   CLASS    `ingress-class` of config-network: other Ingresses are not its own
 *   NAMESPACE/NAME  of a Gateway at ADDRESS, with a listener `http` on port 8080 for the outside, and a listener `local`
 *            on port 8081 that has the Service kourier-internal
 */
import { request } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import * as v from 'valibot'
import { startInformer } from '../../sandbox/operator/cluster/informer.ts'
import { Kube, type NewObject, type Resource } from '../../sandbox/operator/cluster/kube.ts'
import { type Gateway, httpRoutesOf, type Ingress, IngressSchema } from './http-routes.ts'

const [, , className, gateway = '', address] = process.argv
const [namespace, name] = gateway.split('/')
if (!className || !namespace || !name || !address || !process.env.KUBECONFIG) {
  console.error('Usage: KUBECONFIG=FILE node e2e/knative/ingress.ts CLASS NAMESPACE/NAME ADDRESS')
  process.exit(2)
}
const local = { name: 'kourier-internal', namespace: 'kourier-system' }
const front: Gateway = {
  gateway: { name, namespace },
  listeners: { public: 'http', local: 'local' },
  local,
}
const ingresses: Resource = { api: 'apis/networking.internal.knative.dev/v1alpha1', plural: 'ingresses' }
const routes: Resource = { api: 'apis/gateway.networking.k8s.io/v1', plural: 'httproutes' }
const grants: Resource = { api: 'apis/gateway.networking.k8s.io/v1beta1', plural: 'referencegrants' }
const anything = v.unknown()
const kube = await Kube.fromFile(process.env.KUBECONFIG)

/** Ingresses that are being served, by uid; the value is the generation. */
const taken = new Map<string, number>()

async function put(resource: Resource, object: NewObject): Promise<void> {
  if (await kube.create(resource, object)) return
  const { name, namespace } = object.metadata
  const place = namespace === undefined ? { name } : { name, namespace }
  await kube.patch(anything, resource, place, { spec: object.spec })
}

async function serve(ingress: Ingress): Promise<void> {
  const { metadata, spec } = ingress
  if (spec.rules.some(({ http }) => http.paths.some(({ rewriteHost }) => rewriteHost !== undefined))) {
    await put(grants, {
      apiVersion: 'gateway.networking.k8s.io/v1beta1',
      kind: 'ReferenceGrant',
      metadata: { name: `ingresses-of-${metadata.namespace}`, namespace: local.namespace },
      spec: {
        from: [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', namespace: metadata.namespace }],
        to: [{ group: '', kind: 'Service', name: local.name }],
      },
    })
  }
  for (const route of httpRoutesOf(ingress, front)) await put(routes, route)
  for (const { hosts, visibility } of spec.rules) {
    for (const port of visibility === 'ExternalIP' ? [8080, 8081] : [8081]) {
      for (const host of hosts) {
        for (const end = Date.now() + 60_000; !(await answers(host, port)); await delay(200)) {
          if (Date.now() > end) throw new Error(`${host} is not answered at port ${port}`)
        }
      }
    }
  }
  await report(ingress, [])
}

/** Knative's proxies answer such a request by themselves, also for a function that sleeps; a gateway without a route 404. */
function answers(host: string, port: number): Promise<boolean> {
  const headers = { host, 'K-Network-Probe': 'probe' }
  return new Promise((resolve) => {
    const probe = request({ host: address, port, headers, timeout: 2000 }, (answer) => {
      answer.resume()
      resolve(answer.statusCode === 200 || answer.statusCode === 400)
    })
    probe.on('timeout', () => probe.destroy())
    probe.on('error', () => resolve(false))
    probe.end()
  })
}

/** @param failed sentences; none where it is served */
async function report({ metadata }: Ingress, failed: readonly string[]): Promise<void> {
  const lastTransitionTime = new Date().toISOString()
  const inside = (service: string) => ({
    ingress: [{ domainInternal: `${service}.${local.namespace}.svc.cluster.local` }],
  })
  const [message] = failed
  const state = message === undefined ? { status: 'True' } : { status: 'False', reason: 'NotServed', message }
  await kube.patch(
    anything,
    ingresses,
    { name: metadata.name, namespace: metadata.namespace },
    {
      status: {
        observedGeneration: metadata.generation,
        conditions: ['LoadBalancerReady', 'NetworkConfigured', 'Ready'].map((type) => ({
          type,
          lastTransitionTime,
          ...state,
        })),
        publicLoadBalancer: inside('kourier'),
        privateLoadBalancer: inside(local.name),
      },
    },
    'status',
  )
}

function told(ingress: Ingress): void {
  const { uid, generation, deletionTimestamp, annotations } = ingress.metadata
  if (annotations['networking.knative.dev/ingress.class'] !== className) return
  if (deletionTimestamp !== undefined || taken.get(uid) === generation) return
  taken.set(uid, generation)
  serve(ingress).catch(async (error) => {
    const sentence = `${ingress.metadata.namespace}/${ingress.metadata.name}: ${error instanceof Error ? error.message : error}`
    console.error(sentence)
    // The next resync of the informer tries again.
    taken.delete(uid)
    await report(ingress, [sentence]).catch((failure) => console.error(String(failure)))
  })
}

const informer = startInformer(kube, ingresses, IngressSchema, undefined, told, console.error)
await informer.synced
console.log('Knative has a gateway')
const end = () => informer.stop().then(() => process.exit(0))
process.once('SIGTERM', end)
process.once('SIGINT', end)
