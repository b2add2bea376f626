/** What the operator asks of a database server on this machine, whatever its make. */
import type { JsonObject } from '../../../shared/values/json.ts'

/** One database to run. */
export interface Instance {
  /** `<namespace>/<name>` of the database: its data is kept under this name. */
  readonly name: string
  /** Identity of the disk. Data kept for another volume is thrown away before the start. */
  readonly volume: string
  /** The loopback address of its own on which the server listens, on the engine's usual ports. */
  readonly address: string
  /**
   * Addresses of the members' own, where clients are to tell them apart: `address` is then the first. Absent: every
   * name of the database stands for `address`.
   */
  readonly members?: readonly string[]
  /** The administrator, made at the first start; later starts make the password true again. */
  readonly username: string
  readonly password: string
  /** The user's settings file, in the engine's own syntax; may be empty. */
  readonly config: string
  /** The database's spec: an engine reads from it the topology that clients see, and nothing else. */
  readonly spec: JsonObject
  /**
   * Users beside the administrator, one a line, where they are part of the database's objects: for Redis in the form
   * of an ACL file (`user <name> on …`), for Memcached `user:password`.
   */
  readonly acl?: readonly string[]
  /** The server speaks TLS with this; how strictly it asks for it is in the spec. Absent: it speaks none. */
  readonly tls?: ServerTls
}

/** A server certificate for all names and the address of a database, as PEM. */
export interface ServerTls {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

/** A server that accepts connections. */
export interface Running {
  /** Settles with the reason, in words, when the server is gone, asked for or not. */
  readonly exited: Promise<string>
  /** Connects as the administrator and asks something. Throws what a client would see. */
  check(): Promise<void>
  /** Changes the administrator's password inside the server. */
  setPassword(password: string): Promise<void>
  /**
   * Replaces the user's settings without a restart.
   * Answers `restart` when a setting takes effect only at the next start.
   * Throws with the engine's words when it refuses the settings; the old ones then stay.
   */
  reload(config: string): Promise<'applied' | 'restart'>
  /**
   * Changes the users beside the administrator without a restart, where an engine has them in {@link Instance.acl}.
   * @param lines users to make or replace, in that form; others stay
   * @param deleteUsers names of users to drop, their sessions with them
   */
  syncAcl?(lines: readonly string[], deleteUsers: readonly string[]): Promise<void>
  /** Ends the server in good order and waits for it. The data stays. */
  stop(): Promise<void>
}

/** A make of server. */
export interface Engine {
  /** The KubeDB kind it serves. */
  readonly kind: string
  /** The port on which clients reach it, on the address of each instance. */
  readonly port: number
  /** `true`, or the sentence that says what to install. */
  available(): Promise<true | string>
  /**
   * Starts a server and waits until it accepts connections.
   * Throws with the engine's own words when it does not come up; nothing runs then.
   */
  start(instance: Instance): Promise<Running>
  /** Forgets the data kept under a name. No server may be running on it. */
  wipe(name: string): Promise<void>
  /** The names under which data is kept, with the volume it belongs to. */
  kept(): Promise<{ name: string; volume: string }[]>
}
