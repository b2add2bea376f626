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
type Change = readonly [type: string, request: object, becomes: object, pods?: number]
const resourcesWanted = { resources: { requests: { cpu: '1', memory: '2Gi' }, limits: { memory: '2Gi' } } }
const containers = (name: string) => ({
  podTemplate: { spec: { containers: [{ name, ...resourcesWanted }] } },
})
const larger = { storage: { resources: { requests: { storage: '2Gi' } } } }
const inline = (file: string, text: string) => ({ configuration: { inline: { [file]: text } } })
const reconfigured = (file: string, text: string): Change => [
  'Reconfigure',
  { configuration: { applyConfig: { [file]: text } } },
  inline(file, `${text}\n`),
]
const restart: Change = ['Restart', { restart: {} }, { deletionPolicy: 'WipeOut' }]
const secure = (more: object = {}): Change => [
  'ReconfigureTLS',
  { tls: { issuerRef } },
  { tls: { issuerRef }, ...more },
]

const changes: [shape: string, changes: Change[]][] = [
  [
    'a MySQL group',
    [
      ['UpdateVersion', { updateVersion: { targetVersion: '9.1.0' } }, { version: '9.1.0' }],
      ['HorizontalScaling', { horizontalScaling: { member: 5 } }, { replicas: 5 }, 5],
      ['VerticalScaling', { verticalScaling: { mysql: resourcesWanted } }, containers('mysql')],
      ['VolumeExpansion', { volumeExpansion: { mode: 'Online', mysql: '2Gi' } }, larger],
      reconfigured('my.cnf', '[mysqld]\nmax_connections = 200'),
      reconfigured('my.cnf', '[mysqld]\nmax-connections = 300'),
      restart,
      ['ReconfigureTLS', { tls: { issuerRef, requireSSL: true } }, { tls: { issuerRef }, requireSSL: true }],
    ],
  ],
  [
    'a MongoDB replica set with an arbiter',
    [
      ['HorizontalScaling', { horizontalScaling: { replicas: 3 } }, { replicas: 3 }, 4],
      ['VerticalScaling', { verticalScaling: { replicaSet: resourcesWanted } }, containers('mongodb')],
      ['VolumeExpansion', { volumeExpansion: { mode: 'Online', replicaSet: '2Gi' } }, larger],
      [
        'Reconfigure',
        {
          configuration: {
            replicaSet: { applyConfig: { 'mongod.conf': 'net: {maxIncomingConnections: 100}' } },
          },
        },
        inline('mongod.conf', 'net:\n  maxIncomingConnections: 100\n'),
      ],
      secure({ sslMode: 'requireSSL', clusterAuthMode: 'x509' }),
    ],
  ],
  [
    'a sharded MongoDB',
    [
      [
        'HorizontalScaling',
        { horizontalScaling: { shard: { shards: 3, replicas: 2 }, mongos: { replicas: 2 } } },
        { shardTopology: { shard: { shards: 3, replicas: 2 }, mongos: { replicas: 2 } } },
        9,
      ],
      [
        'VerticalScaling',
        { verticalScaling: { mongos: resourcesWanted, shard: resourcesWanted } },
        { shardTopology: { mongos: containers('mongodb'), shard: containers('mongodb') } },
      ],
      [
        'VolumeExpansion',
        { volumeExpansion: { mode: 'Online', shard: '2Gi', configServer: '2Gi' } },
        { shardTopology: { shard: larger, configServer: larger } },
      ],
    ],
  ],
  [
    'a Redis cluster',
    [
      [
        'HorizontalScaling',
        { horizontalScaling: { shards: 4, replicas: 3 } },
        { cluster: { shards: 4, replicas: 3 } },
        12,
      ],
      ['VerticalScaling', { verticalScaling: { redis: resourcesWanted } }, containers('redis')],
      reconfigured('redis.conf', 'maxmemory-policy allkeys-lru'),
      secure(),
    ],
  ],
  [
    'a Kafka with brokers and controllers',
    [
      [
        'HorizontalScaling',
        { horizontalScaling: { topology: { broker: 3 } } },
        { topology: { broker: { replicas: 3 } } },
        4,
      ],
      [
        'VerticalScaling',
        { verticalScaling: { broker: resourcesWanted } },
        { topology: { broker: containers('kafka') } },
      ],
      [
        'VolumeExpansion',
        { volumeExpansion: { mode: 'Online', broker: '2Gi' } },
        { topology: { broker: larger } },
      ],
      reconfigured('broker.properties', 'num.partitions=3'),
    ],
  ],
  [
    'a single RabbitMQ',
    [
      ['HorizontalScaling', { horizontalScaling: { node: 3 } }, { replicas: 3 }, 3],
      ['VerticalScaling', { verticalScaling: { node: resourcesWanted } }, containers('rabbitmq')],
      ['VolumeExpansion', { volumeExpansion: { mode: 'Online', node: '2Gi' } }, larger],
      reconfigured('rabbitmq.conf', 'channel_max = 100'),
      ['UpdateVersion', { updateVersion: { targetVersion: '4.2.4' } }, { version: '4.2.4' }],
    ],
  ],
  [
    'three Memcached',
    [
      ['HorizontalScaling', { horizontalScaling: { replicas: 2 } }, { replicas: 2 }, 2],
      ['VerticalScaling', { verticalScaling: { memcached: resourcesWanted } }, containers('memcached')],
      reconfigured('memcached.conf', '--conn-limit=500'),
      restart,
    ],
  ],
  [
    'an OpenSearch with dedicated nodes',
    [
      [
        'HorizontalScaling',
        { horizontalScaling: { topology: { data: 3 } } },
        { topology: { data: { replicas: 3 } } },
        5,
      ],
      [
        'VerticalScaling',
        { verticalScaling: { data: resourcesWanted } },
        { topology: { data: containers('elasticsearch') } },
      ],
      [
        'VolumeExpansion',
        { volumeExpansion: { mode: 'Online', data: '2Gi' } },
        { topology: { data: larger } },
      ],
      secure({ enableSSL: true }),
      // Only now does KubeDB let these through.
      reconfigured('elasticsearch.yml', 'a.b: 1'),
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
      for (const [index, [type, block, becomes, pods]] of list.entries()) {
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
