import type { Engine } from '../../engines/parts/engine.ts'
import type { Kube } from '../cluster/kube.ts'
import { Named, resources } from '../cluster/resources.ts'
import { type Kind, resourcesOf } from '../kinds/parts/kind.ts'
import { instanceLabel, managedByLabel } from '../kinds/parts/offshoots.ts'
import { volumeAnnotation } from './workload.ts'

/**
 * Does the garbage collector's work on a cluster that has none: deletes what a database owned that
 * is gone. Harmless beside a real garbage collector.
 *
 * @param kinds those that are served; what others own is left alone
 */
export async function collectOrphans(kube: Kube, kinds: readonly Kind[]): Promise<void> {
  const living = new Map<string, Set<string>>()
  for (const kind of kinds) {
    const { items } = await kube.list(Named, resourcesOf(kind).databases)
    living.set(kind.kind, new Set(items.map(({ metadata }) => metadata.uid)))
  }
  const offshoots = [
    resources.pods,
    resources.appBindings,
    resources.services,
    resources.serviceAccounts,
    resources.secrets,
    resources.claims,
  ]
  const labelSelector = `${managedByLabel}=kubedb.com,${instanceLabel}`
  const owned = [
    ...offshoots.map((resource) => ({ resource, options: { labelSelector } })),
    ...kinds.map((kind) => ({ resource: resourcesOf(kind).opsRequests, options: {} })),
  ]
  for (const { resource, options } of owned) {
    for (const { metadata } of (await kube.list(Named, resource, options)).items) {
      const owner = metadata.ownerReferences.find(({ kind }) => living.has(kind))
      if (owner && !living.get(owner.kind)?.has(owner.uid)) await kube.delete(resource, metadata)
    }
  }
}

/** Forgets data of databases whose disk is gone: deleted while no operator was there to see it. */
export async function wipeForgottenData(kube: Kube, kind: Kind, engine: Engine): Promise<void> {
  const kept = await engine.kept()
  if (kept.length === 0) return
  const [databases, claims] = await Promise.all([
    kube.list(Named, resourcesOf(kind).databases),
    kube.list(Named, resources.claims),
  ])
  const volumes = new Set(
    [...databases.items, ...claims.items].map(
      ({ metadata }) => metadata.annotations[volumeAnnotation] ?? metadata.uid,
    ),
  )
  for (const { name, volume } of kept) if (!volumes.has(volume)) await engine.wipe(name)
}
