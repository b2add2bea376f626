/** What the webhooks refuse of one kind alone; what they refuse of all is in operator-webhooks.test.ts. */
import test from 'ava'
import { Named, resources } from '../../sandbox/operator/cluster/resources.ts'
import { elasticsearch } from '../../sandbox/operator/kinds/elasticsearch.ts'
import { memcached } from '../../sandbox/operator/kinds/memcached.ts'
import { mongodb } from '../../sandbox/operator/kinds/mongodb.ts'
import { mysql } from '../../sandbox/operator/kinds/mysql.ts'
import { type Kind, opsKind, resourcesOf } from '../../sandbox/operator/kinds/parts/kind.ts'
import { postgres } from '../../sandbox/operator/kinds/postgres.ts'
import { rabbitmq } from '../../sandbox/operator/kinds/rabbitmq.ts'
import { redis } from '../../sandbox/operator/kinds/redis.ts'
import { createNamespace, refusalOf, useSetting } from './operator-setting.ts'
import { issuerRef, manifest, opsManifest, shapeOf, single } from './operator-shapes.ts'

const setting = useSetting(test, [])

/** A namespace for each test. */
let number = 0
const aNamespace = () => createNamespace(setting.kube, `kinds-${number++}`)

/** The refusal of a webhook; `who` is the first part of its name. */
const denied = (who: string, words: string, status = 403) => ({
  status,
  message: `admission webhook "${who}.kubedb.com" denied the request: ${words}`,
})

const container = (name: string, more: object) => ({
  podTemplate: { spec: { containers: [{ name, ...more }] } },
})
const variable = (name: string) => ({ env: [{ name, value: 'x' }] })
const ephemeral = { storageType: 'Ephemeral', storage: undefined }
const shards = (shard: object = {}) => ({
  storage: undefined,
  storageType: 'Ephemeral',
  shardTopology: {
    shard: { shards: 2, replicas: 1, ...shard },
    configServer: { replicas: 1 },
    mongos: { replicas: 1 },
  },
})
const nodes = (more: object) => ({
  ...ephemeral,
  topology: { master: { replicas: 1 }, ingest: { replicas: 1 }, data: { replicas: 1 }, ...more },
})

/** Databases that a kind refuses, as they differ from the first of its shapes. */
const refusedDatabases: [kind: Kind, title: string, spec: object, words: string][] = [
  [
    postgres,
    'one server that waits for a standby',
    { replicas: 1, streamingMode: 'Synchronous' },
    'spec.synchronousReplicationConfig.numSyncReplicas (1) must be less than spec.replicas (1) to avoid blocking all writes if a standby goes down',
  ],
  [
    postgres,
    'settings of a replication that it does not have',
    { replicas: 3, streamingMode: 'Asynchronous', synchronousReplicationConfig: { mode: 'Any' } },
    'spec.synchronousReplicationConfig is only valid when spec.streamingMode is "Synchronous"',
  ],
  [
    mysql,
    'the password of root in the environment',
    container('mysql', variable('MYSQL_ROOT_PASSWORD')),
    'environment variable MYSQL_ROOT_PASSWORD is forbidden to use in MySQL spec',
  ],
  [
    mysql,
    'a topology without mode',
    { topology: {} },
    "a valid 'spec.topology.mode' must be set for MySQL clustering",
  ],
  [
    mysql,
    'a group of two',
    { replicas: 2, topology: { mode: 'GroupReplication' } },
    "accepted value of 'spec.replicas' for group replication is in range [3, 9]",
  ],
  [
    mysql,
    'a group with a name of its own kind',
    { replicas: 3, topology: { mode: 'GroupReplication', group: { name: 'mine' } } },
    'invalid group name is set: invalid UUID length: 4',
  ],
  [
    mysql,
    'several primaries before 8.4.2',
    {
      version: '8.2.0',
      replicas: 3,
      topology: { mode: 'GroupReplication', group: { mode: 'Multi-Primary' } },
    },
    'mysql group support multi primary mode starting from version 8.4.2 and above',
  ],
  [
    mysql,
    'an external Secret without a name',
    { authSecret: { name: '', externallyManaged: true } },
    'for externallyManaged auth secret, user need to provide "mysql.Spec.AuthSecret.Name"',
  ],
  [
    mongodb,
    'several members without a replica set',
    { replicas: 3 },
    'spec.replicas "3" invalid for \'MongoDB Standalone\' instance. Value must be one',
  ],
  [
    mongodb,
    'shards beside replicas',
    { ...shards(), replicas: 1 },
    "doesn't support 'spec.replicas' when spec.shardTopology is set",
  ],
  [
    mongodb,
    'no shards',
    shards({ shards: 0 }),
    'spec.shardTopology.shard.shards 0 invalid. Must be greater than zero when spec.shardTopology is set',
  ],
  [
    mongodb,
    'a disk for an ephemeral one',
    { storageType: 'Ephemeral' },
    "'spec.storage' is not supported for Ephemeral storage type, use 'spec.ephemeralStorage' to configure Ephemeral storage type",
  ],
  [
    mongodb,
    'an arbiter alone',
    { arbiter: {} },
    /^spec.arbiter ".*" is invalid for Standalone MongoDB. $/.source,
  ],
  [
    mongodb,
    'x509 without TLS',
    { replicas: 3, replicaSet: { name: 'rs0' }, clusterAuthMode: 'x509' },
    "can't have disabled set to mongodb.spec.sslMode when mongodb.spec.clusterAuthMode is set to x509",
  ],
  [
    redis,
    'several members alone',
    { replicas: 2 },
    'spec.replicas "2" invalid for standalone mode. Value must be one',
  ],
  [
    redis,
    'two shards',
    { mode: 'Cluster', cluster: { shards: 2 } },
    'spec.cluster.shards "2" invalid. Value must be >= 3',
  ],
  [
    redis,
    'shards without replicas',
    { mode: 'Cluster', cluster: { replicas: 1 } },
    'spec.cluster.replicas "1" invalid. Value must be > 1',
  ],
  [
    redis,
    'a Sentinel that is not named',
    { mode: 'Sentinel' },
    /^need to provide sentinelRef Name and Namespace while redis Mode set to Sentinel for redis .*$/.source,
  ],
  [
    redis,
    'an auth Secret without authentication',
    { disableAuth: true, authSecret: { name: 'x', kind: 'Secret' } },
    'auth Secret is not supported when disableAuth is true',
  ],
  [
    redis,
    'Ephemeral with Halt',
    { ...ephemeral, deletionPolicy: 'Halt' },
    "'spec.DeletionPolicy: Halt' can not be used for 'Ephemeral' storage",
  ],
  [memcached, 'no replicas', { replicas: 0 }, 'spec.replicas "0" invalid. Value must be greater than zero'],
  [
    memcached,
    'an external Secret that is not there',
    { authSecret: { name: 'nowhere', kind: 'Secret', externallyManaged: true } },
    /^no authSecret is found named nowhere in namespace .*$/.source,
  ],
  [
    elasticsearch,
    'too little memory',
    container('elasticsearch', { resources: { requests: { memory: '128Mi' } } }),
    'PodTemplate.Spec.Resources.Requests.memory cannot be less than 256Mi, given 128Mi',
  ],
  [
    elasticsearch,
    'a role in the environment',
    container('elasticsearch', variable('node.data')),
    'environment variable node.data is forbidden to use in Elasticsearch spec',
  ],
  [
    elasticsearch,
    'nodes of a role beside replicas',
    { ...nodes({}), replicas: 1 },
    "doesn't support spec.replicas when spec.topology is set",
  ],
  [
    elasticsearch,
    'two roles of one suffix',
    nodes({ data: { replicas: 1, suffix: 'master' } }),
    'two or more node cannot have same suffix',
  ],
  [
    elasticsearch,
    'no nodes that keep data',
    nodes({ data: undefined }),
    'when data node is empty, you need to have both dataHot and dataContent nodes',
  ],
  [
    elasticsearch,
    'TLS without security',
    { disableSecurity: true, enableSSL: true },
    "to enable 'spec.enableSSL', 'spec.disableSecurity' needs to be set to false",
  ],
  [
    elasticsearch,
    'a user of its own',
    { internalUsers: { me: {} } },
    'internal user me is forbidden to use in Elasticsearch spec',
  ],
  [
    elasticsearch,
    'Ephemeral with Halt',
    { ...ephemeral, deletionPolicy: 'Halt' },
    "'spec.deletionPolicy: Halt' can not be set for 'Ephemeral' storage",
  ],
]

test('RabbitMQ is refused: certificates without TLS', async (t) => {
  const object = manifest(rabbitmq, 'default', { ...single(rabbitmq), tls: { issuerRef } }, 'refused')
  t.deepEqual(
    await refusalOf(setting.kube.create(resourcesOf(rabbitmq).databases, object)),
    denied(
      'rabbitmqwebhook.validators',
      'RabbitMQ.rabbitmq.kubedb.com "refused" is invalid: spec.enableSSL: Invalid value: "refused": .spec.tls must be nil, if .spec.enableSSL is disabled',
      422,
    ),
  )
})

for (const [kind, title, spec, words] of refusedDatabases)
  test(`${kind.kind} is refused: ${title}`, async (t) => {
    const object = manifest(kind, 'default', { ...single(kind), ...spec }, 'refused')
    const { status, message } = await refusalOf(setting.kube.create(resourcesOf(kind).databases, object))
    t.is(status, 403)
    const who = `${kind.kind.toLowerCase()}webhook.validators`
    if (words.startsWith('^')) {
      const [, said = ''] = message.split('denied the request: ')
      t.regex(said, new RegExp(words))
    } else t.is(message, denied(who, words).message)
  })

const fallen = 'panic: runtime error: invalid memory address or nil pointer dereference [recovered]'

test('an Elasticsearch whose coordinating nodes name no container is more than the webhook can take', async (t) => {
  const { databases } = resourcesOf(elasticsearch)
  const make = (coordinating: object) => {
    const spec = { ...single(elasticsearch), ...nodes({ coordinating: { replicas: 1, ...coordinating } }) }
    return setting.kube.create(databases, manifest(elasticsearch, 'default', spec, 'fallen'))
  }
  t.deepEqual(await refusalOf(make({})), denied('elasticsearchwebhook.validators', fallen, 500))
  await make(container('elasticsearch', {}))
  await setting.kube.delete(databases, { namespace: 'default', name: 'fallen' })
})

test('disks that name no class cannot be moved to another: some webhooks say so, some fall over it', async (t) => {
  const { kube } = setting
  const name = 'refusals-fast'
  await kube.create(resources.storageClasses, {
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: { name },
    provisioner: 'sandbox',
  })
  const migration = { storageClassName: name }
  for (const [title, block] of [
    ['a single MySQL', migration],
    ['a single Kafka', { node: migration }],
  ] as const) {
    const { kind } = shapeOf(title)
    const object = opsManifest(kind, await existing(title), 'fallen', 'StorageMigration', {
      timeout: '1h',
      migration: block,
    })
    t.deepEqual(
      await refusalOf(kube.create(resourcesOf(kind).opsRequests, object)),
      denied(`${kind.kind.toLowerCase()}opsrequestwebhook.validators.ops`, fallen, 500),
    )
  }
  await kube.delete(resources.storageClasses, { name })
})

/** Requests that a kind refuses, by the shape of the database that they are for. */
const refusedOps: [shape: string, type: string, spec: object, field: string, words: string][] = [
  [
    'a single MySQL',
    'HorizontalScaling',
    { horizontalScaling: { member: 3 } },
    'horizontalScaling',
    "OpsRequest haven't pointed to a Group Replication, Horizontal scaling applicable only for group Replication",
  ],
  [
    'a MySQL group',
    'HorizontalScaling',
    { horizontalScaling: { member: 9 } },
    'horizontalScaling',
    'Group size can not be less than 3 or greater than 9, range: [3,9]',
  ],
  [
    'a single MySQL',
    'UpdateVersion',
    { updateVersion: { targetVersion: '8.2.0' } },
    'updateVersion',
    'upgrade from version 8.4.8 to 8.2.0 is not supported',
  ],
  [
    'a single MySQL',
    'VolumeExpansion',
    { volumeExpansion: { mode: 'Online', mysql: '1Gi' } },
    'volumeExpansion',
    'desired MySQL storage size must be greater than current storage. Current storage: 1Gi',
  ],
  [
    'a single MongoDB',
    'HorizontalScaling',
    { horizontalScaling: { replicas: 3 } },
    'horizontalScaling',
    "replicas field can't be set on a non-replica mongoDB",
  ],
  [
    'a single MongoDB',
    'VolumeExpansion',
    { volumeExpansion: { mode: 'Online', shard: '2Gi' } },
    'volumeExpansion',
    'shardTopology not configured for this MongoDB',
  ],
  [
    'a sharded MongoDB',
    'VolumeExpansion',
    { volumeExpansion: { mode: 'Online', configServer: '1Gi' } },
    'volumeExpansion',
    'desired configServer storage size must be greater than current storage. Current storage: 1Gi',
  ],
  [
    'a single Redis',
    'HorizontalScaling',
    { horizontalScaling: { replicas: 2 } },
    'horizontalScaling',
    'horizontal scaling is not allowed for standalone redis',
  ],
  [
    'a Redis cluster',
    'HorizontalScaling',
    { horizontalScaling: { shards: 4, replicas: 1 } },
    'horizontalScaling',
    'replica should be >= 2 in cluster mode',
  ],
  [
    'a single Redis',
    'Reconfigure',
    { configuration: {} },
    'configuration',
    'at least one of `RemoveCustomConfig`, `ConfigSecret`, `ApplyConfig` or `Auth` must be specified',
  ],
  [
    'three Memcached',
    'ReconfigureTLS',
    { tls: { remove: true, rotateCertificates: true } },
    'tls',
    'more than 1 field have assigned to spec.reconfigureTLS but at a time one is allowed to run one operation',
  ],
  [
    'a Kafka with brokers and controllers',
    'HorizontalScaling',
    { horizontalScaling: { node: 3 } },
    'horizontalScaling',
    'spec.horizontalScaling.topology can not be empty as reference database mode is topology',
  ],
  [
    'a single Kafka',
    'VolumeExpansion',
    { volumeExpansion: { mode: 'Online', node: '512Mi' } },
    'volumeExpansion',
    'desired combined Kafka storage size must be greater than current storage. Current storage: 1Gi',
  ],
  [
    'a single RabbitMQ',
    'HorizontalScaling',
    { horizontalScaling: { node: 0 } },
    'horizontalScaling',
    'spec.horizontalScaling.node must be positive',
  ],
  [
    'an OpenSearch with dedicated nodes',
    'RotateAuth',
    {},
    'authentication',
    'opsrequest NAMESPACE/refused is not compatible for version opensearch-2.19.2',
  ],
  [
    'an OpenSearch with dedicated nodes',
    'VolumeExpansion',
    { volumeExpansion: { mode: 'Online', data: '512Mi' } },
    'volumeExpansion',
    'desired data storage size must be greater than current storage. Current storage: 1Gi',
  ],
]

/** The namespace of a database that is there, of a shape, whatever has become of it. */
const existing = (title: string) => {
  const known = existingOnes.get(title)
  if (known) return known
  const { kind, spec } = shapeOf(title)
  const made = aNamespace().then(async (namespace) => {
    await setting.kube.create(resourcesOf(kind).databases, manifest(kind, namespace, spec))
    return namespace
  })
  existingOnes.set(title, made)
  return made
}
const existingOnes = new Map<string, Promise<string>>()

for (const [title, type, spec, field, words] of refusedOps)
  test(`${type} of ${title} is refused: ${words.slice(0, 60)}`, async (t) => {
    const { kind } = shapeOf(title)
    const namespace = await existing(title)
    const object = opsManifest(kind, namespace, 'refused', type, spec)
    const refusal = await refusalOf(setting.kube.create(resourcesOf(kind).opsRequests, object))
    t.is(refusal.status, 422)
    const cause = `spec.${field}: Invalid value: "refused": ${words.replace('NAMESPACE', namespace)}`
    const name = `${opsKind(kind)}.${kind.ops.group} "refused"`
    t.deepEqual(
      refusal,
      denied(
        `${kind.kind.toLowerCase()}opsrequestwebhook.validators.ops`,
        `${name} is invalid: ${cause}`,
        422,
      ),
    )
  })

test('DoNotTerminate refuses DELETE in the words of each kind', async (t) => {
  const { kube } = setting
  const words = new Map<Kind, string>([
    [postgres, 'postgres "default/kept" can\'t be terminated. To delete, change spec.deletionPolicy'],
    [mysql, 'mysql "default/kept" can\'t be terminated. To delete, change spec.deletionPolicy'],
    [mongodb, 'mongodb "default/kept" can\'t be terminated. To delete, change spec.deletionPolicy'],
    [redis, 'redis "default/kept" can\'t be terminated. To delete, change spec.deletionPolicy'],
    [memcached, "memcached default/kept can't be terminated. To delete, change spec.deletionPolicy"],
    [
      elasticsearch,
      'ElasticSearch "default/kept" can\'t be terminated. To delete, change spec.deletionPolicy',
    ],
    [
      rabbitmq,
      'RabbitMQ.rabbitmq.kubedb.com "kept" is invalid: spec.deletionPolicy: Invalid value: "kept": Can not delete as terminationPolicy is set to "DoNotTerminate"',
    ],
  ])
  for (const [kind, refusal] of words) {
    const { databases } = resourcesOf(kind)
    const place = { namespace: 'default', name: 'kept' }
    await kube.create(
      databases,
      manifest(kind, 'default', { ...single(kind), deletionPolicy: 'DoNotTerminate' }, 'kept'),
    )
    t.deepEqual(
      await refusalOf(kube.delete(databases, place)),
      denied(
        `${kind.kind.toLowerCase()}webhook.validators`,
        refusal,
        refusal.includes('is invalid') ? 422 : 403,
      ),
    )
  }
})

test("a change of what is fixed is refused: a replica set's name, a Memcached becoming several", async (t) => {
  const { kube } = setting
  const namespace = await aNamespace()
  const { databases } = resourcesOf(mongodb)
  await kube.create(
    databases,
    manifest(mongodb, namespace, shapeOf('a MongoDB replica set with an arbiter').spec),
  )
  const renamed = await refusalOf(
    kube.patch(Named, databases, { namespace, name: 'db' }, { spec: { replicaSet: { name: 'other' } } }),
  )
  t.regex(renamed.message, /precondition failed for: map\[spec:map\[replicaSet:map\[name:other\]\]\]\./)
  const one = resourcesOf(memcached).databases
  await kube.create(one, manifest(memcached, namespace, { version: '1.6.40' }))
  const scaled = await refusalOf(kube.patch(Named, one, { namespace, name: 'db' }, { spec: { replicas: 3 } }))
  t.deepEqual(scaled, denied('memcachedwebhook.validators', 'can not update from 1 replica to 3 replica'))
})
