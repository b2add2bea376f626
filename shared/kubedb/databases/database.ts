/**
 * One KubeDB kind: everything that differs from kind to kind. Adding a kind is one file with one of these, its line
 * in `kinds.ts`, and its plans in the catalog.
 */
import type { Json, JsonObject } from '../../values/json.ts'
import type { Issuer, Parameters, Role, Traits } from '../../values/nouns.ts'

export interface Database extends Traits {
  readonly kind: string
  /** API version of the kind, e.g. kubedb.com/v1 */
  readonly apiVersion: string
  readonly plural: string
  /** kind of its OpsRequests, in ops.kubedb.com/v1alpha1 */
  readonly opsKind: string
  readonly opsPlural: string
  /** plural of its *Version objects, in catalog.kubedb.com/v1alpha1 */
  readonly versionsPlural: string
  /** name of the engine's container */
  readonly container: string
  /** longest name the kind takes; ids that would be longer are hashed */
  readonly maxNameLength: number

  /**
   * @param template the plan's spec
   * @param wanted what the user asked for, checked against the plan
   * @returns the complete KubeDB spec, every default of KubeDB's webhook that matters written out; the same for the
   *   same arguments
   * @throws {BrokerError} BadRequest where plan and parameters do not go together
   */
  build(template: JsonObject, wanted: Wanted, circumstances: Circumstances): JsonObject

  /** What is particular about upgrades of this kind to a newer version. */
  readonly upgrades?: {
    /** @returns for which topology the *Version objects list what is allowed, where they do so for several */
    ranges?(spec: JsonObject): string
    /** a database may change its distribution too; without it, never */
    otherDistributions?: 'of the same major version'
  }

  /** What can change in a running database, in the order in which changes are made. */
  readonly dimensions: readonly Dimension[]

  /**
   * @returns host names of the members that hold sessions of their own, inside the cluster; none where the Service
   *   reaches all there is
   */
  members(database: Place): string[]

  /**
   * @returns host names that clients are given as a list, inside the cluster; without it, clients get the Service alone
   */
  hosts?(database: Place): string[] | undefined

  /** @returns what an application needs to connect (OSB: the credentials of a binding) */
  credentials(reach: Reach, user: { name: string; password: string }): JsonObject

  /** What libraries look for beside that, by names of their own. */
  readonly libraryKeys: readonly LibraryKey[]

  readonly accounts: Accounts
}

/** How the accounts of bindings come to be. */
export type Accounts =
  /** a user for each binding, made over an administrator's connection to the engine */
  | {
      by: 'connection'
      /**
       * Opens the connection. Loads the driver; only bind, unbind and last-binding-operation call it.
       *
       * @throws {Unreachable} when the engine does not take connections just now
       */
      connect(admin: Admin): Promise<Users>
    }
  /** a user for each binding, made and removed by KubeDB, which is told so by an OpsRequest: asynchronous by nature */
  | {
      by: 'declaration'
      /** @returns the users of this broker that KubeDB's spec of a database has */
      declared(spec: JsonObject): string[]
      /**
       * @param spec of the database as it is
       * @returns type and body of the OpsRequest; it takes the passwords from the Secret, each from its user's key
       */
      request(
        spec: JsonObject,
        change: { secret: string; make: readonly { name: string; role: Role }[]; remove: readonly string[] },
      ): { type: string; body: JsonObject }
      /** @returns the users that an OpsRequest's spec makes and removes; none where it is about something else */
      carried(spec: JsonObject): { make: string[]; remove: string[] }
    }
  /** one account for all bindings, the administrator's: the engine has no others that could come and go */
  | {
      by: 'sharing'
      /**
       * @param secret the database's, as text
       * @returns the account, undefined where the Secret does not have it
       */
      read(secret: { readonly [key: string]: string }): { name: string; password: string } | undefined
    }

/** The parameters in force, the version among them, and the issuer that `tls` names. */
export interface Wanted extends Omit<Parameters, 'tls'> {
  version: string
  issuer?: Issuer
}

export interface Settings {
  /** `external`: the database gets an address outside the cluster */
  addresses: 'cluster' | 'external'
  /** host of the cluster's nodes: external addresses are node ports there, and not load balancers */
  nodeHost?: string | undefined
}

/** What a database is built for. */
export interface Circumstances extends Settings {
  /** id of the service instance, for what has to differ from database to database */
  instance: string
}

/** One thing about a database that can be changed on its own. */
export interface Dimension {
  readonly name: string
  /**
   * what a database is from its first day: where that cannot change, nothing else is worth comparing, and the reason is
   * this one alone
   */
  readonly defining?: true
  /** dotted paths of the KubeDB spec that belong to this dimension */
  readonly paths: readonly string[]
  /** @returns this dimension's value in a KubeDB spec; null where the spec does not say */
  read(spec: JsonObject): Json
  /** @returns whether a database at `live` needs no step to be at `wanted` */
  reached(live: Json, wanted: Json): boolean
  /** @returns what has to be done to get from `now` to `wanted`, or why it cannot be */
  change(now: Json, wanted: Json): Change
}

export type Change =
  | { by: 'opsRequest'; type: string; apply: 'Always' | 'IfReady'; timeout: string; body: JsonObject }
  /** merge patch of the database's spec */
  | { by: 'patch'; spec: JsonObject }
  | { by: 'nothing'; impossible: string }

/** A database and where it is. */
export interface Place {
  name: string
  namespace: string
  /** KubeDB's spec, as the broker resolved it */
  spec: JsonObject
}

/** Where a database can be reached and what a client must trust. */
export interface Reach extends Place {
  /** as the AppBinding says it; KubeDB's releases differ, so nothing may hang on it but TLS on or off */
  scheme: string
  host: string
  port: number
  /** the application is outside the cluster: names of members mean nothing to it, and certificates lack the host */
  external: boolean
  /** every address, for clients that take a list */
  hosts: string[]
  /** the application's database */
  database: string
  /** from the AppBinding's `clientConfig.service.query`, e.g. sslmode */
  query: string
  /** PEM */
  caBundle: string | undefined
}

export interface Admin extends Reach {
  /** host names of the members that hold sessions of their own; see `Database.members` */
  members: string[]
  username: string
  password: string
  /** milliseconds since the epoch: all work on the connection ends by then */
  deadline: number
  /** aborts when the caller has gone away */
  signal: AbortSignal
}

export interface Account {
  name: string
  password: string
  role: Role
  /** ISO time from which the account is not to log in any more; enforced where the engine can */
  expiresAt?: string | undefined
}

/** The users that this broker made inside one engine. Every call is idempotent. */
export interface Users {
  /** @returns the names of all users this broker made here */
  list(): Promise<string[]>
  /** @returns whether the account can log in with this password and holds this role */
  works(account: Account): Promise<boolean>
  /** Creates the account, or makes it what it should be. */
  create(account: Account): Promise<void>
  /** No login any more, sessions ended, what it owns handed over, gone. */
  drop(name: string): Promise<void>
  close(): Promise<void>
}

/** The engine does not answer. The message names no secret. */
export class Unreachable extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'Unreachable'
  }
}

/** A key of credentials that libraries look for by a name of their own. */
export interface LibraryKey {
  /** a good name of a key in a Secret, and of a file */
  readonly name: string
  /** who looks for it */
  readonly readBy: string
  /** in which credentials it is, in words; without it, in all */
  readonly only?: string
  /**
   * @param own what the kind's credentials have by the broker's own names
   * @returns text, as in a Secret all values are; undefined where the key is left out
   */
  value(own: JsonObject, reach: Reach): string | undefined
}
