import * as v from 'valibot'
import { Refusal } from '../cluster/admission.ts'
import { parseQuantity } from '../cluster/quantity.ts'
import { type Database, Reconfiguration, Resources, type Spec, type Version } from '../cluster/resources.ts'
import { basicAuth } from './parts/auth.ts'
import * as complaints from './parts/complaints.ts'
import {
  coordinatorResources,
  engineResources,
  initResources,
  withDefaultResources,
} from './parts/defaults.ts'
import { kindOf } from './parts/description.ts'
import type { Block, OpsContext } from './parts/kind.ts'
import { replicasOf } from './parts/offshoots.ts'
import * as rules from './parts/rules.ts'
import { mergeSettings } from './parts/settings-text.ts'
import {
  certificateAliases,
  commonOpsTypes,
  container,
  issuedTls,
  members,
  primaryFirst,
  servicesOf,
  stashAddon,
} from './parts/shapes.ts'
import { parseVersion } from './parts/versions.ts'

const PostgresSpec = v.looseObject({
  standbyMode: v.exactOptional(v.string()),
  streamingMode: v.exactOptional(v.string()),
  synchronousReplicationConfig: v.exactOptional(
    v.looseObject({ numSyncReplicas: v.exactOptional(v.number()) }),
  ),
  sslMode: v.exactOptional(v.string()),
  clientAuthMode: v.exactOptional(v.string()),
  leaderElection: v.exactOptional(
    v.looseObject({ electionTick: v.exactOptional(v.number()), heartbeatTick: v.exactOptional(v.number()) }),
  ),
  arbiter: v.exactOptional(v.looseObject({ resources: v.exactOptional(Resources) })),
  replication: v.exactOptional(v.looseObject({})),
})
const parsed = (spec: Spec) => v.parse(PostgresSpec, spec)

const configFile = 'user.conf'

export const postgres = kindOf({
  kind: 'Postgres',
  plural: 'postgreses',
  title: 'PostgreSQL',
  port: 5432,
  auth: basicAuth('postgres', { fixed: true }),
  config: { takes: (file) => file === configFile, merge: mergeSettings },
  tls: {
    ...issuedTls,
    added(spec, { sslMode, clientAuthMode }) {
      const known = parsed(spec).sslMode
      return {
        sslMode: sslMode ?? (known === 'disable' ? undefined : known) ?? 'verify-full',
        ...(clientAuthMode === undefined ? {} : { clientAuthMode }),
      }
    },
    removed: () => ({ sslMode: 'disable' }),
  },
  labels: (db) => ({ 'postgreses.kubedb.com/database.cluster': db.metadata.name }),
  components: (db) => [
    members(db, {
      containers: [
        container('postgres', { db: 5432 }),
        container('pg-coordinator', { coordinator: 2380, coordinatclient: 2379 }),
      ],
      role: primaryFirst,
      volume: 'data',
    }),
  ],
  services: (db) =>
    servicesOf(db, {
      port: 5432,
      roles: replicasOf(db.spec) > 1 ? 'primary and standby' : 'primary',
      governing: { coordinator: 2380, coordinatclient: 2379 },
      primary: { coordinatclient: 2379 },
    }),
  client: ({ spec }) => ({
    scheme: 'postgresql',
    path: '/',
    query: `sslmode=${parsed(spec).sslMode ?? 'disable'}`,
    parameters: stashAddon,
  }),
  unserved: (spec) =>
    parsed(spec).clientAuthMode === 'cert'
      ? "the sandbox's operator does not let clients in by their certificates"
      : undefined,
  defaults: {
    schemas: true,
    traits: { podUser: true },
    certificates: () => certificateAliases,
    pods: () => ({
      containers: { postgres: engineResources, 'pg-coordinator': coordinatorResources },
      initContainers: { 'postgres-init-container': initResources },
    }),
    own: ownDefaults,
  },
  rules: [
    ({ spec }) => {
      if (spec.version === '') throw new Refusal("'spec.version' is missing")
    },
    rules.replicas,
    rules.environment('Postgres', ['POSTGRES_PASSWORD', 'POSTGRES_USER']),
    rules.storageType,
    rules.storage,
    validateModes,
    validateInlineConfiguration,
    rules.volumes([
      'initial-script',
      'shared-memory',
      'data',
      'custom-config',
      'run-scripts',
      'role-scripts',
      'scripts',
      'certs',
    ]),
    rules.mountPaths([
      '/var/initdb',
      '/dev/shm',
      '/var/pv',
      '/etc/config',
      '/run_scripts',
      '/role_scripts',
      '/scripts',
      '/tls/certs',
    ]),
    validateTls,
    validateLeaderElection,
    rules.externalSecret(),
    rules.deletionPolicy(),
    rules.monitor,
    rules.healthChecker,
  ],
  ops: {
    types: [
      ...commonOpsTypes,
      'RotateAuth',
      'ReconnectStandby',
      'ForceFailOver',
      'SetRaftKeyPair',
      'StorageMigration',
    ],
    complaints: {
      VerticalScaling: complaints.needs(complaints.quoted, (_, block) =>
        block.postgres || block.coordinator || block.arbiter || block.readReplicas
          ? undefined
          : '`spec.verticalScaling.Postgres`, `spec.verticalScaling.Coordinator`, `spec.verticalScaling.Arbiter`, `spec.verticalScaling.ReadReplica` at least any of them should be present in vertical scaling ops request',
      ),
      HorizontalScaling: complaints.needs(complaints.quoted, horizontalScaling),
      Reconfigure: complaints.needs(complaints.quoted, reconfigure),
      UpdateVersion: complaints.needs(complaints.quoted, updateVersion),
      ReconfigureTLS: complaints.needs(complaints.quoted),
      RotateAuth: complaints.rotateAuth,
      StorageMigration: complaints.migratesDisks(','),
      VolumeExpansion: complaints.needs(
        '`spec.volumeExpansion` field is required, can not be nil.',
        volumeExpansion,
      ),
    },
    sections: () => ({ postgres: [] }),
    container: 'postgres',
    coordinator: () => 'pg-coordinator',
    supports({ tuning }) {
      if (tuning !== undefined)
        throw new Error("the sandbox's operator has no tuning: use applyConfig or configSecret")
    },
    scaled(_db, block) {
      const { replicas, standbyMode, streamingMode, readReplicas } = v.parse(HorizontalScaling, block)
      if (readReplicas !== undefined || replicas === undefined)
        throw new Error("the sandbox's operator scales spec.horizontalScaling.replicas only, no readReplicas")
      return {
        replicas,
        ...(standbyMode === undefined ? {} : { standbyMode }),
        ...(streamingMode === undefined ? {} : { streamingMode }),
      }
    },
  },
})

function ownDefaults({ spec }: Database, version: Version) {
  const own = parsed(spec)
  const major = parseVersion(version.spec.version)[0]
  return {
    standbyMode: own.standbyMode ?? 'Hot',
    ...(own.streamingMode === 'Synchronous'
      ? {
          synchronousReplicationConfig: {
            mode: 'Any',
            numSyncReplicas: 1,
            commitLevel: 'RemoteWrite',
            ...own.synchronousReplicationConfig,
          },
        }
      : {}),
    leaderElection: {
      period: '300ms',
      electionTick: 10,
      heartbeatTick: 1,
      maximumLagBeforeFailover: 64 * 1024 * 1024,
      transferLeadershipInterval: '1s',
      transferLeadershipTimeout: '1m0s',
      ...own.leaderElection,
    },
    sslMode: own.sslMode || (spec.tls ? 'verify-full' : 'disable'),
    clientAuthMode: own.clientAuthMode || (major < 18 ? 'md5' : 'scram'),
    replication: replicationOf(own.replication, major),
    ...((spec.replicas ?? 1) % 2 === 0 && !own.arbiter
      ? { arbiter: { resources: withDefaultResources({}, arbiterResources) } }
      : {}),
  }
}

const arbiterResources = {
  requests: { cpu: '200m', memory: '256Mi', storage: '2Gi' },
  limits: { memory: '256Mi' },
}

function replicationOf(given: object | undefined, major: number): object {
  if (given !== undefined && 'walLimitPolicy' in given) return given
  return major <= 12
    ? { walLimitPolicy: 'WALKeepSegment', walKeepSegment: 96 }
    : { walLimitPolicy: 'WALKeepSize', walKeepSize: 1536 }
}

function validateModes({ spec, version }: rules.Judged): void {
  const { standbyMode, streamingMode, synchronousReplicationConfig, clientAuthMode } = parsed(spec)
  if (standbyMode !== undefined && !['Hot', 'Warm'].includes(standbyMode))
    throw new Refusal(`spec.standbyMode "${standbyMode}" invalid`)
  if (streamingMode !== undefined && !['Synchronous', 'Asynchronous'].includes(streamingMode))
    throw new Refusal(`spec.streamingMode "${streamingMode}" invalid`)
  if (synchronousReplicationConfig !== undefined) {
    const path = 'spec.synchronousReplicationConfig'
    if (streamingMode !== 'Synchronous')
      throw new Refusal(`${path} is only valid when spec.streamingMode is "Synchronous"`)
    const { numSyncReplicas } = synchronousReplicationConfig
    const servers = spec.replicas ?? 1
    if (numSyncReplicas !== undefined && numSyncReplicas >= servers)
      throw new Refusal(
        `${path}.numSyncReplicas (${numSyncReplicas}) must be less than spec.replicas (${servers}) to avoid blocking all writes if a standby goes down`,
      )
  }
  if (clientAuthMode === 'scram' && parseVersion(version.spec.version)[0] < 11)
    throw new Refusal('scram auth method is available only for 11 or higher Versions')
}

function validateInlineConfiguration({ spec }: rules.Judged): void {
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

function validateTls({ spec }: rules.Judged): void {
  const { clientAuthMode, sslMode } = parsed(spec)
  if (clientAuthMode === 'cert' && sslMode === 'disable')
    throw new Refusal(
      `can't have ${sslMode} set to postgres.spec.sslMode when postgres.spec.ClientAuthMode is set to ${clientAuthMode}`,
    )
  if (spec.tls && sslMode === 'disable')
    throw new Refusal(`can't have ${sslMode} set to postgres.spec.sslMode when postgres.spec.TLS is set `)
  if (sslMode !== undefined && sslMode !== '' && sslMode !== 'disable' && !spec.tls)
    throw new Refusal(`can't have ${sslMode} set to postgres.Spec.SSLMode when postgres.Spec.TLS is null`)
}

function validateLeaderElection({ spec }: rules.Judged): void {
  const { leaderElection } = parsed(spec)
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

function horizontalScaling(_context: OpsContext, block: Block): string | undefined {
  const { replicas, readReplicas } = v.parse(HorizontalScaling, block)
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

function reconfigure(_context: OpsContext, given: Block): string | undefined {
  const block = v.parse(Reconfiguration, given)
  const applies = block.applyConfig?.[configFile] !== undefined
  if (!block.removeCustomConfig && !block.configSecret && !applies && !block.tuning)
    return 'at least one of `RemoveCustomConfig`, `ConfigSecret`, `Tuning` or `ApplyConfig` must be specified'
  if (block.restart === 'false' && block.removeCustomConfig)
    return '`spec.configuration.restart: false` is not allowed when `spec.configuration.removeCustomConfig: true` for postgres'
  return undefined
}

async function updateVersion(context: OpsContext): Promise<string | undefined> {
  const found = await complaints.versionsOf(context)
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
        `current version "${current.metadata.name}" uses ${field} "${from}" ` +
        `but target version "${target.metadata.name}" uses ${field} "${to}"`
      )
  return undefined
}

function volumeExpansion({ db, request }: OpsContext, block: Block): string | undefined {
  const size = complaints.sizeIn(block, 'postgres')
  const arbiter = complaints.sizeIn(block, 'arbiter')
  if (size === undefined && arbiter === undefined)
    return 'at least one of `spec.volumeExpansion.postgres` or `spec.volumeExpansion.arbiter` must be specified in volume expansion ops request'
  const wrong =
    size === undefined ? undefined : complaints.expansion(db.spec.storage, size, request, 'Postgres')
  if (wrong !== undefined || arbiter === undefined) return wrong
  const current = parsed(db.spec).arbiter?.resources?.requests?.storage
  if (current === undefined) return 'arbiter storage is not configured for this Postgres'
  if (complaints.hasNotBegun(request) && parseQuantity(current) >= parseQuantity(arbiter))
    return `desired arbiter storage size must be greater than current arbiter storage. Current arbiter storage: ${current}`
  return undefined
}
