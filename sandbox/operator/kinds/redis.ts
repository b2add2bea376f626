import * as v from 'valibot'
import { NotFound, Refusal } from '../admission.ts'
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
} from '../defaults.ts'
import type { Block, Component, Context, Kind, OpsContext, ServiceShape } from '../kind.ts'
import { certificateSecretName, governingServiceName, replicasOf } from '../offshoots.ts'
import { expansion, oneTlsOperation, rotateAuth, storageMigration, versionsOf } from '../ops-complaints.ts'
import { type Database, Quantity, Reconfiguration, type Spec, type Version } from '../resources.ts'
import { mergeDirectives } from '../settings-text.ts'
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
import { compareVersions, parseVersion } from '../versions.ts'
import { aclLines, syncUsers } from './redis-acl.ts'

const RedisSpec = v.looseObject({
  mode: v.exactOptional(v.string()),
  cluster: v.exactOptional(
    v.looseObject({
      shards: v.exactOptional(v.number()),
      replicas: v.exactOptional(v.number()),
      announce: v.exactOptional(
        v.looseObject({
          shards: v.optional(v.array(v.looseObject({ endpoints: v.optional(v.array(v.string()), []) })), []),
        }),
      ),
    }),
  ),
  sentinelRef: v.exactOptional(
    v.looseObject({ name: v.exactOptional(v.string()), namespace: v.exactOptional(v.string()) }),
  ),
  disableAuth: v.optional(v.boolean(), false),
  acl: v.exactOptional(v.looseObject({})),
  configuration: v.exactOptional(v.looseObject({ acl: v.exactOptional(v.looseObject({})) })),
})
const parsed = (spec: Spec) => v.parse(RedisSpec, spec)
const modeOf = (spec: Spec) => parsed(spec).mode ?? 'Standalone'

export const redis: Kind = {
  kind: 'Redis',
  plural: 'redises',
  apiVersion: 'kubedb.com/v1',
  title: 'Redis',
  port: 6379,
  auth: { ...basicAuth('default', { fixed: false }), disabled: (spec) => parsed(spec).disableAuth },
  config: {
    takes: (file) => file === 'redis.conf' || file === 'valkey.conf',
    merge: mergeDirectives,
    acl: aclLines,
  },
  tls: {
    ...issuedTls,
    client: 'client',
    added: () => ({}),
    removed: () => ({}),
  },
  components,
  services,
  client: (db) => ({
    scheme: db.spec.tls ? 'rediss' : 'redis',
    parameters: {
      apiVersion: 'config.kubedb.com/v1alpha1',
      kind: 'RedisConfiguration',
      ...(db.spec.tls ? { clientCertSecret: { name: certificateSecretName(db, 'client') } } : {}),
      stash: { addon: {} },
    },
  }),
  unserved: (spec) =>
    modeOf(spec) === 'Sentinel' ? "the sandbox's operator runs no RedisSentinel" : undefined,
  admission: {
    defaults,
    validate,
    fixed: ['spec.storageType'],
    storageClasses: storageClassOf,
    deletionRefusal: (namespace, name) =>
      `redis "${namespace}/${name}" can't be terminated. To delete, change spec.deletionPolicy`,
  },
  ops: {
    types: [...commonOpsTypes, 'ReplaceSentinel', 'RotateAuth', 'Announce', 'StorageMigration'],
    group: 'Redisopsrequests.kubedb.com',
    absent: (_namespace, database) => new NotFound('Redis.kubedb.com', database),
    complaint,
    vertical: () => ({
      redis: { path: [], container: 'redis' },
      coordinator: { path: [], container: 'rd-coordinator' },
    }),
    volumes: () => ({ redis: [] }),
    configured: () => ({ '': [] }),
    scaled,
    restartsWhenScaled: true,
    reconfigureUsers: syncUsers,
  },
}

function components(db: Database): Component[] {
  const mode = modeOf(db.spec)
  const { name } = db.metadata
  const members = {
    path: [],
    governing: governingServiceName(db),
    containers: [
      {
        name: 'redis',
        ports: [
          { name: 'db', containerPort: 6379 },
          ...(mode === 'Cluster' ? [{ name: 'gossip', containerPort: 16379 }] : []),
        ],
      },
      ...(mode === 'Sentinel' ? [{ name: 'rd-coordinator', ports: [] }] : []),
    ],
    role: (ordinal: number) => (ordinal === 0 ? 'primary' : 'standby'),
    volume: 'data',
  }
  if (mode !== 'Cluster') return [{ ...members, name, replicas: replicasOf(db.spec) }]
  const { cluster = {} } = parsed(db.spec)
  return Array.from({ length: cluster.shards ?? 3 }, (_, shard) => ({
    ...members,
    name: `${name}-shard${shard}`,
    replicas: cluster.replicas ?? 2,
    labels: { 'redis.kubedb.com/shard': String(shard) },
  }))
}

function services(db: Database): ServiceShape[] {
  const mode = modeOf(db.spec)
  return servicesOf(db, {
    port: 6379,
    roles: mode === 'Sentinel' ? 'primary and standby' : 'primary',
    governing: mode === 'Cluster' ? [{ name: 'gossip', port: 16379, targetPort: 'gossip' }] : [],
  })
}

function defaults(db: Database, version: Version): Spec {
  const { spec } = db
  const own = parsed(spec)
  const mode = modeOf(spec)
  const withoutUsers = version.spec.distribution === 'Official' && parseVersion(version.spec.version)[0] <= 4
  const open = withoutUsers || own.disableAuth
  return {
    ...spec,
    ...commonDefaults(spec),
    mode,
    ...(mode === 'Cluster' ? {} : { replicas: spec.replicas ?? 1 }),
    ...(mode === 'Cluster'
      ? {
          cluster: { ...own.cluster, shards: own.cluster?.shards ?? 3, replicas: own.cluster?.replicas ?? 2 },
        }
      : {}),
    ...(mode === 'Sentinel' && own.sentinelRef
      ? { sentinelRef: { ...own.sentinelRef, namespace: own.sentinelRef.namespace || db.metadata.namespace } }
      : {}),
    storageType: spec.storageType || 'Durable',
    ...(open ? { disableAuth: true } : { authSecret: authSecretDefaults(spec) }),
    ...aclDefaults(spec),
    ...tlsDefaults(db, certificateAliases),
    podTemplate: podTemplateOf(spec.podTemplate, db, version, {
      containers: [
        ['redis', engineResources],
        ...(mode === 'Sentinel' ? [['rd-coordinator', coordinatorResources] as const] : []),
      ],
      initContainers: [['redis-init', initResources]],
    }),
  }
}

/** The older `configSecret` and `acl` become part of `configuration`. */
function aclDefaults(spec: Spec): Pick<Spec, 'configuration'> {
  const { acl } = parsed(spec)
  const { configuration = spec.configuration } = configurationOf(spec)
  if (acl === undefined || configuration?.acl !== undefined) return configuration ? { configuration } : {}
  return { configuration: { ...configuration, acl } }
}

const forbiddenVariables = ['REDISCLI_AUTH', 'VALKEYCLI_AUTH', 'SENTINEL_PASSWORD']
const reservedVolumes = [
  'data',
  'script-vol',
  'tls-volume',
  'exporter-tls-volume',
  'redis-config',
  'valkey-config',
  'git-secret',
]
const reservedPaths = [
  '/data',
  '/scripts',
  '/certs',
  '/usr/local/etc/redis/',
  '/usr/local/etc/valkey/',
  '/etc/git-secret',
]

function validate(db: Database, context: Context): void {
  const { spec } = db
  const own = parsed(spec)
  validateMode(db)
  validateStorageType(spec)
  validateStorage(spec, spec.storage, context)
  validateVolumes(spec, reservedVolumes)
  validateMountPaths(spec, reservedPaths)
  validateHealthChecker(spec)
  if (own.disableAuth && spec.authSecret)
    throw new Refusal('auth Secret is not supported when disableAuth is true')
  const version = parseVersion(context.version.spec.version)
  if (own.mode === 'Sentinel' && compareVersions(version, [6, 2, 0]) < 0)
    throw new Refusal('minimum version needed to use kubedb managed redis sentinel is 6.2.5')
  if (!own.disableAuth)
    validateExternalSecret(
      spec,
      'for externallyManaged auth secret, user need to provide "redis.Spec.AuthSecret.Name"',
    )
  validateDeletionPolicy(spec, {
    missing: "'spec.DeletionPolicy' is missing",
    halt: "'spec.DeletionPolicy: Halt' can not be used for 'Ephemeral' storage",
  })
  if (spec.tls && version[0] < 6) throw new Refusal('ssl support is available only for v6 or later versions')
  validateEnvironment(spec, forbiddenVariables, 'Redis')
  validateMonitor(spec)
}

function validateMode({ metadata, spec }: Database): void {
  const { mode, cluster = {}, sentinelRef } = parsed(spec)
  const replicas = spec.replicas ?? 0
  if (mode !== 'Standalone' && mode !== 'Cluster' && mode !== 'Sentinel')
    throw new Refusal(
      `spec.mode "${mode}" invalid. Value must be one of "Standalone", "Cluster" or "Sentinel"`,
    )
  if (mode === 'Standalone' && replicas !== 1)
    throw new Refusal(`spec.replicas "${replicas}" invalid for standalone mode. Value must be one`)
  const { shards = 0, replicas: members = 0, announce } = cluster
  if (mode === 'Cluster' && shards < 3)
    throw new Refusal(`spec.cluster.shards "${shards}" invalid. Value must be >= 3`)
  if (mode === 'Cluster' && members < 2)
    throw new Refusal(`spec.cluster.replicas "${members}" invalid. Value must be > 1`)
  if (mode === 'Sentinel' && (!sentinelRef?.name || !sentinelRef.namespace))
    throw new Refusal(
      `need to provide sentinelRef Name and Namespace while redis Mode set to Sentinel for redis ${metadata.namespace}/${metadata.name}`,
    )
  if (!announce) return
  if (mode !== 'Cluster')
    throw new Refusal(`spec.cluster.announce is only valid for redis cluster mode, but got ${mode}`)
  if (announce.shards.length !== shards)
    throw new Refusal(
      `spec.cluster.announce.shards length ${announce.shards.length} is not equal to spec.cluster.shards ${shards}`,
    )
  for (const [index, { endpoints }] of announce.shards.entries()) {
    if (endpoints.length !== members)
      throw new Refusal(
        `spec.cluster.announce.shards[${index}].endpoints length ${endpoints.length} is not equal to spec.cluster.replicas ${members}`,
      )
    const empty = endpoints.indexOf('')
    if (empty >= 0) throw new Refusal(`spec.cluster.announce.shards[${index}].endpoints[${empty}] is empty`)
  }
}

const HorizontalScaling = v.looseObject({
  shards: v.exactOptional(v.number()),
  replicas: v.exactOptional(v.number()),
})

function scaled({ spec }: Database, block: Block): object {
  const { shards, replicas } = v.parse(HorizontalScaling, block)
  if (modeOf(spec) !== 'Cluster') return { replicas }
  return { cluster: { shards, replicas } }
}

function complaint(context: OpsContext): Promise<string | undefined> | string | undefined {
  const { db, request } = context
  const { spec } = request
  switch (spec.type) {
    case 'HorizontalScaling':
      return horizontalScaling(context)
    case 'VerticalScaling': {
      const block = spec.verticalScaling
      if (!block) return '`spec.verticalScaling` nil not supported in VerticalScaling type'
      return block.redis || block.exporter || block.coordinator
        ? undefined
        : 'at least one of `spec.verticalScaling.redis`, `spec.verticalScaling.exporter`, or `spec.verticalScaling.coordinator` must be specified'
    }
    case 'VolumeExpansion': {
      const { redis: size } = v.parse(
        v.looseObject({ redis: v.exactOptional(Quantity) }),
        spec.volumeExpansion ?? {},
      )
      return size === undefined
        ? '`spec.volumeExpansion.redis` field is required, can not be nil'
        : expansion(db.spec.storage, size, request, 'Redis')
    }
    case 'UpdateVersion':
      return changeVersion(context)
    case 'Reconfigure':
      return reconfigure(context)
    case 'ReconfigureTLS':
      return oneTlsOperation(context, {
        nil: '`spec.tls` nil not supported in ReconfigureTLS type',
        none: 'at least one of `Remove`, `RotateCertificates`, `IssuerRef`, or `Certificates` must be specified in TLS spec',
        several:
          'only one TLS reconfiguration operation (`Remove`, `RotateCertificates`, or certificate update) is allowed at a time',
      })
    case 'RotateAuth':
      return parsed(db.spec).disableAuth
        ? `${db.metadata.name} is running in disable auth mode. RotateAuth is not applicable`
        : rotateAuth(context)
    case 'StorageMigration':
      return storageMigration(context, ', ')
    case 'ReplaceSentinel':
      return spec.sentinel ? undefined : '`spec.sentinel` is required for ReplaceSentinel ops request'
    case 'Announce':
      if (modeOf(db.spec) !== 'Cluster') return 'announce is only applicable for redis cluster mode'
      return spec.announce ? undefined : 'spec.announce is required for announce ops request'
    default:
      return undefined
  }
}

function horizontalScaling({ db, request }: OpsContext): string | undefined {
  const { shards, replicas } = v.parse(HorizontalScaling, request.spec.horizontalScaling ?? {})
  switch (modeOf(db.spec)) {
    case 'Standalone':
      return 'horizontal scaling is not allowed for standalone redis'
    case 'Cluster': {
      if (shards !== undefined && shards < 3) return 'shards should be >= 3 in cluster mode'
      if (replicas !== undefined && replicas < 2) return 'replica should be >= 2 in cluster mode'
      if (shards === undefined && replicas === undefined)
        return 'please specify shards or replica for scaling'
      const { cluster = {} } = parsed(db.spec)
      const more = Math.sign((shards ?? cluster.shards ?? 0) - (cluster.shards ?? 0))
      const larger = Math.sign((replicas ?? cluster.replicas ?? 0) - (cluster.replicas ?? 0))
      return more * larger < 0 ? "can't scale down and up at the same time" : undefined
    }
    default:
      if (shards !== undefined) return 'master count should not be specified for Sentinel mode'
      if (replicas === undefined) return 'pleaase specify replica for scaling'
      return replicas < 1 ? 'replica should be >= 1' : undefined
  }
}

function reconfigure({ request: { spec } }: OpsContext): string | undefined {
  if (!spec.configuration) return '`spec.configuration` nil not supported in Reconfigure type'
  const block = v.parse(Reconfiguration, spec.configuration)
  const applies = Object.keys(block.applyConfig ?? {}).length > 0
  if (!block.removeCustomConfig && !block.configSecret && !applies && !block.auth)
    return 'at least one of `RemoveCustomConfig`, `ConfigSecret`, `ApplyConfig` or `Auth` must be specified'
  return undefined
}

async function changeVersion(context: OpsContext): Promise<string | undefined> {
  const { metadata, spec } = context.request
  if (!spec.updateVersion) return '`spec.updateVersion` nil not supported in UpdateVersion type'
  const found = await versionsOf(context, spec.updateVersion.targetVersion)
  if (typeof found === 'string') return found
  const { current, target } = found
  const major = ({ spec: { version } }: Version) => parseVersion(version)[0]
  if (current.spec.distribution !== target.spec.distribution && major(current) !== major(target))
    return `RedisOpsRequest ${metadata.namespace}/${metadata.name}: can't upgrade Official to Valkey with a different major version`
  return undefined
}
