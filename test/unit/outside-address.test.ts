import test from 'ava'
import * as v from 'valibot'
import { Service } from '../../shared/kubedb/cluster/object.ts'
import { redis } from '../../shared/kubedb/databases/redis.ts'
import { outsideAddress } from '../../shared/kubedb/observed/outside-address.ts'
import { BrokerError } from '../../shared/values/errors.ts'

const balanced = { addresses: 'external' } as const
const onNodes = { addresses: 'external', nodeHost: 'nodes.example.com' } as const

function service(ports: object[], ingress?: object[]): Service {
  return v.parse(Service, {
    metadata: { name: 'osb-x', namespace: 'databases', uid: 'u', resourceVersion: '1' },
    spec: { type: 'any', ports },
    ...(ingress ? { status: { loadBalancer: { ingress } } } : {}),
  })
}

test('a load balancer is known by its address or its name, once it has one', (t) => {
  const port = [{ name: 'primary', port: 5432 }]
  t.deepEqual(outsideAddress(balanced, service(port, [{ ip: '192.0.2.7' }]), 5432), {
    host: '192.0.2.7',
    port: 5432,
  })
  t.deepEqual(outsideAddress(balanced, service(port, [{ hostname: 'lb.example.com' }]), 5432), {
    host: 'lb.example.com',
    port: 5432,
  })
  for (const waiting of [service(port), service(port, []), service(port, [{}])]) {
    t.deepEqual(outsideAddress(balanced, waiting, 5432), { pending: 'its load balancer has no address yet' })
  }
})

test("a node port is the engine's own, not that of a port beside it", (t) => {
  const ports = [
    { name: 'coordinator', port: 2379, nodePort: 30001 },
    { name: 'primary', port: 5432, nodePort: 30002 },
  ]
  t.deepEqual(outsideAddress(onNodes, service(ports), 5432), { host: 'nodes.example.com', port: 30002 })
  t.deepEqual(outsideAddress(onNodes, service([{ port: 5432 }]), 5432), {
    pending: 'it has no port on the nodes yet',
  })
})

test('a Service that is not there yet is waited for', (t) => {
  t.deepEqual(outsideAddress(balanced, undefined, 5432), { pending: 'KubeDB has not made its Service yet' })
})

test('a Redis cluster cannot be had where addresses are outside: its clients would be sent on to names inside', (t) => {
  const wanted = { version: '8.2.2' }
  const circumstances = { ...balanced, instance: 'i' }
  t.throws(() => redis.build({ mode: 'Cluster', storageType: 'Ephemeral' }, wanted, circumstances), {
    instanceOf: BrokerError,
    message: /^parameters\.spec\.mode: a cluster sends its clients on by names/,
  })
  t.notThrows(() => redis.build({ storageType: 'Ephemeral' }, wanted, circumstances))
})
