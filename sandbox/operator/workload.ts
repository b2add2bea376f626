import * as v from 'valibot'
import { JsonObject } from '../../shared/json.ts'
import type { Instance } from '../engines/engine.ts'
import * as objects from './offshoot-objects.ts'
import * as offshoots from './offshoots.ts'
import { Claim, Named, Postgres, type PostgresVersion, resources, Secret, Service } from './resources.ts'
import { mergeSettings } from './settings-text.ts'
import { keyOf, subjectOf, type World } from './world.ts'

/** Bringing the objects and the server of a database about, one kind each; all idempotent. */

/** What a workload cannot be made of; said to the user as a Warning event. */
export class WorkloadError extends Error {
  override readonly name = 'WorkloadError'
}

/** Creates or adapts the Services and gives those of type LoadBalancer the database's address. */
export async function ensureServices(world: World, db: Postgres, before: () => void): Promise<void> {
  const { kube, events } = world
  const address = await world.addresses.addressOf(keyOf(db), world.engine.port)
  const wanted = objects.servicesOf(db)
  for (const service of wanted) {
    const found = await kube.get(Service, resources.services, service.metadata)
    const title =
      service.metadata.name === offshoots.governingServiceName(db) ? 'governing service' : 'Service'
    if (found && !objects.lacks(found, adaptable(service))) {
      await publishAddress(world, found, address)
      continue
    }
    if (!found) {
      before()
      await kube.create(resources.services, service)
      await events.normal(subjectOf(db), 'Successful', `Successfully created ${title}`)
    } else {
      await kube.patch(Service, resources.services, service.metadata, service)
      await events.normal(subjectOf(db), 'Successful', `Successfully patched ${title}`)
    }
    await publishAddress(world, await kube.get(Service, resources.services, service.metadata), address)
  }
  if (offshoots.replicasOf(db) === 1) await removeStandbyService(world, db)
  await world.names.set(keyOf(db), namesOf(db, wanted, address))
}

/** A Service of that name may be another database's primary one: `a-standby` beside `a`. */
async function removeStandbyService(world: World, db: Postgres): Promise<void> {
  const place = { namespace: db.metadata.namespace, name: offshoots.standbyServiceName(db) }
  const found = await world.kube.get(Named, resources.services, place)
  if (found?.metadata.ownerReferences.some(({ uid }) => uid === db.metadata.uid))
    await world.kube.delete(resources.services, place)
}

/** What a later change of the database may change about a Service. */
function adaptable({ metadata, spec }: objects.NamespacedObject): object {
  return { metadata: { labels: metadata.labels, annotations: metadata.annotations }, spec }
}

async function publishAddress(world: World, service: Service | undefined, address: string): Promise<void> {
  if (service?.spec.type !== 'LoadBalancer' || service.status.loadBalancer.ingress[0]?.ip === address) return
  const status = { loadBalancer: { ingress: [{ ip: address }] } }
  await world.kube.patch(Service, resources.services, service.metadata, { status }, 'status')
}

/** All replicas share one server, so every name stands for one address. */
function namesOf(
  db: Postgres,
  services: objects.NamespacedObject[],
  address: string,
): Record<string, string> {
  const { namespace } = db.metadata
  const governing = offshoots.governingServiceName(db)
  const ordinals = Array.from({ length: offshoots.replicasOf(db) }, (_, ordinal) => ordinal)
  const names = [
    ...services.map((service) => `${service.metadata.name}.${namespace}.svc`),
    ...ordinals.map((ordinal) => `${offshoots.podName(db, ordinal)}.${governing}.${namespace}.svc`),
  ]
  return Object.fromEntries(names.map((name) => [name, address]))
}

/** Creates the auth Secret, or adopts the one that is there; then says in the spec which it is. */
export async function ensureAuthSecret(
  world: World,
  db: Postgres,
  newPassword: () => string,
  before: () => void,
): Promise<{ db: Postgres; password: string }> {
  const { kube, events } = world
  const place = { namespace: db.metadata.namespace, name: offshoots.authSecretName(db) }
  let secret = await kube.get(Secret, resources.secrets, place)
  if (!secret) {
    if (db.spec.authSecret?.externallyManaged)
      throw new WorkloadError(
        `the externally managed auth secret ${place.namespace}/${place.name} is not found`,
      )
    before()
    await kube.create(resources.secrets, objects.authSecretOf(db, newPassword(), new Date()))
    await events.normal(subjectOf(db), 'Successful', 'Successfully created auth secret')
    secret = await kube.get(Secret, resources.secrets, place)
    if (!secret) throw new Error(`the auth secret ${place.name} vanished while it was made`)
  }
  const { password } = credentialsIn(secret)
  let activeFrom = secret.metadata.annotations['kubedb.com/auth-active-from']
  if (!db.spec.authSecret?.externallyManaged) {
    assertOwnLabels(db, secret)
    activeFrom ??= objects.seconds(new Date())
    const metadata = {
      labels: offshoots.labelsOf(db),
      annotations: { 'kubedb.com/auth-active-from': activeFrom },
    }
    if (objects.lacks(secret.metadata, metadata))
      await kube.patch(Named, resources.secrets, place, { metadata })
  }
  const reference = { name: place.name, ...(activeFrom === undefined ? {} : { activeFrom }) }
  const known = db.spec.authSecret
  if (known?.name === reference.name && known.activeFrom === activeFrom) return { db, password }
  const patched = await kube.patch(Postgres, resources.postgreses, db.metadata, {
    spec: { authSecret: reference },
  })
  return { db: patched, password }
}

/** User and password out of an auth Secret. Throws when a key is missing or the user is another one. */
export function credentialsIn(secret: Secret): { username: string; password: string } {
  const { username, password } = secret.data ?? {}
  if (!username || !password)
    throw new WorkloadError('auth secret must contain non-empty "username" and "password" keys')
  if (username !== 'postgres') throw new WorkloadError('auth secret username must be "postgres"')
  return { username, password }
}

function assertOwnLabels(db: Postgres, secret: Secret): void {
  const kind = secret.metadata.labels['app.kubernetes.io/name']
  if (kind !== undefined && kind !== 'postgreses.kubedb.com')
    throw new WorkloadError(
      `auth secret is owned by a different resource kind "${kind}", expected "postgreses.kubedb.com"`,
    )
  const instance = secret.metadata.labels[offshoots.instanceLabel]
  if (instance !== undefined && instance !== db.metadata.name)
    throw new WorkloadError(
      `auth secret is owned by a different instance "${instance}", expected "${db.metadata.name}"`,
    )
}

/**
 * Creates disks and pods, and removes pods beyond the number of replicas; disks stay, as with a
 * StatefulSet. Answers whether it made a pod: that waits for {@link setPodsReady}.
 */
export async function ensurePods(
  world: World,
  db: Postgres,
  version: PostgresVersion,
  before: () => void,
): Promise<boolean> {
  const { kube, events } = world
  const { namespace } = db.metadata
  const pods = await listPods(world, db)
  let created = false
  for (let ordinal = 0; ordinal < offshoots.replicasOf(db); ordinal++) {
    if (offshoots.isDurable(db)) await ensureClaim(world, db, ordinal)
    if (pods.some((pod) => pod.metadata.name === offshoots.podName(db, ordinal))) continue
    before()
    if (!created) await kube.create(resources.serviceAccounts, objects.serviceAccountOf(db))
    await kube.create(resources.pods, objects.podOf(db, version, ordinal))
    created = true
  }
  for (const pod of pods) {
    const ordinal = Number(pod.metadata.name.slice(db.metadata.name.length + 1))
    if (ordinal >= offshoots.replicasOf(db))
      await kube.delete(resources.pods, { namespace, name: pod.metadata.name })
  }
  if (created && pods.length === 0)
    await events.normal(subjectOf(db), 'Successful', 'Successfully created PetSet')
  if (offshoots.replicasOf(db) > 1)
    world.logOnce(
      keyOf(db),
      `${keyOf(db)}: its ${offshoots.replicasOf(db)} replicas share one PostgreSQL server`,
    )
  return created
}

async function listPods(world: World, db: Postgres) {
  const { namespace } = db.metadata
  const options = { namespace, labelSelector: offshoots.selectorText(db) }
  return (await world.kube.list(Named, resources.pods, options)).items
}

/** Nobody provisions volumes or protects claims here: the claim is bound by hand, its finalizer taken off. */
async function ensureClaim(world: World, db: Postgres, ordinal: number): Promise<void> {
  const { kube } = world
  const wanted = objects.claimOf(db, ordinal)
  let claim = await kube.get(Claim, resources.claims, wanted.metadata)
  if (claim?.metadata.deletionTimestamp !== undefined)
    throw new Error(`the claim ${claim.metadata.name} of an earlier database is still going away`)
  if (!claim) {
    await kube.create(resources.claims, wanted)
    claim = await kube.get(Claim, resources.claims, wanted.metadata)
  }
  if (claim && claim.metadata.finalizers.length > 0)
    await kube.patch(Named, resources.claims, wanted.metadata, { metadata: { finalizers: null } })
  if (claim && claim.status.phase !== 'Bound') {
    const capacity = claim.spec.resources.requests ?? {}
    const status = { phase: 'Bound', accessModes: ['ReadWriteOnce'], capacity }
    await kube.patch(Named, resources.claims, wanted.metadata, { status }, 'status')
  }
}

/** Writes into the pods' status what a kubelet would: running on the address, or waiting. */
export async function setPodsReady(world: World, db: Postgres, ready: boolean): Promise<void> {
  const address = await world.addresses.addressOf(keyOf(db), world.engine.port)
  const status = objects.podStatus(ready ? address : undefined, new Date())
  for (const pod of await listPods(world, db))
    await world.kube.patch(Named, resources.pods, pod.metadata, { status }, 'status')
}

/** Deletes the pods, as an eviction of each would. */
export async function deletePods(world: World, db: Postgres): Promise<void> {
  for (const pod of await listPods(world, db)) await world.kube.delete(resources.pods, pod.metadata)
}

/** Creates the AppBinding, or makes it true again. */
export async function ensureAppBinding(
  world: World,
  db: Postgres,
  version: PostgresVersion,
  before: () => void,
): Promise<void> {
  const { kube, events } = world
  const wanted = objects.appBindingOf(db, version)
  const found = await kube.get(Named, resources.appBindings, wanted.metadata)
  if (found) {
    if (objects.lacks(found, wanted)) await kube.patch(Named, resources.appBindings, wanted.metadata, wanted)
    return
  }
  before()
  await kube.create(resources.appBindings, wanted)
  await events.normal(subjectOf(db), 'Successful', 'Successfully created appbinding')
}

/** Starts the server, on the data of its disk, with the settings of the spec, unless it runs. */
export async function ensureServer(world: World, db: Postgres, password: string): Promise<void> {
  if (world.servers.running(keyOf(db))) return
  await world.servers.ensure(await instanceOf(world, db, password, await userConfig(world, db)))
}

/** What the engine is told about a database. */
export async function instanceOf(
  world: World,
  db: Postgres,
  password: string,
  config: string,
): Promise<Instance> {
  const address = await world.addresses.addressOf(keyOf(db), world.engine.port)
  return {
    name: keyOf(db),
    volume: await volumeOf(world, db),
    address,
    username: 'postgres',
    password,
    config,
    spec: v.parse(JsonObject, db.spec),
  }
}

/** Data lives as long as its claim; without one, as long as the database object. */
async function volumeOf(world: World, db: Postgres): Promise<string> {
  if (!offshoots.isDurable(db)) return db.metadata.uid
  const place = { namespace: db.metadata.namespace, name: offshoots.claimName(db, 0) }
  const claim = await world.kube.get(Claim, resources.claims, place)
  if (!claim) throw new Error(`the claim ${place.name} vanished before the server started`)
  return claim.metadata.uid
}

/** The `user.conf` in force: the text of the named Secret, then that of the spec. */
export async function userConfig(world: World, db: Postgres): Promise<string> {
  const name = db.spec.configuration?.secretName
  let base = ''
  if (name) {
    const secret = await world.kube.get(Secret, resources.secrets, { namespace: db.metadata.namespace, name })
    if (!secret)
      throw new WorkloadError(`the configuration secret ${db.metadata.namespace}/${name} is not found`)
    base = secret.data?.['user.conf'] ?? ''
  }
  return mergeSettings(base, objects.inlineConfig(db.spec))
}
