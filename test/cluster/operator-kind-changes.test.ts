/** What OpsRequests change of each kind, without a server. */
import test from 'ava'
import * as v from 'valibot'
import { OpsRequest, resources, Secret } from '../../sandbox/operator/cluster/resources.ts'
import { resourcesOf } from '../../sandbox/operator/kinds/parts/kind.ts'
import { JsonObject } from '../../shared/values/json.ts'
import { createNamespace, offshootNames, until, useSetting } from './operator-setting.ts'
import { create, find, inTurn, issuerRef, opsManifest, shapeOf } from './operator-shapes.ts'

const setting = useSetting(test, [])

/** A namespace for each test. */
let number = 0
const aNamespace = () => createNamespace(setting.kube, `kinds-${number++}`)

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
      await create(setting, kind, namespace, spec)
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
        const after = await find(setting, kind, namespace)
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
