/** Every kind that the operator serves, without a server: what there is of a database before anybody connects. */
import test from 'ava'
import * as v from 'valibot'
import { type Kind, opsKind, resourcesOf } from '../../sandbox/operator/kind.ts'
import { elasticsearch } from '../../sandbox/operator/kinds/elasticsearch.ts'
import { kafka } from '../../sandbox/operator/kinds/kafka.ts'
import { mariadb } from '../../sandbox/operator/kinds/mariadb.ts'
import { memcached } from '../../sandbox/operator/kinds/memcached.ts'
import { mongodb } from '../../sandbox/operator/kinds/mongodb.ts'
import { mysql } from '../../sandbox/operator/kinds/mysql.ts'
import { perconaxtradb } from '../../sandbox/operator/kinds/perconaxtradb.ts'
import { postgres } from '../../sandbox/operator/kinds/postgres.ts'
import { rabbitmq } from '../../sandbox/operator/kinds/rabbitmq.ts'
import { redis } from '../../sandbox/operator/kinds/redis.ts'
import { aclLines } from '../../sandbox/operator/kinds/redis-acl.ts'
import { kinds } from '../../sandbox/operator/kinds.ts'
import { Database, Named, OpsRequest, resources, Secret, Service } from '../../sandbox/operator/resources.ts'
import { JsonObject } from '../../shared/json.ts'
import {
  createNamespace,
  offshootNames,
  refusalOf,
  type Setting,
  startSetting,
  until,
} from './operator-setting.ts'

let setting: Setting

test.before(async (t) => {
  t.timeout(15 * 60_000, 'the control plane may have to be built')
  setting = await startSetting((line) => t.log(line), [])
})

test.after.always(async () => {
  await setting?.end()
})

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

const shapes: Shape[] = [
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
    client: {
      url: 'tcp(db.NAMESPACE.svc:3306)/',
      service: { scheme: 'tcp', name: 'db', port: 3306, path: '/' },
    },
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
    client: {
      url: 'tcp(db.NAMESPACE.svc:3306)/',
      service: { scheme: 'tcp', name: 'db', port: 3306, path: '/' },
    },
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
    client: {
      url: 'tcp(db.NAMESPACE.svc:3306)/',
      service: { scheme: 'tcp', name: 'db', port: 3306, path: '/' },
    },
  },
  ...[1, 3].map((replicas) => ({
    title: replicas === 1 ? 'a single MariaDB' : 'a Galera cluster',
    kind: mariadb,
    spec: { version: '11.8.5', replicas, ...durable },
    pods: ['db-0', 'db-1', 'db-2'].slice(0, replicas),
    claims: ['data-db-0', 'data-db-1', 'data-db-2'].slice(0, replicas),
    services: { db: [3306], 'db-pods': [3306] },
    user: 'root',
    client: {
      url: 'tcp(db.NAMESPACE.svc:3306)/',
      service: { scheme: 'tcp', name: 'db', port: 3306, path: '/' },
    },
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
    client: {
      url: 'tcp(db.NAMESPACE.svc:3306)/',
      service: { scheme: 'tcp', name: 'db', port: 3306, path: '/' },
    },
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

function manifest({ kind, apiVersion }: Kind, namespace: string, spec: object, name = 'db') {
  return { apiVersion, kind, metadata: { namespace, name }, spec: { deletionPolicy: 'WipeOut', ...spec } }
}

/** So many databases come at a time: the API server is one, and has two cores perhaps. */
let places = 5
const waiting: (() => void)[] = []

/** Runs a test that makes a database, when there is a place for it. */
async function inTurn(work: () => Promise<void>): Promise<void> {
  if (places === 0) await new Promise<void>((resolve) => waiting.push(resolve))
  else places--
  try {
    await work()
  } finally {
    const next = waiting.shift()
    if (next) next()
    else places++
  }
}

/** A namespace for each test. */
let number = 0
const aNamespace = () => createNamespace(setting.kube, `kinds-${number++}`)

const Spec = v.looseObject({ metadata: v.looseObject({}), spec: JsonObject })

/** Creates a database and waits until everything of it is there but a server. */
async function create(kind: Kind, namespace: string, spec: object): Promise<Database> {
  const { databases } = resourcesOf(kind)
  await setting.kube.create(databases, manifest(kind, namespace, spec))
  try {
    return await until(
      'an attempt to start a server',
      async () => {
        const db = await find(kind, namespace)
        return db?.status.conditions.some(({ type }) => type === 'ReplicaReady') && db
      },
      60,
    )
  } catch (error) {
    throw new Error(`the operator says: ${setting.lines.join('; ')}`, { cause: error })
  }
}

function find(kind: Kind, namespace: string): Promise<Database | undefined> {
  return setting.kube.get(Database, resourcesOf(kind).databases, { namespace, name: 'db' })
}

/** Puts the namespace of a test into what is expected. */
function inNamespace(expected: object, namespace: string): object {
  return v.parse(JsonObject, JSON.parse(JSON.stringify(expected).replaceAll('NAMESPACE', namespace)))
}

for (const shape of shapes)
  test(`${shape.title} has the objects of KubeDB`, (t) =>
    inTurn(async () => {
      const { kube } = setting
      const { kind } = shape
      const namespace = await aNamespace()
      const db = await create(kind, namespace, shape.spec)
      const names = (resource: typeof resources.pods) => offshootNames(kube, resource, namespace, 'db')
      t.deepEqual(await names(resources.pods), shape.pods)
      t.deepEqual(await names(resources.claims), shape.claims)
      t.deepEqual(
        (await names(resources.secrets)).filter((name) => name !== 'db-auth'),
        shape.secrets ?? [],
      )
      const { items } = await kube.list(Service, resources.services, { namespace })
      t.deepEqual(
        Object.fromEntries(
          items.map(({ metadata, spec }) => [metadata.name, spec.ports.map(({ port }) => port)]),
        ),
        shape.services,
      )

      const auth = await kube.get(Secret, resources.secrets, { namespace, name: 'db-auth' })
      const { username, password } = kind.auth.read(auth?.data ?? {})
      t.is(username, shape.user)
      t.regex(password, /^[A-Za-z0-9]{16}$/)
      t.is(db.spec.authSecret?.name, 'db-auth')

      const appBinding = await kube.get(Spec, resources.appBindings, { namespace, name: 'db' })
      t.deepEqual(appBinding?.spec.clientConfig, inNamespace(shape.client, namespace))
      t.like(appBinding?.spec, {
        type: `kubedb.com/${kind.kind.toLowerCase()}`,
        appRef: { apiGroup: 'kubedb.com', kind: kind.kind, name: 'db', namespace },
        secret: { name: 'db-auth', kind: 'Secret' },
        ...(shape.parameters && { parameters: inNamespace(shape.parameters, namespace) }),
      })

      t.is(db.status.phase, 'Provisioning')
      const ready = db.status.conditions.find(({ type }) => type === 'ReplicaReady')
      t.is(ready?.message, `Some Replicas are not ready. error: the sandbox has no ${kind.title} server`)
    }))

const shapeOf = (title: string) => {
  const shape = shapes.find((candidate) => candidate.title === title)
  if (!shape) throw new Error(`there is no shape ${title}`)
  return shape
}

/** The refusal of a webhook; `who` is the first part of its name. */
const denied = (who: string, words: string, status = 403) => ({
  status,
  message: `admission webhook "${who}.kubedb.com" denied the request: ${words}`,
})

const single = (kind: Kind) => {
  const shape = shapes.find((candidate) => candidate.kind === kind)
  if (!shape) throw new Error(`there is no shape of ${kind.kind}`)
  return shape.spec
}
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

const issuerRef = { apiGroup: 'cert-manager.io', kind: 'Issuer', name: 'ours' }

/** What a kind alone refuses about a database; what all refuse is in operator-webhooks.test.ts. */
const refusedDatabases: [kind: Kind, title: string, spec: object, words: string][] = [
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

function opsManifest(kind: Kind, namespace: string, name: string, type: string, spec: object) {
  return {
    apiVersion: 'ops.kubedb.com/v1alpha1',
    kind: opsKind(kind),
    metadata: { namespace, name },
    spec: { databaseRef: { name: 'db' }, type, apply: 'Always', ...spec },
  }
}

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

/** What a request changes: of the spec, and in the number of pods. */
interface Change {
  readonly type: string
  readonly spec: object
  readonly becomes: object
  readonly pods?: number
}
const resourcesWanted = { resources: { requests: { cpu: '1', memory: '2Gi' }, limits: { memory: '2Gi' } } }
const containers = (name: string) => ({
  podTemplate: { spec: { containers: [{ name, ...resourcesWanted }] } },
})
const larger = { storage: { resources: { requests: { storage: '2Gi' } } } }
const settings = (file: string, text: string) => ({ configuration: { applyConfig: { [file]: text } } })
const inline = (file: string, text: string) => ({ configuration: { inline: { [file]: text } } })
const restart: Change = { type: 'Restart', spec: { restart: {} }, becomes: { deletionPolicy: 'WipeOut' } }
const secure = (more: object = {}): Change => ({
  type: 'ReconfigureTLS',
  spec: { tls: { issuerRef } },
  becomes: { tls: { issuerRef }, ...more },
})

const changes: [shape: string, changes: Change[]][] = [
  [
    'a MySQL group',
    [
      {
        type: 'UpdateVersion',
        spec: { updateVersion: { targetVersion: '9.1.0' } },
        becomes: { version: '9.1.0' },
      },
      {
        type: 'HorizontalScaling',
        spec: { horizontalScaling: { member: 5 } },
        becomes: { replicas: 5 },
        pods: 5,
      },
      {
        type: 'VerticalScaling',
        spec: { verticalScaling: { mysql: resourcesWanted } },
        becomes: containers('mysql'),
      },
      {
        type: 'VolumeExpansion',
        spec: { volumeExpansion: { mode: 'Online', mysql: '2Gi' } },
        becomes: larger,
      },
      {
        type: 'Reconfigure',
        spec: settings('my.cnf', '[mysqld]\nmax_connections = 200'),
        becomes: inline('my.cnf', '[mysqld]\nmax_connections = 200\n'),
      },
      {
        type: 'Reconfigure',
        spec: settings('my.cnf', '[mysqld]\nmax-connections = 300'),
        becomes: inline('my.cnf', '[mysqld]\nmax-connections = 300\n'),
      },
      restart,
      {
        type: 'ReconfigureTLS',
        spec: { tls: { issuerRef, requireSSL: true } },
        becomes: { tls: { issuerRef }, requireSSL: true },
      },
    ],
  ],
  [
    'a MongoDB replica set with an arbiter',
    [
      {
        type: 'HorizontalScaling',
        spec: { horizontalScaling: { replicas: 3 } },
        becomes: { replicas: 3 },
        pods: 4,
      },
      {
        type: 'VerticalScaling',
        spec: { verticalScaling: { replicaSet: resourcesWanted } },
        becomes: containers('mongodb'),
      },
      {
        type: 'VolumeExpansion',
        spec: { volumeExpansion: { mode: 'Online', replicaSet: '2Gi' } },
        becomes: larger,
      },
      {
        type: 'Reconfigure',
        spec: {
          configuration: {
            replicaSet: { applyConfig: { 'mongod.conf': 'net: {maxIncomingConnections: 100}' } },
          },
        },
        becomes: inline('mongod.conf', 'net:\n  maxIncomingConnections: 100\n'),
      },
      secure({ sslMode: 'requireSSL', clusterAuthMode: 'x509' }),
    ],
  ],
  [
    'a sharded MongoDB',
    [
      {
        type: 'HorizontalScaling',
        spec: { horizontalScaling: { shard: { shards: 3, replicas: 2 }, mongos: { replicas: 2 } } },
        becomes: { shardTopology: { shard: { shards: 3, replicas: 2 }, mongos: { replicas: 2 } } },
        pods: 9,
      },
      {
        type: 'VerticalScaling',
        spec: { verticalScaling: { mongos: resourcesWanted, shard: resourcesWanted } },
        becomes: { shardTopology: { mongos: containers('mongodb'), shard: containers('mongodb') } },
      },
      {
        type: 'VolumeExpansion',
        spec: { volumeExpansion: { mode: 'Online', shard: '2Gi', configServer: '2Gi' } },
        becomes: { shardTopology: { shard: larger, configServer: larger } },
      },
    ],
  ],
  [
    'a Redis cluster',
    [
      {
        type: 'HorizontalScaling',
        spec: { horizontalScaling: { shards: 4, replicas: 3 } },
        becomes: { cluster: { shards: 4, replicas: 3 } },
        pods: 12,
      },
      {
        type: 'VerticalScaling',
        spec: { verticalScaling: { redis: resourcesWanted } },
        becomes: containers('redis'),
      },
      {
        type: 'Reconfigure',
        spec: settings('redis.conf', 'maxmemory-policy allkeys-lru'),
        becomes: inline('redis.conf', 'maxmemory-policy allkeys-lru\n'),
      },
      secure(),
    ],
  ],
  [
    'a Kafka with brokers and controllers',
    [
      {
        type: 'HorizontalScaling',
        spec: { horizontalScaling: { topology: { broker: 3 } } },
        becomes: { topology: { broker: { replicas: 3 } } },
        pods: 4,
      },
      {
        type: 'VerticalScaling',
        spec: { verticalScaling: { broker: resourcesWanted } },
        becomes: { topology: { broker: containers('kafka') } },
      },
      {
        type: 'VolumeExpansion',
        spec: { volumeExpansion: { mode: 'Online', broker: '2Gi' } },
        becomes: { topology: { broker: larger } },
      },
      {
        type: 'Reconfigure',
        spec: settings('broker.properties', 'num.partitions=3'),
        becomes: inline('broker.properties', 'num.partitions=3\n'),
      },
    ],
  ],
  [
    'a single RabbitMQ',
    [
      {
        type: 'HorizontalScaling',
        spec: { horizontalScaling: { node: 3 } },
        becomes: { replicas: 3 },
        pods: 3,
      },
      {
        type: 'VerticalScaling',
        spec: { verticalScaling: { node: resourcesWanted } },
        becomes: containers('rabbitmq'),
      },
      {
        type: 'VolumeExpansion',
        spec: { volumeExpansion: { mode: 'Online', node: '2Gi' } },
        becomes: larger,
      },
      {
        type: 'Reconfigure',
        spec: settings('rabbitmq.conf', 'channel_max = 100'),
        becomes: inline('rabbitmq.conf', 'channel_max = 100\n'),
      },
      {
        type: 'UpdateVersion',
        spec: { updateVersion: { targetVersion: '4.2.4' } },
        becomes: { version: '4.2.4' },
      },
    ],
  ],
  [
    'three Memcached',
    [
      {
        type: 'HorizontalScaling',
        spec: { horizontalScaling: { replicas: 2 } },
        becomes: { replicas: 2 },
        pods: 2,
      },
      {
        type: 'VerticalScaling',
        spec: { verticalScaling: { memcached: resourcesWanted } },
        becomes: containers('memcached'),
      },
      {
        type: 'Reconfigure',
        spec: settings('memcached.conf', '--conn-limit=500'),
        becomes: inline('memcached.conf', '--conn-limit=500\n'),
      },
      restart,
    ],
  ],
  [
    'an OpenSearch with dedicated nodes',
    [
      {
        type: 'HorizontalScaling',
        spec: { horizontalScaling: { topology: { data: 3 } } },
        becomes: { topology: { data: { replicas: 3 } } },
        pods: 5,
      },
      {
        type: 'VerticalScaling',
        spec: { verticalScaling: { data: resourcesWanted } },
        becomes: { topology: { data: containers('elasticsearch') } },
      },
      {
        type: 'VolumeExpansion',
        spec: { volumeExpansion: { mode: 'Online', data: '2Gi' } },
        becomes: { topology: { data: larger } },
      },
      secure({ enableSSL: true }),
      // Only now does KubeDB let these through.
      {
        type: 'Reconfigure',
        spec: settings('elasticsearch.yml', 'a.b: 1'),
        becomes: inline('elasticsearch.yml', 'a.b: 1\n'),
      },
    ],
  ],
]

for (const [title, list] of changes)
  test(`OpsRequests change ${title}`, (t) =>
    inTurn(async () => {
      const { kube } = setting
      const { kind, spec, user } = shapeOf(title)
      const { opsRequests } = resourcesOf(kind)
      const namespace = await aNamespace()
      await create(kind, namespace, spec)
      const succeed = async (name: string, type: string, block: object) => {
        await kube.create(opsRequests, opsManifest(kind, namespace, name, type, block))
        const ended = await until(`an end of ${name}`, async () => {
          const ops = await kube.get(OpsRequest, opsRequests, { namespace, name })
          return ops && ['Successful', 'Failed', 'Skipped'].includes(ops.status.phase) && ops
        })
        t.is(ended.status.phase, 'Successful', `${name}: ${ended.status.conditions.at(-1)?.message}`)
      }
      for (const [index, { type, spec: block, becomes, pods }] of list.entries()) {
        await succeed(`${type.toLowerCase()}-${index}`, type, block)
        const after = await find(kind, namespace)
        t.like(after?.spec, v.parse(JsonObject, becomes))
        if (pods !== undefined)
          t.is((await offshootNames(kube, resources.pods, namespace, 'db')).length, pods)
      }
      // The password last: it is that of the Secret at any time.
      const place = { namespace, name: 'db-auth' }
      const before = kind.auth.read((await kube.get(Secret, resources.secrets, place))?.data ?? {})
      await succeed('rotate', 'RotateAuth', {})
      const data = (await kube.get(Secret, resources.secrets, place))?.data ?? {}
      const after = kind.auth.read(data)
      t.is(after.username, user)
      t.not(after.password, before.password)
      const previous = Object.entries(data).filter(([key]) => key.endsWith('.prev'))
      t.like(
        kind.auth.read(Object.fromEntries(previous.map(([key, value]) => [key.replace('.prev', ''), value]))),
        { username: user, password: before.password },
      )
    }))

for (const kind of kinds)
  test(`a halted ${kind.kind} keeps Secrets and disks, comes back, and leaves nothing when it is wiped out`, (t) =>
    inTurn(async () => {
      const { kube } = setting
      const namespace = await aNamespace()
      const { databases } = resourcesOf(kind)
      const place = { namespace, name: 'db' }
      await create(kind, namespace, single(kind))
      const names = (resource: typeof resources.pods) => offshootNames(kube, resource, namespace, 'db')
      const count = async (...list: (typeof resources.pods)[]) =>
        (await Promise.all(list.map(names))).flat().length
      const { pods, services, appBindings, secrets, claims } = resources
      const kept = [await names(secrets), await names(claims)]
      await kube.patch(Named, databases, place, { spec: { halted: true } })
      await until('Halted', async () => (await find(kind, namespace))?.status.phase === 'Halted')
      await until('nothing running', async () => (await count(pods, services, appBindings)) === 0)
      t.deepEqual([await names(secrets), await names(claims)], kept)
      t.is((await find(kind, namespace))?.spec.deletionPolicy, 'Halt')
      await kube.patch(Named, databases, place, { spec: { halted: false, deletionPolicy: 'WipeOut' } })
      await until('the AppBinding back', async () => (await count(appBindings)) === 1)
      await until('not Halted', async () => (await find(kind, namespace))?.status.phase === 'Provisioning')
      await kube.delete(databases, place)
      await until('everything gone', async () => {
        const left = await count(pods, services, appBindings, secrets, claims, resources.serviceAccounts)
        return left === 0 && (await find(kind, namespace)) === undefined
      })
      t.pass()
    }))

/** What is left of a database, by deletionPolicy: the Secrets that it decides about, and the disks. */
for (const [kind, policy, keptSecrets] of [
  [mongodb, 'Delete', ['db-auth', 'db-key']],
  [mongodb, 'Halt', ['db-auth', 'db-key']],
  // Memcached's Secret is its own alone: it goes with it.
  [memcached, 'Delete', []],
  [memcached, 'Halt', []],
] as const)
  test(`${policy} of ${kind.kind} leaves what KubeDB leaves`, (t) =>
    inTurn(async () => {
      const { kube } = setting
      const namespace = await aNamespace()
      const more = kind === mongodb ? { replicas: 1, replicaSet: { name: 'rs0' } } : {}
      await create(kind, namespace, { ...single(kind), ...more, deletionPolicy: policy })
      const names = (resource: typeof resources.pods) => offshootNames(kube, resource, namespace, 'db')
      const disks = policy === 'Halt' ? await names(resources.claims) : []
      await kube.delete(resourcesOf(kind).databases, { namespace, name: 'db' })
      await until('all that goes gone', async () => {
        const { pods, services, appBindings, secrets, claims } = resources
        const running = (await Promise.all([pods, services, appBindings].map(names))).flat()
        const left = [(await names(secrets)).length, (await names(claims)).length]
        return running.length === 0 && left[0] === keptSecrets.length && left[1] === disks.length
      })
      t.deepEqual(await names(resources.secrets), [...keptSecrets])
      t.deepEqual(await names(resources.claims), disks)
    }))

/** How a rule names a key of its Secret. */
const keyed = (key: string) => `\${${key}}`

test('a Reconfigure of users changes the rules of a Redis and keeps their passwords', (t) =>
  inTurn(async () => {
    const { kube } = setting
    const namespace = await aNamespace()
    const { opsRequests } = resourcesOf(redis)
    const secret = (name: string, stringData: object) =>
      kube.create(resources.secrets, { metadata: { namespace, name }, stringData })
    await secret('first', { ann: 'one', bob: 'two' })
    await secret('second', { cleo: 'three' })
    const rules = [`ann ${keyed('ann')} ~* +get`, `bob ${keyed('bob')} ~* +get`]
    const db = await create(redis, namespace, {
      ...single(redis),
      configuration: { acl: { secretRef: { name: 'first' }, rules } },
    })
    const auth = {
      secretRef: { name: 'second' },
      syncACL: [`cleo ${keyed('cleo')} ~* +@all`],
      deleteUsers: ['bob'],
    }
    await kube.create(
      opsRequests,
      opsManifest(redis, namespace, 'users', 'Reconfigure', { configuration: { auth } }),
    )
    await until('the end of the request', async () => {
      const ops = await kube.get(OpsRequest, opsRequests, { namespace, name: 'users' })
      return ops?.status.phase === 'Successful'
    })
    t.like((await find(redis, namespace))?.spec.configuration, {
      acl: {
        secretRef: { name: 'second' },
        rules: [`ann ${keyed('ann')} ~* +get`, `cleo ${keyed('cleo')} ~* +@all`],
      },
    })
    // Rules of earlier requests take their passwords from what the operator keeps.
    const name = `db-acl-${db.metadata.uid.slice(-6)}`
    const kept = await kube.get(Secret, resources.secrets, { namespace, name })
    t.deepEqual(kept?.data, { ann: 'one', cleo: 'three' })
    const after = await find(redis, namespace)
    t.deepEqual(after && (await aclLines(kube, after)), [
      'user ann on >one ~* +get',
      'user cleo on >three ~* +@all',
    ])
  }))

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
