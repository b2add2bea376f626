import { Client } from '@elastic/elasticsearch'
import { Client as OpenSearchClient } from '@opensearch-project/opensearch'
import test from 'ava'
import { elasticsearch } from '../../shared/kubedb/databases/elasticsearch.ts'
import { at } from '../../shared/kubedb/databases/parts/spec.ts'
import type { JsonObject } from '../../shared/values/json.ts'
import { claim, hostile, issuer, issuerRef, other, reachIn, testRefused, testsOf } from './kind-changes.ts'
import * as step from './kind-steps.ts'

const { asked, testChanges, testNoWay } = testsOf(elasticsearch, 'elasticsearch')
const inside = { addresses: 'cluster', instance: 'i' } as const
const combined = { replicas: 1, storageType: 'Durable', storage: claim('10Gi') }
const build = (template: JsonObject, wanted: object = {}) =>
  elasticsearch.build(template, { version: 'xpack-9.2.3', ...wanted }, inside)

test('a plan becomes a complete spec, encrypting with certificates of KubeDB', (t) => {
  t.deepEqual(build(combined), {
    ...combined,
    version: 'xpack-9.2.3',
    enableSSL: true,
    deletionPolicy: 'WipeOut',
  })
  t.like(build({ ...combined, enableSSL: false }, { issuer }), { enableSSL: true, tls: { issuerRef } })
})

test('a raw spec gives the nodes of a plan roles, each with the disk of the plan', (t) => {
  const topology = { master: { replicas: 3 }, data: { replicas: 2 }, ingest: { replicas: 1 } }
  t.deepEqual(build(combined, { spec: { topology } }), {
    version: 'xpack-9.2.3',
    storageType: 'Durable',
    enableSSL: true,
    topology: {
      master: { replicas: 3, storage: claim('10Gi') },
      data: { replicas: 2, storage: claim('10Gi') },
      ingest: { replicas: 1, storage: claim('10Gi') },
    },
    deletionPolicy: 'WipeOut',
  })
})

test('what parameters ask of nodes with roles is about those with data', (t) => {
  const { spec } = asked('large-ha', { cpu: '4', storage: '200Gi', replicas: 5 })
  t.like(spec.topology, {
    master: { replicas: 3, storage: claim('10Gi') },
    data: { replicas: 5, storage: claim('200Gi') },
    ingest: { replicas: 2, storage: claim('10Gi') },
  })
})

test('settings are lines of YAML', (t) => {
  const configuration = {
    'indices.queries.cache.size': '5%',
    'action.auto_create_index': false,
    'search.max_buckets': 10,
  }
  t.deepEqual(build(combined, { configuration }).configuration, {
    inline: {
      'elasticsearch.yml':
        'action.auto_create_index: false\nindices.queries.cache.size: "5%"\nsearch.max_buckets: 10\n',
    },
  })
})

test("nodes that only coordinate have the container that KubeDB's webhook fails without", (t) => {
  const roles = { master: { replicas: 3 }, data: { replicas: 2 }, ingest: { replicas: 1 } }
  const built = build(combined, { spec: { topology: { ...roles, coordinating: { replicas: 1 } } } })
  const containers = (role: string, spec = built) => at(spec, `topology.${role}.podTemplate.spec.containers`)
  t.deepEqual(containers('coordinating'), [
    {
      name: 'elasticsearch',
      resources: { requests: { cpu: '500m', memory: '1536Mi' }, limits: { memory: '1536Mi' } },
    },
  ])
  t.is(containers('ingest'), null)
  const sized = [{ name: 'elasticsearch', resources: { requests: { memory: '2Gi' } } }]
  const own = { replicas: 1, podTemplate: { spec: { containers: sized } } }
  const given = build(combined, { spec: { topology: { ...roles, coordinating: own } } })
  t.deepEqual(containers('coordinating', given), sized)
})

const small = {
  podTemplate: {
    spec: { containers: [{ name: 'elasticsearch', resources: { requests: { memory: '128Mi' } } }] },
  },
}

testRefused(elasticsearch, 'xpack-9.2.3', {
  'roles without master nodes': [
    combined,
    { spec: { topology: { data: { replicas: 1 }, ingest: { replicas: 1 } } } },
    /^parameters\.spec\.topology\.master: missing/,
  ],
  'roles without data nodes': [
    combined,
    { spec: { topology: { master: { replicas: 1 }, ingest: { replicas: 1 } } } },
    /^parameters\.spec\.topology\.data: missing/,
  ],
  'sizes of nodes with roles at the top': [
    combined,
    {
      spec: {
        replicas: 3,
        topology: { master: { replicas: 1 }, data: { replicas: 1 }, ingest: { replicas: 1 } },
      },
    },
    /^parameters\.spec\.replicas: stands below the roles of topology/,
  ],
  'too little memory': [{ ...combined, ...small }, {}, /podTemplate: 128Mi of memory are too little/],
  'a cluster without login': [
    { ...combined, disableSecurity: true },
    {},
    /disableSecurity: bindings have users/,
  ],
  'an Elasticsearch for clients with certificates only': [
    {
      ...combined,
      configuration: {
        inline: { 'elasticsearch.yml': 'a: b\nxpack.security.http.ssl.client_authentication: required\n' },
      },
    },
    {},
    /configuration\.inline\.elasticsearch\.yml: xpack\.security.* demands a certificate of every client, and bindings have a password/,
  ],
  'an OpenSearch for clients with certificates only': [
    {
      ...combined,
      configuration: {
        inline: { 'opensearch.yml': 'plugins.security.ssl.http.clientauth_mode: "REQUIRE"\n' },
      },
    },
    {},
    /configuration\.inline\.opensearch\.yml: plugins\.security.* demands a certificate of every client/,
  ],
  'an OpenSearch in the clear': [
    combined,
    { version: 'opensearch-3.4.0', spec: { enableSSL: false } },
    /^parameters\.spec\.enableSSL: KubeDB cannot change/,
  ],
  'an old version': [
    combined,
    { version: 'xpack-6.8.23' },
    /^parameters\.version: xpack-6\.8\.23 is not offered/,
  ],
  'another make': [
    combined,
    { version: 'searchguard-7.9.3' },
    /^parameters\.version: searchguard-7\.9\.3 is not offered/,
  ],
})

testChanges({
  'cpu of nodes that do everything': [
    asked('small'),
    asked('small', { cpu: '1' }),
    step.resized({ node: step.sized('1', '2Gi') }),
  ],
  'cpu of nodes with data': [
    asked('large-ha'),
    asked('large-ha', { cpu: '4' }),
    step.resized({ data: step.sized('4', '8Gi') }),
  ],
  'disks of nodes that do everything': [
    asked('small'),
    asked('small', { storage: '20Gi' }),
    step.expanded({ node: '20Gi' }),
  ],
  'disks of nodes with data': [
    asked('large-ha'),
    asked('large-ha', { storage: '200Gi' }),
    step.expanded({ data: '200Gi' }),
  ],
  'class of one node': [
    asked('small', { storageClass: 'standard' }),
    asked('small', { storageClass: 'fast' }),
    step.migrated({ node: step.toFast }),
  ],
  'class of nodes with roles': [
    asked('large-ha', { storageClass: 'standard' }),
    asked('large-ha', { storageClass: 'fast' }),
    step.migrated({ data: step.toFast, master: step.toFast, ingest: step.toFast }),
  ],
  'nodes that do everything': [asked('large'), asked('large', { replicas: 5 }), step.scaled({ node: 5 })],
  'nodes with data': [
    asked('large-ha'),
    asked('large-ha', { replicas: 5 }),
    step.scaled({ topology: { data: 5 } }),
  ],
  "KubeDB's certificates to an issuer's": [
    asked('small'),
    asked('small', { issuer }),
    step.recertified({ issuerRef }),
  ],
  issuer: [
    asked('small', { issuer }),
    asked('small', { issuer: other }),
    step.recertified({ issuerRef: { apiGroup: 'cert-manager.io', ...other } }),
  ],
  'encryption, which ends': [
    asked('elasticsearch'),
    asked('elasticsearch', { spec: { enableSSL: false } }),
    step.recertified({ remove: true }),
  ],
  version: [asked('small', { version: 'xpack-8.19.9' }), asked('small'), step.upgraded('xpack-9.2.3')],
})

testNoWay({
  'roles for nodes that do everything': [
    asked('large'),
    asked('large-ha'),
    /topology: nodes that do everything cannot be given roles.*copy the data/,
  ],
  'everything for nodes with roles': [asked('large-ha'), asked('large'), /topology: .*nor the reverse/],
  'memory into a disk': [
    asked('demo-elasticsearch'),
    asked('small'),
    /storageType: data cannot move between memory and disk/,
  ],
  'smaller disks': [asked('large'), asked('small'), /storage of node: a disk cannot shrink; it is 100Gi now/],
  'an older version': [
    asked('small'),
    asked('small', { version: 'xpack-8.19.9' }),
    /version: xpack-9\.2\.3 cannot go back to xpack-8\.19\.9/,
  ],
  'another make': [
    asked('small'),
    asked('small', { version: 'opensearch-3.4.0' }),
    /version: xpack-9\.2\.3 cannot become opensearch-3\.4\.0, which is another make/,
  ],
  "an issuer's certificates to KubeDB's": [
    asked('small', { issuer }),
    asked('small'),
    /tls: certificates of an issuer cannot be exchanged for KubeDB's own/,
  ],
})

const reach = reachIn('dbs', { spec: asked('small').spec, scheme: 'https', port: 9200, caBundle: 'PEM' })

test('a URI gives the drivers back what it was made of, however hostile', (t) => {
  for (const [name, password] of hostile) {
    const { uri } = elasticsearch.credentials(reach, { name, password })
    const header = `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`
    const elastic = new Client({ node: String(uri) })
    t.is(elastic.connectionPool.connections[0]?.headers.authorization, header)
    const openSearch = new OpenSearchClient({ node: String(uri) })
    const [connection] = openSearch.connectionPool.connections
    t.is(decodeURIComponent(connection?.url.username ?? ''), name)
    t.is(decodeURIComponent(connection?.url.password ?? ''), password)
  }
})

test('credentials have every key that buildpacks, libraries and the AppsCode broker know', (t) => {
  t.deepEqual(elasticsearch.credentials(reach, { name: 'u', password: 'p' }), {
    type: 'elasticsearch',
    provider: 'kubedb',
    protocol: 'https',
    Protocol: 'https',
    host: 'osb-x.dbs.svc',
    hosts: ['osb-x.dbs.svc'],
    port: 9200,
    username: 'u',
    password: 'p',
    uri: 'https://u:p@osb-x.dbs.svc:9200',
    rootCert: 'PEM',
  })
  const plain = { ...reach, scheme: 'http', spec: { version: 'opensearch-1.3.20', enableSSL: false } }
  t.like(elasticsearch.credentials(plain, { name: 'u', password: 'p' }), {
    type: 'opensearch',
    protocol: 'http',
    uri: 'http://u:p@osb-x.dbs.svc:9200',
  })
})
