/** MySQL as KubeDB runs it: a server on its own, or a group of servers that replicate to each other. */
import { createHash } from 'node:crypto'
import { isObject, type JsonObject } from '../../values/json.ts'
import type { Change, Database, Dimension } from './database.ts'
import {
  accountsIn,
  building,
  dimensions,
  family,
  modeOf,
  mysqlCredentials,
  mysqlSettings,
} from './mysql-family.ts'
import { alike } from './parts/components.ts'
import { compareVersions, impossible, object, section } from './parts/dimensions.ts'
import { olderThan, sizable } from './parts/draft.ts'
import { at, put } from './parts/spec.ts'

const container = 'mysql'
const layout = alike(container)

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
  ...family,
  kind: 'MySQL',
  plural: 'mysqls',
  opsKind: 'MySQLOpsRequest',
  opsPlural: 'mysqlopsrequests',
  versionsPlural: 'mysqlversions',
  maxNameLength: 40,

  settings: mysqlSettings,
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

  build: building({ layout, configFile: 'my-config.cnf', mistakes, complete }),

  upgrades: {
    ranges: (spec) => (at(spec, 'topology.mode') === null ? 'standalone' : 'groupReplication'),
  },

  dimensions: dimensions(layout, [topology], {
    servers: 8,
    why: 'replicas: KubeDB scales a running group to 8 servers at most; only a new instance can have 9',
  }),

  credentials: mysqlCredentials,
  accounts: accountsIn('MySQL'),
}
