/** Commands of the real server that the stand-in only refuses: to who may not, as MongoDB does; to others, saying so. */
import { type Command, type Commands, onCluster, onCollection, onDatabase } from '../parts/command.ts'
import { notImplemented } from '../parts/refusal.ts'

function refused(name: string, needs: Command['needs'], adminOnly = false): [string, Command] {
  const run = () => {
    throw notImplemented(`the command ${name}`)
  }
  return [name, adminOnly ? { needs, run, adminOnly: true } : { needs, run }]
}

export const notCarriedOut: Commands = Object.fromEntries([
  ...['createRole', 'dropRole', 'grantRole', 'revokeRole'].map((name) => refused(name, onDatabase(name))),
  refused('rolesInfo', onDatabase('viewRole')),
  refused('updateRole', onDatabase('revokeRole')),
  refused('grantPrivilegesToRole', onDatabase('grantRole')),
  refused('grantRolesToRole', onDatabase('grantRole')),
  refused('collMod', onCollection('collMod')),
  refused('collStats', onCollection('collStats')),
  refused('compact', onCollection('compact')),
  refused('validate', onCollection('validate')),
  refused('reIndex', onCollection('reIndex')),
  refused('dbStats', onDatabase('dbStats')),
  refused('dbHash', onDatabase('dbHash')),
  refused('profile', onDatabase('enableProfiler')),
  refused('explain', 'login'),
  refused('mapReduce', onCollection('find')),
  refused('renameCollection', 'login', true),
  refused('setParameter', onCluster('setParameter'), true),
  refused('shutdown', onCluster('shutdown'), true),
  refused('fsync', onCluster('fsync'), true),
  refused('logRotate', onCluster('logRotate'), true),
  refused('getLog', onCluster('getLog'), true),
  refused('getCmdLineOpts', onCluster('getCmdLineOpts'), true),
  refused('hostInfo', onCluster('hostInfo')),
  refused('serverStatus', onCluster('serverStatus')),
  refused('top', onCluster('top'), true),
  refused('replSetGetStatus', onCluster('replSetGetStatus'), true),
  refused('replSetGetConfig', onCluster('replSetGetConfig'), true),
  refused('replSetReconfig', onCluster('replSetConfigure'), true),
  refused('replSetStepDown', onCluster('replSetStateChange'), true),
  refused('setFeatureCompatibilityVersion', onCluster('setFeatureCompatibilityVersion'), true),
  refused('addShard', onCluster('addShard'), true),
  refused('removeShard', onCluster('removeShard'), true),
  refused('listShards', onCluster('listShards'), true),
  refused('applyOps', onCluster('applyOps'), true),
  refused('dropConnections', onCluster('dropConnections'), true),
])
