/** What the operator and its webhooks ask of a kind; `description.ts` makes one out of what a kind says of itself. */
import type { Running } from '../../../engines/parts/engine.ts'
import type { Refusal } from '../../cluster/admission.ts'
import type { Kube, Resource } from '../../cluster/kube.ts'
import type { Database, OpsRequest, Spec, Version } from '../../cluster/resources.ts'
import type { Path } from '../../cluster/spec-path.ts'

export interface Kind {
  /** As in `kind:` of its objects, e.g. `MySQL`. */
  readonly kind: string
  readonly plural: string
  /** API version of its objects. */
  readonly apiVersion: 'kubedb.com/v1' | 'kubedb.com/v1alpha2'
  /** What KubeDB's conditions call it, e.g. `PostgreSQL`. */
  readonly title: string
  /** The port on which clients reach it. */
  readonly port: number
  /** Whether it can be halted under any deletion policy. */
  readonly haltsPlainly: boolean
  readonly auth: AuthShape
  readonly config: ConfigShape
  readonly tls: TlsShape
  readonly admission: AdmissionRules
  readonly ops: OpsRules

  /** Its sets of pods, the one whose disk holds the data first. */
  components(db: Database): Component[]
  /** Its Services in the order in which they are made, the headless one first. */
  services(db: Database): ServiceShape[]
  /** How clients are told to connect. */
  client(db: Database, version: Version): ClientShape
  /** Further Secrets that a database has, made once, with what is in them then. */
  secrets?(db: Database): SecretShape[]
  /** Labels that its selectors have beside those of every kind. */
  labels?(db: Database): Record<string, string>
  /** Why no server is started for this database although KubeDB would; told as a Warning event. */
  unserved?(spec: Spec): string | undefined
}

/** One set of pods. */
export interface Component {
  /** Its pods are `<name>-<ordinal>`. */
  readonly name: string
  readonly replicas: number
  /** Where replicas, storage, podTemplate and configuration of it are in the spec. */
  readonly path: Path
  /** The headless Service that gives its pods their names. */
  readonly governing: string
  /** Containers with their ports, the database's first. */
  readonly containers: readonly ContainerShape[]
  /** What its pods are labelled with beside the database's labels. */
  readonly labels?: Record<string, string>
  /** Value of the label `kubedb.com/role` of one pod. */
  role?(ordinal: number): string
  /** Name of its volume, with which the names of claims begin; absent when it keeps no data. */
  readonly volume?: string
}

export interface ContainerShape {
  readonly name: string
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[]
}

export interface ServicePort {
  readonly name: string
  readonly port: number
  readonly targetPort: string
  readonly nodePort?: number
}

export interface ServiceShape {
  readonly name: string
  /** Whether it only gives pods their names. */
  readonly headless?: true
  /** Alias of its template in the spec. */
  readonly alias?: 'primary' | 'standby'
  /** What its pods are chosen by beside the database's selector. */
  readonly selector?: Record<string, string>
  readonly ports: readonly ServicePort[]
}

/** `spec` of the AppBinding as far as it differs by kind. */
export interface ClientShape {
  /** The Service that leads there, where it is not the one of the database's name. */
  readonly service?: string
  readonly scheme?: string
  readonly path?: string
  readonly query?: string
  /** Beside the Service: what some kinds publish as well. */
  readonly url?: string
  readonly parameters?: object
}

export interface SecretShape {
  readonly name: string
  readonly type: string
  /** @param newPassword makes a password */
  data(newPassword: () => string): Record<string, string>
}

/** The administrator, and what an auth Secret holds of it. */
export interface Credentials {
  readonly username: string
  readonly password: string
  /** Further users in the Secret, in the form of the engine's {@link Instance.acl}. */
  readonly others?: readonly string[]
}

export interface AuthShape {
  /** The administrator in a Secret that the operator makes. */
  user(version: Version): string
  /** Whether a Secret may name no other. */
  readonly fixed: boolean
  readonly secretType: string
  /** Whether deletionPolicy decides about it; else it goes with the database. */
  readonly persistent: boolean
  /** Whether the database has no passwords at all. */
  disabled?(spec: Spec): boolean
  /** The entries of a Secret; throws a WorkloadError when one is missing. */
  read(data: Readonly<Record<string, string>>): Credentials
  /** The entries for a user; `old` are those of the Secret so far. */
  write(credentials: Credentials, old?: Readonly<Record<string, string>>): Record<string, string>
}

export interface ConfigShape {
  /** Whether the server takes settings from a file of this name. */
  takes(file: string): boolean
  /** The settings of `base` with those of `change` put over them. */
  merge(base: string, change: string): string
  /** Users beside the administrator, of the database's objects; see {@link Instance.acl}. */
  acl?(kube: Kube, db: Database): Promise<readonly string[]>
}

export interface TlsShape {
  /** Whether clients are served with TLS. */
  wanted(spec: Spec): boolean
  /** The certificates that get a Secret each, by alias; none without TLS. */
  aliases(spec: Spec): readonly string[]
  /** Which of them is the server's. */
  readonly server: string
  /** The one whose Secret the AppBinding names as its clients', if it names one. */
  readonly client?: string
  /** Whether certificates come from an issuer that the spec has to name; else the operator has a CA of its own. */
  readonly needsIssuer: boolean
  /** What else in the spec changes when TLS is added or changed (`block` is the request's), and when it is removed. */
  added(spec: Spec, block: Block): object
  removed(spec: Spec): object
}

/** What a webhook looks up in the cluster before it judges. */
export interface Context {
  readonly kube: Kube
  readonly version: Version
}

export interface AdmissionRules {
  /** The spec that the mutating webhook stores for the one that was sent. Throws {@link Refusal}. */
  defaults(db: Database, version: Version): Spec
  /** Refuses by throwing {@link Refusal}, in KubeDB's order and words. `old` is there when it is a change. */
  validate(db: Database, context: Context, old?: Database): Promise<void>
  /** Paths, dotted, that never change; `*` stands for any key. */
  readonly fixed: readonly string[]
  /** Says that DoNotTerminate forbids to delete it; in words, or as a whole answer. */
  deletionRefusal(namespace: string, name: string): string | Refusal
}

/** What a webhook knows of an OpsRequest and its database. */
export interface OpsContext {
  readonly kube: Kube
  readonly kind: Kind
  readonly db: Database
  readonly request: OpsRequest
}

/** One block of the spec of an OpsRequest. */
export type Block = Readonly<Record<string, unknown>>

export interface OpsRules {
  /** In KubeDB's order. */
  readonly types: readonly string[]
  /** The group that KubeDB writes into its 422. */
  readonly group: string
  /** Throws for a request without its database; accepts it by not throwing. */
  absent(namespace: string, database: string, request: string): Refusal | undefined
  /** What is wrong with the block of the request's type, if anything is. */
  complaint(context: OpsContext): Promise<string | undefined> | string | undefined
  /** What each key of `verticalScaling` is about. */
  vertical(db: Database): Readonly<Record<string, { readonly path: Path; readonly container: string }>>
  /** Which section's storage each key of `volumeExpansion` is about. */
  volumes(db: Database): Readonly<Record<string, Path>>
  /** Whether `migration` has a section per key of {@link volumes}, or is about all of the database. */
  readonly migratesBySection?: boolean
  /**
   * Which section each key of `configuration` is about; `''` means the block itself.
   * Throws when the block asks for what the stand-in does not do.
   */
  configured(db: Database, block: Block): Readonly<Record<string, Path>>
  /** The change of the spec for a horizontal scaling; throws what the stand-in does not do. */
  scaled(db: Database, block: Block): object
  /** Whether clients learn from the server how many members there are. */
  readonly restartsWhenScaled?: boolean
  /** Carries out what `configuration` of a request says about users; answers the change of the spec. */
  reconfigureUsers?(at: UsersAt, db: Database, block: Block): Promise<object>
}

/** Where users of a database are changed. */
export interface UsersAt {
  readonly kind: Kind
  readonly kube: Kube
  /** The database's server, if it runs. */
  readonly server: Running | undefined
}

/** The resources of a kind in the API. */
export interface KindResources {
  readonly databases: Resource
  readonly opsRequests: Resource
  readonly versions: Resource
}

export function resourcesOf({ kind, plural, apiVersion }: Kind): KindResources {
  const singular = kind.toLowerCase()
  return {
    databases: { api: `apis/${apiVersion}`, plural },
    opsRequests: { api: 'apis/ops.kubedb.com/v1alpha1', plural: `${singular}opsrequests` },
    versions: { api: 'apis/catalog.kubedb.com/v1alpha1', plural: `${singular}versions` },
  }
}

/** What an object of a kind is to its Kind, e.g. `MySQLOpsRequest`. */
export function opsKind({ kind }: Kind): string {
  return `${kind}OpsRequest`
}

export function versionKind({ kind }: Kind): string {
  return `${kind}Version`
}
