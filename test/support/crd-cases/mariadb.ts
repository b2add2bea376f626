import { badOfDurableKinds, badOfEveryKind, goodOfEveryKind } from './common.ts'
import { type CrdCases, claim, databaseRef, podOf } from './kind.ts'
import { badOpsOfFamily, goodOpsOfFamily } from './mysql-family.ts'

const version = '11.8.5'

export const mariadb: CrdCases = {
  kind: 'MariaDB',
  plural: 'mariadbs',
  databases: {
    good: {
      ...goodOfEveryKind(version),
      'a single ephemeral one': { version, storageType: 'Ephemeral' },
      'a single durable one': { version, storage: { ...claim, storageClassName: 'fast' } },
      'a Galera cluster': {
        version,
        replicas: 3,
        topology: { mode: 'GaleraCluster' },
        wsrepSSTMethod: 'rsync',
        storageType: 'Durable',
        storage: claim,
        podTemplate: podOf('mariadb'),
        deletionPolicy: 'WipeOut',
      },
      'one that demands TLS': { version, requireSSL: true },
      'one with settings': {
        version,
        configuration: { inline: { 'md-config.cnf': '[mysqld]\nmax_connections=200\n' } },
      },
    },
    bad: {
      ...badOfEveryKind(version),
      ...badOfDurableKinds(version),
      "another kind's topology": [
        { version, topology: { mode: 'GroupReplication' } },
        /spec.topology.mode: Unsupported value/,
      ],
      'an unknown way to copy the data': [
        { version, wsrepSSTMethod: 'mysqldump' },
        /spec.wsrepSSTMethod: Unsupported value/,
      ],
      "another kind's TLS mode": [{ version, sslMode: 'require' }, /unknown field \\"spec.sslMode\\"/],
    },
  },
  opsRequests: {
    good: goodOpsOfFamily('12.1.2', 'mariadb', 'md-config.cnf'),
    bad: {
      ...badOpsOfFamily,
      "MySQL's change of mode": [
        { databaseRef, type: 'ReplicationModeTransformation' },
        /spec.type: Unsupported value/,
      ],
    },
  },
  versions: {
    bad: {
      'without images': [{ version }, /spec.db: Required value/],
      'ranges that are no list': [
        { version, updateConstraints: { allowlist: {} } },
        /spec.updateConstraints.allowlist in body must be of type array/,
      ],
    },
  },
}
