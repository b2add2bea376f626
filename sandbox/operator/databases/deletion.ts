import type { Resource } from '../cluster/kube.ts'
import { Database, Named, type OwnerReference, resources } from '../cluster/resources.ts'
import * as offshoots from '../kinds/parts/offshoots.ts'
import { keyOf, type World } from './world.ts'

/** Deletes what exists only while a database runs: pods, AppBinding, Services, ServiceAccount. */
export async function deleteOffshoots(world: World, db: Database): Promise<void> {
  const running = [resources.pods, resources.appBindings, resources.services, resources.serviceAccounts]
  for (const resource of running)
    for (const object of await ownedBy(world, db, resource))
      await world.kube.delete(resource, object.metadata)
  await world.names.remove(keyOf(db))
}

async function ownedBy(world: World, db: Database, resource: Resource) {
  const options = { namespace: db.metadata.namespace, labelSelector: offshoots.selectorText(world.kind, db) }
  const { items } = await world.kube.list(Named, resource, options)
  return items.filter(({ metadata }) => metadata.ownerReferences.some(({ uid }) => uid === db.metadata.uid))
}

/**
 * What KubeDB does while its finalizer holds a deleted database: only decides, by deletionPolicy,
 * whom disks and Secret belong to. The garbage collector does the rest once the object is gone.
 */
export async function finalize(world: World, db: Database, finalizer: string): Promise<void> {
  const policy = db.spec.deletionPolicy ?? 'Delete'
  const keepsDisks = policy === 'Halt' || policy === 'DoNotTerminate'
  await world.servers.stop(keyOf(db))
  await world.names.remove(keyOf(db))
  world.pace.forget(keyOf(db))
  const { namespace } = db.metadata
  const options = { namespace, labelSelector: offshoots.selectorText(world.kind, db) }
  for (const claim of (await world.kube.list(Named, resources.claims, options)).items)
    await setOwner(world, resources.claims, claim, db, !keepsDisks)
  const { auth, secrets } = world.kind
  const persistent = auth.persistent && db.spec.authSecret?.name ? [db.spec.authSecret.name] : []
  for (const name of [...persistent, ...(secrets?.(db) ?? []).map((secret) => secret.name)])
    await disposeOfSecret(world, db, name, policy === 'WipeOut')
  if (!keepsDisks || !offshoots.hasDisks(world.kind, db)) {
    await world.engine.wipe(keyOf(db))
    await world.addresses.release(keyOf(db))
  }
  await world.kube.patch(Database, world.own.databases, db.metadata, {
    metadata: { finalizers: db.metadata.finalizers.filter((name) => name !== finalizer) },
  })
}

/** Wiped out only if KubeDB made or adopted it, and no other database uses it. */
async function disposeOfSecret(world: World, db: Database, name: string, wipe: boolean): Promise<void> {
  const { namespace } = db.metadata
  const secret = await world.kube.get(Named, resources.secrets, { namespace, name })
  if (!secret) return
  const peers = await world.kube.list(Database, world.own.databases, { namespace })
  const shared = peers.items.some(
    (peer) => peer.metadata.name !== db.metadata.name && peer.spec.authSecret?.name === name,
  )
  const managed = secret.metadata.labels[offshoots.managedByLabel] === 'kubedb.com'
  if (wipe && (shared || !managed)) return
  await setOwner(world, resources.secrets, secret, db, wipe)
}

async function setOwner(
  world: World,
  resource: Resource,
  object: { metadata: { namespace: string; name: string; ownerReferences: OwnerReference[] } },
  db: Database,
  owned: boolean,
): Promise<void> {
  const others = object.metadata.ownerReferences.filter(({ uid }) => uid !== db.metadata.uid)
  const ownerReferences = owned ? [...others, offshoots.controllerReference(world.kind, db)] : others
  await world.kube.patch(Named, resource, object.metadata, { metadata: { ownerReferences } })
}
