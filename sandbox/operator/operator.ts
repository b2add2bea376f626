// A stand-in for KubeDB's operator, for development and tests: it runs real servers on loopback.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { engines } from '../engines/engines.ts'
import type { Engine } from '../engines/parts/engine.ts'
import { type LoopbackAddresses, openLoopbackAddresses } from '../machine/loopback.ts'
import { eventRecorder } from './cluster/events.ts'
import { type Informer, startInformer } from './cluster/informer.ts'
import { Kube, KubeError, type Resource } from './cluster/kube.ts'
import { Database, Named, OpsRequest, resources, Unscoped } from './cluster/resources.ts'
import { switchesName } from './cluster/switches.ts'
import { reconcileDatabase } from './database-reconciler.ts'
import { type Issuer, issuerIn } from './databases/certificate-authority.ts'
import { type NamesFile, openNamesFile } from './databases/names-file.ts'
import { collectOrphans, wipeForgottenData } from './databases/orphans.ts'
import { openPace } from './databases/pace.ts'
import { openServers } from './databases/servers.ts'
import { keyOf, type World } from './databases/world.ts'
import { kinds as allKinds } from './kinds/kinds.ts'
import { type Kind, resourcesOf } from './kinds/parts/kind.ts'
import { startWebhooks } from './webhooks/webhooks.ts'
import { type WorkQueue, workQueue } from './work-queue.ts'

export interface OperatorOptions {
  /** How to reach the API server, as an administrator. */
  readonly kubeconfigFile: string
  /** A certificate for 127.0.0.1 with its key, and the certificates that make it trusted: the webhooks' own. */
  readonly certificateFile: string
  readonly keyFile: string
  readonly caFile: string
  /** Whether the cluster has a garbage collector; if not, the operator does its work for KubeDB's objects. */
  readonly collectsGarbage: boolean
  /** Folder for the servers' programs and data. Started by root, it must be reachable for `nobody`. */
  readonly engineHome: string
  /** Folder for `names.json` (Service name → loopback address) and what must survive a restart. */
  readonly stateDirectory: string
  /** Takes a line for people. */
  readonly log: (line: string) => void
  /** The makes of server that there are; all that the sandbox knows if left out. */
  readonly engines?: readonly Engine[]
}

/**
 * Starts the operator and its webhooks, for every kind whose CRDs are installed. Settles once every database
 * has been seen and the API server asks the webhooks. Throws when no kind is installed or a folder cannot be used.
 */
export async function startOperator(options: OperatorOptions): Promise<{ stop(): Promise<void> }> {
  await mkdir(options.engineHome, { recursive: true, mode: 0o755 })
  await mkdir(options.stateDirectory, { recursive: true })
  const kube = await Kube.fromFile(options.kubeconfigFile)
  try {
    const kinds = await installedKinds(kube, options.log)
    await ensureStorageClass(kube)
    return await run(kube, kinds, options)
  } catch (error) {
    kube.close()
    throw error
  }
}

async function run(
  kube: Kube,
  kinds: readonly Kind[],
  options: OperatorOptions,
): Promise<{ stop(): Promise<void> }> {
  const { engineHome, stateDirectory, collectsGarbage, log } = options
  const report = reportTo(log)
  const shared: Shared = {
    kube,
    addresses: await openLoopbackAddresses(join(stateDirectory, 'addresses.json')),
    names: await openNamesFile(join(stateDirectory, 'names.json')),
    issuer: issuerIn(join(stateDirectory, 'issuer.json')),
    log,
    report,
  }
  const garbage = workQueue(async () => {
    await collectOrphans(kube, kinds)
    return undefined
  }, report)
  const makes = options.engines ?? engines(engineHome)
  const operations = await Promise.all(
    kinds.map((kind) =>
      operate(shared, kind, makes.find((engine) => engine.kind === kind.kind) ?? noEngine(kind), (db) => {
        if (!collectsGarbage && db.metadata.deletionTimestamp !== undefined) garbage.add('garbage', 300)
      }),
    ),
  )
  const webhooks = await startWebhooks({ ...options, kube, kinds })
  // A switch takes effect at once, not at the next health check.
  const switches = startInformer(
    kube,
    resources.configMaps,
    Named,
    `metadata.name=${switchesName}`,
    ({ metadata: { namespace } }) => {
      for (const { look } of operations) look(namespace).catch((error: unknown) => report(namespace, error))
    },
    log,
  )
  const informers = [...operations.flatMap(({ follow }) => follow()), switches]
  await Promise.all(informers.map(({ synced }) => synced))
  if (!collectsGarbage) garbage.add('garbage')
  return {
    async stop() {
      await Promise.all(informers.map((informer) => informer.stop()))
      await Promise.all([...operations.map(({ databases }) => databases.stop()), garbage.stop()])
      await webhooks.stop()
      await Promise.all(operations.map(({ world }) => world.servers.stopAll()))
      kube.close()
    },
  }
}

/** What the kinds share. */
interface Shared {
  readonly kube: Kube
  readonly addresses: LoopbackAddresses
  readonly names: NamesFile
  readonly issuer: Issuer
  readonly log: (line: string) => void
  readonly report: (key: string, error: unknown) => void
}

/** The databases of one kind at work. */
interface Operation {
  readonly world: World
  readonly databases: WorkQueue
  /** Starts to follow the objects of the kind. */
  follow(): Informer[]
  /** Looks at every database of a namespace. */
  look(namespace: string): Promise<void>
}

async function operate(
  shared: Shared,
  kind: Kind,
  engine: Engine,
  seen: (db: Database) => void,
): Promise<Operation> {
  const { kube, log, report } = shared
  const own = resourcesOf(kind)
  const world = openWorld(shared, kind, engine, (database, reason) => {
    log(`${database}: its ${kind.title} server is gone (${reason})`)
    databases.add(database)
  })
  const databases = workQueue((key) => reconcileDatabase(world, key), report)
  const available = await engine.available()
  if (available !== true) log(available)
  await wipeForgottenData(kube, kind, engine)
  const seenDatabase = (db: Database) => {
    databases.add(keyOf(db))
    seen(db)
  }
  const seenOps = ({ metadata, spec }: OpsRequest) =>
    databases.add(`${metadata.namespace}/${spec.databaseRef.name}`)
  return {
    world,
    databases,
    follow: () => [
      startInformer(kube, own.databases, Database, undefined, seenDatabase, log),
      startInformer(kube, own.opsRequests, OpsRequest, undefined, seenOps, log),
    ],
    async look(namespace) {
      const { items } = await kube.list(Named, own.databases, { namespace })
      for (const db of items) databases.add(keyOf(db))
    },
  }
}

function openWorld(
  { kube, addresses, names, issuer, log }: Shared,
  kind: Kind,
  engine: Engine,
  gone: (database: string, reason: string) => void,
): World {
  const said = new Set<string>()
  const among = (database: string) => `${kind.plural}/${database}`
  return {
    kind,
    own: resourcesOf(kind),
    kube,
    engine,
    servers: openServers(engine, gone),
    addresses: {
      of: (database) => addresses.addressOf(among(database), kind.port),
      release: (database) => addresses.release(among(database)),
    },
    names: {
      set: (database, entries) => names.set(among(database), entries),
      remove: (database) => names.remove(among(database)),
    },
    issuer,
    pace: openPace(),
    events: eventRecorder(kube, 'KubeDB Operator', log),
    opsEvents: eventRecorder(kube, 'KubeDB Ops-manager Operator', log),
    logOnce(database, line) {
      if (said.has(`${database} ${line}`)) return
      said.add(`${database} ${line}`)
      log(line)
    },
  }
}

/** Where the sandbox knows no server of a kind: everything of its databases is there but that. */
function noEngine({ kind, port, title }: Kind): Engine {
  const missing = `the sandbox has no ${title} server`
  return {
    kind,
    port,
    available: async () => missing,
    async start() {
      throw new Error(missing)
    },
    wipe: async () => undefined,
    kept: async () => [],
  }
}

/** A kind whose CRDs are not there is not served, which is said. Throws when none is. */
async function installedKinds(kube: Kube, log: (line: string) => void): Promise<Kind[]> {
  if (!(await isServed(kube, resources.appBindings)))
    throw new Error(
      `the API server has no ${resources.appBindings.plural}: install the CRDs before the operator starts`,
    )
  const installed: Kind[] = []
  for (const kind of allKinds) {
    const own = resourcesOf(kind)
    const served = await Promise.all(
      [own.databases, own.opsRequests, own.versions].map((one) => isServed(kube, one)),
    )
    if (served.every(Boolean)) installed.push(kind)
    else log(`the CRDs of ${kind.kind} are not installed: it is not served`)
  }
  if (installed.length > 0) return installed
  const plurals = allKinds.map(({ plural }) => plural).join(', ')
  throw new Error(`the API server has none of ${plurals}: install the CRDs before the operator starts`)
}

async function isServed(kube: Kube, resource: Resource): Promise<boolean> {
  try {
    await kube.list(Unscoped, resource)
    return true
  } catch (error) {
    if (error instanceof KubeError && error.status === 404) return false
    throw error
  }
}

/** Says what went wrong with a key; the same thing only once, however often it is tried. */
function reportTo(log: (line: string) => void) {
  const said = new Map<string, string>()
  return (key: string, error: unknown) => {
    // The API server is away: the watches tell, and everything is tried again.
    if (error instanceof KubeError && error.status === 0) return
    const message = error instanceof Error ? error.message : String(error)
    if (said.get(key) === message) return
    said.set(key, message)
    log(`${key}: ${message}`)
  }
}

/** Claims want a class that may grow; nobody provisions anything. */
async function ensureStorageClass(kube: Kube): Promise<void> {
  await kube.create(resources.storageClasses, {
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: {
      name: 'standard',
      annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' },
    },
    provisioner: 'sandbox.kubedb.com/loopback',
    allowVolumeExpansion: true,
    volumeBindingMode: 'Immediate',
  })
}
