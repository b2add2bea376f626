/** What KubeDB's webhooks say of the blocks of OpsRequests, as far as several kinds say the same. */
import * as v from 'valibot'
import { type OpsContext, resourcesOf, versionKind } from './kind.ts'
import { authSecretName } from './offshoots.ts'
import { parseQuantity } from './quantity.ts'
import {
  Migration,
  type OpsRequest,
  type Part,
  Reconfiguration,
  resources,
  Secret,
  Unscoped,
  Version,
} from './resources.ts'
import { isUpgradable } from './versions.ts'

/** Constraints count only until the request has begun: afterwards the version is the new one already. */
export function hasNotBegun({ status }: OpsRequest): boolean {
  return status.phase === '' || status.phase === 'Pending'
}

/** The version a database has and the one that it asks for, or what is wrong with them. */
export async function versionsOf(
  { kube, kind, db, request }: OpsContext,
  target: string,
): Promise<{ current: Version; target: Version } | string> {
  const find = (name: string) => kube.get(Version, resourcesOf(kind).versions, { name })
  const [current, wanted] = await Promise.all([find(db.spec.version), find(target)])
  const catalog = `${versionKind(kind)}.catalog.kubedb.com`
  if (!current) return `${catalog} "${db.spec.version}" not found`
  const upgradable =
    wanted && isUpgradable(current.spec.version, wanted.spec.version, current.spec.updateConstraints ?? {})
  if (hasNotBegun(request) && !upgradable)
    return `upgrade from version ${db.spec.version} to ${target} is not supported`
  if (!wanted) return `${catalog} "${target}" not found`
  return { current, target: wanted }
}

/** `updateVersion` of most kinds; `missing` is said when the block is. */
export async function updateVersion(
  context: OpsContext,
  missing = '`spec.updateVersion` nil not supported in UpdateVersion type',
): Promise<string | undefined> {
  const block = context.request.spec.updateVersion
  if (!block) return missing
  const found = await versionsOf(context, block.targetVersion)
  return typeof found === 'string' ? found : undefined
}

/** The Secret of a RotateAuth has to be there, and of the same user where a kind's user is fixed. */
export async function rotateAuth({ kube, kind, db, request }: OpsContext): Promise<string | undefined> {
  const reference = request.spec.authentication?.secretRef
  if (!reference) return undefined
  if (reference.name === '') return 'spec.authentication.secretRef.name can not be empty'
  const { namespace } = db.metadata
  const find = (name: string) => kube.get(Secret, resources.secrets, { namespace, name })
  const [wanted, current] = await Promise.all([find(reference.name), find(authSecretName(db))])
  if (!wanted) return `referenced secret ${namespace}/${reference.name} not found`
  if (kind.auth.fixed && wanted.data?.username !== current?.data?.username)
    return 'database username cannot be changed'
  return undefined
}

/** A disk may only grow. `title` is what KubeDB calls what has it. */
export function expansion(
  storage: Part['storage'],
  size: string | number,
  request: OpsRequest,
  title: string,
): string | undefined {
  if (!storage) return `storage not configured for ${title}`
  const current = storage.resources?.requests?.storage
  if (current === undefined) return `failed to parse current ${title} storage size`
  if (hasNotBegun(request) && parseQuantity(current) >= parseQuantity(size))
    return `desired ${title} storage size must be greater than current storage. Current storage: ${current}`
  return undefined
}

/** `migration` of kinds whose disks are all of one class. `adjust` is how the sentence about the timeout goes on. */
export async function storageMigration(
  { kube, db, request }: OpsContext,
  adjust: string,
): Promise<string | undefined> {
  const migration = request.spec.migration && v.parse(Migration, request.spec.migration)
  if (!migration) return 'spec.migration is required for StorageMigration type'
  const name = migration.storageClassName
  if (name === undefined) return 'spec.migration.storageClassName is required'
  if (request.spec.timeout === undefined) return timeoutRequired(adjust)
  if (db.spec.storage?.storageClassName === undefined)
    return "db.Spec.Storage.StorageClassName can't be nil in the database yaml"
  const found = await kube.get(Unscoped, resources.storageClasses, { name })
  return found ? undefined : storageClassNotFound(name)
}

export function timeoutRequired(adjust: string): string {
  return `spec.timeout is required for Storage Migration ops request${adjust}adjust timeout according to the size of your database`
}

export function storageClassNotFound(name: string): string {
  return `storage class ${name} not found: StorageClass.storage.k8s.io "${name}" not found`
}

/** `tls`: one operation at a time. */
export function oneTlsOperation(
  { request }: OpsContext,
  words: { nil: string; none: string; several: string },
): string | undefined {
  const { tls } = request.spec
  if (!tls) return words.nil
  const operations = [tls.remove, tls.rotateCertificates, tls.issuerRef ?? tls.certificates].filter(Boolean)
  if (operations.length === 0) return words.none
  return operations.length > 1 ? words.several : undefined
}

/** `tls` of the kinds that say all of it alike. */
export function reconfigureTls(context: OpsContext): string | undefined {
  return oneTlsOperation(context, {
    nil: 'spec.TLS nil not supported in ReconfigureTLS type',
    none: 'no reconfiguration is provided in TLS spec',
    several:
      'more than 1 field have assigned to spec.reconfigureTLS but at a time one is allowed to run one operation',
  })
}

/** `configuration` of kinds that need no file of a certain name. */
export function reconfigure({ request: { spec } }: OpsContext): string | undefined {
  if (!spec.configuration) return 'spec.configuration nil not supported in Reconfigure type'
  const { removeCustomConfig, configSecret, applyConfig } = v.parse(Reconfiguration, spec.configuration)
  return removeCustomConfig || configSecret || applyConfig
    ? undefined
    : 'at least one of `RemoveCustomConfig`, `ConfigSecret`, or `ApplyConfig` must be specified'
}
