import * as v from 'valibot'
import { equal } from '../../../shared/values/json.ts'
import { seconds } from '../cluster/conditions.ts'
import {
  Database,
  Migration,
  Named,
  type OpsRequest,
  PodResources,
  Quantity,
  Reconfiguration,
  type Resources,
  resources,
  Secret,
  Version,
} from '../cluster/resources.ts'
import { type Path, partAt, patchAt } from '../cluster/spec-path.ts'
import { readSwitches } from '../cluster/switches.ts'
import { ensureCertificates, missingIssuer, removeCertificates } from '../databases/certificates.ts'
import { ComeBack } from '../databases/pace.ts'
import { rotatedPassword } from '../databases/passwords.ts'
import * as workload from '../databases/workload.ts'
import { keyOf, type World } from '../databases/world.ts'
import type { Block } from '../kinds/parts/kind.ts'
import * as offshoots from '../kinds/parts/offshoots.ts'

/** One step of an OpsRequest. Taking it twice does no harm: an operator may die after it. */
export interface Step {
  /** Type of the condition that says it was taken. */
  readonly condition: string
  readonly message: string
  /** @param db as it is now. Throws what went wrong; the message becomes the failure of the request. */
  take(world: World, db: Database, request: OpsRequest): Promise<void>
}

type Take = Step['take']

const step = (condition: string, message: string, take: Take): Step => ({ condition, message, take })

const noWait = () => undefined
const petSetsUpdated = 'Successfully updated petsets resources'
const restarted = 'Successfully restarted all the nodes'

/** The steps of a request, in order. */
export function stepsOf(request: OpsRequest): Step[] {
  switch (request.spec.type) {
    case 'UpdateVersion':
      return [
        step('UpdatePetSets', petSetsUpdated, updateVersion),
        step('RestartNodes', restarted, restart),
        step('VersionUpdate', 'VersionUpdateSucceeded', publish),
      ]
    case 'HorizontalScaling':
      return [step('HorizontalScale', 'Successfully Horizontally Scaled Database', scaleHorizontally)]
    case 'VerticalScaling':
      return [
        step('UpdatePetSets', petSetsUpdated, scaleVertically),
        request.spec.verticalScaling?.mode === 'InPlace'
          ? step('ResizePods', 'Successfully resized the pods in place', replacePods)
          : step('RestartPods', 'Successfully Restarted Pods With Resources', restart),
        step('VerticalScale', 'VerticalScaleSucceeded', nothingMore),
      ]
    case 'VolumeExpansion':
      return [
        step('VolumeExpansion', 'VolumeExpansionSucceeded', expandVolumes),
        step('ReadyPetSets', 'PetSet is recreated', nothingMore),
      ]
    case 'Reconfigure':
      return [step('Reconfigure', 'ReconfigureSucceeded', reconfigure)]
    case 'Restart':
      return [step('RestartNodes', restarted, restart)]
    case 'RotateAuth':
      return [
        step('UpdateCredential', 'Successfully updated the credential', rotate),
        step('RestartNodes', restarted, restart),
      ]
    case 'ReconfigureTLS':
      return [
        step('CertificateSynced', 'Successfully synced all certificates', changeTls),
        step('RestartNodes', restarted, restart),
        step('UpdateAppBinding', 'Successfully updated the appbinding', publish),
      ]
    case 'StorageMigration':
      return [
        step('StopNodes', 'Successfully stopped all the nodes', migrateStorage),
        step('RestartNodes', restarted, restart),
      ]
    default:
      return [step(request.spec.type, 'unreachable', refuse)]
  }
}

const nothingMore: Take = async () => undefined

const refuse: Take = async (_world, _db, request) => {
  throw new Error(`the sandbox's operator does not perform ${request.spec.type}`)
}

async function secretOf(world: World, db: Database, name: string): Promise<Secret> {
  const secret = await world.kube.get(Secret, resources.secrets, { namespace: db.metadata.namespace, name })
  if (!secret) throw new Error(`referenced secret ${db.metadata.namespace}/${name} not found`)
  return secret
}

async function versionOf(world: World, name: string): Promise<Version> {
  const version = await world.kube.get(Version, world.own.versions, { name })
  if (!version) throw new Error(`failed to get ${world.kind.kind}Version: ${name}: it is not found`)
  return version
}

function patchSpec(world: World, db: Database, spec: object): Promise<Database> {
  return world.kube.patch(Database, world.own.databases, db.metadata, { spec })
}

/** Pods go and come back, made of the spec as it is now, and the server with them. */
const restart: Take = async (world, db) => {
  await world.servers.stop(keyOf(db))
  await workload.deletePods(world, db)
  await replacePodObjects(world, db)
  await workload.ensureServer(world, db, await workload.credentialsOf(world, db))
  await podsReady(world, db)
}

const replacePods: Take = async (world, db) => {
  await workload.deletePods(world, db)
  await replacePodObjects(world, db)
  await podsReady(world, db)
}

/** They are, where there is a server for them to be. */
async function podsReady(world: World, db: Database): Promise<void> {
  await workload.setPodsReady(world, db, (await world.engine.available()) === true)
}

async function replacePodObjects(world: World, db: Database): Promise<void> {
  await workload.ensurePods(world, db, await versionOf(world, db.spec.version), noWait)
}

const updateVersion: Take = async (world, db, request) => {
  const target = request.spec.updateVersion?.targetVersion ?? ''
  await versionOf(world, target)
  await patchSpec(world, db, { version: target })
}

const publish: Take = async (world, db) => {
  await workload.ensureAppBinding(world, db, await versionOf(world, db.spec.version), noWait)
}

const scaleHorizontally: Take = async (world, db, request) => {
  const { scaled, restartsWhenScaled } = world.kind.ops
  const larger = await patchSpec(world, db, scaled(db, request.spec.horizontalScaling ?? {}))
  await workload.ensureServices(world, larger, noWait)
  await publish(world, larger, request)
  if (restartsWhenScaled) {
    await world.servers.stop(keyOf(db))
    await workload.ensureServer(world, larger, await workload.credentialsOf(world, larger))
  }
  await replacePodObjects(world, larger)
  await podsReady(world, larger)
}

const scaleVertically: Take = async (world, db, request) => {
  const known = world.kind.ops.vertical(db)
  const wishes = Object.entries(request.spec.verticalScaling ?? {}).flatMap(([key, value]) => {
    const target = known[key]
    const wanted = v.safeParse(PodResources, value)
    if (!target || !wanted.success || !wanted.output.resources) return []
    return [{ ...target, resources: wanted.output.resources }]
  })
  for (const path of distinct(wishes.map(({ path }) => path))) {
    const wanted = new Map(
      wishes.filter((wish) => equal(wish.path, path)).map((wish) => [wish.container, wish.resources]),
    )
    const containers = withResources(partAt(db.spec, path).podTemplate?.spec?.containers ?? [], wanted)
    await patchSpec(world, db, patchAt(path, { podTemplate: { spec: { containers } } }))
  }
}

function distinct(paths: readonly Path[]): Path[] {
  return paths.filter((path, index) => paths.findIndex((other) => equal(other, path)) === index)
}

function withResources(known: readonly { name: string }[], wanted: ReadonlyMap<string, Resources>) {
  const missing = [...wanted.keys()].filter((name) => !known.some((container) => container.name === name))
  return [...known, ...missing.map((name) => ({ name }))].map((container) => {
    const wish = wanted.get(container.name)
    return wish === undefined ? container : { ...container, resources: wish }
  })
}

const expandVolumes: Take = async (world, db, request) => {
  const { mode, ...sizes } = request.spec.volumeExpansion ?? {}
  const known = world.kind.ops.volumes(db)
  for (const [key, value] of Object.entries(sizes)) {
    const path = known[key]
    if (path === undefined)
      throw new Error(
        `the sandbox's operator expands spec.volumeExpansion.${Object.keys(known).join(', ')} only`,
      )
    const requests = { storage: v.parse(Quantity, value) }
    for (const name of claimsAt(world, db, path)) {
      const place = { namespace: db.metadata.namespace, name }
      await world.kube.patch(Named, resources.claims, place, { spec: { resources: { requests } } })
      const status = { capacity: requests }
      await world.kube.patch(Named, resources.claims, place, { status }, 'status')
    }
    await patchSpec(world, db, patchAt(path, { storage: { resources: { requests } } }))
  }
}

/** Waits for an issuer as long as the timeout of the request allows, like a provision does for ever. */
const changeTls: Take = async (world, db, request) => {
  const { tls } = world.kind
  const { remove, rotateCertificates, issuerRef, certificates, ...more } = request.spec.tls ?? {
    remove: false,
    rotateCertificates: false,
  }
  const before = tls.aliases(db.spec)
  if (remove) {
    const after = await patchSpec(world, db, { tls: null, ...tls.removed(db.spec) })
    await removeCertificates(world, db, before)
    await ensureCertificates(world, after)
    return
  }
  const { missingIssuers } = await readSwitches(world.kube, db.metadata.namespace)
  const wanted = issuerRef ? { ...db, spec: { ...db.spec, tls: { ...db.spec.tls, issuerRef } } } : db
  if (missingIssuer(world, wanted, missingIssuers) !== undefined) throw new ComeBack(500)
  const after = rotateCertificates
    ? db
    : await patchSpec(world, db, {
        tls: { ...(issuerRef ? { issuerRef } : {}), ...(certificates ? { certificates } : {}) },
        ...tls.added(db.spec, more),
      })
  await removeCertificates(world, db, before)
  await ensureCertificates(world, after)
}

/**
 * A claim never changes its class: it goes, and another of its name comes. The data stays where it is, and the new
 * claim says that it is the old one's.
 */
const migrateStorage: Take = async (world, db, request) => {
  await world.servers.stop(keyOf(db))
  await workload.deletePods(world, db)
  const block: Block = request.spec.migration ?? {}
  const known = world.kind.ops.volumes(db)
  const wishes = world.kind.ops.migratesBySection
    ? Object.entries(known).map(([key, path]) => [path, block[key]] as const)
    : Object.values(known).map((path) => [path, block] as const)
  for (const [path, value] of wishes) {
    const wish = v.parse(v.optional(Migration), value)
    if (wish?.storageClassName === undefined) continue
    const { storageClassName } = wish
    const storage = { storage: { storageClassName } }
    const moved = await patchSpec(world, db, patchAt(path, storage))
    for (const name of claimsAt(world, moved, path))
      await workload.replaceClaim(world, moved, name, storageClassName)
  }
}

/** Claims of the pods that a section of the spec is about. */
function claimsAt(world: World, db: Database, path: Path): string[] {
  return offshoots
    .podsOf(world.kind, db)
    .filter(({ component }) => equal(component.path, path))
    .map(({ component, name }) => offshoots.claimName(db, component, name))
    .filter((name) => name !== undefined)
}

const reconfigure: Take = async (world, db, request) => {
  const block: Block = request.spec.configuration ?? {}
  for (const [key, path] of Object.entries(world.kind.ops.configured(db, block))) {
    const wish = v.parse(v.optional(Reconfiguration), key === '' ? block : block[key])
    if (wish) await reconfigurePart(world, db, path, wish)
  }
  const { kind, kube, servers } = world
  const at = { kind, kube, server: servers.running(keyOf(db)) }
  const users = await kind.ops.reconfigureUsers?.(at, db, block)
  if (users !== undefined) await patchSpec(world, db, users)
}

/** The server first, the spec after it: settings that the server refuses never reach the spec. */
async function reconfigurePart(world: World, db: Database, path: Path, wish: Reconfiguration): Promise<void> {
  const { takes, merge } = world.kind.config
  const { removeCustomConfig, configSecret, applyConfig: changes, restart: restartWish } = wish
  if (!removeCustomConfig && !configSecret && !changes && restartWish !== 'true') return
  const { configuration } = partAt(db.spec, path)
  const old = configuration?.inline ?? {}
  const kept = removeCustomConfig || configSecret ? {} : old
  const applied = changes ?? {}
  const strange = Object.keys(applied).find((file) => !takes(file))
  if (strange !== undefined) throw new Error(`the sandbox's operator applies no settings from ${strange}`)
  const inline = Object.fromEntries(
    Object.entries({ ...kept, ...applied })
      .map(([file]) => [file, merge(kept[file] ?? '', applied[file] ?? '')] as const)
      .filter(([, text]) => text !== ''),
  )
  const removed = removeCustomConfig ? undefined : configuration?.secretName
  const secretName = configSecret?.name ?? removed
  if (secretName) await secretOf(world, db, secretName)
  const [first] = world.kind.components(db)
  // One server stands for all pods: the settings of the first set of them are its own.
  if (equal(first?.path, path))
    await applyConfig(world, db, await workload.configText(world, db, secretName, inline), restartWish)
  const gone = Object.keys(old).filter((file) => !(file in inline))
  await patchSpec(
    world,
    db,
    patchAt(path, {
      configSecret: null,
      configuration: {
        secretName: secretName ?? null,
        inline:
          Object.keys(inline).length === 0
            ? null
            : { ...Object.fromEntries(gone.map((file) => [file, null])), ...inline },
      },
    }),
  )
}

async function applyConfig(
  world: World,
  db: Database,
  config: string,
  restartWish: 'auto' | 'true' | 'false',
): Promise<void> {
  if ((await world.engine.available()) !== true) return
  const server = world.servers.running(keyOf(db))
  const outcome = server ? await server.reload(config) : 'restart'
  if (restartWish === 'false' || (restartWish === 'auto' && outcome === 'applied')) return
  const credentials = await workload.credentialsOf(world, db)
  await world.servers.stop(keyOf(db))
  try {
    await world.servers.ensure(await workload.instanceOf(world, db, credentials, config))
  } catch (error) {
    await workload.ensureServer(world, db, credentials)
    throw error
  }
}

/**
 * The new password is in the Secret as `password.next` before the server learns it, so that no
 * crash can leave a server whose password nobody knows.
 */
const rotate: Take = async (world, db, request) => {
  const { auth } = world.kind
  const server = world.servers.running(keyOf(db))
  if (!server && (await world.engine.available()) === true)
    throw new Error('the server does not run, so its password cannot be changed')
  const { namespace } = db.metadata
  const current = await secretOf(world, db, offshoots.authSecretName(db))
  const rotatedBy = { 'secret-already-updated': request.metadata.uid }
  if (current.metadata.annotations['secret-already-updated'] === request.metadata.uid) return
  const old = auth.read(current.data ?? {})
  const reference = request.spec.authentication?.secretRef?.name
  const target = reference ? await secretOf(world, db, reference) : current
  const place = { namespace, name: target.metadata.name }
  let next = auth.read(target.data ?? {})
  if (!reference) {
    const waiting = entriesWith(current.data ?? {}, '.next')
    next = Object.keys(waiting).length > 0 ? auth.read(waiting) : { ...old, password: rotatedPassword() }
    await world.kube.patch(Named, resources.secrets, place, {
      stringData: suffixed(auth.write(next, current.data ?? {}), '.next'),
    })
  }
  // Another user is made by the restart that follows.
  if (next.username === old.username) await server?.setPassword(next.password)
  const activeFrom = seconds(new Date())
  const written = auth.write(next, target.data ?? {})
  await world.kube.patch(Named, resources.secrets, place, {
    metadata: { annotations: { ...rotatedBy, 'kubedb.com/auth-active-from': activeFrom } },
    data: Object.fromEntries(Object.keys(written).map((key) => [`${key}.next`, null])),
    stringData: { ...written, ...suffixed(auth.write(old, current.data ?? {}), '.prev') },
  })
  await patchSpec(world, db, { authSecret: { name: place.name, activeFrom } })
}

/** The entries whose keys have a suffix, without it. */
function entriesWith(data: Readonly<Record<string, string>>, suffix: string): Record<string, string> {
  return Object.fromEntries(
    Object.entries(data)
      .filter(([key]) => key.endsWith(suffix))
      .map(([key, value]) => [key.slice(0, -suffix.length), value]),
  )
}

function suffixed(data: Readonly<Record<string, string>>, suffix: string): Record<string, string> {
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [`${key}${suffix}`, value]))
}
