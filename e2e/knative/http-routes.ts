/** An Ingress of Knative, as its controllers write it, and the HTTPRoutes that mean the same. */
import * as v from 'valibot'

const Headers = v.record(v.string(), v.string())

/** `networking.internal.knative.dev/v1alpha1`, without TLS: Knative fills that in only where it has certificates. */
export const IngressSchema = v.object({
  metadata: v.object({
    name: v.string(),
    namespace: v.string(),
    uid: v.string(),
    generation: v.number(),
    annotations: v.optional(v.record(v.string(), v.string()), {}),
    deletionTimestamp: v.optional(v.string()),
  }),
  spec: v.object({
    tls: v.optional(v.pipe(v.array(v.unknown()), v.maxLength(0, 'TLS is not supported'))),
    rules: v.array(
      v.object({
        hosts: v.array(v.string()),
        visibility: v.optional(v.picklist(['ExternalIP', 'ClusterLocal']), 'ExternalIP'),
        http: v.object({
          paths: v.array(
            v.object({
              path: v.optional(v.string(), '/'),
              headers: v.optional(v.record(v.string(), v.object({ exact: v.string() })), {}),
              rewriteHost: v.optional(v.string()),
              appendHeaders: v.optional(Headers, {}),
              splits: v.array(
                v.object({
                  serviceName: v.string(),
                  serviceNamespace: v.string(),
                  servicePort: v.number(),
                  percent: v.optional(v.number(), 100),
                  appendHeaders: v.optional(Headers, {}),
                }),
              ),
            }),
          ),
        }),
      }),
    ),
  }),
  status: v.optional(
    v.object({
      observedGeneration: v.optional(v.number()),
      conditions: v.optional(v.array(v.object({ type: v.string(), status: v.string() })), []),
    }),
    {},
  ),
})

export type Ingress = v.InferOutput<typeof IngressSchema>
type Path = Ingress['spec']['rules'][number]['http']['paths'][number]

/** The Gateway that the routes attach to, with a listener for each side, and the Service of the inner one. */
export interface Gateway {
  gateway: { name: string; namespace: string }
  listeners: { public: string; local: string }
  local: { name: string; namespace: string }
}

/** @returns an HTTPRoute for each rule, owned by the Ingress */
export function httpRoutesOf({ metadata, spec }: Ingress, { gateway, listeners, local }: Gateway) {
  return spec.rules.map(({ hosts, visibility, http }, index) => ({
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: {
      name: `${metadata.name}-${index}`,
      namespace: metadata.namespace,
      ownerReferences: [
        {
          apiVersion: 'networking.internal.knative.dev/v1alpha1',
          kind: 'Ingress',
          name: metadata.name,
          uid: metadata.uid,
        },
      ],
    },
    spec: {
      parentRefs: [
        { ...gateway, sectionName: listeners.local },
        ...(visibility === 'ExternalIP' ? [{ ...gateway, sectionName: listeners.public }] : []),
      ],
      hostnames: hosts,
      rules: http.paths.map((path) => ruleOf(path, local)),
    },
  }))
}

function ruleOf({ path, headers, rewriteHost, appendHeaders, splits }: Path, local: Gateway['local']) {
  const matching = Object.entries(headers).map(([name, { exact }]) => ({ type: 'Exact', name, value: exact }))
  return {
    matches: [{ path: { type: 'PathPrefix', value: path }, headers: matching }],
    filters: [
      ...setting(appendHeaders),
      ...(rewriteHost === undefined ? [] : [{ type: 'URLRewrite', urlRewrite: { hostname: rewriteHost } }]),
    ],
    // None here: Knative's own proxies watch the time.
    timeouts: { request: '0s' },
    backendRefs: splits.map((split) =>
      // Who changes the host name goes through the gateway once more, to whatever serves that name: the Service that is
      // named then is an alias of the gateway, and aliases are refused by gateways.
      rewriteHost === undefined
        ? {
            name: split.serviceName,
            namespace: split.serviceNamespace,
            port: split.servicePort,
            weight: split.percent,
            filters: setting(split.appendHeaders),
          }
        : { ...local, port: 80, weight: split.percent },
    ),
  }
}

function setting(headers: Readonly<Record<string, string>>) {
  const set = Object.entries(headers).map(([name, value]) => ({ name, value }))
  return set.length === 0 ? [] : [{ type: 'RequestHeaderModifier', requestHeaderModifier: { set } }]
}
