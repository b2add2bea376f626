import { crdCases } from './common.ts'
import { claim, podOf, size } from './kind.ts'

// biome-ignore lint/suspicious/noTemplateCurlyInString: the operator puts in the password of the Secret's key `b1`
const rule = 'b1 ${b1} ~* &* +@all -@dangerous'

export const redis = crdCases({
  kind: 'Redis',
  plural: 'redises',
  version: '8.2.2',
  good: {
    'a single ephemeral one': { mode: 'Standalone', storageType: 'Ephemeral' },
    'a single durable one': { mode: 'Standalone', storageType: 'Durable', storage: claim },
    'a cluster': {
      mode: 'Cluster',
      cluster: { shards: 3, replicas: 2 },
      storage: claim,
      podTemplate: podOf('redis'),
      deletionPolicy: 'WipeOut',
    },
    'one with sentinels': {
      mode: 'Sentinel',
      replicas: 3,
      sentinelRef: { name: 'sentinel', namespace: 'default' },
    },
    'one with users': {
      configuration: {
        acl: { secretRef: { name: 'osb-x-acl' }, rules: [rule] },
        inline: { 'redis.conf': 'maxclients 500\n' },
      },
    },
    'one with users in the older way': { acl: { rules: [], secretRef: { name: 'osb-x-acl' } } },
    'one without passwords': { disableAuth: true },
  },
  bad: {
    'an unknown mode': [{ mode: 'cluster' }, /spec.mode: Unsupported value/],
    'shards beside the cluster': [{ shards: 3 }, /unknown field \\"spec.shards\\"/],
    'shards in words': [
      { cluster: { shards: 'three' } },
      /spec.cluster.shards in body must be of type integer/,
    ],
    'users that are no rules': [
      { configuration: { acl: { rules: [1] } } },
      /spec.configuration.acl.rules\[0\] in body must be of type string/,
    ],
  },
  goodOps: {
    HorizontalScaling: { horizontalScaling: { shards: 5, replicas: 2 } },
    VerticalScaling: {
      verticalScaling: { mode: 'Restart', redis: { resources: size }, coordinator: {}, exporter: {} },
    },
    VolumeExpansion: { apply: 'Always', volumeExpansion: { mode: 'Online', redis: '20Gi' } },
    Reconfigure: {
      configuration: { applyConfig: { 'redis.conf': 'maxclients 500\n' }, restart: 'auto' },
    },
    'Reconfigure users': {
      configuration: {
        auth: {
          secretRef: { name: 'osb-x-acl' },
          syncACL: [rule],
          deleteUsers: ['b0'],
        },
      },
    },
    StorageMigration: { timeout: '1h', migration: { storageClassName: 'fast' } },
  },
  badOps: {
    'users in one line': [
      { type: 'Reconfigure', configuration: { auth: { syncACL: 'b1 +@all' } } },
      /spec.configuration.auth.syncACL in body must be of type array/,
    ],
    "the database's own block of users": [
      { type: 'Reconfigure', configuration: { acl: { rules: [] } } },
      /unknown field \\"spec.configuration.acl\\"/,
    ],
  },
  badVersions: {
    'an unknown distribution': [{ distribution: 'KeyDB' }, /spec.distribution: Unsupported value/],
  },
})
