import { isTrue } from './cluster/conditions.ts'
import { Database, Version } from './cluster/resources.ts'
import { readSwitches, type Switches } from './cluster/switches.ts'
import { ensureCertificates, missingIssuer } from './databases/certificates.ts'
import { deleteOffshoots, finalize } from './databases/deletion.ts'
import { ComeBack } from './databases/pace.ts'
import { newPassword } from './databases/passwords.ts'
import { conditionOf, isProvisioned, removeCondition, setConditions } from './databases/status.ts'
import * as workload from './databases/workload.ts'
import { keyOf, subjectOf, type World } from './databases/world.ts'
import type { Credentials } from './kinds/parts/kind.ts'
import { WorkloadError } from './kinds/parts/workload-error.ts'
import { advanceOpsRequests } from './ops/reconciler.ts'

/** Between two health checks, in milliseconds (KubeDB: 10 s). */
const healthPeriod = 5000

/** KubeDB's finalizer. */
const finalizer = 'kubedb.com'

/**
 * Brings one database nearer to what its object says: level-based, so that it may be called at any
 * time, any number of times, and begin anywhere.
 *
 * @returns milliseconds until it wants to look again
 */
export async function reconcileDatabase(world: World, key: string): Promise<number | undefined> {
  const [namespace = '', name = ''] = key.split('/')
  const found = await world.kube.get(Database, world.own.databases, { namespace, name })
  if (!found) {
    // Somebody took the finalizer off: at least leave no server behind.
    await world.servers.stop(key)
    await world.names.remove(key)
    world.pace.forget(key)
    return undefined
  }
  if (found.metadata.deletionTimestamp !== undefined) {
    if (found.metadata.finalizers.includes(finalizer)) await finalize(world, found, finalizer)
    return undefined
  }
  const switches = await readSwitches(world.kube, namespace)
  try {
    return await reconcileLiving(world, await begin(world, found), switches)
  } catch (error) {
    if (error instanceof ComeBack) return error.delay
    if (!(error instanceof WorkloadError)) throw error
    await world.events.warning(subjectOf(world, found), 'Failed', error.message)
    return healthPeriod
  }
}

async function begin(world: World, found: Database): Promise<Database> {
  let db = found
  if (!db.metadata.finalizers.includes(finalizer))
    db = await world.kube.patch(Database, world.own.databases, db.metadata, {
      metadata: { finalizers: [...db.metadata.finalizers, finalizer] },
    })
  if (!isTrue(db.status.conditions, 'ProvisioningStarted'))
    db = await setConditions(world, db, conditionOf.provisioningStarted(world.kind, db))
  return db
}

async function reconcileLiving(world: World, begun: Database, switches: Switches): Promise<number> {
  let db = begun
  const ops = await advanceOpsRequests(world, db, switches)
  // An OpsRequest changes spec and status; what follows must see it.
  if (ops.moved) db = (await world.kube.get(Database, world.own.databases, db.metadata)) ?? db
  const again = Math.min(ops.again, healthPeriod)
  if (ops.pausing) {
    await checkHealth(world, db, switches)
    return again
  }
  if (isTrue(db.status.conditions, 'Paused')) db = await removeCondition(world, db, 'Paused')
  if (db.spec.halted) {
    await halt(world, db)
    return again
  }
  if (db.status.conditions.some(({ type }) => type === 'Halted'))
    db = await removeCondition(world, db, 'Halted')
  await provision(world, db, switches)
  return again
}

/** Everything but disks, Secrets and data goes. */
async function halt(world: World, db: Database): Promise<void> {
  if (isTrue(db.status.conditions, 'Halted')) return
  // Where the webhook leaves the policy as it is, KubeDB cannot ask for another: nothing could be halted then.
  if (!world.kind.haltsPlainly && db.spec.deletionPolicy !== 'Halt')
    throw new WorkloadError("can't halt db. 'spec.deletionPolicy' is not 'Halt'")
  await world.servers.stop(keyOf(db))
  await deleteOffshoots(world, db)
  await setConditions(
    world,
    db,
    conditionOf.halted(world.kind, db),
    conditionOf.notAcceptingWhileHalted(world.kind, db),
    conditionOf.notReady(world.kind, db, 'DatabaseHaltedSuccessfully'),
  )
}

/** In KubeDB's order: Services, auth Secret, workload, AppBinding; then the conditions. */
async function provision(world: World, found: Database, switches: Switches): Promise<void> {
  const wait = (stage: string) => () => world.pace.stage(keyOf(found), stage, switches.slow)
  const version = await versionOf(world, found)
  if (!version) return
  await workload.ensureServices(world, found, wait('services'))
  const { db, credentials } = await workload.ensureAuthSecret(
    world,
    found,
    version,
    newPassword,
    wait('secret'),
  )
  await workload.ensureFurtherSecrets(world, db, newPassword)
  const issuer = missingIssuer(world, db, switches.missingIssuers)
  if (issuer !== undefined) {
    // KubeDB waits for the issuer's certificates without a word to the user.
    world.logOnce(keyOf(db), `${keyOf(db)}: it waits for certificates of an issuer ${issuer}`)
    return
  }
  await ensureCertificates(world, db)
  const created = await workload.ensurePods(world, db, version, wait('pods'))
  await workload.ensureAppBinding(world, db, version, wait('appbinding'))
  if (switches.neverReady !== undefined) {
    await reportNotReady(world, db, switches.neverReady)
    return
  }
  if (!switches.notAccepting && !world.servers.running(keyOf(db))) {
    wait('server')()
    if (!(await startServer(world, db, credentials))) return
  }
  if (created && world.servers.running(keyOf(db))) await workload.setPodsReady(world, db, true)
  await checkHealth(world, db, switches)
}

/** A version that the catalog lost is the user's to mend: an event, and no retry before the next look. */
async function versionOf(world: World, db: Database): Promise<Version | undefined> {
  const name = db.spec.version
  const version = await world.kube.get(Version, world.own.versions, { name })
  if (!version)
    await world.events.warning(
      subjectOf(world, db),
      'Invalid',
      `${world.own.versions.plural}.catalog.kubedb.com "${name}" not found`,
    )
  return version
}

async function startServer(world: World, db: Database, credentials: Credentials): Promise<boolean> {
  const unserved = world.kind.unserved?.(db.spec)
  if (unserved !== undefined) throw new WorkloadError(unserved)
  const available = await world.engine.available()
  if (available !== true) {
    await reportNotReady(world, db, available)
    return false
  }
  try {
    await workload.ensureServer(world, db, credentials)
    await workload.setPodsReady(world, db, true)
    return true
  } catch (error) {
    if (error instanceof WorkloadError) throw error
    await reportNotReady(world, db, error instanceof Error ? error.message : String(error))
    throw error
  }
}

async function reportNotReady(world: World, db: Database, why: string): Promise<void> {
  await world.servers.stop(keyOf(db))
  await workload.setPodsReady(world, db, false)
  await world.events.warning(subjectOf(world, db), 'Failed', why)
  await setConditions(
    world,
    db,
    conditionOf.replicasNotReady(why),
    conditionOf.notAccepting(world.kind, db, why),
    conditionOf.notReady(world.kind, db),
  )
}

/** Connects as a client would and writes what it met; `Provisioned` comes last, once, and stays. */
async function checkHealth(world: World, found: Database, switches: Switches): Promise<void> {
  if (switches.notAccepting) await world.servers.stop(keyOf(found))
  const trouble = switches.notAccepting ? notAcceptingSwitch : await connectionTrouble(world, found)
  if (trouble !== undefined) {
    await setConditions(
      world,
      found,
      conditionOf.notAccepting(world.kind, found, trouble),
      conditionOf.notReady(world.kind, found),
    )
    return
  }
  let db = await setConditions(world, found, conditionOf.replicasReady())
  db = await setConditions(world, db, conditionOf.accepting(world.kind, db))
  db = await setConditions(world, db, conditionOf.ready())
  if (!isProvisioned(db)) await setConditions(world, db, conditionOf.provisioned(world.kind, db))
}

const notAcceptingSwitch = 'the switch not-accepting of the sandbox is on'

/** What a client meets that cannot connect; nothing if it can. */
async function connectionTrouble(world: World, db: Database): Promise<string | undefined> {
  try {
    await world.servers.check(keyOf(db))
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
