import { badOfDurableKinds, badOfEveryKind, goodOfEveryKind } from './common.ts'
import { type CrdCases, claim, databaseRef, podOf } from './kind.ts'
import { badOpsOfFamily, goodOpsOfFamily } from './mysql-family.ts'

const version = '8.4.3'

export const perconaxtradb: CrdCases = {
  kind: 'PerconaXtraDB',
  plural: 'perconaxtradbs',
  databases: {
    good: {
      ...goodOfEveryKind(version),
      'an ephemeral one': { version, storageType: 'Ephemeral' },
      'a durable one': { version, storage: { ...claim, storageClassName: 'fast' } },
      'a larger cluster': {
        version,
        replicas: 5,
        storageType: 'Durable',
        storage: claim,
        podTemplate: podOf('perconaxtradb'),
        deletionPolicy: 'WipeOut',
      },
      'one that demands TLS': { version, requireSSL: true },
      'one with settings': {
        version,
        configuration: { inline: { 'px-config.cnf': '[mysqld]\nmax_connections=200\n' } },
      },
    },
    bad: {
      ...badOfEveryKind(version),
      ...badOfDurableKinds(version),
      "another kind's topology": [
        { version, topology: { mode: 'GaleraCluster' } },
        /unknown field \\"spec.topology\\"/,
      ],
      "another kind's TLS mode": [{ version, sslMode: 'require' }, /unknown field \\"spec.sslMode\\"/],
    },
  },
  opsRequests: {
    good: goodOpsOfFamily('8.4.3', 'perconaxtradb', 'px-config.cnf'),
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
