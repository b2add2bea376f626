import type { Engine } from '../engines/engine.ts'
import type { Kube } from './kube.ts'
import { instanceLabel, managedByLabel } from './offshoots.ts'
import { Named, Postgres, resources } from './resources.ts'

/**
 * Does the garbage collector's work on a cluster that has none: deletes what a database owned that
 * is gone. Harmless beside a real garbage collector.
 */
export async function collectOrphans(kube: Kube): Promise<void> {
  const living = new Set(
    (await kube.list(Postgres, resources.postgreses)).items.map(({ metadata }) => metadata.uid),
  )
  const owned = [
    resources.pods,
    resources.appBindings,
    resources.services,
    resources.serviceAccounts,
    resources.secrets,
    resources.claims,
    resources.postgresOpsRequests,
  ]
  for (const resource of owned) {
    const labelSelector = `${managedByLabel}=kubedb.com,${instanceLabel}`
    const options = resource === resources.postgresOpsRequests ? {} : { labelSelector }
    for (const { metadata } of (await kube.list(Named, resource, options)).items) {
      const owner = metadata.ownerReferences.find(({ kind }) => kind === 'Postgres')
      if (owner && !living.has(owner.uid)) await kube.delete(resource, metadata)
    }
  }
}

/** Forgets data of databases whose disk is gone: deleted while no operator was there to see it. */
export async function wipeForgottenData(kube: Kube, engine: Engine): Promise<void> {
  const [databases, claims] = await Promise.all([
    kube.list(Postgres, resources.postgreses),
    kube.list(Named, resources.claims),
  ])
  const volumes = new Set([...databases.items, ...claims.items].map(({ metadata }) => metadata.uid))
  for (const { name, volume } of await engine.kept()) if (!volumes.has(volume)) await engine.wipe(name)
}
