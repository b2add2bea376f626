/** MongoDB's built-in roles: what each may do, and on what. */

/** What a privilege is about. `normal` is every collection but those of the system and of `local` and `config`. */
export type Pattern =
  | { match: 'cluster' }
  | { match: 'database'; db: string }
  | { match: 'exact'; db: string; collection: string }
  | { match: 'collection'; collection: string }
  | { match: 'normal' }

export interface Privilege {
  readonly on: Pattern
  readonly actions: readonly string[]
}

export interface RoleName {
  readonly role: string
  readonly db: string
}

const read = [
  'changeStream',
  'collStats',
  'dbHash',
  'dbStats',
  'find',
  'killCursors',
  'listCollections',
  'listIndexes',
  'planCacheRead',
]

const readWrite = [
  ...read,
  'convertToCapped',
  'createCollection',
  'createIndex',
  'dropCollection',
  'dropIndex',
  'insert',
  'remove',
  'renameCollectionSameDB',
  'update',
]

const dbAdmin = [
  'bypassDocumentValidation',
  'collMod',
  'collStats',
  'compact',
  'convertToCapped',
  'createCollection',
  'createIndex',
  'dbStats',
  'dropCollection',
  'dropDatabase',
  'dropIndex',
  'enableProfiler',
  'listCollections',
  'listIndexes',
  'planCacheIndexFilter',
  'planCacheRead',
  'planCacheWrite',
  'reIndex',
  'renameCollectionSameDB',
  'storageDetails',
  'validate',
]

const profile = [...read, 'convertToCapped', 'createCollection', 'dropCollection']

const userAdmin = [
  'changeCustomData',
  'changePassword',
  'createRole',
  'createUser',
  'dropRole',
  'dropUser',
  'grantRole',
  'revokeRole',
  'setAuthenticationRestriction',
  'viewRole',
  'viewUser',
]

const monitorDatabase = ['collStats', 'dbStats', 'indexStats']

const clusterMonitor = [
  'connPoolStats',
  'getCmdLineOpts',
  'getDefaultRWConcern',
  'getLog',
  'getParameter',
  'getShardMap',
  'hostInfo',
  'inprog',
  'listDatabases',
  'listSessions',
  'listShards',
  'netstat',
  'replSetGetConfig',
  'replSetGetStatus',
  'serverStatus',
  'shardingState',
  'top',
]

const hostManager = [
  'applicationMessage',
  'connPoolSync',
  'dropConnections',
  'flushRouterConfig',
  'fsync',
  'invalidateUserCache',
  'killAnyCursor',
  'killAnySession',
  'killop',
  'logRotate',
  'setParameter',
  'shutdown',
  'unlock',
]

const clusterManager = [
  'addShard',
  'appendOplogNote',
  'cleanupOrphaned',
  'flushRouterConfig',
  'getDefaultRWConcern',
  'listSessions',
  'listShards',
  'removeShard',
  'replSetConfigure',
  'replSetGetConfig',
  'replSetGetStatus',
  'replSetStateChange',
  'setDefaultRWConcern',
  'setFeatureCompatibilityVersion',
]

/** Roles that every database has. */
const ofDatabase: { [role: string]: (db: string) => Privilege[] } = {
  read: (db) => [
    { on: { match: 'database', db }, actions: read },
    { on: { match: 'exact', db, collection: 'system.js' }, actions: read },
  ],
  readWrite: (db) => [
    { on: { match: 'database', db }, actions: readWrite },
    { on: { match: 'exact', db, collection: 'system.js' }, actions: readWrite },
  ],
  dbAdmin: (db) => [
    { on: { match: 'database', db }, actions: dbAdmin },
    { on: { match: 'exact', db, collection: 'system.profile' }, actions: profile },
  ],
  userAdmin: (db) => [{ on: { match: 'database', db }, actions: userAdmin }],
  dbOwner: (db) => ['readWrite', 'dbAdmin', 'userAdmin'].flatMap((role) => ofDatabase[role]?.(db) ?? []),
}

/** Roles that only `admin` has. */
const ofAdmin: { [role: string]: () => Privilege[] } = {
  readAnyDatabase: () => [
    { on: { match: 'normal' }, actions: read },
    { on: { match: 'cluster' }, actions: ['listDatabases'] },
    { on: { match: 'collection', collection: 'system.js' }, actions: read },
  ],
  readWriteAnyDatabase: () => [
    ...(ofAdmin.readAnyDatabase?.() ?? []),
    { on: { match: 'normal' }, actions: readWrite },
    { on: { match: 'collection', collection: 'system.js' }, actions: readWrite },
  ],
  userAdminAnyDatabase: () => [
    { on: { match: 'normal' }, actions: userAdmin },
    { on: { match: 'database', db: 'local' }, actions: userAdmin },
    { on: { match: 'database', db: 'config' }, actions: userAdmin },
    { on: { match: 'cluster' }, actions: ['listDatabases', 'invalidateUserCache', 'viewUser'] },
    { on: { match: 'collection', collection: 'system.users' }, actions: read },
    { on: { match: 'exact', db: 'admin', collection: 'system.roles' }, actions: read },
  ],
  dbAdminAnyDatabase: () => [
    { on: { match: 'normal' }, actions: dbAdmin },
    { on: { match: 'cluster' }, actions: ['listDatabases', 'applyOps'] },
    { on: { match: 'collection', collection: 'system.profile' }, actions: profile },
  ],
  clusterMonitor: () => [
    { on: { match: 'cluster' }, actions: clusterMonitor },
    { on: { match: 'normal' }, actions: monitorDatabase },
    ...['config', 'local'].flatMap((db): Privilege[] => [
      { on: { match: 'database', db }, actions: [...read, ...monitorDatabase] },
    ]),
    { on: { match: 'collection', collection: 'system.profile' }, actions: ['find'] },
  ],
  hostManager: () => [
    { on: { match: 'cluster' }, actions: hostManager },
    { on: { match: 'normal' }, actions: ['killCursors'] },
  ],
  clusterManager: () => [
    { on: { match: 'cluster' }, actions: clusterManager },
    ...['config', 'local'].map(
      (db): Privilege => ({
        on: { match: 'database', db },
        actions: [...read, 'insert', 'update', 'remove'],
      }),
    ),
  ],
  clusterAdmin: () => [
    ...['clusterMonitor', 'hostManager', 'clusterManager'].flatMap((role) => ofAdmin[role]?.() ?? []),
    { on: { match: 'normal' }, actions: ['dropDatabase'] },
  ],
  root: () =>
    ['clusterAdmin', 'userAdminAnyDatabase', 'dbAdminAnyDatabase', 'readWriteAnyDatabase'].flatMap(
      (role) => ofAdmin[role]?.() ?? [],
    ),
}

/** @returns what the role may do, or undefined when there is no such role */
export function privilegesOf({ role, db }: RoleName): Privilege[] | undefined {
  const inDatabase = Object.hasOwn(ofDatabase, role) ? ofDatabase[role] : undefined
  const inAdmin = db === 'admin' && Object.hasOwn(ofAdmin, role) ? ofAdmin[role] : undefined
  return inDatabase?.(db) ?? inAdmin?.()
}
