/** Redis and Valkey as KubeDB runs them: a server on its own, or a cluster of shards. */
import { isObject, type JsonObject } from '../../values/json.ts'
import type { Setting } from '../../values/nouns.ts'
import { distribution, engineVersion } from '../../values/semver.ts'
import type { Database, Dimension, Place, Reach } from './database.ts'
import { addresses, common, inUri, loginOf, pods } from './parts/address.ts'
import { alike, withResources, withStorage } from './parts/components.ts'
import {
  beforeServers,
  configuration,
  impossible,
  section,
  servers,
  tls,
  version,
} from './parts/dimensions.ts'
import { begin, finish, hold, lines, olderThan, sizable, withFile, withTls } from './parts/draft.ts'
import { certificates, sameAs } from './parts/library-keys.ts'
import { parametersWith } from './parts/parameters.ts'
import { at, put } from './parts/spec.ts'
import { redisUsers } from './users/redis.ts'

const container = 'redis'
const layout = alike(container)

const bytes: Setting = { type: 'string', pattern: '^(0|[1-9][0-9]{0,6}(kb|mb|gb))$' }
const percent: Setting = { type: 'integer', min: 1, max: 100 }
const count: Setting = { type: 'integer', min: 0, max: 1000000 }

/** Settings that neither run code, read or write files, load modules nor change who may log in. */
const settings: { [name: string]: Setting } = {
  maxclients: { type: 'integer', min: 10, max: 100000 },
  maxmemory: bytes,
  'maxmemory-policy': {
    type: 'string',
    pattern: '^(noeviction|(allkeys|volatile)-(lru|lfu|random)|volatile-ttl)$',
  },
  'maxmemory-samples': { type: 'integer', min: 1, max: 64 },
  timeout: { type: 'integer', min: 0, max: 31536000 },
  'tcp-keepalive': { type: 'integer', min: 0, max: 86400 },
  appendonly: { type: 'boolean' },
  appendfsync: { type: 'string', pattern: '^(always|everysec|no)$' },
  'auto-aof-rewrite-percentage': { type: 'integer', min: 0, max: 10000 },
  'auto-aof-rewrite-min-size': bytes,
  save: {
    type: 'string',
    pattern: '^[1-9][0-9]{0,6} [1-9][0-9]{0,8}( [1-9][0-9]{0,6} [1-9][0-9]{0,8}){0,5}$',
  },
  'stop-writes-on-bgsave-error': { type: 'boolean' },
  rdbcompression: { type: 'boolean' },
  hz: { type: 'integer', min: 1, max: 500 },
  'dynamic-hz': { type: 'boolean' },
  'lfu-log-factor': { type: 'integer', min: 0, max: 255 },
  'lfu-decay-time': { type: 'integer', min: 0, max: 10000 },
  'notify-keyspace-events': { type: 'string', pattern: '^[AKEg$lshzxetdmn]{1,14}$' },
  'slowlog-log-slower-than': { type: 'integer', min: -1, max: 3600000000 },
  'slowlog-max-len': count,
  'latency-monitor-threshold': { type: 'integer', min: 0, max: 3600000 },
  activedefrag: { type: 'boolean' },
  'active-defrag-cycle-min': percent,
  'active-defrag-cycle-max': percent,
  'lazyfree-lazy-eviction': { type: 'boolean' },
  'lazyfree-lazy-expire': { type: 'boolean' },
  'lazyfree-lazy-server-del': { type: 'boolean' },
  'hash-max-listpack-entries': count,
  'hash-max-listpack-value': count,
  'set-max-intset-entries': count,
  'zset-max-listpack-entries': count,
  'zset-max-listpack-value': count,
  'stream-node-max-entries': count,
}

function setting(name: string, value: string | number | boolean): string {
  return `${name} ${typeof value === 'boolean' ? (value ? 'yes' : 'no') : value}`
}

const majorOf = (name: string): string | undefined => engineVersion(name)?.split('.')[0]

/** @returns whether the spec is of a cluster, which it also is where it only says how large */
const clustered = (spec: JsonObject): boolean =>
  spec.mode === 'Cluster' || (spec.mode === undefined && isObject(spec.cluster))

/** KubeDB's rules; what is not said yet is filled in by `complete`. */
function mistakes(spec: JsonObject): string[] {
  const found = olderThan(spec, '6.2', 'it has no users for bindings')
  const { mode } = spec
  const [shards, replicas] = [at(spec, 'cluster.shards'), at(spec, 'cluster.replicas')]
  if (mode !== undefined && mode !== 'Standalone' && mode !== 'Cluster') {
    found.push(`mode: ${JSON.stringify(mode)} is not offered; choose "Standalone" or "Cluster"`)
  }
  if (mode === 'Standalone' && isObject(spec.cluster)) {
    found.push('cluster: belongs to mode "Cluster"; ask for that, or leave cluster out')
  }
  if (typeof shards === 'number' && shards < 3)
    found.push(`cluster.shards: a cluster has at least 3, not ${shards}`)
  if (typeof replicas === 'number' && replicas < 2) {
    found.push(`cluster.replicas: a shard has at least 2 servers, its primary among them, not ${replicas}`)
  }
  if (!clustered(spec) && Number(spec.replicas ?? 1) !== 1) {
    found.push(
      'replicas: a server on its own has no copies; only the shards of a cluster have (mode Cluster, from the first day on)',
    )
  }
  if (spec.disableAuth === true)
    found.push('disableAuth: bindings have users, who have to log in; take it away')
  return found
}

/** @returns the spec with what KubeDB's webhook would fill in */
function complete(spec: JsonObject): JsonObject {
  if (!clustered(spec)) return { ...spec, mode: 'Standalone', replicas: 1 }
  const { replicas: _, ...rest } = spec
  return { ...rest, mode: 'Cluster', cluster: { shards: 3, replicas: 2, ...section(spec, 'cluster') } }
}

const topology: Dimension = {
  name: 'mode',
  defining: true,
  paths: ['mode'],
  read: (spec) => (clustered(spec) ? 'Cluster' : 'Standalone'),
  reached: (live, wanted) => live === wanted,
  change: () =>
    impossible(
      'mode: a server on its own cannot become a cluster, nor a cluster one server; make a new instance in a plan of the other kind and copy the data',
    ),
}

/** @returns the servers of shard number `shard` */
function shardPods(place: Place, shard: number): string[] {
  return pods(
    place,
    place.name,
    `${place.name}-shard${shard}`,
    Number(at(place.spec, 'cluster.replicas') ?? 2),
  )
}

function shardsOf({ spec }: Place): number[] {
  return clustered(spec)
    ? Array.from({ length: Number(at(spec, 'cluster.shards') ?? 3) }, (_, index) => index)
    : []
}

const encrypted = ({ scheme, spec }: Reach): boolean => scheme === 'rediss' || isObject(spec.tls)

export const redis: Database = {
  kind: 'Redis',
  apiVersion: 'kubedb.com/v1',
  plural: 'redises',
  opsKind: 'RedisOpsRequest',
  opsPlural: 'redisopsrequests',
  versionsPlural: 'redisversions',
  maxNameLength: 40,

  parameters: parametersWith('shards', 'tls'),
  lacks: { database: 'numbers its databases and has no names for them' },
  settings,
  spec: [
    'mode=Standalone|Cluster',
    'cluster.shards',
    'cluster.replicas',
    'storageType=Durable|Ephemeral',
    ...sizable('', container),
    'deletionPolicy=Halt|Delete|WipeOut',
  ],
  mistakes,
  container,
  databaseName: null,
  roles: ['owner', 'readWrite', 'readOnly'],

  build(template, wanted, circumstances) {
    let spec = begin(template, wanted)
    if (wanted.shards !== undefined && !clustered(spec)) {
      hold(['shards: this database has none; choose a plan with a cluster'], wanted)
    }
    if (wanted.shards !== undefined) spec = put(spec, 'cluster.shards', wanted.shards)
    if (wanted.replicas !== undefined) {
      spec = put(spec, clustered(spec) ? 'cluster.replicas' : 'replicas', wanted.replicas)
    }
    hold(mistakes(spec), wanted)
    spec = complete(spec)
    if (spec.mode === 'Cluster' && circumstances.addresses === 'external') {
      hold(
        [
          'mode: a cluster sends its clients on by names that mean nothing outside of Kubernetes, where this broker gives its addresses; choose a plan with one server',
        ],
        wanted,
      )
    }
    spec = withStorage(withResources(spec, layout, wanted), layout, wanted)
    spec = withTls(spec, wanted.issuer)
    const file = distribution(wanted.version) === 'valkey' ? 'valkey.conf' : 'redis.conf'
    // Clients log in with a password; without this, an encrypting server demands a certificate of each.
    const certificates = isObject(spec.tls) ? 'tls-auth-clients optional\n' : ''
    spec = withFile(spec, file, `${lines(wanted.configuration, setting)}${certificates}`)
    return finish(spec, wanted, circumstances)
  },

  // Redis and Valkey become each other.
  upgrades: { otherDistributions: 'of the same major version' },

  dimensions: [
    ...beforeServers(layout, 'one', [topology]),
    servers({
      paths: ['replicas', 'cluster.shards', 'cluster.replicas'],
      read: (spec) =>
        clustered(spec) ? { shards: at(spec, 'cluster.shards'), replicas: at(spec, 'cluster.replicas') } : {},
    }),
    configuration(),
    tls(),
    version((now, wanted) => majorOf(now) === majorOf(wanted)),
  ],

  members: (place) => shardsOf(place).flatMap((shard) => shardPods(place, shard)),

  hosts(place) {
    // Any server tells a client of a cluster the others: the first of each shard will do.
    const seeds = shardsOf(place).flatMap((shard) => shardPods(place, shard).slice(0, 1))
    return seeds.length > 0 ? seeds : undefined
  },

  credentials(reach, user) {
    const protocol = encrypted(reach) ? 'rediss' : 'redis'
    return {
      ...common(reach, user, 'redis', protocol),
      uri: `${protocol}://${loginOf(user)}${inUri(reach.host)}:${reach.port}`,
      // A client of a cluster has to know that it is one.
      cluster: clustered(reach.spec),
    }
  },

  libraryKeys: [
    sameAs('url', 'uri', 'spring-cloud-bindings, cfenv (Python, Node)'),
    {
      name: 'cluster.nodes',
      readBy: 'spring-cloud-bindings',
      only: 'of a cluster',
      value: (_, reach) => (clustered(reach.spec) ? addresses(reach) : undefined),
    },
    certificates,
  ],

  accounts: redisUsers,
}
