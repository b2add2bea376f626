import {
  badOfDurableKinds,
  badOfEveryKind,
  badOpsOfDurableKinds,
  badOpsOfEveryKind,
  goodOfEveryKind,
  goodOpsOfEveryKind,
} from './common.ts'
import { type CrdCases, claim, databaseRef, podOf, size } from './kind.ts'

const version = '4.2.4'

export const rabbitmq: CrdCases = {
  kind: 'RabbitMQ',
  plural: 'rabbitmqs',
  apiVersion: 'kubedb.com/v1alpha2',
  databases: {
    good: {
      ...goodOfEveryKind(version),
      'a single ephemeral one': { version, storageType: 'Ephemeral' },
      'a cluster': {
        version,
        replicas: 3,
        storageType: 'Durable',
        storage: { ...claim, storageClassName: 'fast' },
        podTemplate: podOf('rabbitmq'),
        deletionPolicy: 'WipeOut',
      },
      'one that speaks AMQP alone': {
        version,
        disabledProtocols: ['mqtt', 'stomp', 'web_mqtt', 'web_stomp'],
      },
      'one with TLS switched on': { version, enableSSL: true },
      'one with settings': {
        version,
        configuration: { inline: { 'rabbitmq.conf': 'channel_max = 100\n' } },
      },
    },
    bad: {
      ...badOfEveryKind(version),
      ...badOfDurableKinds(version),
      'an unknown protocol': [
        { version, disabledProtocols: ['kafka'] },
        /spec.disabledProtocols\[0\]: Unsupported value/,
      ],
      "another kind's topology": [{ version, topology: {} }, /unknown field \\"spec.topology\\"/],
      "another kind's way to do without passwords": [
        { version, disableAuth: true },
        /unknown field \\"spec.disableAuth\\"/,
      ],
    },
  },
  opsRequests: {
    good: {
      ...goodOpsOfEveryKind(version),
      HorizontalScaling: { horizontalScaling: { node: 5 } },
      VerticalScaling: { apply: 'Always', verticalScaling: { mode: 'Restart', node: { resources: size } } },
      VolumeExpansion: { volumeExpansion: { mode: 'Online', node: '20Gi' } },
      Reconfigure: {
        configuration: { applyConfig: { 'rabbitmq.conf': 'channel_max = 100\n' }, restart: 'auto' },
      },
      'Reconfigure to nothing': { configuration: { removeCustomConfig: true } },
      StorageMigration: { timeout: '1h', migration: { storageClassName: 'fast' } },
    },
    bad: {
      ...badOpsOfEveryKind,
      ...badOpsOfDurableKinds,
      "other kinds' replicas": [
        { databaseRef, type: 'HorizontalScaling', horizontalScaling: { replicas: 3 } },
        /unknown field \\"spec.horizontalScaling.replicas\\"/,
      ],
      "the container's name": [
        { databaseRef, type: 'VerticalScaling', verticalScaling: { rabbitmq: {} } },
        /unknown field \\"spec.verticalScaling.rabbitmq\\"/,
      ],
    },
  },
  versions: {
    bad: {
      'without images': [{ version }, /spec.db: Required value/],
      'a distribution': [{ version, distribution: 'Official' }, /unknown field \\"spec.distribution\\"/],
    },
  },
}
