import { crdCases, noReplicas } from './common.ts'
import { claim, podOf, size } from './kind.ts'

export const rabbitmq = crdCases({
  kind: 'RabbitMQ',
  plural: 'rabbitmqs',
  apiVersion: 'kubedb.com/v1alpha2',
  version: '4.2.4',
  good: {
    'a single ephemeral one': { storageType: 'Ephemeral' },
    'a cluster': {
      replicas: 3,
      storageType: 'Durable',
      storage: { ...claim, storageClassName: 'fast' },
      podTemplate: podOf('rabbitmq'),
      deletionPolicy: 'WipeOut',
    },
    'one that speaks AMQP alone': {
      disabledProtocols: ['mqtt', 'stomp', 'web_mqtt', 'web_stomp'],
    },
    'one with TLS switched on': { enableSSL: true },
    'one with settings': {
      configuration: { inline: { 'rabbitmq.conf': 'channel_max = 100\n' } },
    },
  },
  bad: {
    'an unknown protocol': [
      { disabledProtocols: ['kafka'] },
      /spec.disabledProtocols\[0\]: Unsupported value/,
    ],
    "another kind's topology": [{ topology: {} }, /unknown field \\"spec.topology\\"/],
    "another kind's way to do without passwords": [
      { disableAuth: true },
      /unknown field \\"spec.disableAuth\\"/,
    ],
  },
  goodOps: {
    HorizontalScaling: { horizontalScaling: { node: 5 } },
    VerticalScaling: { apply: 'Always', verticalScaling: { mode: 'Restart', node: { resources: size } } },
    VolumeExpansion: { volumeExpansion: { mode: 'Online', node: '20Gi' } },
    Reconfigure: {
      configuration: { applyConfig: { 'rabbitmq.conf': 'channel_max = 100\n' }, restart: 'auto' },
    },
    'Reconfigure to nothing': { configuration: { removeCustomConfig: true } },
    StorageMigration: { timeout: '1h', migration: { storageClassName: 'fast' } },
  },
  badOps: {
    ...noReplicas,
    "the container's name": [
      { type: 'VerticalScaling', verticalScaling: { rabbitmq: {} } },
      /unknown field \\"spec.verticalScaling.rabbitmq\\"/,
    ],
  },
  badVersions: {
    'a distribution': [{ distribution: 'Official' }, /unknown field \\"spec.distribution\\"/],
  },
})
