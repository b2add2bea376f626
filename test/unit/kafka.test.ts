import test from 'ava'
import { kafka } from '../../shared/kubedb/databases/kafka.ts'
import type { JsonObject } from '../../shared/values/json.ts'
import { changeOf, reachIn, testRefused } from './kind-changes.ts'

const inside = { addresses: 'cluster', instance: 'i' } as const
const storage = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '10Gi' } } }
const version = '4.0.0'
const combined = { storage }
const dedicated = { topology: { broker: { replicas: 3, storage }, controller: { storage } } }

test('a plan becomes a complete spec, the defaults of KubeDB that matter written out', (t) => {
  const configuration = { 'num.partitions': 3, 'auto.create.topics.enable': false }
  const text = 'auto.create.topics.enable=false\nnum.partitions=3\n'
  t.deepEqual(kafka.build(combined, { version, configuration }, inside), {
    version,
    replicas: 1,
    storageType: 'Durable',
    storage,
    configuration: { inline: { 'server.properties': text } },
    deletionPolicy: 'WipeOut',
  })
  t.deepEqual(kafka.build(dedicated, { version, configuration, replicas: 5, storage: '20Gi' }, inside), {
    version,
    topology: {
      broker: { replicas: 5, storage: { ...storage, resources: { requests: { storage: '20Gi' } } } },
      controller: { replicas: 1, storage },
    },
    storageType: 'Durable',
    configuration: { inline: { 'broker.properties': text } },
    deletionPolicy: 'WipeOut',
  })
})

testRefused(kafka, version, {
  'no passwords': [
    { ...combined, disableSecurity: true },
    {},
    /spec\.disableSecurity: anybody in the cluster/,
  ],
  TLS: [
    { ...combined, enableSSL: true, tls: {} },
    {},
    /spec\.tls: this broker does not offer Kafka with TLS/,
  ],
  'replicas beside roles': [{ ...dedicated, replicas: 3 }, {}, /spec\.replicas: stands below the roles/],
  'brokers alone': [{ topology: { broker: {} } }, {}, /spec\.topology\.controller: missing/],
  'no nodes': [{ ...combined, replicas: 0 }, {}, /spec\.replicas: send 1 or more/],
})

test('refused: an address outside of the cluster', (t) => {
  t.throws(() => kafka.build(combined, { version }, { ...inside, addresses: 'external' }), {
    name: 'BrokerError',
    message: /names that mean nothing outside of Kubernetes/,
  })
})

const change = (name: string, now: JsonObject, wanted: JsonObject) =>
  changeOf(kafka, name, kafka.build(now, { version }, inside), kafka.build(wanted, { version }, inside))

test('OpsRequests name nodes, or brokers and controllers', (t) => {
  t.like(change('replicas', combined, { ...combined, replicas: 3 }), {
    body: { horizontalScaling: { node: 3 } },
  })
  const { broker, controller } = dedicated.topology
  const more = { topology: { broker: { ...broker, replicas: 4 }, controller } }
  t.like(change('replicas', dedicated, more), {
    body: { horizontalScaling: { topology: { broker: 4 } } },
  })
  const of = (storageClassName: string) => ({ ...storage, storageClassName })
  const classes = (one: string, other: string) => ({
    topology: {
      broker: { ...broker, storage: of(one) },
      controller: { ...controller, storage: of(other) },
    },
  })
  t.like(change('storageClass', classes('standard', 'standard'), classes('fast', 'standard')), {
    body: { migration: { broker: { storageClassName: 'fast' } } },
  })
  t.like(change('storageClass', dedicated, classes('fast', 'standard')), { by: 'nothing' })
  t.like(change('topology', combined, dedicated), { by: 'nothing' })
})

test('credentials name every broker, and quote the password for clients in Java', (t) => {
  const place = { name: 'osb-x', namespace: 'databases', spec: kafka.build(dedicated, { version }, inside) }
  const hosts = kafka.hosts?.(place) ?? []
  t.deepEqual(hosts, [
    'osb-x-broker-0.osb-x-pods.databases.svc',
    'osb-x-broker-1.osb-x-pods.databases.svc',
    'osb-x-broker-2.osb-x-pods.databases.svc',
  ])
  t.deepEqual(kafka.hosts?.({ ...place, spec: kafka.build(combined, { version }, inside) }), [
    'osb-x-0.osb-x-pods.databases.svc',
  ])
  const reach = reachIn('databases', {
    ...place,
    host: 'osb-x-pods.databases.svc',
    scheme: 'http',
    port: 9092,
    hosts,
  })
  t.like(kafka.credentials(reach, { name: 'admin', password: 'a"b\\c' }), {
    type: 'kafka',
    bootstrapServers: hosts.map((host) => `${host}:9092`).join(','),
    saslMechanism: 'PLAIN',
    saslJaasConfig:
      'org.apache.kafka.common.security.plain.PlainLoginModule required username="admin" password="a\\"b\\\\c";',
  })
})
