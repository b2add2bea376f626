import type { Engine } from '../engines/engine.ts'
import type { LoopbackAddresses } from '../engines/loopback.ts'
import type { EventRecorder } from './events.ts'
import type { Kube } from './kube.ts'
import type { NamesFile } from './names-file.ts'
import type { Pace } from './pace.ts'
import type { Postgres } from './resources.ts'
import type { Servers } from './servers.ts'

/** What reconciling works with. */
export interface World {
  readonly kube: Kube
  readonly engine: Engine
  readonly servers: Servers
  readonly addresses: LoopbackAddresses
  readonly names: NamesFile
  readonly pace: Pace
  /** Events of the provisioner. */
  readonly events: EventRecorder
  /** Events of the ops-manager, which is another operator in KubeDB. */
  readonly opsEvents: EventRecorder
  /** Lines that are worth saying only once per database. */
  readonly logOnce: (database: string, line: string) => void
}

/** `<namespace>/<name>`: the key of a database in queues, engines and files. */
export function keyOf(db: { metadata: { namespace: string; name: string } }): string {
  return `${db.metadata.namespace}/${db.metadata.name}`
}

/** The database as the subject of an event. */
export function subjectOf(db: Postgres) {
  return { apiVersion: 'kubedb.com/v1', kind: 'Postgres', metadata: db.metadata }
}
