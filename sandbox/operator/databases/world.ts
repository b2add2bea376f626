import type { Engine } from '../../engines/parts/engine.ts'
import type { EventRecorder } from '../cluster/events.ts'
import type { Kube } from '../cluster/kube.ts'
import type { Database } from '../cluster/resources.ts'
import type { Kind, KindResources } from '../kinds/parts/kind.ts'
import type { Issuer } from './certificate-authority.ts'
import type { NamesFile } from './names-file.ts'
import type { Pace } from './pace.ts'
import type { Servers } from './servers.ts'

/** What reconciling the databases of one kind works with. */
export interface World {
  readonly kind: Kind
  /** The resources of the kind. */
  readonly own: KindResources
  readonly kube: Kube
  readonly engine: Engine
  readonly servers: Servers
  readonly addresses: Addresses
  /** Stands for every issuer that a spec names. */
  readonly issuer: Issuer
  /** Of the databases of this kind, by {@link keyOf}. */
  readonly names: NamesFile
  readonly pace: Pace
  /** Events of the provisioner. */
  readonly events: EventRecorder
  /** Events of the ops-manager, which is another operator in KubeDB. */
  readonly opsEvents: EventRecorder
  /** Lines that are worth saying only once per database. */
  readonly logOnce: (database: string, line: string) => void
}

/** The loopback addresses of the databases of one kind, by {@link keyOf}. */
export interface Addresses {
  /** Chosen at the first call. */
  of(database: string): Promise<string>
  /** Gives an address back. */
  release(database: string): Promise<void>
}

/** `<namespace>/<name>`: the key of a database among those of its kind, in queues, engines and files. */
export function keyOf(db: { metadata: { namespace: string; name: string } }): string {
  return `${db.metadata.namespace}/${db.metadata.name}`
}

/** The database as the subject of an event. */
export function subjectOf({ kind }: World, db: Database) {
  return { apiVersion: kind.apiVersion, kind: kind.kind, metadata: db.metadata }
}
