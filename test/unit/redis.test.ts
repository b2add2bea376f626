import { createClient } from '@redis/client'
import test from 'ava'
import { redis } from '../../shared/kubedb/databases/redis.ts'
import type { JsonObject } from '../../shared/values/json.ts'
import { claim, hostile, issuer, issuerRef, reachIn, testRefused, testsOf } from './kind-changes.ts'
import * as step from './kind-steps.ts'

const { asked, testChanges, testNoWay } = testsOf(redis, 'redis')
const inside = { addresses: 'cluster', instance: 'i' } as const
const disk = { storage: claim('10Gi') }
const build = (template: JsonObject, wanted: object = {}) =>
  redis.build(template, { version: '8.2.2', ...wanted }, inside)

test('a plan becomes a complete spec, the defaults of KubeDB that matter written out', (t) => {
  t.deepEqual(build(disk), {
    ...disk,
    version: '8.2.2',
    mode: 'Standalone',
    replicas: 1,
    storageType: 'Durable',
    deletionPolicy: 'WipeOut',
  })
  t.deepEqual(build({ ...disk, replicas: 1, mode: 'Cluster' }), {
    ...disk,
    version: '8.2.2',
    mode: 'Cluster',
    cluster: { shards: 3, replicas: 2 },
    storageType: 'Durable',
    deletionPolicy: 'WipeOut',
  })
  t.like(build(disk, { spec: { cluster: { shards: 5 } } }), {
    mode: 'Cluster',
    cluster: { shards: 5, replicas: 2 },
  })
})

test('settings are lines of the file that the make of the engine reads', (t) => {
  const configuration = { maxmemory: '100mb', appendonly: true, save: '900 1' }
  const text = 'appendonly yes\nmaxmemory 100mb\nsave 900 1\n'
  t.deepEqual(build(disk, { configuration }).configuration, { inline: { 'redis.conf': text } })
  t.deepEqual(build(disk, { configuration, version: 'valkey-8.1.1' }).configuration, {
    inline: { 'valkey.conf': text },
  })
})

test('an encrypting server lets clients in by password', (t) => {
  t.like(build(disk, { issuer }), {
    tls: { issuerRef },
    configuration: { inline: { 'redis.conf': 'tls-auth-clients optional\n' } },
  })
})

const cluster = { ...disk, mode: 'Cluster' }

testRefused(redis, '8.2.2', {
  'copies of one server': [disk, { replicas: 3 }, /^parameters\.replicas: a server on its own has no copies/],
  'shards of one server': [disk, { shards: 3 }, /^parameters\.shards: this database has none/],
  'two shards': [cluster, { shards: 2 }, /^parameters\.shards: a cluster has at least 3, not 2$/],
  'shards of one server each': [
    cluster,
    { spec: { cluster: { replicas: 1 } } },
    /^parameters\.spec\.cluster\.replicas: a shard has at least 2/,
  ],
  sentinels: [{ ...disk, mode: 'Sentinel' }, {}, /mode: "Sentinel" is not offered; choose/],
  'a cluster of one server': [
    { ...disk, mode: 'Standalone' },
    { spec: { cluster: { shards: 3 } } },
    /cluster: belongs to mode "Cluster"/,
  ],
  'a version without users': [
    disk,
    { version: '5.0.14' },
    /^parameters\.version: 5\.0\.14 is not offered: it has no users for bindings; choose 6\.2/,
  ],
  'a server without login': [{ ...disk, disableAuth: true }, {}, /disableAuth: bindings have users/],
})

testChanges({
  memory: [
    asked('small'),
    asked('small', { memory: '1Gi' }),
    step.resized({ redis: step.sized('250m', '1Gi') }),
  ],
  storage: [asked('small'), asked('small', { storage: '20Gi' }), step.expanded({ redis: '20Gi' })],
  storageClass: [
    asked('small', { storageClass: 'standard' }),
    asked('small', { storageClass: 'fast' }),
    step.migrated(step.toFast),
  ],
  shards: [asked('large-ha'), asked('large-ha', { shards: 5 }), step.scaled({ shards: 5 })],
  'servers of each shard': [
    asked('large-ha'),
    asked('large-ha', { replicas: 3 }),
    step.scaled({ replicas: 3 }),
  ],
  both: [
    asked('large-ha'),
    asked('large-ha', { replicas: 3, shards: 5 }),
    step.scaled({ shards: 5, replicas: 3 }),
  ],
  'tls on, the file being ready for it': [
    asked('small'),
    asked('small', { issuer }),
    [
      'Reconfigure',
      {
        configuration: {
          removeCustomConfig: true,
          applyConfig: { 'redis.conf': 'tls-auth-clients optional\n' },
          restart: 'auto',
        },
      },
      'ReconfigureTLS',
      { tls: { issuerRef } },
    ],
  ],
  version: [asked('small', { version: '7.4.6' }), asked('small'), step.upgraded('8.2.2')],
  'make, within the major version': [
    asked('small', { version: '8.0.4' }),
    asked('small', { version: 'valkey-8.1.1' }),
    step.upgraded('valkey-8.1.1'),
  ],
})

testNoWay({
  'one server into a cluster': [
    asked('small'),
    asked('large-ha'),
    /mode: a server on its own cannot become a cluster.*copy the data/,
  ],
  'a cluster into one server': [asked('large-ha'), asked('large'), /mode: .*nor a cluster one server/],
  'memory into a disk': [
    asked('demo-redis'),
    asked('small'),
    /storageType: data cannot move between memory and disk/,
  ],
  'a smaller disk': [asked('large'), asked('small'), /storage: a disk cannot shrink; it is 100Gi now/],
  'an older version': [
    asked('small'),
    asked('small', { version: '7.2.6' }),
    /version: 8\.2\.2 cannot go back to 7\.2\.6/,
  ],
  'another make': [
    asked('small', { version: '7.2.6' }),
    asked('small', { version: 'valkey-8.1.1' }),
    /version: 7\.2\.6 cannot become valkey-8\.1\.1/,
  ],
})

const place = { name: 'osb-x', namespace: 'dbs' }
const reach = reachIn('dbs', { scheme: 'redis', port: 6379 })

test('a URI gives the driver back what it was made of, however hostile', (t) => {
  for (const [name, password] of hostile) {
    for (const scheme of ['redis', 'rediss']) {
      const { uri } = redis.credentials({ ...reach, scheme }, { name, password })
      const { options } = createClient({ url: String(uri) })
      t.like(options, { username: name, password })
      t.like(options?.socket, { host: reach.host, port: 6379 })
      t.is(new URL(String(uri)).protocol, `${scheme}:`)
    }
  }
})

test('credentials have every key that buildpacks, libraries and the AppsCode broker know', (t) => {
  t.deepEqual(redis.credentials(reach, { name: 'u', password: 'p' }), {
    type: 'redis',
    provider: 'kubedb',
    protocol: 'redis',
    Protocol: 'redis',
    host: 'osb-x.dbs.svc',
    hosts: ['osb-x.dbs.svc'],
    port: 6379,
    cluster: false,
    username: 'u',
    password: 'p',
    uri: 'redis://u:p@osb-x.dbs.svc:6379',
  })
  const encrypted = { ...reach, spec: asked('large-ha', { issuer }).spec, caBundle: 'PEM' }
  t.like(redis.credentials(encrypted, { name: 'u', password: 'p' }), {
    protocol: 'rediss',
    cluster: true,
    rootCert: 'PEM',
  })
})

test('every server of a cluster has sessions of its own; clients begin with the first of each shard', (t) => {
  const { spec } = asked('large-ha')
  t.deepEqual(redis.members({ ...place, spec }), [
    'osb-x-shard0-0.osb-x-pods.dbs.svc',
    'osb-x-shard0-1.osb-x-pods.dbs.svc',
    'osb-x-shard1-0.osb-x-pods.dbs.svc',
    'osb-x-shard1-1.osb-x-pods.dbs.svc',
    'osb-x-shard2-0.osb-x-pods.dbs.svc',
    'osb-x-shard2-1.osb-x-pods.dbs.svc',
  ])
  t.deepEqual(
    redis.hosts?.({ ...place, spec }),
    [0, 1, 2].map((shard) => `osb-x-shard${shard}-0.osb-x-pods.dbs.svc`),
  )
  t.is(redis.hosts?.({ ...place, spec: asked('small').spec }), undefined)
})
