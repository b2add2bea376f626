import * as objects from './offshoot-objects.ts'
import * as offshoots from './offshoots.ts'
import { rotatedPassword } from './passwords.ts'
import {
  Named,
  Postgres,
  type PostgresOpsRequest,
  PostgresVersion,
  type Resources,
  resources,
  Secret,
} from './resources.ts'
import { mergeSettings } from './settings-text.ts'
import * as workload from './workload.ts'
import { keyOf, type World } from './world.ts'

/** One step of an OpsRequest. Taking it twice does no harm: an operator may die after it. */
export interface Step {
  /** Type of the condition that says it was taken. */
  readonly condition: string
  readonly message: string
  /** @param db as it is now. Throws what went wrong; the message becomes the failure of the request. */
  take(world: World, db: Postgres, request: PostgresOpsRequest): Promise<void>
}

type Take = Step['take']

const step = (condition: string, message: string, take: Take): Step => ({ condition, message, take })

const noWait = () => undefined
const petSetsUpdated = 'Successfully updated petsets resources'
const restarted = 'Successfully restarted all the nodes'

/** The steps of a request, in order. */
export function stepsOf(request: PostgresOpsRequest): Step[] {
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
    default:
      return [step(request.spec.type, 'unreachable', refuse)]
  }
}

const nothingMore: Take = async () => undefined

const refuse: Take = async (_world, _db, request) => {
  throw new Error(`the sandbox's operator does not perform ${request.spec.type}`)
}

async function passwordOf(world: World, db: Postgres): Promise<string> {
  return workload.credentialsIn(await secretOf(world, db, offshoots.authSecretName(db))).password
}

async function secretOf(world: World, db: Postgres, name: string): Promise<Secret> {
  const secret = await world.kube.get(Secret, resources.secrets, { namespace: db.metadata.namespace, name })
  if (!secret) throw new Error(`referenced secret ${db.metadata.namespace}/${name} not found`)
  return secret
}

async function versionOf(world: World, name: string): Promise<PostgresVersion> {
  const version = await world.kube.get(PostgresVersion, resources.postgresVersions, { name })
  if (!version) throw new Error(`failed to get PostgresVersion: ${name}: it is not found`)
  return version
}

function patchSpec(world: World, db: Postgres, spec: object): Promise<Postgres> {
  return world.kube.patch(Postgres, resources.postgreses, db.metadata, { spec })
}

/** Pods go and come back, made of the spec as it is now, and the server with them. */
const restart: Take = async (world, db) => {
  await world.servers.stop(keyOf(db))
  await workload.deletePods(world, db)
  await replacePodObjects(world, db)
  await workload.ensureServer(world, db, await passwordOf(world, db))
  await workload.setPodsReady(world, db, true)
}

const replacePods: Take = async (world, db) => {
  await workload.deletePods(world, db)
  await replacePodObjects(world, db)
  await workload.setPodsReady(world, db, true)
}

async function replacePodObjects(world: World, db: Postgres): Promise<void> {
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
  const { replicas, standbyMode, streamingMode, readReplicas } = request.spec.horizontalScaling ?? {}
  if (readReplicas !== undefined || replicas === undefined)
    throw new Error("the sandbox's operator scales spec.horizontalScaling.replicas only, no readReplicas")
  const modes = {
    ...(standbyMode === undefined ? {} : { standbyMode }),
    ...(streamingMode === undefined ? {} : { streamingMode }),
  }
  const scaled = await patchSpec(world, db, { replicas, ...modes })
  await workload.ensureServices(world, scaled, noWait)
  await replacePodObjects(world, scaled)
  await workload.setPodsReady(world, scaled, true)
}

const scaleVertically: Take = async (world, db, request) => {
  const { postgres, coordinator } = request.spec.verticalScaling ?? {}
  const wishes = new Map<string, Resources>()
  if (postgres?.resources) wishes.set('postgres', postgres.resources)
  if (coordinator?.resources) wishes.set('pg-coordinator', coordinator.resources)
  const known = db.spec.podTemplate?.spec?.containers ?? []
  const missing = [...wishes.keys()].filter((name) => !known.some((container) => container.name === name))
  const containers = [...known, ...missing.map((name) => ({ name }))].map((container) => {
    const wanted = wishes.get(container.name)
    return wanted === undefined ? container : { ...container, resources: wanted }
  })
  await patchSpec(world, db, { podTemplate: { spec: { containers } } })
}

const expandVolumes: Take = async (world, db, request) => {
  const size = request.spec.volumeExpansion?.postgres
  if (size === undefined) throw new Error("the sandbox's operator expands spec.volumeExpansion.postgres only")
  const requests = { storage: size }
  const { namespace } = db.metadata
  for (let ordinal = 0; ordinal < offshoots.replicasOf(db); ordinal++) {
    const place = { namespace, name: offshoots.claimName(db, ordinal) }
    await world.kube.patch(Named, resources.claims, place, { spec: { resources: { requests } } })
    const status = { capacity: requests }
    await world.kube.patch(Named, resources.claims, place, { status }, 'status')
  }
  await patchSpec(world, db, { storage: { resources: { requests } } })
}

/** The server first, the spec after it: settings that the server refuses never reach the spec. */
const reconfigure: Take = async (world, db, request) => {
  const wish = request.spec.configuration
  if (!wish || wish.tuning !== undefined)
    throw new Error("the sandbox's operator has no tuning: use applyConfig or configSecret")
  const kept = wish.removeCustomConfig || wish.configSecret ? '' : objects.inlineConfig(db.spec)
  const inline = mergeSettings(kept, wish.applyConfig?.['user.conf'] ?? '')
  const removed = wish.removeCustomConfig ? undefined : db.spec.configuration?.secretName
  const secretName = wish.configSecret?.name ?? removed
  const base = secretName ? await secretOf(world, db, secretName) : undefined
  const config = mergeSettings(base?.data?.['user.conf'] ?? '', inline)
  await applyConfig(world, db, config, wish.restart)
  await patchSpec(world, db, {
    configSecret: null,
    configuration: {
      secretName: secretName ?? null,
      inline: inline === '' ? null : { 'user.conf': inline },
    },
  })
}

async function applyConfig(
  world: World,
  db: Postgres,
  config: string,
  restartWish: 'auto' | 'true' | 'false',
): Promise<void> {
  const server = world.servers.running(keyOf(db))
  const outcome = server ? await server.reload(config) : 'restart'
  if (restartWish === 'false' || (restartWish === 'auto' && outcome === 'applied')) return
  const password = await passwordOf(world, db)
  await world.servers.stop(keyOf(db))
  try {
    await world.servers.ensure(await workload.instanceOf(world, db, password, config))
  } catch (error) {
    await workload.ensureServer(world, db, password)
    throw error
  }
}

/**
 * The new password is in the Secret as `password.next` before the server learns it, so that no
 * crash can leave a server whose password nobody knows.
 */
const rotate: Take = async (world, db, request) => {
  const server = world.servers.running(keyOf(db))
  if (!server) throw new Error('the server does not run, so its password cannot be changed')
  const { namespace } = db.metadata
  const current = await secretOf(world, db, offshoots.authSecretName(db))
  const rotatedBy = { 'secret-already-updated': request.metadata.uid }
  if (current.metadata.annotations['secret-already-updated'] === request.metadata.uid) return
  const { username, password } = workload.credentialsIn(current)
  const reference = request.spec.authentication?.secretRef?.name
  const target = reference ? await secretOf(world, db, reference) : current
  const place = { namespace, name: target.metadata.name }
  let next = workload.credentialsIn(target).password
  if (!reference) {
    next = current.data?.['password.next'] ?? rotatedPassword()
    await world.kube.patch(Named, resources.secrets, place, {
      stringData: { 'username.next': username, 'password.next': next },
    })
  }
  await server.setPassword(next)
  const activeFrom = objects.seconds(new Date())
  await world.kube.patch(Named, resources.secrets, place, {
    metadata: { annotations: { ...rotatedBy, 'kubedb.com/auth-active-from': activeFrom } },
    data: { 'username.next': null, 'password.next': null },
    stringData: { password: next, 'username.prev': username, 'password.prev': password },
  })
  await patchSpec(world, db, { authSecret: { name: place.name, activeFrom } })
}
