import { cluster } from '../shared/kubedb/cluster/cluster.ts'
import { connect } from '../shared/kubedb/cluster/connection.ts'
import type { Admin } from '../shared/kubedb/databases/database.ts'
import { readInside } from '../shared/kubedb/observed/reach.ts'
import { readRecord } from '../shared/kubedb/records/instance-store.ts'
import { keysIn } from '../shared/kubedb/records/keys.ts'
import type { Site } from './site.ts'

/** @returns how a bind reaches the engine of an instance, found out as it does */
export async function administratorOf(
  site: Pick<Site, 'cluster' | 'serviceAccountDirectory'>,
  instanceId: string,
): Promise<{ kind: string; admin: Omit<Admin, 'deadline' | 'signal'> }> {
  const server = new URL(site.cluster.url)
  const connection = connect({
    host: server.hostname,
    port: Number(server.port),
    serviceAccountDirectory: site.serviceAccountDirectory('bind'),
  })
  const broker = {
    cluster: cluster(connection, {
      signal: new AbortController().signal,
      deadline: Date.now() + 30_000,
    }),
    namespace: site.cluster.namespaces.broker,
    settings: { addresses: 'cluster' },
    abandonedAfter: 0,
    // None is needed to reach an engine.
    keys: keysIn('/nowhere'),
  } as const
  const record = await readRecord(broker, instanceId)
  if (!record) throw new Error(`there is no instance ${instanceId}`)
  const inside = await readInside(broker, record)
  if (inside.state !== 'reachable') throw new Error(`the database of ${instanceId} is ${inside.state}`)
  return { kind: record.database.kind, admin: inside.admin }
}
