import test from 'ava'
import { MongoClient } from 'mongodb'
import type { Reach } from '../../shared/kubedb/databases/database.ts'
import { mongodb } from '../../shared/kubedb/databases/mongodb.ts'
import type { JsonObject } from '../../shared/values/json.ts'
import { claim, hostile, issuer, issuerRef, testRefused, testsOf } from './kind-changes.ts'
import * as step from './kind-steps.ts'

const { asked, planned, testChanges, testNoWay } = testsOf(mongodb, 'mongodb')
const inside = { addresses: 'cluster', instance: 'i' } as const
const single = { replicas: 1, storageType: 'Durable', storage: claim('10Gi') }
const build = (template: JsonObject, wanted: object = {}) =>
  mongodb.build(template, { version: '8.0.17', ...wanted }, inside)

test('a plan becomes a complete spec, the defaults of KubeDB that matter written out', (t) => {
  t.deepEqual(build(single), {
    ...single,
    version: '8.0.17',
    sslMode: 'disabled',
    deletionPolicy: 'WipeOut',
  })
  t.deepEqual(build({ storage: claim('10Gi'), replicaSet: { name: 'rs0' } }), {
    version: '8.0.17',
    replicas: 3,
    replicaSet: { name: 'rs0' },
    storageType: 'Durable',
    storage: claim('10Gi'),
    sslMode: 'disabled',
    clusterAuthMode: 'keyFile',
    deletionPolicy: 'WipeOut',
  })
})

test('a raw spec makes a sharded cluster of a plan with one server, each part with the disk of the plan', (t) => {
  t.deepEqual(build(single, { spec: { shardTopology: { shard: { shards: 3 } } } }), {
    version: '8.0.17',
    storageType: 'Durable',
    shardTopology: {
      shard: { shards: 3, replicas: 3, storage: claim('10Gi') },
      configServer: { replicas: 3, storage: claim('10Gi') },
      mongos: { replicas: 2 },
    },
    sslMode: 'disabled',
    clusterAuthMode: 'keyFile',
    deletionPolicy: 'WipeOut',
  })
})

test('what parameters ask of a sharded cluster is about the servers with data', (t) => {
  const { spec } = asked('large-sharded', {
    cpu: '4',
    memory: '16Gi',
    storage: '200Gi',
    replicas: 5,
    shards: 4,
    storageClass: 'fast',
  })
  const resources = (cpu: string, memory: string) => ({
    spec: { containers: [{ name: 'mongodb', resources: { requests: { cpu, memory }, limits: { memory } } }] },
  })
  t.deepEqual(spec.shardTopology, {
    shard: {
      shards: 4,
      replicas: 5,
      storage: { ...claim('200Gi'), storageClassName: 'fast' },
      podTemplate: resources('4', '16Gi'),
    },
    configServer: {
      replicas: 3,
      storage: { ...claim('10Gi'), storageClassName: 'fast' },
      podTemplate: resources('500m', '1Gi'),
    },
    mongos: { replicas: 2, podTemplate: resources('500m', '1Gi') },
  })
})

test('an encrypting server lets clients in by password, and its members know each other by certificate', (t) => {
  const conf = 'net:\n  tls:\n    allowConnectionsWithoutCertificates: true\n'
  t.like(build({ ...single, replicaSet: { name: 'rs0' } }, { issuer }), {
    tls: { issuerRef },
    sslMode: 'requireSSL',
    clusterAuthMode: 'x509',
    configuration: { inline: { 'mongod.conf': conf } },
  })
  t.is(build(single).configuration, undefined)
  const { shardTopology } = asked('large-sharded', { issuer }).spec
  t.like(shardTopology, {
    shard: { configuration: { inline: { 'mongod.conf': conf } } },
    configServer: { configuration: { inline: { 'mongod.conf': conf } } },
    mongos: { configuration: { inline: { 'mongod.conf': conf } } },
  })
})

test('settings become YAML, for the servers that know them', (t) => {
  const configuration = {
    'storage.wiredTiger.engineConfig.cacheSizeGB': 1.5,
    'net.maxIncomingConnections': 500,
    'operationProfiling.mode': 'off',
  }
  const all =
    'net:\n  maxIncomingConnections: 500\noperationProfiling:\n  mode: "off"\nstorage:\n  wiredTiger:\n    engineConfig:\n      cacheSizeGB: 1.5\n'
  t.deepEqual(build(single, { configuration }).configuration, { inline: { 'mongod.conf': all } })
  const { shardTopology } = asked('large-sharded', { configuration }).spec
  t.like(shardTopology, {
    shard: { configuration: { inline: { 'mongod.conf': all } } },
    mongos: { configuration: { inline: { 'mongod.conf': 'net:\n  maxIncomingConnections: 500\n' } } },
    configServer: { configuration: undefined },
  })
})

testRefused(mongodb, '8.0.17', {
  'copies of one server': [
    single,
    { replicas: 3 },
    /^parameters\.replicas: a server on its own has no copies/,
  ],
  'shards of one server': [single, { shards: 3 }, /^parameters\.shards: this database has none/],
  'sizes of a sharded cluster at the top': [
    single,
    { spec: { shardTopology: { shard: { shards: 2 } }, replicas: 3, storage: claim('1Gi') } },
    /^parameters\.spec\.replicas: stands below the parts of shardTopology.*; parameters\.spec\.storage: stands below/,
  ],
  'shards without a disk': [
    { storageType: 'Durable' },
    { spec: { shardTopology: { shard: { shards: 2 } } } },
    /^parameters\.spec\.shardTopology\.shard\.storage\.resources\.requests\.storage: missing/,
  ],
  'a mode of encryption': [{ ...single, sslMode: 'allowSSL' }, {}, /sslMode: follows from tls/],
  'members that know each other by certificates, and nobody else': [
    { ...single, clusterAuthMode: 'x509' },
    {},
    /clusterAuthMode: follows from tls/,
  ],
  'a file in the plan': [
    { ...single, configuration: { inline: { 'mongod.conf': 'net: {}' } } },
    {},
    /configuration\.inline: the broker writes mongod\.conf itself/,
  ],
})

testChanges({
  'cpu of one server': [
    asked('small'),
    asked('small', { cpu: '1' }),
    step.resized({ standalone: step.sized('1', '1Gi') }),
  ],
  'cpu of a replica set': [
    asked('large-ha'),
    asked('large-ha', { cpu: '4' }),
    step.resized({ replicaSet: step.sized('4', '8Gi') }),
  ],
  'cpu of shards': [
    asked('large-sharded'),
    asked('large-sharded', { cpu: '4' }),
    step.resized({ shard: step.sized('4', '8Gi') }),
  ],
  'disk of one server': [
    asked('small'),
    asked('small', { storage: '20Gi' }),
    step.expanded({ standalone: '20Gi' }),
  ],
  'disks of a replica set': [
    asked('large-ha'),
    asked('large-ha', { storage: '200Gi' }),
    step.expanded({ replicaSet: '200Gi' }),
  ],
  'disks of shards': [
    asked('large-sharded'),
    asked('large-sharded', { storage: '200Gi' }),
    step.expanded({ shard: '200Gi' }),
  ],
  'class of the disks of a sharded cluster': [
    asked('large-sharded'),
    asked('large-sharded', { storageClass: 'fast' }),
    step.migrated({ shard: step.toFast, configServer: step.toFast }),
  ],
  'servers of a replica set': [
    asked('large-ha'),
    asked('large-ha', { replicas: 5 }),
    step.scaled({ replicas: 5 }),
  ],
  shards: [
    asked('large-sharded'),
    asked('large-sharded', { shards: 4 }),
    step.scaled({ shard: { shards: 4, replicas: 3 } }),
  ],
  'servers of shards': [
    asked('large-sharded'),
    asked('large-sharded', { replicas: 5 }),
    step.scaled({ shard: { shards: 2, replicas: 5 } }),
  ],
  'settings of shards and routers': [
    asked('large-sharded'),
    asked('large-sharded', { configuration: { 'net.maxIncomingConnections': 500 } }),
    [
      'Reconfigure',
      {
        configuration: Object.fromEntries(
          ['shard', 'mongos'].map((part) => [
            part,
            {
              removeCustomConfig: true,
              applyConfig: { 'mongod.conf': 'net:\n  maxIncomingConnections: 500\n' },
              restart: 'auto',
            },
          ]),
        ),
      },
    ],
  ],
  version: [asked('small', { version: '7.0.28' }), asked('small'), step.upgraded('8.0.17')],
})

const types = (steps: ReturnType<typeof planned>) =>
  Array.isArray(steps) ? steps.filter((step) => typeof step === 'string') : steps

test('certificates come before what the file says of them, and go after it', (t) => {
  t.deepEqual(types(planned(asked('large-ha'), asked('large-ha', { issuer }))), [
    'ReconfigureTLS',
    'Reconfigure',
  ])
  t.deepEqual(types(planned(asked('large-ha', { issuer }), asked('large-ha'))), [
    'Reconfigure',
    'ReconfigureTLS',
  ])
  const [off] = planned(asked('large-ha', { issuer }), asked('large-ha')).slice(-1)
  t.deepEqual<unknown, unknown>(off, { tls: { remove: true } })
  const changed = planned(
    asked('small', { issuer }),
    asked('small', { issuer: { kind: 'Issuer', name: 'own' } }),
  )
  t.deepEqual<unknown, unknown>(changed, [
    'ReconfigureTLS',
    { tls: { issuerRef: { apiGroup: 'cert-manager.io', kind: 'Issuer', name: 'own' } } },
  ])
})

test('a change of all is in the order in which it can be made, the version last', (t) => {
  const had = asked('large-sharded', { version: '7.0.28' })
  const all = {
    cpu: '4',
    storage: '200Gi',
    storageClass: 'fast',
    shards: 4,
    issuer,
    configuration: { 'net.maxIncomingConnections': 500 },
  }
  t.deepEqual(types(planned(had, asked('large-sharded', all))), [
    'StorageMigration',
    'VolumeExpansion',
    'VerticalScaling',
    'HorizontalScaling',
    'ReconfigureTLS',
    'Reconfigure',
    'UpdateVersion',
  ])
})

testNoWay({
  'one server into a replica set': [
    asked('small'),
    asked('large-ha'),
    /topology: a server on its own cannot become a replica set; .*copy the data/,
  ],
  'a replica set into shards': [
    asked('large-ha'),
    asked('large-sharded'),
    /topology: a replica set cannot become a sharded cluster/,
  ],
  'shards into one server': [
    asked('large-sharded'),
    asked('large'),
    /topology: a sharded cluster cannot become a server on its own/,
  ],
  'another name': [
    asked('large-ha'),
    asked('large-ha', { spec: { replicaSet: { name: 'rs1' } } }),
    /replicaSet\.name: the name of a replica set is given once/,
  ],
  'memory into a disk': [
    asked('demo-mongodb'),
    asked('small'),
    /storageType: data cannot move between memory and disk/,
  ],
  'a smaller disk': [
    asked('large'),
    asked('small'),
    /storage of standalone: a disk cannot shrink; it is 100Gi now/,
  ],
  'an older version': [
    asked('small'),
    asked('small', { version: '7.0.28' }),
    /version: 8\.0\.17 cannot go back to 7\.0\.28/,
  ],
  'another make': [
    asked('small'),
    asked('small', { version: 'percona-8.0.17' }),
    /version: 8\.0\.17 cannot become percona-8\.0\.17, which is another make/,
  ],
})

const place = { name: 'osb-x', namespace: 'dbs' }
const reachOf = (spec: JsonObject, more: Partial<Reach> = {}): Reach => ({
  ...place,
  spec,
  scheme: 'mongodb',
  host: 'osb-x.dbs.svc',
  external: false,
  hosts: mongodb.hosts?.({ ...place, spec }) ?? ['osb-x.dbs.svc'],
  port: 27017,
  database: 'app',
  query: '',
  caBundle: undefined,
  ...more,
})

test('a URI gives the driver back what it was made of, however hostile', (t) => {
  for (const [name, password, database] of hostile) {
    const reach = reachOf(asked('large-ha').spec, { database: database.trim() })
    const { uri } = mongodb.credentials(reach, { name, password })
    const { options } = new MongoClient(String(uri))
    t.like(options.credentials, { username: name, password, source: 'admin' })
    t.is(options.dbName, database.trim())
    t.is(options.replicaSet, 'rs0')
    t.deepEqual(
      options.hosts.map(String),
      [0, 1, 2].map((index) => `osb-x-${index}.osb-x-pods.dbs.svc:27017`),
    )
  }
})

test('credentials have every key that buildpacks, libraries and the AppsCode broker know', (t) => {
  t.deepEqual(mongodb.credentials(reachOf(asked('small').spec), { name: 'u', password: 'p' }), {
    type: 'mongodb',
    provider: 'kubedb',
    protocol: 'mongodb',
    Protocol: 'mongodb',
    host: 'osb-x.dbs.svc',
    hosts: ['osb-x.dbs.svc'],
    port: 27017,
    database: 'app',
    authSource: 'admin',
    username: 'u',
    password: 'p',
    uri: 'mongodb://u:p@osb-x.dbs.svc:27017/app?authSource=admin',
  })
})

for (const [what, name, wanted, more, uri] of [
  ['a sharded cluster by its routers', 'large-sharded', {}, {}, 'osb-x.dbs.svc:27017/app?authSource=admin'],
  ['an encrypting server', 'small', { issuer }, {}, 'osb-x.dbs.svc:27017/app?authSource=admin&tls=true'],
  [
    'a replica set from outside',
    'large-ha',
    {},
    { external: true, host: '2001:db8::1', hosts: ['2001:db8::1'] },
    '[2001:db8::1]:27017/app?authSource=admin&directConnection=true',
  ],
  [
    'an encrypting server from outside',
    'small',
    { issuer },
    { external: true, host: 'db.example', hosts: ['db.example'] },
    'db.example:27017/app?authSource=admin&tls=true&tlsAllowInvalidHostnames=true',
  ],
] as const) {
  test(`a URI reaches ${what}`, (t) => {
    const reach = reachOf(asked(name, wanted).spec, {
      ...more,
      hosts: [...('hosts' in more ? more.hosts : ['osb-x.dbs.svc'])],
    })
    t.is(mongodb.credentials(reach, { name: 'u', password: 'p' }).uri, `mongodb://u:p@${uri}`)
  })
}

test('sessions are held by every member of a replica set, and by the routers of a sharded cluster', (t) => {
  const members = (name: string) => mongodb.members({ ...place, spec: asked(name).spec })
  t.deepEqual(members('small'), [])
  t.is(members('large-ha').length, 3)
  t.deepEqual(members('large-sharded'), [
    'osb-x-mongos-0.osb-x-mongos-pods.dbs.svc',
    'osb-x-mongos-1.osb-x-mongos-pods.dbs.svc',
  ])
})
