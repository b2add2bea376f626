import { canonical } from '../../shared/json.ts'
import { fieldRefusal, Invalid, Refusal } from './admission.ts'
import type { Kube } from './kube.ts'
import { authSecretName } from './offshoots.ts'
import { preconditionMessage } from './postgres-validation.ts'
import { parseQuantity } from './quantity.ts'
import {
  Postgres,
  type PostgresOpsRequest,
  PostgresVersion,
  resources,
  Secret,
  Unscoped,
} from './resources.ts'
import { isUpgradable } from './versions.ts'

const types = [
  'UpdateVersion',
  'HorizontalScaling',
  'VerticalScaling',
  'VolumeExpansion',
  'Restart',
  'Reconfigure',
  'ReconfigureTLS',
  'RotateAuth',
  'ReconnectStandby',
  'ForceFailOver',
  'SetRaftKeyPair',
  'StorageMigration',
]

/** The block of the spec that each type reads. */
const blocks: Readonly<Record<string, string>> = {
  VerticalScaling: 'verticalScaling',
  HorizontalScaling: 'horizontalScaling',
  Reconfigure: 'configuration',
  UpdateVersion: 'updateVersion',
  ReconfigureTLS: 'tls',
  RotateAuth: 'authentication',
  StorageMigration: 'migration',
  VolumeExpansion: 'volumeExpansion',
}

/** Throws {@link Refusal} when the spec of a request was changed. */
export function validateOpsRequestChange(request: PostgresOpsRequest, old: PostgresOpsRequest): void {
  if (canonical(request.spec) !== canonical(old.spec))
    throw new Refusal(preconditionMessage('map[spec:map[]]', ['spec']))
}

/**
 * What KubeDB's webhook refuses about a request, at its creation and at every update, status included.
 * Throws {@link Refusal}, or {@link Invalid} for what is wrong with the block of its type.
 */
export async function validateOpsRequest(kube: Kube, request: PostgresOpsRequest): Promise<void> {
  const { name } = request.metadata
  const { type } = request.spec
  if (!types.includes(type))
    throw fieldRefusal({
      field: 'spec.type',
      value: name,
      detail: `defined OpsRequestType ${type} is not supported, supported types for Postgres are ${types.join(', ')}`,
    })
  const database = { namespace: request.metadata.namespace, name: request.spec.databaseRef.name }
  const db = await kube.get(Postgres, resources.postgreses, database)
  if (!db)
    throw fieldRefusal({
      field: 'spec.databaseRef',
      value: name,
      detail: `spec.databaseRef ${database.namespace}/${database.name}, is invalid or not found`,
    })
  const wrong = await complaint(kube, db, request)
  if (wrong === undefined) return
  const field = `spec.${blocks[type] ?? type}`
  throw new Invalid('Postgresopsrequests.kubedb.com', 'PostgresOpsRequest', name, [
    { field, value: name, detail: wrong },
  ])
}

/** What is wrong with the block of the request's type, if anything is. */
async function complaint(kube: Kube, db: Postgres, request: PostgresOpsRequest): Promise<string | undefined> {
  switch (request.spec.type) {
    case 'VerticalScaling':
      return verticalScaling(request)
    case 'HorizontalScaling':
      return horizontalScaling(request)
    case 'Reconfigure':
      return reconfigure(request)
    case 'UpdateVersion':
      return updateVersion(kube, db, request)
    case 'ReconfigureTLS':
      return request.spec.tls ? undefined : '`spec.tls` nil not supported in ReconfigureTLS type'
    case 'RotateAuth':
      return rotateAuth(kube, db, request)
    case 'StorageMigration':
      return storageMigration(kube, db, request)
    case 'VolumeExpansion':
      return volumeExpansion(db, request)
    default:
      return undefined
  }
}

function verticalScaling({ spec }: PostgresOpsRequest): string | undefined {
  const block = spec.verticalScaling
  if (!block) return '`spec.verticalScaling` nil not supported in VerticalScaling type'
  if (!block.postgres && !block.coordinator && !block.arbiter && !block.readReplicas)
    return '`spec.verticalScaling.Postgres`, `spec.verticalScaling.Coordinator`, `spec.verticalScaling.Arbiter`, `spec.verticalScaling.ReadReplica` at least any of them should be present in vertical scaling ops request'
  return undefined
}

function horizontalScaling({ spec }: PostgresOpsRequest): string | undefined {
  const block = spec.horizontalScaling
  if (!block) return '`spec.horizontalScaling` nil not supported in HorizontalScaling type'
  const { replicas, readReplicas } = block
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

function reconfigure({ spec }: PostgresOpsRequest): string | undefined {
  const block = spec.configuration
  if (!block) return '`spec.configuration` nil not supported in Reconfigure type'
  const applies = block.applyConfig?.['user.conf'] !== undefined
  if (!block.removeCustomConfig && !block.configSecret && !applies && !block.tuning)
    return 'at least one of `RemoveCustomConfig`, `ConfigSecret`, `Tuning` or `ApplyConfig` must be specified'
  if (block.restart === 'false' && block.removeCustomConfig)
    return '`spec.configuration.restart: false` is not allowed when `spec.configuration.removeCustomConfig: true` for postgres'
  return undefined
}

/** Constraints count only until the request has begun: afterwards the version is the new one already. */
function hasNotBegun({ status }: PostgresOpsRequest): boolean {
  return status.phase === '' || status.phase === 'Pending'
}

async function updateVersion(
  kube: Kube,
  db: Postgres,
  request: PostgresOpsRequest,
): Promise<string | undefined> {
  const block = request.spec.updateVersion
  if (!block) return '`spec.updateVersion` nil not supported in UpdateVersion type'
  const find = (name: string) => kube.get(PostgresVersion, resources.postgresVersions, { name })
  const [current, target] = await Promise.all([find(db.spec.version), find(block.targetVersion)])
  if (!current) return `PostgresVersion.catalog.kubedb.com "${db.spec.version}" not found`
  const upgradable =
    target && isUpgradable(current.spec.version, target.spec.version, current.spec.updateConstraints ?? {})
  if (hasNotBegun(request) && !upgradable)
    return `upgrade from version ${db.spec.version} to ${block.targetVersion} is not supported`
  if (!target) return `PostgresVersion.catalog.kubedb.com "${block.targetVersion}" not found`
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

async function rotateAuth(
  kube: Kube,
  db: Postgres,
  { spec }: PostgresOpsRequest,
): Promise<string | undefined> {
  const reference = spec.authentication?.secretRef
  if (!reference) return undefined
  if (reference.name === '') return 'spec.authentication.secretRef.name can not be empty'
  const { namespace } = db.metadata
  const find = (name: string) => kube.get(Secret, resources.secrets, { namespace, name })
  const [wanted, current] = await Promise.all([find(reference.name), find(authSecretName(db))])
  if (!wanted) return `referenced secret ${namespace}/${reference.name} not found`
  if (wanted.data?.username !== current?.data?.username) return 'database username cannot be changed'
  return undefined
}

async function storageMigration(
  kube: Kube,
  db: Postgres,
  { spec }: PostgresOpsRequest,
): Promise<string | undefined> {
  if (!spec.migration) return 'spec.migration is required for StorageMigration type'
  const name = spec.migration.storageClassName
  if (name === undefined) return 'spec.migration.storageClassName is required'
  if (spec.timeout === undefined)
    return 'spec.timeout is required for Storage Migration ops request,adjust timeout according to the size of your database'
  if (db.spec.storage?.storageClassName === undefined)
    return "db.Spec.Storage.StorageClassName can't be nil in the database yaml"
  const found = await kube.get(Unscoped, resources.storageClasses, { name })
  return found
    ? undefined
    : `storage class ${name} not found: StorageClass.storage.k8s.io "${name}" not found`
}

function volumeExpansion(db: Postgres, request: PostgresOpsRequest): string | undefined {
  const block = request.spec.volumeExpansion
  if (!block) return '`spec.volumeExpansion` field is required, can not be nil.'
  if (block.postgres === undefined && block.arbiter === undefined)
    return 'at least one of `spec.volumeExpansion.postgres` or `spec.volumeExpansion.arbiter` must be specified in volume expansion ops request'
  if (block.postgres !== undefined) {
    if (!db.spec.storage) return 'storage not configured for Postgres'
    const current = db.spec.storage.resources?.requests?.storage
    if (current === undefined) return 'failed to parse current Postgres storage size'
    if (hasNotBegun(request) && parseQuantity(current) >= parseQuantity(block.postgres))
      return `desired Postgres storage size must be greater than current storage. Current storage: ${current}`
  }
  if (block.arbiter === undefined) return undefined
  const current = db.spec.arbiter?.resources?.requests?.storage
  if (current === undefined) return 'arbiter storage is not configured for this Postgres'
  if (hasNotBegun(request) && parseQuantity(current) >= parseQuantity(block.arbiter))
    return `desired arbiter storage size must be greater than current arbiter storage. Current arbiter storage: ${current}`
  return undefined
}
