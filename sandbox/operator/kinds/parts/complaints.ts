/** What KubeDB's webhooks say of the blocks of OpsRequests, as far as several kinds say the same. */
import * as v from 'valibot'
import { Panic } from '../../cluster/admission.ts'
import type { Kube } from '../../cluster/kube.ts'
import { parseQuantity } from '../../cluster/quantity.ts'
import {
  Migration,
  type OpsRequest,
  type Part,
  Quantity,
  Reconfiguration,
  resources,
  Secret,
  Unscoped,
  Version,
} from '../../cluster/resources.ts'
import { partAt } from '../../cluster/spec-path.ts'
import { type Block, type OpsContext, type OpsRules, resourcesOf, versionKind } from './kind.ts'
import { authSecretName } from './offshoots.ts'
import { isUpgradable } from './versions.ts'

/** What is wrong with the block of a request, if anything is. */
export type Complaint = OpsRules['complaint']

/** What a kind's webhook says of the block of an OpsRequest, by the request's type; most say nothing of some. */
export type Complaints = Readonly<Record<string, Complaint>>

/** The block of the spec that each type reads. */
export const blocks: Readonly<Record<string, string>> = {
  VerticalScaling: 'verticalScaling',
  HorizontalScaling: 'horizontalScaling',
  Reconfigure: 'configuration',
  UpdateVersion: 'updateVersion',
  ReconfigureTLS: 'tls',
  RotateAuth: 'authentication',
  StorageMigration: 'migration',
  VolumeExpansion: 'volumeExpansion',
  ReplicationModeTransformation: 'replicationModeTransformation',
  Horizons: 'horizons',
  ReplaceSentinel: 'sentinel',
  Announce: 'announce',
}

const AnyBlock = v.optional(v.record(v.string(), v.unknown()))

/** The block that a request of its type reads. */
function blockOf({ request: { spec } }: OpsContext): Block | undefined {
  return v.parse(AnyBlock, spec[blocks[spec.type] ?? ''])
}

/** How most webhooks say that the block of a type is missing. */
export const bare = (field: string, type: string) => `${field} nil not supported in ${type} type`
export const quoted = (field: string, type: string) => bare(`\`${field}\``, type)

/**
 * @param missing what is said when the block of the type is missing
 * @param next says what is wrong with the block
 */
export function needs(
  missing: string | typeof bare,
  next: (context: OpsContext, block: Block) => ReturnType<Complaint> = () => undefined,
): Complaint {
  return (context) => {
    const block = blockOf(context)
    if (block) return next(context, block)
    const { type } = context.request.spec
    return typeof missing === 'string' ? missing : missing(`spec.${blocks[type]}`, type)
  }
}

/** Constraints count only until the request has begun: afterwards the version is the new one already. */
export function hasNotBegun({ status }: OpsRequest): boolean {
  return status.phase === '' || status.phase === 'Pending'
}

/** The version a database has and the one that is asked for, or what is wrong with them. */
export async function versionsOf(
  context: OpsContext,
): Promise<{ current: Version; target: Version } | string> {
  const { kube, kind, db, request } = context
  const name = request.spec.updateVersion?.targetVersion ?? ''
  const find = (version: string) => kube.get(Version, resourcesOf(kind).versions, { name: version })
  const [current, target] = await Promise.all([find(db.spec.version), find(name)])
  const catalog = `${versionKind(kind)}.catalog.kubedb.com`
  if (!current) return `${catalog} "${db.spec.version}" not found`
  const upgradable =
    target && isUpgradable(current.spec.version, target.spec.version, current.spec.updateConstraints ?? {})
  if (hasNotBegun(request) && !upgradable)
    return `upgrade from version ${db.spec.version} to ${name} is not supported`
  return target ? { current, target } : `${catalog} "${name}" not found`
}

/** The catalog has to let the one version become the other. */
export async function upgrade(context: OpsContext): Promise<string | undefined> {
  const found = await versionsOf(context)
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

/** The size that a request wants for a disk. */
export const sizeIn = (block: Block | undefined, key: string) => v.parse(v.optional(Quantity), block?.[key])

/** `volumeExpansion` of kinds whose disks are all of one sort, which the block calls `key`. */
export function expandsDisk(key: string, missing: string): Complaint {
  return (context) => {
    const { db, kind, request } = context
    const size = sizeIn(blockOf(context), key)
    return size === undefined ? missing : expansion(db.spec.storage, size, request, kind.kind)
  }
}

/** `volumeExpansion` of kinds whose nodes may have roles. */
export function expandsNodes({ db, kind, request }: OpsContext, block: Block): string | undefined {
  for (const [key, path] of Object.entries(kind.ops.volumes(db))) {
    const size = sizeIn(block, key)
    if (size === undefined) continue
    const title = key === 'node' ? `combined ${kind.kind}` : key
    const wrong = expansion(partAt(db.spec, path).storage, size, request, title)
    if (wrong !== undefined) return wrong
  }
  return undefined
}

const noMigration = 'spec.migration is required for StorageMigration type'

/**
 * `migration` of kinds whose disks are all of one class.
 *
 * @param adjust how the sentence about the timeout goes on
 * @param classless what becomes of a request for a database that does not name the class it has
 */
export function migratesDisks(adjust: string, classless: 'refused' | 'panics' = 'refused'): Complaint {
  return needs(noMigration, async ({ kube, db, request }, block) => {
    const { storageClassName } = v.parse(Migration, block)
    if (storageClassName === undefined) return 'spec.migration.storageClassName is required'
    if (request.spec.timeout === undefined) return timeoutRequired(adjust)
    const has = db.spec.storage?.storageClassName !== undefined
    if (!has && classless === 'refused')
      return "db.Spec.Storage.StorageClassName can't be nil in the database yaml"
    const trouble = await classTrouble(kube, { storageClassName })
    if (!has && trouble === undefined) throw new Panic()
    return trouble
  })
}

/**
 * `migration` of kinds whose disks have a class for each section.
 *
 * @param none what is said where no section is named
 * @param keys of sections that may be named
 * @param check judges one that is
 */
export function migratesSections(
  none: string,
  adjust: string,
  keys: readonly string[],
  check: (context: OpsContext, key: string, wish: unknown) => ReturnType<Complaint>,
): Complaint {
  return needs(noMigration, async (context, block) => {
    const named = keys.filter((key) => block[key] !== undefined)
    if (named.length === 0) return none
    if (context.request.spec.timeout === undefined) return timeoutRequired(adjust)
    for (const key of named) {
      const wrong = await check(context, key, block[key])
      if (wrong !== undefined) return wrong
    }
    return undefined
  })
}

/**
 * `migration` of kinds whose nodes may have roles: those that the database lacks do not matter, but those that it has
 * have to name their class, or the webhook falls over them.
 */
export function migratesNodes(none: string, roles: readonly string[]): Complaint {
  return migratesSections(none, ',', ['node', ...roles], ({ kube, kind, db }, key, wish) => {
    const disks = kind.ops.volumes(db)
    for (const path of Object.values(disks))
      if (partAt(db.spec, path).storage?.storageClassName === undefined) throw new Panic()
    return key in disks ? classTrouble(kube, wish) : undefined
  })
}

/**
 * What is wrong with the class that disks are to have.
 *
 * @param looks whether it has to be there
 */
export async function classTrouble(kube: Kube, wish: unknown, looks = true): Promise<string | undefined> {
  const { storageClassName: name } = v.parse(Migration, wish)
  if (name === undefined) return 'storageClassName is required in migration spec'
  if (!looks || (await kube.get(Unscoped, resources.storageClasses, { name }))) return undefined
  return `storage class ${name} not found: StorageClass.storage.k8s.io "${name}" not found`
}

function timeoutRequired(adjust: string): string {
  return `spec.timeout is required for Storage Migration ops request${adjust}adjust timeout according to the size of your database`
}

/** `tls`: one operation at a time. */
export function oneTlsOperation(words: {
  nil: string | typeof bare
  none: string
  several: string
}): Complaint {
  return needs(words.nil, ({ request: { spec } }) => {
    const { remove, rotateCertificates, issuerRef, certificates } = spec.tls ?? {}
    const operations = [remove, rotateCertificates, issuerRef ?? certificates].filter(Boolean)
    if (operations.length === 0) return words.none
    return operations.length > 1 ? words.several : undefined
  })
}

/** `tls` of the kinds that say all of it alike. */
export const reconfigureTls = oneTlsOperation({
  nil: 'spec.TLS nil not supported in ReconfigureTLS type',
  none: 'no reconfiguration is provided in TLS spec',
  several:
    'more than 1 field have assigned to spec.reconfigureTLS but at a time one is allowed to run one operation',
})

/** `configuration` of kinds that need no file of a certain name: something has to change. */
export function anySetting(_context: OpsContext, block: Block): string | undefined {
  const { removeCustomConfig, configSecret, applyConfig } = v.parse(Reconfiguration, block)
  return removeCustomConfig || configSecret || applyConfig
    ? undefined
    : 'at least one of `RemoveCustomConfig`, `ConfigSecret`, or `ApplyConfig` must be specified'
}
