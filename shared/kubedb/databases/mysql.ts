/** MySQL as KubeDB runs it: a server on its own, or a group of servers that replicate to each other. */
import { createHash } from 'node:crypto'
import { isObject, type JsonObject } from '../../json.ts'
import type { Setting } from '../../nouns.ts'
import { alike, withResources, withStorage } from './components.ts'
import type { Change, Database, Dimension } from './database.ts'
import { compareVersions, impossible, object, section } from './dimensions.ts'
import { begin, finish, hold, olderThan, sizable, withTls } from './draft.ts'
import {
  accounts,
  commonSettings,
  credentials,
  databaseName,
  dimensions,
  members,
  modeOf,
  withSettings,
} from './mysql-family.ts'
import { at, put } from './spec.ts'

const container = 'mysql'
const layout = alike(container)
const configFile = 'my-config.cnf'

/** Those that MariaDB does not know. */
const settings: { [name: string]: Setting } = {
  ...commonSettings,
  max_execution_time: { type: 'integer', min: 0, max: 86400000 },
  innodb_redo_log_capacity: { type: 'string', pattern: '^([1-9][0-9]{1,5}M|[1-9][0-9]{0,1}G)$' },
  innodb_thread_concurrency: { type: 'integer', min: 0, max: 1000 },
}

/** KubeDB's rules; what is not said yet is filled in by `complete`. */
function mistakes(spec: JsonObject): string[] {
  const { replicas } = spec
  const mode = modeOf(spec)
  const found = olderThan(spec, '8.0', 'its names have to be shorter than this broker gives them')
  if (isObject(spec.topology) && mode === null) {
    found.push('topology.mode: missing; send "GroupReplication", or leave topology out')
  }
  if (mode === null && typeof replicas === 'number' && replicas > 1) {
    found.push(
      'replicas: a server on its own has no copies; only a group of three to nine has (topology.mode GroupReplication, from the first day on)',
    )
  }
  if (mode === 'GroupReplication' && typeof replicas === 'number' && (replicas < 3 || replicas > 9)) {
    found.push(`replicas: a group has 3 to 9 servers, not ${replicas}`)
  }
  if (
    at(spec, 'topology.group.mode') === 'Multi-Primary' &&
    compareVersions(String(spec.version), '8.4.2') < 0
  ) {
    found.push('topology.group.mode: "Multi-Primary" needs MySQL 8.4.2 or later; choose "Single-Primary"')
  }
  return found
}

/** @returns the spec with what KubeDB's webhook would fill in; the group's name is a UUID and the instance's own */
function complete(spec: JsonObject, instance: string): JsonObject {
  if (modeOf(spec) !== 'GroupReplication') return { replicas: 1, ...spec }
  const group = {
    mode: 'Single-Primary',
    name: groupName(instance),
    ...section(section(spec, 'topology'), 'group'),
  }
  return { replicas: 3, ...put(spec, 'topology.group', group) }
}

function groupName(instance: string): string {
  const hash = createHash('sha256').update(`mysql group of ${instance}`).digest('hex')
  const variant = ((Number.parseInt(hash.slice(16, 17), 16) & 3) | 8).toString(16)
  return [
    hash.slice(0, 8),
    hash.slice(8, 12),
    `4${hash.slice(13, 16)}`,
    `${variant}${hash.slice(17, 20)}`,
    hash.slice(20, 32),
  ].join('-')
}

const topology: Dimension = {
  name: 'topology',
  defining: true,
  paths: ['topology'],
  read: (spec) => ({ mode: modeOf(spec), group: at(spec, 'topology.group.mode') }),
  reached: (live, wanted) => JSON.stringify(live) === JSON.stringify(wanted),
  change(now, wanted): Change {
    const [from, to] = [object(now), object(wanted)]
    if (from.mode !== to.mode) {
      return impossible(
        'topology: a server on its own cannot become a group, nor a group one server; make a new instance in a plan of the other kind and copy the data',
      )
    }
    return {
      by: 'opsRequest',
      type: 'ReplicationModeTransformation',
      apply: 'IfReady',
      timeout: '30m',
      body: { replicationModeTransformation: { mode: to.group ?? 'Single-Primary' } },
    }
  },
}

export const mysql: Database = {
  kind: 'MySQL',
  apiVersion: 'kubedb.com/v1',
  plural: 'mysqls',
  opsKind: 'MySQLOpsRequest',
  opsPlural: 'mysqlopsrequests',
  versionsPlural: 'mysqlversions',
  maxNameLength: 40,

  parameters: [
    'version',
    'cpu',
    'memory',
    'storage',
    'storageClass',
    'replicas',
    'tls',
    'database',
    'configuration',
    'deletionPolicy',
    'suspended',
    'metadata',
    'spec',
  ],
  lacks: { shards: 'has no shards; ask for more replicas, or for larger servers' },
  settings,
  spec: [
    'replicas',
    'topology.mode=GroupReplication',
    'topology.group.mode=Single-Primary|Multi-Primary',
    'storageType=Durable|Ephemeral',
    ...sizable('', container),
    'deletionPolicy=Halt|Delete|WipeOut',
  ],
  mistakes,
  container,
  databaseName,
  roles: ['owner', 'readWrite', 'readOnly'],

  build(template, wanted, circumstances) {
    let spec = begin(template, wanted)
    if (wanted.replicas !== undefined) spec.replicas = wanted.replicas
    hold(mistakes(spec), wanted)
    spec = complete(spec, circumstances.instance)
    spec = withStorage(withResources(spec, layout, wanted), layout, wanted)
    spec = withTls(spec, wanted.issuer, { requireSSL: true })
    spec = withSettings(spec, configFile, wanted)
    return finish(spec, wanted, circumstances)
  },

  upgrades: {
    ranges: (spec) => (at(spec, 'topology.mode') === null ? 'standalone' : 'groupReplication'),
  },

  dimensions: dimensions(layout, topology, {
    servers: 8,
    why: 'replicas: KubeDB scales a running group to 8 servers at most; only a new instance can have 9',
  }),

  members,

  credentials: (reach, user) =>
    credentials(reach, user, {
      type: 'mysql',
      jdbc: isObject(reach.spec.tls)
        ? { sslMode: 'REQUIRED' }
        : // Without certificates to trust, the driver fetches the key that it encrypts the password with.
          { sslMode: 'PREFERRED', allowPublicKeyRetrieval: 'true' },
    }),

  accounts,
}
