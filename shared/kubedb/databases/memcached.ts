/** Memcached as KubeDB runs it: servers that know nothing of each other; clients spread their keys over them. */
import { isObject, type JsonObject } from '../../values/json.ts'
import type { Setting } from '../../values/nouns.ts'
import type { Database, Place } from './database.ts'
import { common, inUri, loginOf, pods } from './parts/address.ts'
import { alike, withResources } from './parts/components.ts'
import { configuration, object, ordinary, resources, servers, tls, version } from './parts/dimensions.ts'
import { begin, finish, hold, lines, sizable, withFile, withTls } from './parts/draft.ts'
import { certificates, url } from './parts/library-keys.ts'

const container = 'memcached'
const layout = alike(container, { disk: false })
const configFile = 'memcached.conf'

/** Options that neither read nor write files nor change who may connect. */
const settings: { [name: string]: Setting } = {
  /** megabytes */
  'memory-limit': { type: 'integer', min: 16, max: 1048576 },
  'conn-limit': { type: 'integer', min: 16, max: 65536 },
  threads: { type: 'integer', min: 1, max: 64 },
  'max-item-size': { type: 'string', pattern: '^([1-9][0-9]{0,5}k|[1-9][0-9]{0,2}m)$' },
  'max-reqs-per-event': { type: 'integer', min: 1, max: 10000 },
  'slab-growth-factor': { type: 'number', min: 1.01, max: 10 },
  'slab-min-size': { type: 'integer', min: 48, max: 1024 },
  backlog: { type: 'integer', min: 16, max: 65536 },
  'disable-evictions': { type: 'boolean' },
  'disable-cas': { type: 'boolean' },
  'disable-flush-all': { type: 'boolean' },
}

/** The file holds options of the command line; one without a value is there or not. */
const setting = (name: string, value: string | number | boolean): string =>
  typeof value === 'boolean' ? `--${name}` : `--${name}=${value}`

function mistakes(spec: JsonObject): string[] {
  return spec.disableAuth === true
    ? ['disableAuth: anybody in the cluster could read and write; take it away']
    : []
}

const allServers = (place: Place): string[] =>
  pods(place, place.name, place.name, Number(place.spec.replicas ?? 1))

export const memcached: Database = {
  kind: 'Memcached',
  apiVersion: 'kubedb.com/v1',
  plural: 'memcacheds',
  opsKind: 'MemcachedOpsRequest',
  opsPlural: 'memcachedopsrequests',
  versionsPlural: 'memcachedversions',
  maxNameLength: 40,

  parameters: ['version', 'cpu', 'memory', 'replicas', 'tls', 'configuration', 'metadata', 'spec'],
  lacks: {
    storage: 'keeps everything in memory and has no disk',
    storageClass: 'keeps everything in memory and has no disk',
    shards: 'has no shards; ask for more replicas, which clients spread their keys over',
    database: 'has keys and no databases',
    deletionPolicy: 'has nothing that could stay when it is deleted',
    suspended: 'keeps everything in memory, and would come back empty',
  },
  settings,
  spec: ['replicas', ...sizable('', container, { disk: false }), 'deletionPolicy=Delete|WipeOut'],
  mistakes,
  container,
  databaseName: null,
  // The server knows eight users at most, reads them when it starts, and lets each of them do everything.
  roles: ['owner'],

  build(template, wanted, circumstances) {
    let spec = begin(template, wanted)
    hold(mistakes(spec), wanted)
    spec.replicas = wanted.replicas ?? spec.replicas ?? 1
    spec = withTls(withResources(spec, layout, wanted), wanted.issuer)
    const set = Object.fromEntries(
      Object.entries(wanted.configuration ?? {}).filter(([, value]) => value !== false),
    )
    spec = withFile(spec, configFile, lines(set, setting))
    return finish(spec, wanted, circumstances)
  },

  dimensions: [
    ...ordinary,
    resources(layout),
    servers({
      paths: ['replicas'],
      read: (spec) => ({ replicas: spec.replicas ?? 1 }),
      limit: (now, wanted) =>
        (object(now).replicas === 1) !== (object(wanted).replicas === 1)
          ? 'replicas: KubeDB cannot make one Memcached server into several, nor several into one; make a new instance, a cache has nothing to copy'
          : undefined,
    }),
    configuration(),
    tls(),
    version(),
  ],

  members: allServers,
  hosts: allServers,

  credentials(reach, user) {
    return {
      ...common(reach, user, 'memcached', 'memcached'),
      uri: `memcached://${loginOf(user)}${inUri(reach.host)}:${reach.port}`,
      ...(isObject(reach.spec.tls) ? { tls: true } : {}),
    }
  },

  libraryKeys: [url, certificates],

  accounts: {
    by: 'sharing',
    /** The first of the users that the server is started with. */
    read({ authData = '' }) {
      const [, name, password] = /^([^:\n]+):([^\r\n]+)/.exec(authData) ?? []
      return name === undefined || password === undefined ? undefined : { name, password }
    },
  },
}
