import { badOfDurableKinds, badOfEveryKind, goodOfEveryKind } from './common.ts'
import { type CrdCases, claim, podOf } from './kind.ts'
import { badOpsOfFamily, goodOpsOfFamily } from './mysql-family.ts'

const version = '8.4.8'

export const mysql: CrdCases = {
  kind: 'MySQL',
  plural: 'mysqls',
  databases: {
    good: {
      ...goodOfEveryKind(version),
      'a single ephemeral one': { version, storageType: 'Ephemeral' },
      'a single durable one': { version, storage: { ...claim, storageClassName: 'fast' } },
      'a replication group': {
        version,
        replicas: 3,
        topology: {
          mode: 'GroupReplication',
          group: { mode: 'Single-Primary', name: 'dc002fc3-c412-4d18-b1d4-66c1fbfbbc9b' },
        },
        storageType: 'Durable',
        storage: claim,
        podTemplate: podOf('mysql'),
        deletionPolicy: 'WipeOut',
      },
      'a group with routers': {
        version,
        replicas: 3,
        topology: { mode: 'InnoDBCluster', innoDBCluster: { router: { replicas: 1 } } },
        storage: claim,
      },
      'one with half-synchronous replicas': {
        version,
        replicas: 2,
        topology: { mode: 'SemiSync', semiSync: { sourceWaitForReplicaCount: 1, sourceTimeout: '1h' } },
        storage: claim,
      },
      'one that demands TLS': { version, requireSSL: true, useAddressType: 'DNS' },
      'one with settings': {
        version,
        configuration: { inline: { 'my-config.cnf': '[mysqld]\nmax_connections=200\n' } },
      },
    },
    bad: {
      ...badOfEveryKind(version),
      ...badOfDurableKinds(version),
      'an unknown topology': [
        { version, topology: { mode: 'Galera' } },
        /spec.topology.mode: Unsupported value/,
      ],
      'an unknown mode of a group': [
        { version, topology: { group: { mode: 'single' } } },
        /spec.topology.group.mode: Unsupported value/,
      ],
      'no router at all': [
        { version, topology: { innoDBCluster: { router: { replicas: 0 } } } },
        /spec.topology.innoDBCluster.router.replicas in body should be greater than or equal to 1/,
      ],
      "another kind's TLS mode": [{ version, sslMode: 'require' }, /unknown field \\"spec.sslMode\\"/],
    },
  },
  opsRequests: {
    good: goodOpsOfFamily('9.1.0', 'mysql', 'my-config.cnf'),
    bad: badOpsOfFamily,
  },
  versions: {
    bad: {
      'without images': [{ version }, /spec.db: Required value/],
      'an unknown distribution': [
        { version, distribution: 'MariaDB' },
        /spec.distribution: Unsupported value/,
      ],
      'ranges for no topology': [
        { version, updateConstraints: { allowlist: ['>= 8.4.8'] } },
        /spec.updateConstraints.allowlist in body must be of type object/,
      ],
    },
  },
}
