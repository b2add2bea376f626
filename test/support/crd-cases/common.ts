import { type Bad, databaseRef, type Good, issuerRef, type Spec } from './kind.ts'

/** Databases that every kind takes. */
export function goodOfEveryKind(version: string): Good {
  return {
    'the smallest one': { version },
    'one that is halted': { version, halted: true, deletionPolicy: 'Halt' },
    'one with TLS': {
      version,
      tls: {
        issuerRef,
        certificates: [
          {
            alias: 'server',
            secretName: 'osb-x-server-cert',
            duration: '2160h',
            dnsNames: ['a'],
            subject: {},
          },
        ],
      },
    },
    'one whose password is renewed': {
      version,
      authSecret: { name: 'osb-x-auth', activeFrom: '2026-11-21T00:00:00Z', rotateAfter: '720h' },
    },
    'one with settings in the older way': { version, configSecret: { name: 'conf' } },
    'one to be reached from outside': {
      version,
      serviceTemplates: [
        { alias: 'primary', metadata: { annotations: { a: 'b' } }, spec: { type: 'LoadBalancer' } },
        { alias: 'stats' },
      ],
    },
    'one that is watched': {
      version,
      monitor: { agent: 'prometheus.io/operator', prometheus: { serviceMonitor: { interval: '10s' } } },
      healthChecker: { failureThreshold: 2, periodSeconds: 5, timeoutSeconds: 5, disableWriteCheck: true },
    },
  }
}

/** Databases that no kind takes. */
export function badOfEveryKind(version: string): Bad {
  return {
    'without a version': [{ replicas: 1 }, /spec.version: Required value/],
    "v1alpha2's deletion policy": [
      { version, terminationPolicy: 'Delete' },
      /unknown field \\"spec.terminationPolicy/,
    ],
    'an unknown policy': [{ version, deletionPolicy: 'Keep' }, /spec.deletionPolicy: Unsupported value/],
    'replicas in words': [{ version, replicas: '3' }, /spec.replicas in body must be of type integer/],
    'halted in words': [{ version, halted: 'yes' }, /spec.halted in body must be of type boolean/],
    'resources of the pod': [
      { version, podTemplate: { spec: { resources: {} } } },
      /unknown field \\"spec.podTemplate.spec.resources\\"/,
    ],
    'settings that are no text': [
      { version, configuration: { inline: { file: { key: 1 } } } },
      /spec.configuration.inline.file/,
    ],
    'a Service of another alias': [
      { version, serviceTemplates: [{ alias: 'main' }] },
      /serviceTemplates\[0\].alias: Unsupported value/,
    ],
    'an issuer without a kind': [
      { version, tls: { issuerRef: { name: 'ca' } } },
      /spec.tls.issuerRef.kind: Required value/,
    ],
  }
}

/** Databases that every kind with volumes refuses. */
export function badOfDurableKinds(version: string): Bad {
  return {
    'an unknown kind of storage': [{ version, storageType: 'Tape' }, /spec.storageType: Unsupported value/],
    'a size in words': [
      { version, storage: { resources: { requests: { storage: 'ten gigabytes' } } } },
      /spec.storage.resources.requests.storage in body should match/,
    ],
  }
}

/** OpsRequests that every kind takes. */
export function goodOpsOfEveryKind(targetVersion: string): Good {
  return {
    UpdateVersion: { apply: 'IfReady', timeout: '30m', maxRetries: 2, updateVersion: { targetVersion } },
    Restart: { restart: {} },
    ReconfigureTLS: { tls: { issuerRef, certificates: [{ alias: 'client' }], rotateCertificates: true } },
    'ReconfigureTLS off': { tls: { remove: true } },
    RotateAuth: {},
    'RotateAuth to a given password': { authentication: { secretRef: { kind: 'Secret', name: 'mine' } } },
  }
}

const bad = (type: string, block: Spec): Spec => ({ databaseRef, type, ...block })

/** OpsRequests that no kind takes. */
export const badOpsOfEveryKind: Bad = {
  'without a database': [{ type: 'Restart' }, /spec.databaseRef: Required value/],
  'an unknown type': [bad('Upgrade', {}), /spec.type: Unsupported value/],
  'an unknown time to apply': [bad('Restart', { apply: 'Now' }), /spec.apply: Unsupported value/],
  'a version without its field': [
    bad('UpdateVersion', { updateVersion: { version: '1' } }),
    /unknown field \\"spec.updateVersion.version\\"/,
  ],
  "another kind's component": [
    bad('VerticalScaling', { verticalScaling: { postgres: {} } }),
    /unknown field \\"spec.verticalScaling.postgres\\"/,
  ],
  'a password without its Secret': [
    bad('RotateAuth', { authentication: { secretRef: {} } }),
    /spec.authentication.secretRef.name: Required value/,
  ],
}

/** OpsRequests that every kind with volumes refuses. */
export const badOpsOfDurableKinds: Bad = {
  'an expansion without a mode': [
    bad('VolumeExpansion', { volumeExpansion: {} }),
    /spec.volumeExpansion.mode: Required value/,
  ],
}
