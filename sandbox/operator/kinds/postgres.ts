import * as v from 'valibot'
import { Refusal } from '../admission.ts'
import { basicAuth } from '../auth.ts'
import {
  authSecretDefaults,
  commonDefaults,
  configurationOf,
  coordinatorResources,
  engineResources,
  initResources,
  podTemplateOf,
  tlsDefaults,
  withDefaultResources,
} from '../defaults.ts'
import type { Block, Component, Context, Kind, OpsContext, ServiceShape } from '../kind.ts'
import { stashAddon } from '../offshoot-objects.ts'
import { governingServiceName, replicasOf } from '../offshoots.ts'
import { expansion, hasNotBegun, rotateAuth, storageMigration, versionsOf } from '../ops-complaints.ts'
import { databaseNotFound } from '../ops-validation.ts'
import { parseQuantity } from '../quantity.ts'
import { type Database, Quantity, Reconfiguration, Resources, type Spec, type Version } from '../resources.ts'
import { mergeSettings } from '../settings-text.ts'
import { certificateAliases, commonOpsTypes, issuedTls, servicesOf, storageClassOf } from '../shapes.ts'
import {
  validateDeletionPolicy,
  validateEnvironment,
  validateExternalSecret,
  validateHealthChecker,
  validateMonitor,
  validateMountPaths,
  validateStorage,
  validateStorageType,
  validateVolumes,
} from '../validation.ts'
import { parseVersion } from '../versions.ts'

const PostgresSpec = v.looseObject({
  standbyMode: v.exactOptional(v.string()),
  streamingMode: v.exactOptional(v.string()),
  sslMode: v.exactOptional(v.string()),
  clientAuthMode: v.exactOptional(v.string()),
  leaderElection: v.exactOptional(
    v.looseObject({ electionTick: v.exactOptional(v.number()), heartbeatTick: v.exactOptional(v.number()) }),
  ),
  arbiter: v.exactOptional(v.looseObject({ resources: v.exactOptional(Resources) })),
  readReplicas: v.exactOptional(v.array(v.looseObject({}))),
  replication: v.exactOptional(v.looseObject({})),
})

const configFile = 'user.conf'

export const postgres: Kind = {
  kind: 'Postgres',
  plural: 'postgreses',
  apiVersion: 'kubedb.com/v1',
  title: 'PostgreSQL',
  port: 5432,
  auth: basicAuth('postgres', { fixed: true }),
  config: { takes: (file) => file === configFile, merge: mergeSettings },
  tls: {
    ...issuedTls,
    added: (spec, { sslMode, clientAuthMode }) => ({
      sslMode: sslMode ?? sslModeOf(spec) ?? 'verify-full',
      ...(clientAuthMode === undefined ? {} : { clientAuthMode }),
    }),
    removed: () => ({ sslMode: 'disable' }),
  },
  labels: (db) => ({ 'postgreses.kubedb.com/database.cluster': db.metadata.name }),
  components,
  services,
  client: (db) => ({
    scheme: 'postgresql',
    path: '/',
    query: `sslmode=${v.parse(PostgresSpec, db.spec).sslMode ?? 'disable'}`,
    parameters: stashAddon,
  }),
  unserved: (spec) =>
    v.parse(PostgresSpec, spec).clientAuthMode === 'cert'
      ? "the sandbox's operator does not let clients in by their certificates"
      : undefined,
  admission: {
    defaults,
    validate,
    fixed: ['spec.storageType'],
    storageClasses: storageClassOf,
    deletionRefusal: (namespace, name) =>
      `postgres "${namespace}/${name}" can't be terminated. To delete, change spec.deletionPolicy`,
  },
  ops: {
    types: [
      ...commonOpsTypes,
      'RotateAuth',
      'ReconnectStandby',
      'ForceFailOver',
      'SetRaftKeyPair',
      'StorageMigration',
    ],
    group: 'Postgresopsrequests.kubedb.com',
    absent: databaseNotFound,
    complaint,
    vertical: () => ({
      postgres: { path: [], container: 'postgres' },
      coordinator: { path: [], container: 'pg-coordinator' },
    }),
    volumes: () => ({ postgres: [] }),
    configured(_db, block) {
      if (block.tuning !== undefined)
        throw new Error("the sandbox's operator has no tuning: use applyConfig or configSecret")
      return { '': [] }
    },
    scaled,
  },
}

/** The mode in force, if it is one with TLS. */
function sslModeOf(spec: Spec): string | undefined {
  const { sslMode } = v.parse(PostgresSpec, spec)
  return sslMode === 'disable' ? undefined : sslMode
}

function components(db: Database): Component[] {
  return [
    {
      name: db.metadata.name,
      replicas: replicasOf(db.spec),
      path: [],
      governing: governingServiceName(db),
      containers: [
        { name: 'postgres', ports: [{ name: 'db', containerPort: 5432 }] },
        {
          name: 'pg-coordinator',
          ports: [
            { name: 'coordinator', containerPort: 2380 },
            { name: 'coordinatclient', containerPort: 2379 },
          ],
        },
      ],
      role: (ordinal) => (ordinal === 0 ? 'primary' : 'standby'),
      volume: 'data',
    },
  ]
}

const coordinatorClientPort = { name: 'coordinatclient', port: 2379, targetPort: 'coordinatclient' }

function services(db: Database): ServiceShape[] {
  return servicesOf(db, {
    port: 5432,
    roles: replicasOf(db.spec) > 1 ? 'primary and standby' : 'primary',
    governing: [{ name: 'coordinator', port: 2380, targetPort: 'coordinator' }, coordinatorClientPort],
    primary: [coordinatorClientPort],
  })
}

const arbiterResources = {
  requests: { cpu: '200m', memory: '256Mi', storage: '2Gi' },
  limits: { memory: '256Mi' },
}

function defaults(db: Database, version: Version): Spec {
  const { spec } = db
  const own = v.parse(PostgresSpec, spec)
  const replicas = spec.replicas ?? 1
  const major = parseVersion(version.spec.version)[0]
  return {
    ...spec,
    ...commonDefaults(spec),
    replicas,
    standbyMode: own.standbyMode ?? 'Hot',
    storageType: spec.storageType || 'Durable',
    authSecret: authSecretDefaults(spec),
    leaderElection: {
      period: '300ms',
      electionTick: 10,
      heartbeatTick: 1,
      maximumLagBeforeFailover: 64 * 1024 * 1024,
      transferLeadershipInterval: '1s',
      transferLeadershipTimeout: '60s',
      ...own.leaderElection,
    },
    sslMode: own.sslMode || (spec.tls ? 'verify-full' : 'disable'),
    clientAuthMode: own.clientAuthMode || (major < 18 ? 'md5' : 'scram'),
    ...configurationOf(spec),
    ...tlsDefaults(db, certificateAliases),
    podTemplate: podTemplateOf(spec.podTemplate, db, version, {
      containers: [
        ['postgres', engineResources],
        ['pg-coordinator', coordinatorResources],
      ],
      initContainers: [['postgres-init-container', initResources]],
    }),
    replication: replicationOf(own.replication, major),
    ...(replicas % 2 === 0 && !own.arbiter
      ? { arbiter: { resources: withDefaultResources({}, arbiterResources) } }
      : {}),
  }
}

function replicationOf(given: object | undefined, major: number): object {
  if (given !== undefined && 'walLimitPolicy' in given) return given
  return major <= 12
    ? { walLimitPolicy: 'WALKeepSegment', walKeepSegment: 96 }
    : { walLimitPolicy: 'WALKeepSize', walKeepSize: 1536 }
}

const forbiddenVariables = ['POSTGRES_PASSWORD', 'POSTGRES_USER']
const reservedPaths = [
  '/var/initdb',
  '/dev/shm',
  '/var/pv',
  '/etc/config',
  '/run_scripts',
  '/role_scripts',
  '/scripts',
  '/tls/certs',
]
const reservedVolumes = [
  'initial-script',
  'shared-memory',
  'data',
  'custom-config',
  'run-scripts',
  'role-scripts',
  'scripts',
  'certs',
]

function validate(db: Database, context: Context): void {
  const { spec } = db
  const own = v.parse(PostgresSpec, spec)
  if (spec.version === '') throw new Refusal("'spec.version' is missing")
  if ((spec.replicas ?? 0) < 1)
    throw new Refusal(`spec.replicas "${spec.replicas ?? 0}" invalid. Value must be greater than zero`)
  validateEnvironment(spec, forbiddenVariables, 'Postgres')
  validateStorageType(spec)
  validateStorage(spec, spec.storage, context)
  if (own.standbyMode !== undefined && !['Hot', 'Warm'].includes(own.standbyMode))
    throw new Refusal(`spec.standbyMode "${own.standbyMode}" invalid`)
  if (own.streamingMode !== undefined && !['Synchronous', 'Asynchronous'].includes(own.streamingMode))
    throw new Refusal(`spec.streamingMode "${own.streamingMode}" invalid`)
  if (own.clientAuthMode === 'scram' && parseVersion(context.version.spec.version)[0] < 11)
    throw new Refusal('scram auth method is available only for 11 or higher Versions')
  validateInlineConfiguration(spec)
  validateVolumes(spec, reservedVolumes)
  validateMountPaths(spec, reservedPaths)
  validateTls(spec)
  validateLeaderElection(own)
  validateExternalSecret(
    spec,
    'for externallyManaged auth secret, user must configure "spec.authSecret.name"',
  )
  validateDeletionPolicy(spec)
  validateMonitor(spec)
  validateHealthChecker(spec)
}

function validateInlineConfiguration(spec: Spec): void {
  const files = Object.keys(spec.configuration?.inline ?? {})
  if (files.length > 1)
    throw new Refusal(
      'only one configuration source is allowed in spec.configuration.applyConfig and it should be "user.conf"',
    )
  if (files.length === 1 && files[0] !== configFile)
    throw new Refusal(
      'invalid configuration source found in spec.configuration.applyConfig. only "user.conf" is allowed',
    )
}

function validateTls(spec: Spec): void {
  const { clientAuthMode, sslMode } = v.parse(PostgresSpec, spec)
  if (clientAuthMode === 'cert' && sslMode === 'disable')
    throw new Refusal(
      `can't have ${sslMode} set to postgres.spec.sslMode when postgres.spec.ClientAuthMode is set to ${clientAuthMode}`,
    )
  if (spec.tls && sslMode === 'disable')
    throw new Refusal(`can't have ${sslMode} set to postgres.spec.sslMode when postgres.spec.TLS is set `)
  if (sslMode !== undefined && sslMode !== '' && sslMode !== 'disable' && !spec.tls)
    throw new Refusal(`can't have ${sslMode} set to postgres.Spec.SSLMode when postgres.Spec.TLS is null`)
}

function validateLeaderElection({ leaderElection }: v.InferOutput<typeof PostgresSpec>): void {
  if (!leaderElection) return
  const { electionTick = 0, heartbeatTick = 0 } = leaderElection
  if (electionTick <= heartbeatTick) throw new Refusal('ElectionTick must be greater than HeartbeatTick')
  if (electionTick < 1) throw new Refusal('ElectionTick must be greater than zero')
  if (heartbeatTick < 1) throw new Refusal('HeartbeatTick must be greater than zero')
}

const HorizontalScaling = v.looseObject({
  replicas: v.exactOptional(v.number()),
  standbyMode: v.exactOptional(v.string()),
  streamingMode: v.exactOptional(v.string()),
  readReplicas: v.exactOptional(v.array(v.looseObject({ replicas: v.exactOptional(v.number()) }))),
})

function scaled(_db: Database, block: Block): object {
  const { replicas, standbyMode, streamingMode, readReplicas } = v.parse(HorizontalScaling, block)
  if (readReplicas !== undefined || replicas === undefined)
    throw new Error("the sandbox's operator scales spec.horizontalScaling.replicas only, no readReplicas")
  return {
    replicas,
    ...(standbyMode === undefined ? {} : { standbyMode }),
    ...(streamingMode === undefined ? {} : { streamingMode }),
  }
}

function complaint(context: OpsContext): Promise<string | undefined> | string | undefined {
  switch (context.request.spec.type) {
    case 'VerticalScaling':
      return verticalScaling(context)
    case 'HorizontalScaling':
      return horizontalScaling(context)
    case 'Reconfigure':
      return reconfigure(context)
    case 'UpdateVersion':
      return updateVersion(context)
    case 'ReconfigureTLS':
      return context.request.spec.tls ? undefined : '`spec.tls` nil not supported in ReconfigureTLS type'
    case 'RotateAuth':
      return rotateAuth(context)
    case 'StorageMigration':
      return storageMigration(context, ',')
    case 'VolumeExpansion':
      return volumeExpansion(context)
    default:
      return undefined
  }
}

function verticalScaling({ request: { spec } }: OpsContext): string | undefined {
  const block = spec.verticalScaling
  if (!block) return '`spec.verticalScaling` nil not supported in VerticalScaling type'
  if (!block.postgres && !block.coordinator && !block.arbiter && !block.readReplicas)
    return '`spec.verticalScaling.Postgres`, `spec.verticalScaling.Coordinator`, `spec.verticalScaling.Arbiter`, `spec.verticalScaling.ReadReplica` at least any of them should be present in vertical scaling ops request'
  return undefined
}

function horizontalScaling({ request: { spec } }: OpsContext): string | undefined {
  if (!spec.horizontalScaling) return '`spec.horizontalScaling` nil not supported in HorizontalScaling type'
  const { replicas, readReplicas } = v.parse(HorizontalScaling, spec.horizontalScaling)
  if (replicas === undefined && !readReplicas)
    return '`spec.horizontalScaling.Replicas or `spec.readReplica` has to be mentioned'
  if (replicas !== undefined && readReplicas && readReplicas.length > 0)
    return 'either `spec.horizontalScaling.Replicas` or `spec.horizontalScaling.readReplicas` can be provided at a time'
  if (replicas !== undefined && replicas <= 0)
    return "`spec.horizontalScaling.Replicas` can't be less than or equal 0"
  if (readReplicas?.some((group) => group.replicas !== undefined && group.replicas <= 0))
    return "`spec.horizontalScaling.readReplica.replicas` can't be less than or equal 0"
  return undefined
}

function reconfigure({ request: { spec } }: OpsContext): string | undefined {
  if (!spec.configuration) return '`spec.configuration` nil not supported in Reconfigure type'
  const block = v.parse(Reconfiguration, spec.configuration)
  const applies = block.applyConfig?.[configFile] !== undefined
  if (!block.removeCustomConfig && !block.configSecret && !applies && !block.tuning)
    return 'at least one of `RemoveCustomConfig`, `ConfigSecret`, `Tuning` or `ApplyConfig` must be specified'
  if (block.restart === 'false' && block.removeCustomConfig)
    return '`spec.configuration.restart: false` is not allowed when `spec.configuration.removeCustomConfig: true` for postgres'
  return undefined
}

async function updateVersion(context: OpsContext): Promise<string | undefined> {
  const { db, request } = context
  const block = request.spec.updateVersion
  if (!block) return '`spec.updateVersion` nil not supported in UpdateVersion type'
  const found = await versionsOf(context, block.targetVersion)
  if (typeof found === 'string') return found
  const { current, target } = found
  const variants = [
    ['base OS variants', 'baseOS', current.spec.db?.baseOS, target.spec.db?.baseOS],
    ['distributions', 'distribution', current.spec.distribution, target.spec.distribution],
  ] as const
  for (const [title, field, from, to] of variants)
    if (from && to && from !== to)
      return (
        `upgrading between different ${title} is not allowed: ` +
        `current version "${db.spec.version}" uses ${field} "${from}" ` +
        `but target version "${block.targetVersion}" uses ${field} "${to}"`
      )
  return undefined
}

const VolumeExpansion = v.looseObject({
  postgres: v.exactOptional(Quantity),
  arbiter: v.exactOptional(Quantity),
})

function volumeExpansion({ db, request }: OpsContext): string | undefined {
  if (!request.spec.volumeExpansion) return '`spec.volumeExpansion` field is required, can not be nil.'
  const block = v.parse(VolumeExpansion, request.spec.volumeExpansion)
  if (block.postgres === undefined && block.arbiter === undefined)
    return 'at least one of `spec.volumeExpansion.postgres` or `spec.volumeExpansion.arbiter` must be specified in volume expansion ops request'
  if (block.postgres !== undefined) {
    const wrong = expansion(db.spec.storage, block.postgres, request, 'Postgres')
    if (wrong !== undefined) return wrong
  }
  if (block.arbiter === undefined) return undefined
  const current = v.parse(PostgresSpec, db.spec).arbiter?.resources?.requests?.storage
  if (current === undefined) return 'arbiter storage is not configured for this Postgres'
  if (hasNotBegun(request) && parseQuantity(current) >= parseQuantity(block.arbiter))
    return `desired arbiter storage size must be greater than current arbiter storage. Current arbiter storage: ${current}`
  return undefined
}
