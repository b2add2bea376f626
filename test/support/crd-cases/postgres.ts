/** Cases of Postgres, looked at more closely than the other kinds: the spec as the webhooks complete it, too. */
import { crdCases } from './common.ts'
import { certificate, claim, issuerRef, type Spec, size } from './kind.ts'

const container = { name: 'postgres', resources: size }
const pod = (spec: Spec): Spec => ({ podTemplate: { spec } })

export const postgres = crdCases({
  kind: 'Postgres',
  plural: 'postgreses',
  version: '18.3',
  good: {
    'a single ephemeral one': { storageType: 'Ephemeral' },
    'a single durable one': { storageType: 'Durable', storage: claim },
    'a cluster of three': {
      replicas: 3,
      standbyMode: 'Hot',
      streamingMode: 'Asynchronous',
      storageType: 'Durable',
      storage: { ...claim, storageClassName: 'fast' },
      podTemplate: { spec: { containers: [container] } },
      deletionPolicy: 'WipeOut',
    },
    'one with an arbiter': {
      replicas: 2,
      arbiter: { resources: { requests: { storage: '2Gi' } } },
    },
    'one with TLS': {
      sslMode: 'verify-full',
      clientAuthMode: 'scram',
      tls: {
        issuerRef,
        certificates: [certificate],
      },
    },
    'one with a password of its own': {
      authSecret: { name: 'mine', externallyManaged: true },
    },
    'one whose password is renewed': {
      authSecret: {
        apiGroup: '',
        kind: 'Secret',
        name: 'osb-x-auth',
        activeFrom: '2026-11-21T00:00:00Z',
        rotateAfter: '720h',
      },
    },
    'one with settings': {
      configuration: { secretName: 'conf', inline: { 'user.conf': 'max_connections=200\n' } },
    },
    'one to be reached from outside': {
      serviceTemplates: [
        {
          alias: 'primary',
          metadata: { annotations: { a: 'b' }, labels: { c: 'd' } },
          spec: { type: 'LoadBalancer', ports: [{ name: 'primary', port: 5432, nodePort: 30000 }] },
        },
        { alias: 'standby', spec: { type: 'NodePort' } },
        { alias: 'stats' },
      ],
    },
    'one as the webhooks complete it': {
      replicas: 1,
      standbyMode: 'Hot',
      streamingMode: 'Asynchronous',
      storageType: 'Durable',
      storage: claim,
      sslMode: 'disable',
      clientAuthMode: 'scram',
      deletionPolicy: 'Delete',
      allowedSchemas: { namespaces: { from: 'Same' } },
      healthChecker: { failureThreshold: 1, periodSeconds: 10, timeoutSeconds: 10 },
      leaderElection: {
        electionTick: 10,
        heartbeatTick: 1,
        maximumLagBeforeFailover: 67108864,
        period: '300ms',
        transferLeadershipInterval: '1s',
        transferLeadershipTimeout: '1m0s',
      },
      replication: {
        walLimitPolicy: 'WALKeepSize',
        walKeepSize: 1024,
        forceFailoverAcceptingDataLossAfter: '30s',
      },
      podTemplate: {
        controller: {},
        metadata: {},
        spec: {
          containers: [
            {
              ...container,
              securityContext: {
                allowPrivilegeEscalation: false,
                capabilities: { drop: ['ALL'] },
                runAsGroup: 70,
                runAsNonRoot: true,
                runAsUser: 70,
                seccompProfile: { type: 'RuntimeDefault' },
              },
            },
            { name: 'pg-coordinator', resources: { requests: { cpu: '200m', memory: '256Mi' } } },
          ],
          initContainers: [{ name: 'postgres-init-container', resources: size }],
          podPlacementPolicy: { name: 'default' },
          securityContext: { fsGroup: 70 },
          serviceAccountName: 'osb-x',
        },
      },
    },
    'what a policy has to refuse': {
      init: { script: { secret: { secretName: 'other' }, scriptPath: 'x.sql' } },
      podTemplate: {
        spec: {
          hostNetwork: true,
          hostPID: true,
          hostIPC: true,
          volumes: [
            { name: 'h', hostPath: { path: '/' } },
            { name: 's', secret: { secretName: 'other' } },
          ],
          initContainers: [{ name: 'i', image: 'i', securityContext: { privileged: true } }],
          containers: [
            {
              name: 'postgres',
              image: 'i',
              env: [{ name: 'POSTGRES_USER', value: 'x' }],
              volumeMounts: [{ name: 'h', mountPath: '/h' }],
            },
          ],
        },
      },
    },
  },
  bad: {
    'version as a number': [{ version: 18.3 }, /spec.version in body must be of type string/],
    'an unknown field': [{ teminationPolicy: 'Delete' }, /unknown field \\"spec.teminationPolicy\\"/],
    'an unknown standby mode': [{ standbyMode: 'hot' }, /spec.standbyMode: Unsupported value/],
    'an unknown streaming mode': [{ streamingMode: 'Sync' }, /spec.streamingMode: Unsupported value/],
    'an unknown TLS mode': [{ sslMode: 'on' }, /spec.sslMode: Unsupported value/],
    'an unknown way to log in': [{ clientAuthMode: 'trust' }, /spec.clientAuthMode: Unsupported value/],
    'replicas in parts': [{ replicas: 1.5 }, /spec.replicas/],
    'a misspelt claim': [{ storage: { accesModes: [] } }, /unknown field \\"spec.storage.accesModes\\"/],
    'resources of the pod': [pod({ resources: size }), /unknown field \\"spec.podTemplate.spec.resources\\"/],
    'a container without a name': [
      pod({ containers: [{ resources: size }] }),
      /containers\[0\].name: Required value/,
    ],
    'a misspelt container': [
      pod({ containers: [{ name: 'postgres', resource: size }] }),
      /unknown field \\"spec.podTemplate.spec.containers\[0\].resource\\"/,
    ],
    'settings that are no text': [
      { configuration: { inline: { 'user.conf': { max_connections: 200 } } } },
      /spec.configuration.inline.user.conf/,
    ],
    'a Secret without a name': [
      { authSecret: { externallyManaged: true } },
      /spec.authSecret.name: Required value/,
    ],
    'a day without its time': [
      { authSecret: { name: 'a', activeFrom: '2026-11-21' } },
      /spec.authSecret.activeFrom/,
    ],
    'a Service without an alias': [
      { serviceTemplates: [{ spec: { type: 'NodePort' } }] },
      /serviceTemplates\[0\].alias: Required value/,
    ],
    'a certificate without an alias': [
      { tls: { certificates: [{}] } },
      /certificates\[0\].alias: Required value/,
    ],
    'an unknown agent': [{ monitor: { agent: 'zabbix' } }, /spec.monitor.agent: Unsupported value/],
    'a foreign selector': [
      { allowedSchemas: { namespaces: { from: 'Some' } } },
      /allowedSchemas.namespaces.from: Unsupported value/,
    ],
    'replication without a policy': [
      { replication: { walKeepSize: 1 } },
      /spec.replication.walLimitPolicy: Required value/,
    ],
  },
  goodOps: {
    UpdateVersion: { updateVersion: { targetVersion: '18.3' } },
    HorizontalScaling: {
      horizontalScaling: { replicas: 3, standbyMode: 'Hot', streamingMode: 'Synchronous' },
    },
    VerticalScaling: {
      apply: 'IfReady',
      timeout: '10m',
      verticalScaling: {
        mode: 'Restart',
        postgres: { resources: { requests: { cpu: 1, memory: '2Gi' }, limits: { memory: '2Gi' } } },
        coordinator: { resources: {} },
        exporter: { resources: {} },
        arbiter: { resources: {} },
      },
    },
    VolumeExpansion: {
      apply: 'Always',
      volumeExpansion: { mode: 'Online', postgres: '20Gi', arbiter: '3Gi' },
    },
    Reconfigure: {
      maxRetries: 2,
      configuration: { applyConfig: { 'user.conf': 'max_connections=200\n' }, restart: 'auto' },
    },
    'Reconfigure to nothing': {
      configuration: { removeCustomConfig: true, configSecret: { name: 'conf' }, restart: 'false' },
    },
    ReconfigureTLS: {
      tls: { issuerRef, certificates: [{ alias: 'client' }], sslMode: 'require', clientAuthMode: 'cert' },
    },
    StorageMigration: {
      timeout: '1h',
      migration: { storageClassName: 'fast', oldPVReclaimPolicy: 'Delete' },
    },
    ReconnectStandby: { reconnectStandby: { readyTimeOut: '5m' } },
    ForceFailOver: { forceFailOver: { candidates: ['osb-x-1'] } },
    SetRaftKeyPair: { setRaftKeyPair: { keyPair: { a: 'b' } } },
  },
  badOps: {
    'without a type': [{}, /spec.type: Required value/],
    "another kind's replicas": [
      { type: 'HorizontalScaling', horizontalScaling: { member: 3 } },
      /unknown field \\"spec.horizontalScaling.member\\"/,
    ],
    "another kind's component": [
      { type: 'VerticalScaling', verticalScaling: { mysql: {} } },
      /unknown field \\"spec.verticalScaling.mysql\\"/,
    ],
    'an unknown way to scale': [
      { type: 'VerticalScaling', verticalScaling: { mode: 'Live' } },
      /spec.verticalScaling.mode: Unsupported value/,
    ],
    'an expansion without a mode': [
      { type: 'VolumeExpansion', volumeExpansion: { postgres: '2Gi' } },
      /spec.volumeExpansion.mode: Required value/,
    ],
    'an expansion in words': [
      { type: 'VolumeExpansion', volumeExpansion: { mode: 'Online', postgres: 'two' } },
      /spec.volumeExpansion.postgres in body should match/,
    ],
    'a restart as a boolean': [
      { type: 'Reconfigure', configuration: { restart: true } },
      /spec.configuration.restart/,
    ],
    'a migration to nowhere': [
      { type: 'StorageMigration', migration: {} },
      /spec.migration.storageClassName: Required value/,
    ],
  },
  badVersions: {
    'an unknown distribution': [{ distribution: 'Mine' }, /spec.distribution: Unsupported value/],
  },
})
