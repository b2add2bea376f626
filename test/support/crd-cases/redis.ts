import {
  badOfDurableKinds,
  badOfEveryKind,
  badOpsOfDurableKinds,
  badOpsOfEveryKind,
  goodOfEveryKind,
  goodOpsOfEveryKind,
} from './common.ts'
import { type CrdCases, claim, databaseRef, podOf, size } from './kind.ts'

const version = '8.2.2'
// biome-ignore lint/suspicious/noTemplateCurlyInString: the operator puts in the password of the Secret's key `b1`
const rule = 'b1 ${b1} ~* &* +@all -@dangerous'

export const redis: CrdCases = {
  kind: 'Redis',
  plural: 'redises',
  databases: {
    good: {
      ...goodOfEveryKind(version),
      'a single ephemeral one': { version, mode: 'Standalone', storageType: 'Ephemeral' },
      'a single durable one': { version, mode: 'Standalone', storageType: 'Durable', storage: claim },
      'a cluster': {
        version,
        mode: 'Cluster',
        cluster: { shards: 3, replicas: 2 },
        storage: claim,
        podTemplate: podOf('redis'),
        deletionPolicy: 'WipeOut',
      },
      'one with sentinels': {
        version,
        mode: 'Sentinel',
        replicas: 3,
        sentinelRef: { name: 'sentinel', namespace: 'default' },
      },
      'one with users': {
        version,
        configuration: {
          acl: { secretRef: { name: 'osb-x-acl' }, rules: [rule] },
          inline: { 'redis.conf': 'maxclients 500\n' },
        },
      },
      'one with users in the older way': { version, acl: { rules: [], secretRef: { name: 'osb-x-acl' } } },
      'one without passwords': { version, disableAuth: true },
    },
    bad: {
      ...badOfEveryKind(version),
      ...badOfDurableKinds(version),
      'an unknown mode': [{ version, mode: 'cluster' }, /spec.mode: Unsupported value/],
      'shards beside the cluster': [{ version, shards: 3 }, /unknown field \\"spec.shards\\"/],
      'shards in words': [
        { version, cluster: { shards: 'three' } },
        /spec.cluster.shards in body must be of type integer/,
      ],
      'users that are no rules': [
        { version, configuration: { acl: { rules: [1] } } },
        /spec.configuration.acl.rules\[0\] in body must be of type string/,
      ],
    },
  },
  opsRequests: {
    good: {
      ...goodOpsOfEveryKind('8.2.2'),
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
    bad: {
      ...badOpsOfEveryKind,
      ...badOpsOfDurableKinds,
      'users in one line': [
        { databaseRef, type: 'Reconfigure', configuration: { auth: { syncACL: 'b1 +@all' } } },
        /spec.configuration.auth.syncACL in body must be of type array/,
      ],
      "the database's own block of users": [
        { databaseRef, type: 'Reconfigure', configuration: { acl: { rules: [] } } },
        /unknown field \\"spec.configuration.acl\\"/,
      ],
    },
  },
  versions: {
    bad: {
      'without images': [{ version }, /spec.db: Required value/],
      'an unknown distribution': [{ version, distribution: 'KeyDB' }, /spec.distribution: Unsupported value/],
    },
  },
}
