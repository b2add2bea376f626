/** The nouns that the protocol (shared/osb) and the databases (shared/kubedb) both speak of. Types only. */
import type { JsonObject } from './json.ts'

/** What a platform's user may set at provision and update. A plan says which of these, within which bounds. */
export interface Parameters {
  /** name of a KubeDB *Version object */
  version?: string
  /** Kubernetes quantities */
  cpu?: string
  memory?: string
  storage?: string
  storageClass?: string
  /** servers; of each shard, where there are shards */
  replicas?: number
  shards?: number
  /** one of the issuers that the plan names: encrypts connections with its certificates */
  tls?: string
  /** the application's database inside the server */
  database?: string
  /** engine settings, by the engine's names */
  configuration?: { [setting: string]: string | number | boolean }
  deletionPolicy?: 'Halt' | 'Delete' | 'WipeOut'
  suspended?: boolean
  metadata?: { labels?: { [key: string]: string }; annotations?: { [key: string]: string } }
  /** raw KubeDB spec of a custom plan, already through the kind's allow-list */
  spec?: JsonObject
}

/** The most that the plan's owner lets a user ask for. A parameter without an entry may not be sent. */
export interface Bounds {
  version?: { enum: string[] }
  cpu?: { min: string; max: string }
  memory?: { min: string; max: string }
  storage?: { min: string; max: string }
  storageClass?: { enum: string[] }
  replicas?: { min: number; max: number }
  shards?: { min: number; max: number }
  /** names that users may choose, and the issuers of cert-manager that they stand for */
  tls?: { issuers: { [name: string]: Issuer } }
  database?: true
  configuration?: true
  deletionPolicy?: { enum: ('Halt' | 'Delete' | 'WipeOut')[] }
  suspended?: true
  metadata?: true
  spec?: true
}

/** An issuer of certificates (cert-manager.io): an Issuer in the namespace of the databases, or one of the cluster. */
export interface Issuer {
  kind: 'Issuer' | 'ClusterIssuer'
  name: string
}

/** One plan of the catalog file, as far as provisioning needs it. */
export interface Plan {
  id: string
  name: string
  serviceId: string
  serviceName: string
  /** KubeDB kind, e.g. Postgres */
  kind: string
  /** the version that new instances get: name of a *Version object */
  version: string
  /** `version` as semver: what maintenance_info.version offers */
  maintenanceVersion: string
  /** KubeDB spec, without `version` */
  spec: JsonObject
  parameters: Bounds
  /** seconds; the platform gives up after this */
  maximumPollingDuration: number | undefined
  bindable: boolean
  planUpdateable: boolean
  bindingRotatable: boolean
  /** seconds: how long a binding's credentials are valid, and how long before their end they should be rotated */
  bindingExpiry: { after: number; renewBefore: number } | undefined
  /** template of the address of a page about an instance: `{name}`, `{namespace}` and `{instance}` stand for its own */
  dashboardUrl: string | undefined
}

/** What the protocol has to know of a KubeDB kind to describe and check parameters. */
export interface Traits {
  kind: string
  /** parameters that the engine has at all */
  parameters: readonly (keyof Parameters)[]
  /** of those it does not have, why, as the end of a sentence that begins with the kind's name */
  lacks?: { readonly [name in keyof Parameters]?: string }
  /** engine settings a user may send: setting name → what its value may be */
  settings: { readonly [name: string]: Setting }
  /**
   * paths of the single values in a raw spec that a custom plan may set: `*` stands for any member or element, `**` at
   * the end for all that is below, `=a|b` allows these texts only
   */
  spec: readonly string[]
  /**
   * @returns dotted path of the part of a KubeDB spec that cpu, memory, storage, replicas and shards are about; '' is
   *   the spec itself
   */
  main?(spec: JsonObject): string
  /**
   * @param spec a whole KubeDB spec, its version included
   * @returns KubeDB's rules about this kind that it breaks, one sentence each, beginning with a path below the spec
   */
  mistakes?(spec: JsonObject): string[]
  /** what the application's database may be called; null where the engine has none */
  databaseName: { default: string; pattern: string; maxLength: number; reserved: readonly string[] } | null
  /** roles that a binding may ask for, the first being the default */
  roles: readonly Role[]
}

export type Setting =
  | { type: 'integer'; min?: number; max?: number }
  | { type: 'number'; min?: number; max?: number }
  | { type: 'boolean' }
  | { type: 'string'; pattern: string }

export type Role = 'owner' | 'readWrite' | 'readOnly'

/** Who sends the request: a user of the users file, or the owner of a token. */
export interface Caller {
  /** user name, for logs and records */
  name: string
  /** instances belong to the platform that made them */
  platform: string
}

/** How a request that changes something ended. */
export type Outcome<T> =
  | { state: 'done'; created: boolean; value: T }
  /**
   * `operation`: the token for last_operation; `why`: what it waits for, where that is known; `dashboardUrl`: of the
   * instance, as it is to be
   */
  | { state: 'under way'; operation: string; why?: string; dashboardUrl?: string | undefined }

/** What last_operation reports. */
export type LastOperation =
  | { state: 'in progress'; description: string }
  | { state: 'succeeded'; description: string }
  | { state: 'failed'; description: string; instanceUsable?: boolean; updateRepeatable?: boolean }
  /** a finished delete */
  | { state: 'gone' }
