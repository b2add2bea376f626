import { Refusal } from './admission.ts'
import { parseQuantity } from './quantity.ts'
import type { Postgres, PostgresSpec, PostgresVersion } from './resources.ts'
import { parseVersion } from './versions.ts'

/** What KubeDB's validating webhook refuses, in its order and its words. All throw {@link Refusal}. */

export interface ValidationContext {
  readonly version: PostgresVersion
  /** Whether a StorageClass of that name exists. */
  readonly storageClassExists: boolean
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

/** A database as it would be stored, after defaulting. */
export function validatePostgres(db: Postgres, context: ValidationContext): void {
  const { spec } = db
  if (spec.version === '') throw new Refusal("'spec.version' is missing")
  if ((spec.replicas ?? 0) < 1)
    throw new Refusal(`spec.replicas "${spec.replicas ?? 0}" invalid. Value must be greater than zero`)
  for (const container of containersOf(spec))
    for (const { name } of container.env ?? [])
      if (forbiddenVariables.includes(name))
        throw new Refusal(`environment variable ${name} is forbidden to use in Postgres spec`)
  validateStorage(spec, context)
  if (spec.standbyMode !== undefined && !['Hot', 'Warm'].includes(spec.standbyMode))
    throw new Refusal(`spec.standbyMode "${spec.standbyMode}" invalid`)
  if (spec.streamingMode !== undefined && !['Synchronous', 'Asynchronous'].includes(spec.streamingMode))
    throw new Refusal(`spec.streamingMode "${spec.streamingMode}" invalid`)
  if (spec.clientAuthMode === 'scram' && parseVersion(context.version.spec.version)[0] < 11)
    throw new Refusal('scram auth method is available only for 11 or higher Versions')
  validateInlineConfiguration(spec)
  validateVolumes(spec)
  validateTls(spec)
  validateLeaderElection(spec)
  if (spec.authSecret?.externallyManaged && !spec.authSecret.name)
    throw new Refusal('for externallyManaged auth secret, user must configure "spec.authSecret.name"')
  if (spec.deletionPolicy === undefined) throw new Refusal("'spec.deletionPolicy' is missing")
  if (spec.storageType === 'Ephemeral' && spec.deletionPolicy === 'Halt')
    throw new Refusal("'spec.deletionPolicy: Halt' can not be used for 'Ephemeral' storage")
  validateMonitor(spec)
  validateHealthChecker(spec)
}

/** @param old the stored object. */
export function validatePostgresChange(db: Postgres, old: Postgres): void {
  const kept = ['spec.storageType']
  const { storageType } = db.spec
  if (storageType !== old.spec.storageType)
    throw new Refusal(preconditionMessage(`map[spec:map[storageType:${storageType}]]`, kept))
  if (!old.spec.init?.initialized) return
  if (JSON.stringify(db.spec.init) !== JSON.stringify(old.spec.init))
    throw new Refusal(preconditionMessage('map[spec:map[init:map[]]]', [...kept, 'spec.init']))
}

/** @param stored the object as it is in the cluster. */
export function validatePostgresDeletion(stored: Postgres): void {
  const { namespace, name } = stored.metadata
  if (stored.spec.deletionPolicy === 'DoNotTerminate')
    throw new Refusal(
      `postgres "${namespace}/${name}" can't be terminated. To delete, change spec.deletionPolicy`,
    )
}

/** How kmodules' PreConditionSet says that something immutable was changed. */
export function preconditionMessage(target: string, fields: readonly string[]): string {
  const kept = ['apiVersion', 'kind', 'name', 'namespace', ...fields].join('\n\t')
  return `precondition failed for: ${target}.At least one of the following was changed:\n\t${kept}`
}

function containersOf(spec: PostgresSpec) {
  return spec.podTemplate?.spec?.containers ?? []
}

function validateStorage(spec: PostgresSpec, context: ValidationContext): void {
  if (spec.storageType !== 'Durable' && spec.storageType !== 'Ephemeral')
    throw new Refusal(`'spec.storageType' ${spec.storageType} is invalid`)
  if (spec.storageType === 'Ephemeral') return
  if (!spec.storage) throw new Refusal('spec.storage is missing for durable storage type')
  const className = spec.storage.storageClassName
  if (className !== undefined && !context.storageClassExists)
    throw new Refusal(`spec.storage.storageClassName "${className}" not found`)
  const size = spec.storage.resources?.requests?.storage
  if (size === undefined) throw new Refusal('missing ResourceStorage request')
  if (parseQuantity(size) <= 0) throw new Refusal('invalid ResourceStorage request')
}

function validateInlineConfiguration(spec: PostgresSpec): void {
  const files = Object.keys(spec.configuration?.inline ?? {})
  if (files.length > 1)
    throw new Refusal(
      'only one configuration source is allowed in spec.configuration.applyConfig and it should be "user.conf"',
    )
  if (files.length === 1 && files[0] !== 'user.conf')
    throw new Refusal(
      'invalid configuration source found in spec.configuration.applyConfig. only "user.conf" is allowed',
    )
}

function validateVolumes(spec: PostgresSpec): void {
  for (const { name } of spec.podTemplate?.spec?.volumes ?? [])
    if (reservedVolumes.includes(name)) throw new Refusal(`Cannot use a reserve volume name: ${name}`)
  const trimmed = (path: string) => `${path.replace(/^\//, '').replace(/\/$/, '')}/`
  for (const container of containersOf(spec))
    for (const { mountPath } of container.volumeMounts ?? []) {
      const reserved = reservedPaths.find((path) => trimmed(mountPath).startsWith(trimmed(path)))
      if (reserved !== undefined)
        throw new Refusal(`Cannot use mountPath ${mountPath} because of reservedMountPaths path ${reserved}`)
    }
}

function validateTls({ clientAuthMode, sslMode, tls }: PostgresSpec): void {
  if (clientAuthMode === 'cert' && sslMode === 'disable')
    throw new Refusal(
      `can't have ${sslMode} set to postgres.spec.sslMode when postgres.spec.ClientAuthMode is set to ${clientAuthMode}`,
    )
  if (tls && sslMode === 'disable')
    throw new Refusal(`can't have ${sslMode} set to postgres.spec.sslMode when postgres.spec.TLS is set `)
  if (sslMode !== undefined && sslMode !== '' && sslMode !== 'disable' && !tls)
    throw new Refusal(`can't have ${sslMode} set to postgres.Spec.SSLMode when postgres.Spec.TLS is null`)
}

function validateLeaderElection({ leaderElection }: PostgresSpec): void {
  if (!leaderElection) return
  const { electionTick = 0, heartbeatTick = 0 } = leaderElection
  if (electionTick <= heartbeatTick) throw new Refusal('ElectionTick must be greater than HeartbeatTick')
  if (electionTick < 1) throw new Refusal('ElectionTick must be greater than zero')
  if (heartbeatTick < 1) throw new Refusal('HeartbeatTick must be greater than zero')
}

const agents = ['prometheus.io', 'prometheus.io/operator', 'prometheus.io/builtin']

function validateMonitor({ monitor }: PostgresSpec): void {
  if (!monitor) return
  const { agent, prometheus } = monitor
  if (!agent) throw new Refusal(`object 'Agent' is missing in '${JSON.stringify(monitor)}'`)
  if (!agents.includes(agent)) throw new Refusal(`unknown monitoring agent type ${agent}`)
  const port = prometheus?.exporter?.port ?? 0
  if (port < 1024 || port > 65535)
    throw new Refusal(
      `invalid 'monitor.prometheus' in '${JSON.stringify(monitor)}'. prometheus.exporter.port value must be between 1024 and 65535, inclusive`,
    )
}

function validateHealthChecker({ healthChecker = {} }: PostgresSpec): void {
  const fields = ['periodSeconds', 'timeoutSeconds', 'failureThreshold'] as const
  for (const field of fields) {
    const value = healthChecker[field]
    if (value !== undefined && value <= 0)
      throw new Refusal(`spec.healthCheck.${field}: can not be less than 1`)
  }
}
