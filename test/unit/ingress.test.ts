/** The stand-in for Kourier's controller in the end-to-end test: Knative's Ingresses as HTTPRoutes. */
import test from 'ava'
import * as v from 'valibot'
import { httpRoutesOf, IngressSchema } from '../../e2e/knative/http-routes.ts'

const front = {
  gateway: { name: 'gateway', namespace: 'projectcontour' },
  listeners: { public: 'outer', local: 'inner' },
  local: { name: 'kourier-internal', namespace: 'kourier-system' },
}
const metadata = { name: 'osb-catalog', namespace: 'broker', uid: 'u', generation: 1 }

/** As Knative's controllers wrote them for a function, and for a DomainMapping. */
const ofFunction = {
  metadata,
  spec: {
    httpOption: 'Enabled',
    rules: [
      {
        hosts: ['osb-catalog.broker', 'osb-catalog.broker.svc', 'osb-catalog.broker.svc.cluster.local'],
        http: {
          paths: [
            {
              splits: [
                {
                  appendHeaders: {
                    'Knative-Serving-Namespace': 'broker',
                    'Knative-Serving-Revision': 'osb-catalog-00001',
                  },
                  percent: 100,
                  serviceName: 'osb-catalog-00001',
                  serviceNamespace: 'broker',
                  servicePort: 80,
                },
              ],
            },
          ],
        },
        visibility: 'ClusterLocal',
      },
    ],
  },
}
const split = { percent: 100, serviceName: 'osb-edge-router', serviceNamespace: 'broker', servicePort: 80 }
const ofMapping = {
  metadata,
  spec: {
    rules: [
      {
        hosts: ['broker.example.com'],
        http: {
          paths: [{ rewriteHost: 'osb-edge-router.broker.svc.cluster.local', splits: [split] }],
        },
      },
    ],
  },
}

test('the rule of a function leads to its revision, with the headers that the activator needs', (t) => {
  const [route, ...others] = httpRoutesOf(v.parse(IngressSchema, ofFunction), front)
  t.deepEqual(others, [])
  t.is(route?.metadata.name, 'osb-catalog-0')
  t.deepEqual(
    route?.metadata.ownerReferences.map(({ kind, uid }) => `${kind} ${uid}`),
    ['Ingress u'],
  )
  t.deepEqual(route?.spec, {
    parentRefs: [{ ...front.gateway, sectionName: 'inner' }],
    hostnames: ['osb-catalog.broker', 'osb-catalog.broker.svc', 'osb-catalog.broker.svc.cluster.local'],
    rules: [
      {
        matches: [{ path: { type: 'PathPrefix', value: '/' }, headers: [] }],
        filters: [],
        timeouts: { request: '0s' },
        backendRefs: [
          {
            name: 'osb-catalog-00001',
            namespace: 'broker',
            port: 80,
            weight: 100,
            filters: [
              {
                type: 'RequestHeaderModifier',
                requestHeaderModifier: {
                  set: [
                    { name: 'Knative-Serving-Namespace', value: 'broker' },
                    { name: 'Knative-Serving-Revision', value: 'osb-catalog-00001' },
                  ],
                },
              },
            ],
          },
        ],
      },
    ],
  })
})

test('a DomainMapping leads through the gateway once more, by the host name of its Service', (t) => {
  const [route] = httpRoutesOf(v.parse(IngressSchema, ofMapping), front)
  t.deepEqual(
    route?.spec.parentRefs.map(({ sectionName }) => sectionName),
    ['inner', 'outer'],
  )
  t.deepEqual(route?.spec.rules, [
    {
      matches: [{ path: { type: 'PathPrefix', value: '/' }, headers: [] }],
      filters: [{ type: 'URLRewrite', urlRewrite: { hostname: 'osb-edge-router.broker.svc.cluster.local' } }],
      timeouts: { request: '0s' },
      backendRefs: [{ name: 'kourier-internal', namespace: 'kourier-system', port: 80, weight: 100 }],
    },
  ])
})

test('headers that tell revisions apart are matched, and traffic is shared by weight', (t) => {
  const [rule] = ofMapping.spec.rules
  const paths = [
    {
      path: '/v2',
      headers: { 'Knative-Serving-Tag': { exact: 'next' } },
      appendHeaders: { 'Knative-Serving-Tag': 'next' },
      splits: [
        { ...split, percent: 90 },
        { ...split, serviceName: 'other', percent: 10 },
      ],
    },
  ]
  const ingress = v.parse(IngressSchema, { metadata, spec: { rules: [{ ...rule, http: { paths } }] } })
  const [shared] = httpRoutesOf(ingress, front)[0]?.spec.rules ?? []
  t.deepEqual(shared?.matches, [
    {
      path: { type: 'PathPrefix', value: '/v2' },
      headers: [{ type: 'Exact', name: 'Knative-Serving-Tag', value: 'next' }],
    },
  ])
  t.deepEqual(shared?.filters, [
    {
      type: 'RequestHeaderModifier',
      requestHeaderModifier: { set: [{ name: 'Knative-Serving-Tag', value: 'next' }] },
    },
  ])
  t.deepEqual(
    shared?.backendRefs.map(({ name, weight }) => `${name} ${weight}`),
    ['osb-edge-router 90', 'other 10'],
  )
})

test('TLS is not taken on', (t) => {
  const spec = { ...ofFunction.spec, tls: [{ hosts: ['a'], secretName: 's', secretNamespace: 'n' }] }
  t.false(v.safeParse(IngressSchema, { metadata, spec }).success)
})
