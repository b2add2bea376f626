/** Bringing the objects and the server of a database about, one kind of object each; all idempotent. */
import * as v from 'valibot'
import { JsonObject } from '../../../shared/values/json.ts'
import type { Instance } from '../../engines/parts/engine.ts'
import { seconds } from '../cluster/conditions.ts'
import { Claim, Database, Named, Pod, resources, Secret, Service, Version } from '../cluster/resources.ts'
import { partAt } from '../cluster/spec-path.ts'
import { readSwitches } from '../cluster/switches.ts'
import type { Component, Credentials } from '../kinds/parts/kind.ts'
import * as offshoots from '../kinds/parts/offshoots.ts'
import { WorkloadError } from '../kinds/parts/workload-error.ts'
import { serverTls } from './certificates.ts'
import * as objects from './objects.ts'
import { keyOf, subjectOf, type World } from './world.ts'

/** Creates or adapts the Services and gives those of type LoadBalancer the database's address. */
export async function ensureServices(world: World, db: Database, before: () => void): Promise<void> {
  const { kind, kube, events } = world
  const address = await world.addresses.of(keyOf(db))
  const wanted = objects.servicesOf(kind, db)
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
      await events.normal(subjectOf(world, db), 'Successful', `Successfully created ${title}`)
    } else {
      await kube.patch(Service, resources.services, service.metadata, service)
      await events.normal(subjectOf(world, db), 'Successful', `Successfully patched ${title}`)
    }
    await publishAddress(world, await kube.get(Service, resources.services, service.metadata), address)
  }
  await removeServices(world, db, new Set(wanted.map(({ metadata }) => metadata.name)))
  await world.names.set(keyOf(db), namesOf(world, db, wanted, address))
}

/** Those of fewer replicas or shards. A Service of such a name may be another database's: `a-standby` beside `a`. */
async function removeServices(world: World, db: Database, wanted: ReadonlySet<string>): Promise<void> {
  const { namespace } = db.metadata
  const options = { namespace, labelSelector: offshoots.selectorText(world.kind, db) }
  for (const { metadata } of (await world.kube.list(Named, resources.services, options)).items)
    if (!wanted.has(metadata.name) && metadata.ownerReferences.some(({ uid }) => uid === db.metadata.uid))
      await world.kube.delete(resources.services, metadata)
}

/** What a later change of the database may change about a Service. */
function adaptable({ metadata, spec }: objects.NamespacedObject): object {
  return { metadata: { labels: metadata.labels, annotations: metadata.annotations }, spec }
}

async function publishAddress(world: World, service: Service | undefined, address: string): Promise<void> {
  if (service?.spec.type !== 'LoadBalancer' || service.status.loadBalancer.ingress[0]?.ip === address) return
  if ((await readSwitches(world.kube, service.metadata.namespace)).noLoadBalancer) return
  const status = { loadBalancer: { ingress: [{ ip: address }] } }
  await world.kube.patch(Service, resources.services, service.metadata, { status }, 'status')
}

/** All pods share one server, so every name stands for one address. */
function namesOf(
  { kind }: World,
  db: Database,
  services: objects.NamespacedObject[],
  address: string,
): Record<string, string> {
  const { namespace } = db.metadata
  const names = [
    ...services.map((service) => `${service.metadata.name}.${namespace}.svc`),
    ...offshoots
      .podsOf(kind, db)
      .map(({ component, name }) => `${name}.${component.governing}.${namespace}.svc`),
  ]
  return Object.fromEntries(names.map((name) => [name, address]))
}

/**
 * Creates the auth Secret, or adopts the one that is there; then says in the spec which it is.
 *
 * @returns the database as it is then, and its administrator
 */
export async function ensureAuthSecret(
  world: World,
  found: Database,
  version: Version,
  newPassword: () => string,
  before: () => void,
): Promise<{ db: Database; credentials: Credentials }> {
  const { kind, kube, events } = world
  const username = kind.auth.user(version)
  if (kind.auth.disabled?.(found.spec)) return { db: found, credentials: { username, password: '' } }
  const db = found
  const place = { namespace: db.metadata.namespace, name: offshoots.authSecretName(db) }
  let secret = await kube.get(Secret, resources.secrets, place)
  if (!secret) {
    if (db.spec.authSecret?.externallyManaged)
      throw new WorkloadError(
        `the externally managed auth secret ${place.namespace}/${place.name} is not found`,
      )
    before()
    const credentials = { username, password: newPassword() }
    await kube.create(resources.secrets, objects.authSecretOf(kind, db, credentials, new Date()))
    await events.normal(subjectOf(world, db), 'Successful', 'Successfully created auth secret')
    secret = await kube.get(Secret, resources.secrets, place)
    if (!secret) throw new Error(`the auth secret ${place.name} vanished while it was made`)
  }
  const credentials = credentialsIn(world, secret)
  let activeFrom = secret.metadata.annotations['kubedb.com/auth-active-from']
  if (!db.spec.authSecret?.externallyManaged) {
    assertOwnLabels(world, db, secret)
    activeFrom ??= seconds(new Date())
    const metadata = {
      labels: offshoots.labelsOf(kind, db),
      annotations: { 'kubedb.com/auth-active-from': activeFrom },
    }
    if (objects.lacks(secret.metadata, metadata))
      await kube.patch(Named, resources.secrets, place, { metadata })
  }
  const reference = { name: place.name, ...(activeFrom === undefined ? {} : { activeFrom }) }
  const known = db.spec.authSecret
  if (known?.name === reference.name && known.activeFrom === activeFrom) return { db, credentials }
  const patched = await kube.patch(Database, world.own.databases, db.metadata, {
    spec: { authSecret: reference },
  })
  return { db: patched, credentials }
}

/** Creates the further Secrets of the kind that are not there yet. */
export async function ensureFurtherSecrets(
  world: World,
  db: Database,
  newPassword: () => string,
): Promise<void> {
  const { kind, kube } = world
  for (const { name, type, data } of kind.secrets?.(db) ?? []) {
    const metadata = offshoots.metadataOf(kind, db, name)
    if (await kube.get(Named, resources.secrets, metadata)) continue
    await kube.create(resources.secrets, { metadata, type, stringData: data(newPassword) })
  }
}

/** The administrator out of an auth Secret. Throws when a key is missing or the user is another one. */
export function credentialsIn({ kind }: World, secret: Secret): Credentials {
  return kind.auth.read(secret.data ?? {})
}

/** The administrator of a database that is set up. */
export async function credentialsOf(world: World, db: Database): Promise<Credentials> {
  if (world.kind.auth.disabled?.(db.spec)) {
    const version = await world.kube.get(Version, world.own.versions, { name: db.spec.version })
    return { username: version ? world.kind.auth.user(version) : '', password: '' }
  }
  const place = { namespace: db.metadata.namespace, name: offshoots.authSecretName(db) }
  const secret = await world.kube.get(Secret, resources.secrets, place)
  if (!secret) throw new Error(`referenced secret ${place.namespace}/${place.name} not found`)
  return credentialsIn(world, secret)
}

function assertOwnLabels({ kind }: World, db: Database, secret: Secret): void {
  const expected = offshoots.fullName(kind)
  const found = secret.metadata.labels['app.kubernetes.io/name']
  if (found !== undefined && found !== expected)
    throw new WorkloadError(
      `auth secret is owned by a different resource kind "${found}", expected "${expected}"`,
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
  db: Database,
  version: Version,
  before: () => void,
): Promise<boolean> {
  const { kind, kube, events } = world
  const existing = await listPods(world, db)
  const wanted = offshoots.podsOf(kind, db)
  let created = false
  for (const { component, ordinal, name } of wanted) {
    const claim = offshoots.claimName(db, component, name)
    if (claim !== undefined) await ensureClaim(world, db, component, claim)
    if (existing.some((pod) => pod.metadata.name === name)) continue
    before()
    if (ordinal === 0 || !created)
      await kube.create(resources.serviceAccounts, objects.serviceAccountOf(kind, db, component))
    await kube.create(resources.pods, objects.podOf(kind, db, version, component, ordinal))
    created = true
  }
  for (const { metadata } of existing)
    if (!wanted.some(({ name }) => name === metadata.name)) await kube.delete(resources.pods, metadata)
  if (created && existing.length === 0)
    await events.normal(subjectOf(world, db), 'Successful', 'Successfully created PetSet')
  if (wanted.length > 1)
    world.logOnce(keyOf(db), `${keyOf(db)}: its ${wanted.length} replicas share one ${kind.title} server`)
  return created
}

async function listPods(world: World, db: Database) {
  const { namespace } = db.metadata
  const options = { namespace, labelSelector: offshoots.selectorText(world.kind, db) }
  return (await world.kube.list(Pod, resources.pods, options)).items
}

/** Nobody provisions volumes or protects claims here: the claim is bound by hand, its finalizer taken off. */
async function ensureClaim(world: World, db: Database, component: Component, name: string): Promise<void> {
  const { kind, kube } = world
  const wanted = objects.claimOf(kind, db, component, name)
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
export async function setPodsReady(world: World, db: Database, ready: boolean): Promise<void> {
  const address = ready ? await world.addresses.of(keyOf(db)) : undefined
  for (const pod of await listPods(world, db)) {
    const containers = pod.spec.containers.map(({ name }) => name)
    const status = objects.podStatus(address, containers, new Date())
    await world.kube.patch(Named, resources.pods, pod.metadata, { status }, 'status')
  }
}

/** Deletes the pods, as an eviction of each would. */
export async function deletePods(world: World, db: Database): Promise<void> {
  for (const pod of await listPods(world, db)) await world.kube.delete(resources.pods, pod.metadata)
}

/** Creates the AppBinding, or makes it true again. */
export async function ensureAppBinding(
  world: World,
  db: Database,
  version: Version,
  before: () => void,
): Promise<void> {
  const { kind, kube, events } = world
  const tls = await serverTls(world, db)
  const wanted = objects.appBindingOf(kind, db, version, tls?.ca)
  const found = await kube.get(Named, resources.appBindings, wanted.metadata)
  if (found) {
    if (objects.lacks(found, wanted)) await kube.patch(Named, resources.appBindings, wanted.metadata, wanted)
    return
  }
  before()
  await kube.create(resources.appBindings, objects.withoutNulls(wanted))
  await events.normal(subjectOf(world, db), 'Successful', 'Successfully created appbinding')
}

/**
 * Starts the server, on the data of its disk, with the settings of the spec, unless it runs, or this machine has none:
 * then everything but the server is as it should be.
 */
export async function ensureServer(world: World, db: Database, credentials: Credentials): Promise<void> {
  if (world.servers.running(keyOf(db)) || (await world.engine.available()) !== true) return
  await world.servers.ensure(await instanceOf(world, db, credentials, await userConfig(world, db)))
}

/** What the engine is told about a database. */
export async function instanceOf(
  world: World,
  db: Database,
  { username, password, others }: Credentials,
  config: string,
): Promise<Instance> {
  const acl = others ?? (await world.kind.config.acl?.(world.kube, db))
  const tls = await serverTls(world, db)
  return {
    name: keyOf(db),
    volume: await volumeOf(world, db),
    address: await world.addresses.of(keyOf(db)),
    username,
    password,
    config,
    spec: v.parse(JsonObject, db.spec),
    ...(acl === undefined ? {} : { acl }),
    ...(tls === undefined ? {} : { tls }),
  }
}

/** Data lives as long as the claim of the first pod; without one, as long as the database object. */
async function volumeOf(world: World, db: Database): Promise<string> {
  const [first] = offshoots.podsOf(world.kind, db)
  const name = first && offshoots.claimName(db, first.component, first.name)
  if (name === undefined) return db.metadata.uid
  const place = { namespace: db.metadata.namespace, name }
  const claim = await world.kube.get(Claim, resources.claims, place)
  if (!claim) throw new Error(`the claim ${place.name} vanished before the server started`)
  return claim.metadata.annotations[volumeAnnotation] ?? claim.metadata.uid
}

/** On a claim that took the place of another: the volume whose data it has. */
export const volumeAnnotation = 'sandbox.kubedb.com/volume'

/**
 * Puts a claim of another class in the place of one, with the same data. The database remembers whose data that is
 * while there is no claim, so that this may be done again after a crash.
 */
export async function replaceClaim(
  world: World,
  db: Database,
  name: string,
  storageClassName: string,
): Promise<void> {
  const { kind, kube } = world
  const place = { namespace: db.metadata.namespace, name }
  const pods = offshoots.podsOf(kind, db)
  const pod = pods.find((one) => offshoots.claimName(db, one.component, one.name) === name)
  const old = await kube.get(Claim, resources.claims, place)
  if (!pod || old?.spec.storageClassName === storageClassName) return
  let volume = db.metadata.annotations[volumeAnnotation]
  if (old) {
    volume = old.metadata.annotations[volumeAnnotation] ?? old.metadata.uid
    // The data is that of the first pod.
    if (pod === pods[0]) {
      const metadata = { annotations: { [volumeAnnotation]: volume } }
      await kube.patch(Database, world.own.databases, db.metadata, { metadata })
    }
    await kube.delete(resources.claims, place)
  }
  const wanted = objects.claimOf(kind, db, pod.component, name)
  const annotations = volume === undefined ? {} : { [volumeAnnotation]: volume }
  await kube.create(resources.claims, { ...wanted, metadata: { ...wanted.metadata, annotations } })
}

/** The settings in force: those of the component whose server runs. */
export async function userConfig(world: World, db: Database): Promise<string> {
  const [component] = world.kind.components(db)
  const { configuration } = partAt(db.spec, component?.path ?? [])
  return configText(world, db, configuration?.secretName, configuration?.inline ?? {})
}

/** The text of the named Secret, then that of the spec, for every file that the server takes. */
export async function configText(
  world: World,
  db: Database,
  secretName: string | undefined,
  inline: Readonly<Record<string, string>>,
): Promise<string> {
  const { takes, merge } = world.kind.config
  const base = secretName ? await configSecret(world, db, secretName) : {}
  const files = [...new Set([...Object.keys(base), ...Object.keys(inline)])].filter(takes).toSorted()
  return files.map((file) => merge(base[file] ?? '', inline[file] ?? '')).join('')
}

async function configSecret(world: World, db: Database, name: string): Promise<Record<string, string>> {
  const { namespace } = db.metadata
  const secret = await world.kube.get(Secret, resources.secrets, { namespace, name })
  if (!secret) throw new WorkloadError(`the configuration secret ${namespace}/${name} is not found`)
  return secret.data ?? {}
}
