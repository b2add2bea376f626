/**
 * What KubeDB refuses and the broker does not ask for. The sandbox's stand-in refuses it in the same words: those that
 * tests expect of it are here, and what KubeDB's own webhooks answered is in test/kubedb-webhooks/refused.json.
 */
import * as v from 'valibot'
import { elasticsearch } from '../../sandbox/operator/kinds/elasticsearch.ts'
import { kafka } from '../../sandbox/operator/kinds/kafka.ts'
import { kinds } from '../../sandbox/operator/kinds/kinds.ts'
import { memcached } from '../../sandbox/operator/kinds/memcached.ts'
import { mongodb } from '../../sandbox/operator/kinds/mongodb.ts'
import { mysql } from '../../sandbox/operator/kinds/mysql.ts'
import type { Kind } from '../../sandbox/operator/kinds/parts/kind.ts'
import { postgres } from '../../sandbox/operator/kinds/postgres.ts'
import { rabbitmq } from '../../sandbox/operator/kinds/rabbitmq.ts'
import { redis } from '../../sandbox/operator/kinds/redis.ts'
import { JsonObject } from '../../shared/values/json.ts'
import { issuerRef, shapeOf, single } from './operator-shapes.ts'

/** A pod template with one container. */
export const container = (name: string, more: object) => ({
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
/** An Elasticsearch of three roles and more. */
export const nodes = (more: object) => ({
  ...ephemeral,
  topology: { master: { replicas: 1 }, ingest: { replicas: 1 }, data: { replicas: 1 }, ...more },
})

/** Databases that a kind refuses, as they differ from the first of its shapes; words that begin with ^ are a pattern. */
export const refusedDatabases: [kind: Kind, title: string, spec: object, words: string][] = [
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

/** Databases that Postgres refuses, likewise, with the webhook that does. */
export const refusedPostgreses: [
  title: string,
  spec: object,
  kind: 'mutators' | 'validators',
  words: string,
][] = [
  [
    'halted with DoNotTerminate',
    { halted: true, deletionPolicy: 'DoNotTerminate' },
    'mutators',
    "Can't halt, since termination policy is 'DoNotTerminate'",
  ],
  [
    'Durable without storage',
    { storage: undefined },
    'validators',
    'spec.storage is missing for durable storage type',
  ],
  [
    'Durable without a size',
    { storage: { accessModes: ['ReadWriteOnce'] } },
    'validators',
    'missing ResourceStorage request',
  ],
  [
    'Durable of size 0',
    { storage: { resources: { requests: { storage: '0' } } } },
    'validators',
    'invalid ResourceStorage request',
  ],
  [
    'an unknown StorageClass',
    { storage: { storageClassName: 'gold', resources: { requests: { storage: '1Gi' } } } },
    'validators',
    'spec.storage.storageClassName "gold" not found',
  ],
  [
    'Ephemeral with Halt',
    { storageType: 'Ephemeral', storage: undefined, deletionPolicy: 'Halt' },
    'validators',
    "'spec.deletionPolicy: Halt' can not be used for 'Ephemeral' storage",
  ],
  [
    'no replicas',
    { replicas: 0 },
    'validators',
    'spec.replicas "0" invalid. Value must be greater than zero',
  ],
  [
    'another settings file',
    { configuration: { inline: { 'postgresql.conf': '' } } },
    'validators',
    'invalid configuration source found in spec.configuration.applyConfig. only "user.conf" is allowed',
  ],
  [
    'sslMode without tls',
    { sslMode: 'require' },
    'validators',
    "can't have require set to postgres.Spec.SSLMode when postgres.Spec.TLS is null",
  ],
  [
    'an external Secret without a name',
    { authSecret: { name: '', externallyManaged: true } },
    'validators',
    'for externallyManaged auth secret, user must configure "spec.authSecret.name"',
  ],
  [
    'a health check without period',
    { healthChecker: { periodSeconds: 0 } },
    'validators',
    'spec.healthCheck.periodSeconds: can not be less than 1',
  ],
  [
    'a hasty election',
    {
      leaderElection: { electionTick: 1, heartbeatTick: 1, maximumLagBeforeFailover: 1, period: '1s' },
    },
    'validators',
    'ElectionTick must be greater than HeartbeatTick',
  ],
]

/** Requests that a kind refuses, by the shape of the database that they are for. */
export const refusedOps: [shape: string, type: string, spec: object, field: string, words: string][] = [
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

/** Requests for one server of PostgreSQL 17.5 that are refused. */
export const refusedPostgresOps: [title: string, type: string, spec: object, field: string, words: string][] =
  [
    [
      'a version that does not exist',
      'UpdateVersion',
      { updateVersion: { targetVersion: '99.0' } },
      'spec.updateVersion',
      'upgrade from version 17.5 to 99.0 is not supported',
    ],
    [
      'a downgrade',
      'UpdateVersion',
      { updateVersion: { targetVersion: '16.13' } },
      'spec.updateVersion',
      'upgrade from version 17.5 to 16.13 is not supported',
    ],
    [
      'a smaller disk',
      'VolumeExpansion',
      { volumeExpansion: { mode: 'Online', postgres: '512Mi' } },
      'spec.volumeExpansion',
      'desired Postgres storage size must be greater than current storage. Current storage: 1Gi',
    ],
    [
      'no replicas',
      'HorizontalScaling',
      { horizontalScaling: { replicas: 0 } },
      'spec.horizontalScaling',
      "`spec.horizontalScaling.Replicas` can't be less than or equal 0",
    ],
    [
      'a block that is missing',
      'VerticalScaling',
      {},
      'spec.verticalScaling',
      '`spec.verticalScaling` nil not supported in VerticalScaling type',
    ],
    [
      'nothing to reconfigure',
      'Reconfigure',
      { configuration: { applyConfig: { 'other.conf': '' } } },
      'spec.configuration',
      'at least one of `RemoveCustomConfig`, `ConfigSecret`, `Tuning` or `ApplyConfig` must be specified',
    ],
    [
      'a Secret that does not exist',
      'RotateAuth',
      { authentication: { secretRef: { name: 'nowhere' } } },
      'spec.authentication',
      'referenced secret webhooks/nowhere not found',
    ],
  ]

/** One write that is refused. */
export interface RefusedWrite {
  title: string
  kind: Kind
  /** the database that an OpsRequest is for */
  before?: JsonObject
  /** a database's spec, or an OpsRequest's without the database's name */
  write: { create: JsonObject } | { opsRequest: JsonObject }
}

const migration = { storageClassName: 'fast', oldPVReclaimPolicy: 'Delete' }
/** Those that name the nodes whose disks are moved. */
const nodeKinds: readonly Kind[] = [elasticsearch, kafka]

/** @returns all of it, each by a title of its own */
export function refusedWrites(): RefusedWrite[] {
  const create = (kind: Kind, title: string, spec: object): RefusedWrite => ({
    title: `${kind.kind}: ${title}`,
    kind,
    write: { create: plain({ deletionPolicy: 'WipeOut', ...single(kind), ...spec }) },
  })
  const request = (kind: Kind, title: string, before: object, spec: object): RefusedWrite => ({
    title: `${kind.kind}: ${title}`,
    kind,
    before: plain({ deletionPolicy: 'WipeOut', ...before }),
    write: { opsRequest: plain({ apply: 'Always', ...spec }) },
  })
  return [
    ...refusedPostgreses.map(([title, spec]) => create(postgres, title, spec)),
    ...refusedDatabases.map(([kind, title, spec]) => create(kind, title, spec)),
    create(rabbitmq, 'certificates without TLS', { tls: { issuerRef } }),
    create(
      elasticsearch,
      'coordinating nodes that name no container',
      nodes({ coordinating: { replicas: 1 } }),
    ),
    ...refusedPostgresOps.map(([title, type, spec]) =>
      request(postgres, `${type}: ${title}`, single(postgres), { type, ...spec }),
    ),
    ...refusedOps.map(([shape, type, spec, , words]) => {
      const { kind, spec: before } = shapeOf(shape)
      return request(kind, `${type} of ${shape}: ${words}`, before, { type, ...spec })
    }),
    ...kinds
      .filter((kind) => kind !== memcached && kind !== mongodb)
      .map((kind) =>
        request(kind, 'StorageMigration of disks that name no class', single(kind), {
          type: 'StorageMigration',
          timeout: '1h',
          migration: nodeKinds.includes(kind) ? { node: migration } : migration,
        }),
      ),
  ]
}

/** As it is sent: without what is undefined. */
const plain = (value: object): JsonObject => v.parse(JsonObject, JSON.parse(JSON.stringify(value)))
