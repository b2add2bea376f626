import { existsSync } from 'node:fs'
import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import * as v from 'valibot'
import { parse } from 'yaml'
import {
  type ControlPlane,
  type ControlPlaneOptions,
  startControlPlane,
} from '../../sandbox/control-plane.ts'
import { ask } from '../../sandbox/control-plane-request.ts'
import { startControlPlaneWithKinds } from '../../sandbox/control-plane-with-kinds.ts'
import { installCrds } from '../../sandbox/crds.ts'
import { elasticsearch } from '../support/crd-cases/elasticsearch.ts'
import { kafka } from '../support/crd-cases/kafka.ts'
import {
  claim,
  databaseKind,
  databaseRef,
  issuerRef,
  type Kind,
  opsRequestKind,
  type Spec,
  size,
  versionKind,
} from '../support/crd-cases/kind.ts'
import { mariadb } from '../support/crd-cases/mariadb.ts'
import { memcached } from '../support/crd-cases/memcached.ts'
import { mongodb } from '../support/crd-cases/mongodb.ts'
import { mysql } from '../support/crd-cases/mysql.ts'
import { perconaxtradb } from '../support/crd-cases/perconaxtradb.ts'
import { rabbitmq } from '../support/crd-cases/rabbitmq.ts'
import { redis } from '../support/crd-cases/redis.ts'

const root = join(import.meta.dirname, '../..')
const ownFolder = join(root, 'sandbox/crds')
const upstreamFolder = join(root, '../shared/crds/kubedb')
const hasUpstream = existsSync(upstreamFolder)
if (!hasUpstream) console.error(`skipped: comparison with KubeDB's own CRDs, for want of ${upstreamFolder}`)
const testUpstream = hasUpstream ? test : test.skip

let folder: string
let own: ControlPlane
let upstream: ControlPlane | undefined

test.before(async (t) => {
  folder = await mkdtemp(join(tmpdir(), 'crds-'))
  const place = (name: string): ControlPlaneOptions => ({
    directory: join(folder, name),
    progress: (line) => t.log(line),
  })
  own = await startControlPlane(place('own'))
  await installCrds(own, { folder: ownFolder })
  // Ours are installed here, as at everybody's first start; these take a minute that others have spent.
  if (hasUpstream) upstream = await startControlPlaneWithKinds(place('upstream'), { folder: upstreamFolder })
})

test.after.always(async () => {
  await own?.stop()
  await upstream?.stop()
  await rm(folder, { recursive: true, force: true })
})

const postgres = {
  path: '/apis/kubedb.com/v1/namespaces/default/postgreses',
  apiVersion: 'kubedb.com/v1',
  kind: 'Postgres',
}
const opsRequest = {
  path: '/apis/ops.kubedb.com/v1alpha1/namespaces/default/postgresopsrequests',
  apiVersion: 'ops.kubedb.com/v1alpha1',
  kind: 'PostgresOpsRequest',
}
const appBinding = {
  path: '/apis/appcatalog.appscode.com/v1alpha1/namespaces/default/appbindings',
  apiVersion: 'appcatalog.appscode.com/v1alpha1',
  kind: 'AppBinding',
}
const version = {
  path: '/apis/catalog.kubedb.com/v1alpha1/postgresversions',
  apiVersion: 'catalog.kubedb.com/v1alpha1',
  kind: 'PostgresVersion',
}

/** Asks one API server whether it would take an object, without storing it. */
async function verdict(plane: ControlPlane, kind: Kind, spec: Spec, name: string): Promise<string> {
  const { path, ...type } = kind
  const manifest = { ...type, metadata: { name }, spec }
  const answer = await ask(plane, 'POST', `${path}?dryRun=All&fieldValidation=Strict`, manifest)
  return answer.status === 201 ? 'accepted' : `${answer.status} ${answer.body}`
}

async function accepted(t: ExecutionContext, kind: Kind, spec: Spec, name = 'osb-x'): Promise<void> {
  t.is(await verdict(own, kind, spec, name), 'accepted', 'by our CRDs')
  if (upstream) t.is(await verdict(upstream, kind, spec, name), 'accepted', "by KubeDB's CRDs")
}

/** Refused by both, and for the same field. */
async function refused(
  t: ExecutionContext,
  kind: Kind,
  spec: Spec,
  why: RegExp,
  name = 'osb-x',
): Promise<void> {
  t.regex(await verdict(own, kind, spec, name), why, 'by our CRDs')
  if (upstream) t.regex(await verdict(upstream, kind, spec, name), why, "by KubeDB's CRDs")
}

const container = { name: 'postgres', resources: size }
const ref = { apiGroup: 'kubedb.com', kind: 'Postgres', namespace: 'default', name: 'osb-x' }

const goodPostgres: Record<string, Spec> = {
  'the smallest one': { version: '18.3' },
  'a single ephemeral one': { version: '18.3', storageType: 'Ephemeral' },
  'a single durable one': { version: '18.3', storageType: 'Durable', storage: claim },
  'a cluster of three': {
    version: '18.3',
    replicas: 3,
    standbyMode: 'Hot',
    streamingMode: 'Asynchronous',
    storageType: 'Durable',
    storage: { ...claim, storageClassName: 'fast' },
    podTemplate: { spec: { containers: [container] } },
    deletionPolicy: 'WipeOut',
  },
  'one with an arbiter': {
    version: '18.3',
    replicas: 2,
    arbiter: { resources: { requests: { storage: '2Gi' } } },
  },
  'one with TLS': {
    version: '18.3',
    sslMode: 'verify-full',
    clientAuthMode: 'scram',
    tls: {
      issuerRef,
      certificates: [
        { alias: 'server', secretName: 'osb-x-server-cert', duration: '2160h', dnsNames: ['a'], subject: {} },
      ],
    },
  },
  'one with a password of its own': {
    version: '18.3',
    authSecret: { name: 'mine', externallyManaged: true },
  },
  'one whose password is renewed': {
    version: '18.3',
    authSecret: {
      apiGroup: '',
      kind: 'Secret',
      name: 'osb-x-auth',
      activeFrom: '2026-11-21T00:00:00Z',
      rotateAfter: '720h',
    },
  },
  'one with settings': {
    version: '18.3',
    configuration: { secretName: 'conf', inline: { 'user.conf': 'max_connections=200\n' } },
  },
  'one with settings in the older way': { version: '18.3', configSecret: { name: 'conf' } },
  'one to be reached from outside': {
    version: '18.3',
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
  'one that is watched': {
    version: '18.3',
    monitor: { agent: 'prometheus.io/operator', prometheus: { serviceMonitor: { interval: '10s' } } },
    healthChecker: { failureThreshold: 2, periodSeconds: 5, timeoutSeconds: 5, disableWriteCheck: true },
  },
  'one that is halted': { version: '18.3', halted: true, deletionPolicy: 'Halt' },
  'one as the webhooks complete it': {
    version: '18.3',
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
    version: '18.3',
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
}

const goodOpsRequests: Record<string, Spec> = {
  UpdateVersion: { updateVersion: { targetVersion: '18.3' } },
  HorizontalScaling: { horizontalScaling: { replicas: 3, standbyMode: 'Hot', streamingMode: 'Synchronous' } },
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
  VolumeExpansion: { apply: 'Always', volumeExpansion: { mode: 'Online', postgres: '20Gi', arbiter: '3Gi' } },
  Restart: { restart: {} },
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
  'ReconfigureTLS off': { tls: { remove: true } },
  RotateAuth: {},
  'RotateAuth to a given password': { authentication: { secretRef: { kind: 'Secret', name: 'mine' } } },
  StorageMigration: { timeout: '1h', migration: { storageClassName: 'fast', oldPVReclaimPolicy: 'Delete' } },
  ReconnectStandby: { reconnectStandby: { readyTimeOut: '5m' } },
  ForceFailOver: { forceFailOver: { candidates: ['osb-x-1'] } },
  SetRaftKeyPair: { setRaftKeyPair: { keyPair: { a: 'b' } } },
}

const goodAppBindings: Record<string, Spec> = {
  "KubeDB's of a Postgres": {
    type: 'kubedb.com/postgres',
    version: '18.3',
    appRef: ref,
    secret: { name: 'osb-x-auth' },
    tlsSecret: { name: 'osb-x-client-cert' },
    clientConfig: {
      caBundle: 'aGVsbG8=',
      service: { name: 'osb-x', port: 5432, path: '/', query: 'sslmode=disable', scheme: 'postgresql' },
    },
    parameters: {
      apiVersion: 'appcatalog.appscode.com/v1alpha1',
      kind: 'StashAddon',
      stash: { addon: { backupTask: { name: 'postgres-backup' } } },
    },
  },
  'one with a URL': { clientConfig: { url: 'tcp(osb-x.default.svc:3306)/', insecureSkipTLSVerify: true } },
  'one with other keys': {
    clientConfig: { serverName: 'x' },
    secretTransforms: [
      { renameKey: { from: 'a', to: 'b' } },
      { addKey: { key: 'a', stringValue: 'b' } },
      { addKeysFrom: { secretRef: { name: 'a' } } },
      { removeKey: { key: 'a' } },
    ],
  },
  'the record of an instance': { type: 'osb.kubedb.com/instance', appRef: ref, clientConfig: {} },
  'the record of a binding': { type: 'osb.kubedb.com/binding', appRef: ref, clientConfig: {} },
}

for (const [title, spec] of Object.entries(goodPostgres)) {
  test(`a Postgres is accepted: ${title}`, accepted, postgres, spec)
}
for (const [title, spec] of Object.entries(goodOpsRequests)) {
  const type = title.split(' ')[0]
  test(`a PostgresOpsRequest is accepted: ${title}`, accepted, opsRequest, { databaseRef, type, ...spec })
}
for (const [title, spec] of Object.entries(goodAppBindings)) {
  test(`an AppBinding is accepted: ${title}`, accepted, appBinding, spec)
}

const pod = (spec: Spec): Spec => ({ version: '18.3', podTemplate: { spec } })

const badPostgres: Record<string, [Spec, RegExp]> = {
  'without a version': [{ replicas: 1 }, /spec.version: Required value/],
  'version as a number': [{ version: 18.3 }, /spec.version in body must be of type string/],
  'an unknown field': [
    { version: '18.3', teminationPolicy: 'Delete' },
    /unknown field \\"spec.teminationPolicy\\"/,
  ],
  "v1alpha2's deletion policy": [
    { version: '18.3', terminationPolicy: 'Delete' },
    /unknown field \\"spec.terminationPolicy/,
  ],
  'an unknown policy': [
    { version: '18.3', deletionPolicy: 'Keep' },
    /spec.deletionPolicy: Unsupported value/,
  ],
  'an unknown kind of storage': [
    { version: '18.3', storageType: 'Tape' },
    /spec.storageType: Unsupported value/,
  ],
  'an unknown standby mode': [{ version: '18.3', standbyMode: 'hot' }, /spec.standbyMode: Unsupported value/],
  'an unknown streaming mode': [
    { version: '18.3', streamingMode: 'Sync' },
    /spec.streamingMode: Unsupported value/,
  ],
  'an unknown TLS mode': [{ version: '18.3', sslMode: 'on' }, /spec.sslMode: Unsupported value/],
  'an unknown way to log in': [
    { version: '18.3', clientAuthMode: 'trust' },
    /spec.clientAuthMode: Unsupported value/,
  ],
  'replicas in words': [{ version: '18.3', replicas: '3' }, /spec.replicas in body must be of type integer/],
  'replicas in parts': [{ version: '18.3', replicas: 1.5 }, /spec.replicas/],
  'halted in words': [{ version: '18.3', halted: 'yes' }, /spec.halted in body must be of type boolean/],
  'a size in words': [
    { version: '18.3', storage: { resources: { requests: { storage: 'ten gigabytes' } } } },
    /spec.storage.resources.requests.storage in body should match/,
  ],
  'a misspelt claim': [
    { version: '18.3', storage: { accesModes: [] } },
    /unknown field \\"spec.storage.accesModes\\"/,
  ],
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
    { version: '18.3', configuration: { inline: { 'user.conf': { max_connections: 200 } } } },
    /spec.configuration.inline.user.conf/,
  ],
  'a Secret without a name': [
    { version: '18.3', authSecret: { externallyManaged: true } },
    /spec.authSecret.name: Required value/,
  ],
  'a day without its time': [
    { version: '18.3', authSecret: { name: 'a', activeFrom: '2026-11-21' } },
    /spec.authSecret.activeFrom/,
  ],
  'a Service without an alias': [
    { version: '18.3', serviceTemplates: [{ spec: { type: 'NodePort' } }] },
    /serviceTemplates\[0\].alias: Required value/,
  ],
  'a Service of another alias': [
    { version: '18.3', serviceTemplates: [{ alias: 'main' }] },
    /serviceTemplates\[0\].alias: Unsupported value/,
  ],
  'an issuer without a kind': [
    { version: '18.3', tls: { issuerRef: { name: 'ca' } } },
    /spec.tls.issuerRef.kind: Required value/,
  ],
  'a certificate without an alias': [
    { version: '18.3', tls: { certificates: [{}] } },
    /certificates\[0\].alias: Required value/,
  ],
  'an unknown agent': [
    { version: '18.3', monitor: { agent: 'zabbix' } },
    /spec.monitor.agent: Unsupported value/,
  ],
  'a foreign selector': [
    { version: '18.3', allowedSchemas: { namespaces: { from: 'Some' } } },
    /allowedSchemas.namespaces.from: Unsupported value/,
  ],
  'replication without a policy': [
    { version: '18.3', replication: { walKeepSize: 1 } },
    /spec.replication.walLimitPolicy: Required value/,
  ],
}

const badOpsRequests: Record<string, [Spec, RegExp]> = {
  'without a database': [{ type: 'Restart' }, /spec.databaseRef: Required value/],
  'without a type': [{ databaseRef }, /spec.type: Required value/],
  'an unknown type': [{ databaseRef, type: 'Upgrade' }, /spec.type: Unsupported value/],
  'an unknown time to apply': [
    { databaseRef, type: 'Restart', apply: 'Now' },
    /spec.apply: Unsupported value/,
  ],
  "another kind's replicas": [
    { databaseRef, type: 'HorizontalScaling', horizontalScaling: { member: 3 } },
    /unknown field \\"spec.horizontalScaling.member\\"/,
  ],
  "another kind's component": [
    { databaseRef, type: 'VerticalScaling', verticalScaling: { mysql: {} } },
    /unknown field \\"spec.verticalScaling.mysql\\"/,
  ],
  'an unknown way to scale': [
    { databaseRef, type: 'VerticalScaling', verticalScaling: { mode: 'Live' } },
    /spec.verticalScaling.mode: Unsupported value/,
  ],
  'an expansion without a mode': [
    { databaseRef, type: 'VolumeExpansion', volumeExpansion: { postgres: '2Gi' } },
    /spec.volumeExpansion.mode: Required value/,
  ],
  'an expansion in words': [
    { databaseRef, type: 'VolumeExpansion', volumeExpansion: { mode: 'Online', postgres: 'two' } },
    /spec.volumeExpansion.postgres in body should match/,
  ],
  'a version without its field': [
    { databaseRef, type: 'UpdateVersion', updateVersion: { version: '18.3' } },
    /unknown field \\"spec.updateVersion.version\\"/,
  ],
  'a restart as a boolean': [
    { databaseRef, type: 'Reconfigure', configuration: { restart: true } },
    /spec.configuration.restart/,
  ],
  'a password without its Secret': [
    { databaseRef, type: 'RotateAuth', authentication: { secretRef: {} } },
    /spec.authentication.secretRef.name: Required value/,
  ],
  'a migration to nowhere': [
    { databaseRef, type: 'StorageMigration', migration: {} },
    /spec.migration.storageClassName: Required value/,
  ],
}

const badAppBindings: Record<string, [Spec, RegExp]> = {
  'without a client': [{ type: 'osb.kubedb.com/instance' }, /spec.clientConfig: Required value/],
  'a Service without a scheme': [
    { clientConfig: { service: { name: 'x', port: 1 } } },
    /spec.clientConfig.service.scheme: Required value/,
  ],
  'a port in words': [
    { clientConfig: { service: { name: 'x', port: '5432', scheme: 'tcp' } } },
    /spec.clientConfig.service.port in body must be of type integer/,
  ],
  'an application without a name': [
    { clientConfig: {}, appRef: { kind: 'Postgres' } },
    /spec.appRef.name: Required value/,
  ],
  'a Secret without a name': [{ clientConfig: {}, secret: {} }, /spec.secret.name: Required value/],
  'an unknown field': [{ clientConfig: {}, state: 'ready' }, /unknown field \\"spec.state\\"/],
  'certificates that are no base64': [{ clientConfig: { caBundle: '*' } }, /spec.clientConfig.caBundle/],
  'parameters without a kind': [
    { clientConfig: {}, parameters: { a: 1 } },
    /spec.parameters.(apiVersion|kind): Required value/,
  ],
}

const badVersions: Record<string, [Spec, RegExp]> = {
  'without images': [{ version: '18.3' }, /spec.db: Required value/],
  'an unknown distribution': [
    { version: '18.3', distribution: 'Mine' },
    /spec.distribution: Unsupported value/,
  ],
}

for (const [title, [spec, why]] of Object.entries(badPostgres)) {
  test(`a Postgres is refused: ${title}`, refused, postgres, spec, why)
}
for (const [title, [spec, why]] of Object.entries(badOpsRequests)) {
  test(`a PostgresOpsRequest is refused: ${title}`, refused, opsRequest, spec, why)
}
for (const [title, [spec, why]] of Object.entries(badAppBindings)) {
  test(`an AppBinding is refused: ${title}`, refused, appBinding, spec, why)
}
for (const [title, [spec, why]] of Object.entries(badVersions)) {
  test(`a PostgresVersion is refused: ${title}`, refused, version, spec, why)
}
test(
  'a Postgres is refused: a name that begins with a digit',
  refused,
  postgres,
  { version: '18.3' },
  /metadata.name/,
  '2010d83f',
)
test(
  'a Postgres is refused: a name of 64 characters',
  refused,
  postgres,
  { version: '18.3' },
  /metadata.name/,
  'p'.repeat(64),
)
test(
  'a Postgres is accepted: a name of 63 characters',
  accepted,
  postgres,
  { version: '18.3' },
  'p'.repeat(63),
)

for (const cases of [
  kafka,
  mysql,
  mariadb,
  perconaxtradb,
  mongodb,
  rabbitmq,
  redis,
  memcached,
  elasticsearch,
]) {
  const { databases, opsRequests, versions } = cases
  const database = databaseKind(cases)
  const request = opsRequestKind(cases)
  const catalog = versionKind(cases)
  for (const [title, spec] of Object.entries(databases.good)) {
    test(`a ${database.kind} is accepted: ${title}`, accepted, database, spec)
  }
  for (const [title, [spec, why]] of Object.entries(databases.bad)) {
    test(`a ${database.kind} is refused: ${title}`, refused, database, spec, why)
  }
  for (const [title, block] of Object.entries(opsRequests.good)) {
    const spec = { databaseRef, type: title.split(' ')[0], ...block }
    test(`a ${request.kind} is accepted: ${title}`, accepted, request, spec)
  }
  for (const [title, [spec, why]] of Object.entries(opsRequests.bad)) {
    test(`a ${request.kind} is refused: ${title}`, refused, request, spec, why)
  }
  for (const [title, [spec, why]] of Object.entries(versions.bad)) {
    test(`a ${catalog.kind} is refused: ${title}`, refused, catalog, spec, why)
  }
  const spec = databases.good['the smallest one'] ?? {}
  test(
    `a ${database.kind} is refused: a name that begins with a digit`,
    refused,
    database,
    spec,
    /metadata.name/,
    '1x',
  )
}

const lastTransitionTime = '2026-11-21T00:00:00Z'
const condition = {
  type: 'Provisioned',
  status: 'True',
  reason: 'DatabaseSuccessfullyProvisioned',
  message: 'm',
  lastTransitionTime,
}

test('status is written apart from the spec, with known phases only', async (t) => {
  for (const plane of [own, upstream].filter((plane) => plane !== undefined)) {
    for (const { kind, spec, phase } of [
      { kind: postgres, spec: { version: '18.3' }, phase: 'Ready' },
      { kind: opsRequest, spec: { databaseRef, type: 'Restart' }, phase: 'Successful' },
      ...[kafka, mysql, mariadb, perconaxtradb, mongodb, rabbitmq, redis, memcached, elasticsearch].flatMap(
        (cases) => [
          { kind: databaseKind(cases), spec: { version: '1' }, phase: 'Ready' },
          { kind: opsRequestKind(cases), spec: { databaseRef, type: 'Restart' }, phase: 'Successful' },
        ],
      ),
    ]) {
      const { path, ...type } = kind
      const object = { ...type, metadata: { name: 'with-status' }, spec, status: { phase } }
      const created = await ask(plane, 'POST', path, object)
      t.is(created.status, 201, created.body)
      t.false('status' in v.parse(v.looseObject({}), JSON.parse(created.body)), 'a POST sets no status')
      const write = async (status: object): Promise<number> =>
        (await ask(plane, 'PATCH', `${path}/with-status/status?fieldValidation=Strict`, { status })).status
      t.is(await write({ phase, observedGeneration: 1, conditions: [condition] }), 200)
      t.is(await write({ phase: 'Creating' }), 422)
      t.is(await write({ replicas: 1 }), 422)
      t.is(await write({ conditions: [{ type: 'Ready', lastTransitionTime }] }), 422)
    }
  }
})

test("the defaults are KubeDB's", async (t) => {
  const specs = await Promise.all(
    [own, upstream ?? own].map(async (plane) => {
      const manifest = {
        apiVersion: postgres.apiVersion,
        kind: postgres.kind,
        metadata: { name: 'defaults' },
      }
      const spec = {
        version: '18.3',
        authSecret: { name: 'a' },
        leaderElection: {},
        podTemplate: { spec: {} },
        monitor: { prometheus: { exporter: {} } },
      }
      const { body } = await ask(plane, 'POST', `${postgres.path}?dryRun=All`, { ...manifest, spec })
      return v.parse(v.object({ spec: v.looseObject({}) }), JSON.parse(body)).spec
    }),
  )
  t.deepEqual(specs[0], specs[1])
  t.like(specs[0], { authSecret: { kind: 'Secret' }, healthChecker: { periodSeconds: 10 } })
})

test('installing again changes nothing and lists the kinds', async (t) => {
  const generation = async (): Promise<unknown> => {
    const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/postgreses.kubedb.com'
    const { body } = await ask(own, 'GET', path)
    return v.parse(v.object({ metadata: v.object({ generation: v.number() }) }), JSON.parse(body))
  }
  const before = await generation()
  const kinds = await installCrds(own, { folder: ownFolder })
  t.deepEqual(await generation(), before)
  t.deepEqual(
    kinds.find(({ kind }) => kind === 'Postgres'),
    {
      kind: 'Postgres',
      name: 'postgreses.kubedb.com',
      group: 'kubedb.com',
      plural: 'postgreses',
      version: 'v1',
    },
  )
})

/** Runs before the tests that change what is there. */
test.serial(
  'a control plane that begins with a copy has the same kinds and versions, and keys of its own',
  async (t) => {
    const directory = join(folder, 'copy')
    const copy = await startControlPlaneWithKinds(
      { directory, progress: (line) => t.log(line) },
      { folder: ownFolder },
    )
    t.teardown(() => copy.stop())
    const found = async (plane: ControlPlane): Promise<unknown[]> => {
      const Objects = v.object({
        items: v.array(v.object({ metadata: v.object({ name: v.string() }), spec: v.unknown() })),
      })
      const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
      const catalog = ['postgres', 'mysql', 'redis'].map(
        (kind) => `/apis/catalog.kubedb.com/v1alpha1/${kind}versions`,
      )
      const answers = await Promise.all([crds, ...catalog].map((path) => ask(plane, 'GET', path)))
      return answers.map(({ body }) => v.parse(Objects, JSON.parse(body)).items)
    }
    const [copied, installed] = await Promise.all([found(copy), found(own)])
    t.true(installed.flat().length > 60)
    t.deepEqual(copied, installed)
    t.not(copy.adminToken, own.adminToken)
    const stranger = await ask({ ...copy, adminToken: own.adminToken }, 'GET', '/api/v1/namespaces')
    t.is(stranger.status, 401)
  },
)

test('a withdrawn version comes back, and a changed one is put right', async (t) => {
  const path = `${version.path}/13.21`
  t.is((await ask(own, 'PATCH', path, { spec: { endOfLife: false } })).status, 200)
  t.is((await ask(own, 'DELETE', `${version.path}/12.22`)).status, 200)
  await installCrds(own, { folder: ownFolder })
  t.like(JSON.parse((await ask(own, 'GET', path)).body), { spec: { endOfLife: true, version: '13.21' } })
  t.is((await ask(own, 'GET', `${version.path}/12.22`)).status, 200)
})

test('a folder that lacks a kind is refused by name', async (t) => {
  const partial = await mkdtemp(join(tmpdir(), 'crds-'))
  t.teardown(() => rm(partial, { recursive: true }))
  await cp(join(ownFolder, 'postgreses.kubedb.com.yaml'), join(partial, 'any-name.yml'))
  await t.throwsAsync(installCrds(own, { folder: partial }), {
    message: /The folder of CRDs .* has no appbindings.appcatalog.appscode.com: it needs/,
  })
})

/** What has to be the same at a place of ours and at the same place of KubeDB's. */
const facets = [
  'type',
  'enum',
  'format',
  'nullable',
  'minimum',
  'maximum',
  'pattern',
  'default',
  'required',
  'maxLength',
  'anyOf',
  'x-kubernetes-int-or-string',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-map-type',
  'x-kubernetes-embedded-resource',
  'x-kubernetes-preserve-unknown-fields',
]

const Node = v.record(v.string(), v.unknown())
const children = (node: unknown, key: string): Record<string, unknown> =>
  v.parse(v.fallback(Node, {}), v.parse(Node, node)[key])

/** Every difference between our schema and KubeDB's, but for fields that ours leaves out. */
function differences(ours: unknown, theirs: unknown, path: string): string[] {
  const theirNode = v.safeParse(Node, theirs)
  if (!theirNode.success) return [`${path} is not KubeDB's`]
  const ourNode = v.parse(Node, ours)
  const own = facets
    .filter((facet) => JSON.stringify(ourNode[facet]) !== JSON.stringify(theirNode.output[facet]))
    .map(
      (facet) =>
        `${path} ${facet}: ${JSON.stringify(ourNode[facet])} ≠ ${JSON.stringify(theirNode.output[facet])}`,
    )
  const below = Object.entries(children(ours, 'properties')).flatMap(([name, child]) =>
    differences(child, children(theirs, 'properties')[name], `${path}.${name}`),
  )
  const inside = ['items', 'additionalProperties'].flatMap((key) =>
    ourNode[key] === undefined ? [] : differences(ourNode[key], theirNode.output[key], `${path}[]`),
  )
  return [...own, ...below, ...inside]
}

const AnyCrd = v.object({
  spec: v.object({
    group: v.string(),
    scope: v.string(),
    names: v.looseObject({}),
    versions: v.array(
      v.looseObject({ name: v.string(), schema: v.object({ openAPIV3Schema: v.looseObject({}) }) }),
    ),
  }),
})

testUpstream("every field of our CRDs is KubeDB's own, with its type, limits and default", async (t) => {
  const files = (await readdir(ownFolder)).filter((file) => file !== 'versions.yaml')
  t.true(files.length >= 31)
  for (const file of files) {
    const name = file.replace(/\.yaml$/, '')
    const ours = v.parse(AnyCrd, parse(await readFile(join(ownFolder, file), 'utf8'), { maxAliasCount: -1 }))
    const theirs = v.parse(AnyCrd, JSON.parse(await readFile(join(upstreamFolder, `${name}.json`), 'utf8')))
    t.deepEqual(ours.spec.names, theirs.spec.names)
    t.is(ours.spec.scope, theirs.spec.scope)
    t.is(ours.spec.group, theirs.spec.group)
    for (const version of ours.spec.versions) {
      const theirVersion = theirs.spec.versions.find(({ name }) => name === version.name)
      t.deepEqual(version.additionalPrinterColumns, theirVersion?.additionalPrinterColumns)
      t.is(JSON.stringify(version.subresources ?? {}), JSON.stringify(theirVersion?.subresources))
      t.deepEqual(differences(version.schema.openAPIV3Schema, theirVersion?.schema.openAPIV3Schema, name), [])
    }
  }
})

testUpstream("the versions we seed are facts of KubeDB's catalog", async (t) => {
  const Facts = v.array(v.looseObject({ kind: v.string(), name: v.string() }))
  const facts = v.parse(
    Facts,
    JSON.parse(await readFile(join(upstreamFolder, '../kubedb-versions.json'), 'utf8')),
  )
  const Seeds = v.record(v.string(), v.array(v.looseObject({ name: v.string() })))
  const seeds = v.parse(Seeds, parse(await readFile(join(ownFolder, 'versions.yaml'), 'utf8')))
  for (const [kind, versions] of Object.entries(seeds)) {
    for (const version of versions) {
      t.deepEqual(
        { kind, ...version },
        facts.find((fact) => fact.kind === kind && fact.name === version.name) ?? {},
      )
    }
  }
})
