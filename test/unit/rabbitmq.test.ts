import test from 'ava'
import { rabbitmq } from '../../shared/kubedb/databases/rabbitmq.ts'
import { hashOf, isHashOf } from '../../shared/kubedb/databases/users/rabbitmq/account.ts'
import type { JsonObject } from '../../shared/values/json.ts'
import { changeOf, reachIn, testRefused } from './kind-changes.ts'

const inside = { addresses: 'cluster', instance: 'i' } as const
const disk = { storage: { resources: { requests: { storage: '10Gi' } } } }
const version = '4.0.4'

test('a plan becomes a complete spec, the defaults of KubeDB that matter written out', (t) => {
  const configuration = { max_message_size: 65536, 'vm_memory_high_watermark.relative': 0.5 }
  t.deepEqual(rabbitmq.build(disk, { version, configuration }, inside), {
    version,
    replicas: 1,
    storageType: 'Durable',
    storage: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '10Gi' } } },
    configuration: {
      inline: {
        'rabbitmq.conf': 'max_message_size = 65536\nvm_memory_high_watermark.relative = 0.5\n',
      },
    },
    deletionPolicy: 'WipeOut',
  })
})

testRefused(rabbitmq, version, {
  'no passwords': [{ ...disk, disableSecurity: true }, {}, /spec\.disableSecurity: anybody in the cluster/],
  TLS: [{ ...disk, enableSSL: true, tls: {} }, {}, /spec\.tls: this broker does not offer RabbitMQ with TLS/],
  'no management': [
    { ...disk, disabledProtocols: ['mqtt', 'http'] },
    {},
    /spec\.disabledProtocols: bindings need http/,
  ],
  'no nodes': [{ ...disk, replicas: 0 }, {}, /spec\.replicas: send 1 or more/],
})

const change = (name: string, now: JsonObject, wanted: JsonObject) => {
  const of = (spec: JsonObject) =>
    rabbitmq.build({ ...disk, ...spec }, { version: String(spec.version ?? version) }, inside)
  return changeOf(rabbitmq, name, of(now), of(wanted))
}

test('OpsRequests call its servers nodes', (t) => {
  const resources = { requests: { cpu: '1' } }
  const podTemplate = { spec: { containers: [{ name: 'rabbitmq', resources }] } }
  t.like(change('replicas', {}, { replicas: 3 }), { body: { horizontalScaling: { node: 3 } } })
  t.like(change('resources', {}, { podTemplate }), { body: { verticalScaling: { node: { resources } } } })
  const storage = { resources: { requests: { storage: '20Gi' } } }
  t.like(change('storage', {}, { storage }), {
    body: { volumeExpansion: { mode: 'Online', node: '20Gi' } },
  })
})

test('a release before 3.13 does not become a 4 in one step', (t) => {
  const steps = (now: string, wanted: string) => change('version', { version: now }, { version: wanted }).by
  t.is(steps('3.12.12', '3.13.2'), 'opsRequest')
  t.is(steps('3.13.2', '4.2.4'), 'opsRequest')
  t.is(steps('3.12.12', '4.0.4'), 'nothing')
  t.is(steps('4.2.4', '4.0.4'), 'nothing')
})

test('credentials name the virtual host', (t) => {
  const reach = reachIn('databases', { scheme: 'http', port: 5672, database: 'a.b' })
  t.like(rabbitmq.credentials(reach, { name: 'b', password: 'p/' }), {
    type: 'rabbitmq',
    protocol: 'amqp',
    vhost: 'a.b',
    uri: 'amqp://b:p%2F@osb-x.databases.svc:5672/a.b',
  })
})

test("a hash is the password's whatever its salt, and no other's", (t) => {
  // made by RabbitMQ for the password "test12"
  t.true(isHashOf('test12', 'kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR'))
  t.true(isHashOf('one', hashOf('one')))
  t.not(hashOf('one'), hashOf('one'))
  for (const stored of [hashOf('other'), '', 'abc', hashOf('one').slice(0, -4)])
    t.false(isHashOf('one', stored))
})
