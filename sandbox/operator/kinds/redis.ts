import * as v from 'valibot'
import { NotFound, Refusal } from '../cluster/admission.ts'
import { type Database, Reconfiguration, type Spec, type Version } from '../cluster/resources.ts'
import { basicAuth } from './parts/auth.ts'
import * as complaints from './parts/complaints.ts'
import { configurationOf, coordinatorResources, engineResources, initResources } from './parts/defaults.ts'
import { kindOf } from './parts/description.ts'
import type { Block, Component, OpsContext } from './parts/kind.ts'
import { certificateSecretName } from './parts/offshoots.ts'
import * as rules from './parts/rules.ts'
import { mergeDirectives } from './parts/settings-text.ts'
import {
  certificateAliases,
  commonOpsTypes,
  container,
  issuedTls,
  members,
  primaryFirst,
  servicesOf,
} from './parts/shapes.ts'
import { compareVersions, parseVersion } from './parts/versions.ts'
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

export const redis = kindOf({
  kind: 'Redis',
  plural: 'redises',
  port: 6379,
  auth: { ...basicAuth('default', { fixed: false }), disabled: (spec) => parsed(spec).disableAuth },
  config: {
    takes: (file) => file === 'redis.conf' || file === 'valkey.conf',
    merge: mergeDirectives,
    acl: aclLines,
  },
  tls: { ...issuedTls, client: 'client' },
  components,
  services(db) {
    const mode = modeOf(db.spec)
    return servicesOf(db, {
      port: 6379,
      roles: mode === 'Sentinel' ? 'primary and standby' : 'primary',
      governing: mode === 'Cluster' ? { gossip: 16379 } : {},
    })
  },
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
  defaults: {
    schemas: true,
    replicas: (spec) => (modeOf(spec) === 'Cluster' ? undefined : 1),
    open: isOpen,
    certificates: () => certificateAliases,
    pods: (spec) => ({
      containers: {
        redis: engineResources,
        ...(modeOf(spec) === 'Sentinel' ? { 'rd-coordinator': coordinatorResources } : {}),
      },
      initContainers: { 'redis-init': initResources },
    }),
    own: ownDefaults,
  },
  rules: [
    validateMode,
    rules.storageType,
    rules.storage,
    rules.volumes([
      'data',
      'script-vol',
      'tls-volume',
      'exporter-tls-volume',
      'redis-config',
      'valkey-config',
      'git-secret',
    ]),
    rules.mountPaths([
      '/data',
      '/scripts',
      '/certs',
      '/usr/local/etc/redis/',
      '/usr/local/etc/valkey/',
      '/etc/git-secret',
    ]),
    rules.healthChecker,
    validateAccess,
    rules.deletionPolicy('spec.DeletionPolicy'),
    ({ spec, version }) => {
      if (spec.tls && parseVersion(version.spec.version)[0] < 6)
        throw new Refusal('ssl support is available only for v6 or later versions')
    },
    rules.environment('Redis', ['REDISCLI_AUTH', 'VALKEYCLI_AUTH', 'SENTINEL_PASSWORD']),
    rules.monitor,
  ],
  ops: {
    types: [...commonOpsTypes, 'ReplaceSentinel', 'RotateAuth', 'Announce', 'StorageMigration'],
    absent: (_namespace, database) => new NotFound('Redis.kubedb.com', database),
    complaints: {
      HorizontalScaling: horizontalScaling,
      VerticalScaling: complaints.needs(complaints.quoted, (_, block) =>
        block.redis || block.exporter || block.coordinator
          ? undefined
          : 'at least one of `spec.verticalScaling.redis`, `spec.verticalScaling.exporter`, or `spec.verticalScaling.coordinator` must be specified',
      ),
      VolumeExpansion: complaints.expandsDisk(
        'redis',
        '`spec.volumeExpansion.redis` field is required, can not be nil',
      ),
      UpdateVersion: complaints.needs(complaints.quoted, changeVersion),
      Reconfigure: complaints.needs(complaints.quoted, reconfigure),
      ReconfigureTLS: complaints.oneTlsOperation({
        nil: complaints.quoted,
        none: 'at least one of `Remove`, `RotateCertificates`, `IssuerRef`, or `Certificates` must be specified in TLS spec',
        several:
          'only one TLS reconfiguration operation (`Remove`, `RotateCertificates`, or certificate update) is allowed at a time',
      }),
      RotateAuth: (context) =>
        parsed(context.db.spec).disableAuth
          ? `${context.db.metadata.name} is running in disable auth mode. RotateAuth is not applicable`
          : complaints.rotateAuth(context),
      StorageMigration: complaints.migratesDisks(', '),
      ReplaceSentinel: complaints.needs('`spec.sentinel` is required for ReplaceSentinel ops request'),
      Announce: (context) =>
        modeOf(context.db.spec) === 'Cluster'
          ? complaints.needs('spec.announce is required for announce ops request')(context)
          : 'announce is only applicable for redis cluster mode',
    },
    sections: () => ({ redis: [] }),
    container: 'redis',
    coordinator: () => 'rd-coordinator',
    scaled({ spec }, block) {
      const { shards, replicas } = v.parse(HorizontalScaling, block)
      return modeOf(spec) === 'Cluster' ? { cluster: { shards, replicas } } : { replicas }
    },
    restartsWhenScaled: true,
    reconfigureUsers: syncUsers,
  },
})

function components(db: Database): Component[] {
  const { mode, cluster = {} } = parsed(db.spec)
  const set = members(db, {
    containers: [
      container('redis', { db: 6379, ...(mode === 'Cluster' ? { gossip: 16379 } : {}) }),
      ...(mode === 'Sentinel' ? [container('rd-coordinator')] : []),
    ],
    role: primaryFirst,
    volume: 'data',
  })
  if (mode !== 'Cluster') return [set]
  return Array.from({ length: cluster.shards ?? 3 }, (_, shard) => ({
    ...set,
    name: `${db.metadata.name}-shard${shard}`,
    replicas: cluster.replicas ?? 2,
    labels: { 'redis.kubedb.com/shard': String(shard) },
  }))
}

/** Before version 5 there were no passwords to speak of. */
function isOpen(spec: Spec, version: Version): boolean {
  const withoutUsers = version.spec.distribution === 'Official' && parseVersion(version.spec.version)[0] <= 4
  return withoutUsers || parsed(spec).disableAuth
}

function ownDefaults({ spec, metadata: { namespace } }: Database, version: Version) {
  const { cluster, sentinelRef } = parsed(spec)
  const mode = modeOf(spec)
  return {
    mode,
    ...(mode === 'Cluster'
      ? { cluster: { ...cluster, shards: cluster?.shards ?? 3, replicas: cluster?.replicas ?? 2 } }
      : {}),
    ...(mode === 'Sentinel' && sentinelRef
      ? { sentinelRef: { ...sentinelRef, namespace: sentinelRef.namespace || namespace } }
      : {}),
    ...(isOpen(spec, version) ? { disableAuth: true } : {}),
    ...aclDefaults(spec),
  }
}

/** The older `configSecret` and `acl` become part of `configuration`. */
function aclDefaults(spec: Spec): Pick<Spec, 'configuration'> {
  const { acl } = parsed(spec)
  const { configuration = spec.configuration } = configurationOf(spec)
  if (acl === undefined || configuration?.acl !== undefined) return configuration ? { configuration } : {}
  return { configuration: { ...configuration, acl } }
}

const externalSecret = rules.externalSecret('need to provide "redis.Spec.AuthSecret.Name"')

function validateAccess(judged: rules.Judged): void {
  const { spec, version } = judged
  const { mode, disableAuth } = parsed(spec)
  if (disableAuth && spec.authSecret)
    throw new Refusal('auth Secret is not supported when disableAuth is true')
  if (mode === 'Sentinel' && compareVersions(parseVersion(version.spec.version), [6, 2, 0]) < 0)
    throw new Refusal('minimum version needed to use kubedb managed redis sentinel is 6.2.5')
  if (!disableAuth) externalSecret(judged)
}

function validateMode({ db: { metadata }, spec }: rules.Judged): void {
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

function reconfigure(_context: OpsContext, given: Block): string | undefined {
  const block = v.parse(Reconfiguration, given)
  const applies = Object.keys(block.applyConfig ?? {}).length > 0
  if (!block.removeCustomConfig && !block.configSecret && !applies && !block.auth)
    return 'at least one of `RemoveCustomConfig`, `ConfigSecret`, `ApplyConfig` or `Auth` must be specified'
  return undefined
}

async function changeVersion(context: OpsContext): Promise<string | undefined> {
  const { metadata } = context.request
  const found = await complaints.versionsOf(context)
  if (typeof found === 'string') return found
  const { current, target } = found
  const major = ({ spec: { version } }: Version) => parseVersion(version)[0]
  if (current.spec.distribution !== target.spec.distribution && major(current) !== major(target))
    return `RedisOpsRequest ${metadata.namespace}/${metadata.name}: can't upgrade Official to Valkey with a different major version`
  return undefined
}
