/** What the API of every kind takes and refuses, and how a kind adds what is its own. */
import { type Bad, type CrdCases, certificate, databaseRef, type Good, issuerRef, type Spec } from './kind.ts'

/** What is a kind's own. */
export interface OwnCases extends Pick<CrdCases, 'kind' | 'plural' | 'apiVersion'> {
  /** of every database, and of every object that tells of a version, unless a case names another */
  version: string
  /** what an OpsRequest asks for, if not the same */
  targetVersion?: string
  /** whether there are any: not where everything is kept in memory */
  volumes?: boolean
  good: Good
  bad: Bad
  /** The title's first word is the type. */
  goodOps?: Good
  badOps?: Bad
  badVersions: Bad
}

/** @returns the kind's own cases, with those that it shares with every kind */
export function crdCases({ version, targetVersion = version, volumes = true, ...own }: OwnCases): CrdCases {
  const { kind, plural, apiVersion } = own
  const update = { apply: 'IfReady', timeout: '30m', maxRetries: 2, updateVersion: { targetVersion } }
  const goodOps = { UpdateVersion: update, ...goodOpsOfEveryKind, ...own.goodOps }
  const bad = { ...badOfEveryKind, ...(volumes ? badOfDurableKinds : {}), ...own.bad }
  const badOps = { ...badOpsOfEveryKind, ...(volumes ? badOpsOfDurableKinds : {}), ...own.badOps }
  const badVersions = { 'without images': imageless, ...own.badVersions }
  return {
    kind,
    plural,
    ...(apiVersion === undefined ? {} : { apiVersion }),
    databases: {
      good: mapped({ ...goodOfEveryKind, ...own.good }, (spec) => ({ version, ...spec })),
      bad: {
        'without a version': [{ replicas: 1 }, /spec.version: Required value/],
        ...mapped(bad, ([spec, why]) => [{ version, ...spec }, why]),
      },
    },
    opsRequests: {
      good: mapped(goodOps, (spec, title) => ({ databaseRef, type: title.split(' ')[0], ...spec })),
      bad: {
        'without a database': [{ type: 'Restart' }, /spec.databaseRef: Required value/],
        ...mapped(badOps, ([spec, why]) => [{ databaseRef, ...spec }, why]),
      },
    },
    versions: { bad: mapped(badVersions, ([spec, why]) => [{ version, ...spec }, why]) },
  }
}

function mapped<T>(cases: Record<string, T>, change: (one: T, title: string) => T): Record<string, T> {
  return Object.fromEntries(Object.entries(cases).map(([title, one]) => [title, change(one, title)]))
}

const imageless: [Spec, RegExp] = [{}, /spec.db: Required value/]

/** Databases that every kind takes. */
const goodOfEveryKind: Good = {
  'the smallest one': {},
  'one that is halted': { halted: true, deletionPolicy: 'Halt' },
  'one with TLS': {
    tls: {
      issuerRef,
      certificates: [certificate],
    },
  },
  'one whose password is renewed': {
    authSecret: { name: 'osb-x-auth', activeFrom: '2026-11-21T00:00:00Z', rotateAfter: '720h' },
  },
  'one with settings in the older way': { configSecret: { name: 'conf' } },
  'one to be reached from outside': {
    serviceTemplates: [
      { alias: 'primary', metadata: { annotations: { a: 'b' } }, spec: { type: 'LoadBalancer' } },
      { alias: 'stats' },
    ],
  },
  'one that is watched': {
    monitor: { agent: 'prometheus.io/operator', prometheus: { serviceMonitor: { interval: '10s' } } },
    healthChecker: { failureThreshold: 2, periodSeconds: 5, timeoutSeconds: 5, disableWriteCheck: true },
  },
}

/** Databases that no kind takes. */
const badOfEveryKind: Bad = {
  "v1alpha2's deletion policy": [{ terminationPolicy: 'Delete' }, /unknown field \\"spec.terminationPolicy/],
  'an unknown policy': [{ deletionPolicy: 'Keep' }, /spec.deletionPolicy: Unsupported value/],
  'replicas in words': [{ replicas: '3' }, /spec.replicas in body must be of type integer/],
  'halted in words': [{ halted: 'yes' }, /spec.halted in body must be of type boolean/],
  'resources of the pod': [
    { podTemplate: { spec: { resources: {} } } },
    /unknown field \\"spec.podTemplate.spec.resources\\"/,
  ],
  'settings that are no text': [
    { configuration: { inline: { file: { key: 1 } } } },
    /spec.configuration.inline.file/,
  ],
  'a Service of another alias': [
    { serviceTemplates: [{ alias: 'main' }] },
    /serviceTemplates\[0\].alias: Unsupported value/,
  ],
  'an issuer without a kind': [
    { tls: { issuerRef: { name: 'ca' } } },
    /spec.tls.issuerRef.kind: Required value/,
  ],
}

/** Databases that every kind with volumes refuses. */
const badOfDurableKinds: Bad = {
  'an unknown kind of storage': [{ storageType: 'Tape' }, /spec.storageType: Unsupported value/],
  'a size in words': [
    { storage: { resources: { requests: { storage: 'ten gigabytes' } } } },
    /spec.storage.resources.requests.storage in body should match/,
  ],
}

/** OpsRequests that every kind takes. */
const goodOpsOfEveryKind: Good = {
  Restart: { restart: {} },
  ReconfigureTLS: { tls: { issuerRef, certificates: [{ alias: 'client' }], rotateCertificates: true } },
  'ReconfigureTLS off': { tls: { remove: true } },
  RotateAuth: {},
  'RotateAuth to a given password': { authentication: { secretRef: { kind: 'Secret', name: 'mine' } } },
}

/** OpsRequests that no kind takes. */
const badOpsOfEveryKind: Bad = {
  'an unknown type': [{ type: 'Upgrade' }, /spec.type: Unsupported value/],
  'an unknown time to apply': [{ type: 'Restart', apply: 'Now' }, /spec.apply: Unsupported value/],
  'a version without its field': [
    { type: 'UpdateVersion', updateVersion: { version: '1' } },
    /unknown field \\"spec.updateVersion.version\\"/,
  ],
  "another kind's component": [
    { type: 'VerticalScaling', verticalScaling: { postgres: {} } },
    /unknown field \\"spec.verticalScaling.postgres\\"/,
  ],
  'a password without its Secret': [
    { type: 'RotateAuth', authentication: { secretRef: {} } },
    /spec.authentication.secretRef.name: Required value/,
  ],
}

/** OpsRequests that every kind with volumes refuses. */
const badOpsOfDurableKinds: Bad = {
  'an expansion without a mode': [
    { type: 'VolumeExpansion', volumeExpansion: {} },
    /spec.volumeExpansion.mode: Required value/,
  ],
}

/** OpsRequests that kinds refuse whose servers are called members or nodes. */
export const noReplicas: Bad = {
  "other kinds' replicas": [
    { type: 'HorizontalScaling', horizontalScaling: { replicas: 3 } },
    /unknown field \\"spec.horizontalScaling.replicas\\"/,
  ],
}
