/** The shapes in which the sandbox's operator serves each kind, and what its tests do with them, without a server. */

import { turns } from '../../sandbox/machine/turns.ts'
import { Database } from '../../sandbox/operator/cluster/resources.ts'
import { elasticsearch } from '../../sandbox/operator/kinds/elasticsearch.ts'
import { kafka } from '../../sandbox/operator/kinds/kafka.ts'
import { mariadb } from '../../sandbox/operator/kinds/mariadb.ts'
import { memcached } from '../../sandbox/operator/kinds/memcached.ts'
import { mongodb } from '../../sandbox/operator/kinds/mongodb.ts'
import { mysql } from '../../sandbox/operator/kinds/mysql.ts'
import { type Kind, opsKind, resourcesOf } from '../../sandbox/operator/kinds/parts/kind.ts'
import { perconaxtradb } from '../../sandbox/operator/kinds/perconaxtradb.ts'
import { postgres } from '../../sandbox/operator/kinds/postgres.ts'
import { rabbitmq } from '../../sandbox/operator/kinds/rabbitmq.ts'
import { redis } from '../../sandbox/operator/kinds/redis.ts'
import { type Setting, until } from './operator-setting.ts'

const disk = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } }
const durable = { storageType: 'Durable', storage: disk }

/** What a database of a kind is, in one shape of it. */
interface Shape {
  readonly title: string
  readonly kind: Kind
  readonly spec: object
  readonly pods: readonly string[]
  readonly claims: readonly string[]
  /** Services with their ports */
  readonly services: Readonly<Record<string, readonly number[]>>
  readonly user: string
  /** Secrets beside the auth Secret */
  readonly secrets?: readonly string[]
  /** what the AppBinding has, of what differs */
  readonly client: object
  readonly parameters?: object
}

/** What the family of MySQL says of its server. */
const clientOfMySql = {
  url: 'tcp(db.NAMESPACE.svc:3306)/',
  service: { scheme: 'tcp', name: 'db', port: 3306, path: '/' },
}

export const shapes: Shape[] = [
  {
    title: 'a single Postgres',
    kind: postgres,
    spec: { version: '17.5', ...durable },
    pods: ['db-0'],
    claims: ['data-db-0'],
    services: { db: [5432, 2379], 'db-pods': [5432, 2380, 2379] },
    user: 'postgres',
    client: {
      service: { scheme: 'postgresql', name: 'db', port: 5432, path: '/', query: 'sslmode=disable' },
    },
    parameters: { kind: 'StashAddon' },
  },
  {
    title: 'a single MySQL',
    kind: mysql,
    spec: { version: '8.4.8', ...durable },
    pods: ['db-0'],
    claims: ['data-db-0'],
    services: { db: [3306], 'db-pods': [3306] },
    user: 'root',
    client: clientOfMySql,
    parameters: { kind: 'StashAddon' },
  },
  {
    title: 'a MySQL group',
    kind: mysql,
    spec: { version: '8.4.8', replicas: 3, topology: { mode: 'GroupReplication' }, ...durable },
    pods: ['db-0', 'db-1', 'db-2'],
    claims: ['data-db-0', 'data-db-1', 'data-db-2'],
    services: { db: [3306], 'db-pods': [3306], 'db-standby': [3306] },
    user: 'root',
    client: clientOfMySql,
  },
  {
    title: 'an InnoDB cluster',
    kind: mysql,
    spec: {
      version: '8.4.8',
      replicas: 3,
      topology: { mode: 'InnoDBCluster', innoDBCluster: { router: { replicas: 1 } } },
      storageType: 'Ephemeral',
    },
    pods: ['db-0', 'db-1', 'db-2', 'db-router-0'],
    claims: [],
    services: { db: [3306], 'db-pods': [3306], 'db-standby': [3306], 'db-router': [6446, 6447, 6450] },
    user: 'root',
    client: clientOfMySql,
  },
  ...[1, 3].map((replicas) => ({
    title: replicas === 1 ? 'a single MariaDB' : 'a Galera cluster',
    kind: mariadb,
    spec: { version: '11.8.5', replicas, ...durable },
    pods: ['db-0', 'db-1', 'db-2'].slice(0, replicas),
    claims: ['data-db-0', 'data-db-1', 'data-db-2'].slice(0, replicas),
    services: { db: [3306], 'db-pods': [3306] },
    user: 'root',
    client: clientOfMySql,
    parameters: { kind: 'StashAddon' },
  })),
  {
    title: 'a Percona XtraDB Cluster',
    kind: perconaxtradb,
    spec: { version: '8.4.3', ...durable },
    pods: ['db-0', 'db-1', 'db-2'],
    claims: ['data-db-0', 'data-db-1', 'data-db-2'],
    services: { db: [3306], 'db-pods': [3306] },
    user: 'root',
    secrets: ['db-monitor', 'db-replication'],
    client: clientOfMySql,
    parameters: { kind: 'StashAddon' },
  },
  {
    title: 'a single MongoDB',
    kind: mongodb,
    spec: { version: '8.0.17', ...durable },
    pods: ['db-0'],
    claims: ['datadir-db-0'],
    services: { db: [27017], 'db-pods': [27017] },
    user: 'root',
    client: { service: { scheme: 'mongodb', name: 'db', port: 27017 } },
    parameters: {
      apiVersion: 'config.kubedb.com/v1alpha1',
      kind: 'MongoConfiguration',
      stash: { addon: {} },
    },
  },
  {
    title: 'a MongoDB replica set with an arbiter',
    kind: mongodb,
    spec: { version: '8.0.17', replicas: 2, replicaSet: { name: 'rs0' }, arbiter: {}, ...durable },
    pods: ['db-0', 'db-1', 'db-arbiter-0'],
    claims: ['datadir-db-0', 'datadir-db-1'],
    services: { db: [27017], 'db-pods': [27017] },
    user: 'root',
    secrets: ['db-key'],
    client: { service: { scheme: 'mongodb', name: 'db', port: 27017 } },
    parameters: {
      kind: 'MongoConfiguration',
      replicaSets: {
        'host-0':
          'rs0/db-0.db-pods.NAMESPACE.svc:27017,db-1.db-pods.NAMESPACE.svc:27017,db-arbiter-0.db-pods.NAMESPACE.svc:27017',
      },
    },
  },
  {
    title: 'a sharded MongoDB',
    kind: mongodb,
    spec: {
      version: '8.0.17',
      storageType: 'Durable',
      shardTopology: {
        shard: { shards: 2, replicas: 1, storage: disk },
        configServer: { replicas: 1, storage: disk },
        mongos: { replicas: 1 },
      },
    },
    pods: ['db-configsvr-0', 'db-mongos-0', 'db-shard0-0', 'db-shard1-0'],
    claims: ['datadir-db-configsvr-0', 'datadir-db-shard0-0', 'datadir-db-shard1-0'],
    services: {
      db: [27017],
      'db-configsvr-pods': [27017],
      'db-mongos-pods': [27017],
      'db-shard0-pods': [27017],
      'db-shard1-pods': [27017],
    },
    user: 'root',
    secrets: ['db-key'],
    client: { service: { scheme: 'mongodb', name: 'db', port: 27017 } },
    parameters: {
      configServer: 'cnfRepSet/db-configsvr-0.db-configsvr-pods.NAMESPACE.svc:27017',
      replicaSets: {
        'host-0': 'shard0/db-shard0-0.db-shard0-pods.NAMESPACE.svc:27017',
        'host-1': 'shard1/db-shard1-0.db-shard1-pods.NAMESPACE.svc:27017',
      },
    },
  },
  ...[1, 3].map((replicas) => ({
    title: replicas === 1 ? 'a single RabbitMQ' : 'a RabbitMQ cluster',
    kind: rabbitmq,
    spec: { version: '4.0.4', replicas, ...durable },
    pods: ['db-0', 'db-1', 'db-2'].slice(0, replicas),
    claims: ['db-data-db-0', 'db-data-db-1', 'db-data-db-2'].slice(0, replicas),
    services: { db: [5672], 'db-dashboard': [15672], 'db-pods': [4369, 25672] },
    user: 'admin',
    secrets: ['db-erlang-cookie'],
    client: {
      url: 'amqp://<username>:<password>@db.NAMESPACE.svc.cluster.local:5672/',
      service: { scheme: 'http', name: 'db', port: 5672 },
    },
  })),
  {
    title: 'a single Kafka',
    kind: kafka,
    spec: { version: '4.0.0', ...durable },
    pods: ['db-0'],
    claims: ['db-data-db-0'],
    services: { 'db-pods': [9092, 9093, 29092] },
    user: 'admin',
    client: { service: { scheme: 'http', name: 'db-pods', port: 9092 } },
  },
  {
    title: 'a Kafka with brokers and controllers',
    kind: kafka,
    spec: {
      version: '4.0.0',
      storageType: 'Durable',
      topology: { broker: { replicas: 2, storage: disk }, controller: { storage: disk } },
    },
    pods: ['db-broker-0', 'db-broker-1', 'db-controller-0'],
    claims: ['db-data-db-broker-0', 'db-data-db-broker-1', 'db-data-db-controller-0'],
    services: { 'db-pods': [9092, 9093, 29092] },
    user: 'admin',
    client: { service: { scheme: 'http', name: 'db-pods', port: 9092 } },
  },
  {
    title: 'a single Redis',
    kind: redis,
    spec: { version: '8.2.2', mode: 'Standalone', ...durable },
    pods: ['db-0'],
    claims: ['data-db-0'],
    services: { db: [6379], 'db-pods': [6379] },
    user: 'default',
    client: { service: { scheme: 'redis', name: 'db', port: 6379 } },
    parameters: { kind: 'RedisConfiguration', stash: { addon: {} } },
  },
  {
    title: 'a Redis cluster',
    kind: redis,
    spec: {
      version: '8.2.2',
      mode: 'Cluster',
      cluster: { shards: 3, replicas: 2 },
      storageType: 'Ephemeral',
    },
    pods: ['db-shard0-0', 'db-shard0-1', 'db-shard1-0', 'db-shard1-1', 'db-shard2-0', 'db-shard2-1'],
    claims: [],
    services: { db: [6379], 'db-pods': [6379, 16379] },
    user: 'default',
    client: { service: { scheme: 'redis', name: 'db', port: 6379 } },
  },
  {
    title: 'three Memcached',
    kind: memcached,
    spec: { version: '1.6.40', replicas: 3 },
    pods: ['db-0', 'db-1', 'db-2'],
    claims: [],
    services: { db: [11211], 'db-pods': [11211] },
    user: 'user',
    client: { service: { scheme: 'tcp', name: 'db', port: 11211 } },
  },
  {
    title: 'an Elasticsearch of X-Pack with equal nodes',
    kind: elasticsearch,
    spec: { version: 'xpack-9.2.3', ...durable },
    pods: ['db-0'],
    claims: ['data-db-0'],
    services: { db: [9200], 'db-master': [9300], 'db-pods': [9200, 9300] },
    user: 'elastic',
    secrets: [
      'db-apm-system-cred',
      'db-beats-system-cred',
      'db-ca-cert',
      'db-kibana-system-cred',
      'db-logstash-system-cred',
      'db-remote-monitoring-user-cred',
      'db-transport-cert',
    ],
    client: { service: { scheme: 'http', name: 'db', port: 9200 } },
    parameters: { kind: 'StashAddon' },
  },
  {
    title: 'an OpenSearch with dedicated nodes',
    kind: elasticsearch,
    spec: {
      version: 'opensearch-2.19.2',
      storageType: 'Durable',
      topology: {
        master: { replicas: 1, storage: disk },
        data: { replicas: 2, storage: disk },
        ingest: { replicas: 1, storage: disk },
      },
    },
    pods: ['db-data-0', 'db-data-1', 'db-ingest-0', 'db-master-0'],
    claims: ['data-db-data-0', 'data-db-data-1', 'data-db-ingest-0', 'data-db-master-0'],
    services: { db: [9200], 'db-master': [9300], 'db-pods': [9200, 9300] },
    user: 'admin',
    secrets: [
      'db-admin-cert',
      'db-ca-cert',
      'db-kibanaro-cred',
      'db-kibanaserver-cred',
      'db-logstash-cred',
      'db-readall-cred',
      'db-snapshotrestore-cred',
      'db-transport-cert',
    ],
    client: { service: { scheme: 'http', name: 'db', port: 9200 } },
  },
]

/** @throws if there is none of that title */
export const shapeOf = (title: string) => {
  const shape = shapes.find((candidate) => candidate.title === title)
  if (!shape) throw new Error(`there is no shape ${title}`)
  return shape
}

/** @returns the spec of the first shape of a kind */
export const single = (kind: Kind) => {
  const shape = shapes.find((candidate) => candidate.kind === kind)
  if (!shape) throw new Error(`there is no shape of ${kind.kind}`)
  return shape.spec
}

/** Nobody looks at it: there is no server, so nobody makes certificates. */
export const issuerRef = { apiGroup: 'cert-manager.io', kind: 'Issuer', name: 'ours' }

export function manifest({ kind, apiVersion }: Kind, namespace: string, spec: object, name = 'db') {
  return { apiVersion, kind, metadata: { namespace, name }, spec: { deletionPolicy: 'WipeOut', ...spec } }
}

export function opsManifest(kind: Kind, namespace: string, name: string, type: string, spec: object) {
  return {
    apiVersion: 'ops.kubedb.com/v1alpha1',
    kind: opsKind(kind),
    metadata: { namespace, name },
    spec: { databaseRef: { name: 'db' }, type, apply: 'Always', ...spec },
  }
}

/** So many databases come at a time: the API server is one, and has two cores perhaps. */
export const inTurn = turns(5)

/** Creates a database and waits until everything of it is there but a server. */
export async function create(
  setting: Setting,
  kind: Kind,
  namespace: string,
  spec: object,
): Promise<Database> {
  const { databases } = resourcesOf(kind)
  await setting.kube.create(databases, manifest(kind, namespace, spec))
  try {
    return await until(
      'an attempt to start a server',
      async () => {
        const db = await find(setting, kind, namespace)
        return db?.status.conditions.some(({ type }) => type === 'ReplicaReady') && db
      },
      60,
    )
  } catch (error) {
    throw new Error(`the operator says: ${setting.lines.join('; ')}`, { cause: error })
  }
}

/** @returns the one database of a test's namespace */
export function find(setting: Setting, kind: Kind, namespace: string): Promise<Database | undefined> {
  return setting.kube.get(Database, resourcesOf(kind).databases, { namespace, name: 'db' })
}
