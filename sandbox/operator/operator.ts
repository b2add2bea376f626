// A stand-in for KubeDB's operator, for development and tests: it runs real servers on loopback.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { engines } from '../engines/engines.ts'
import { openLoopbackAddresses } from '../engines/loopback.ts'
import { reconcileDatabase } from './database-reconciler.ts'
import { eventRecorder } from './events.ts'
import { startInformer } from './informer.ts'
import { Kube, KubeError } from './kube.ts'
import { openNamesFile } from './names-file.ts'
import { collectOrphans, wipeForgottenData } from './orphans.ts'
import { openPace } from './pace.ts'
import { Named, Postgres, PostgresOpsRequest, resources, Unscoped } from './resources.ts'
import { openServers } from './servers.ts'
import { switchesName } from './switches.ts'
import { startWebhooks } from './webhooks.ts'
import { workQueue } from './work-queue.ts'
import { keyOf, type World } from './world.ts'

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
}

/**
 * Starts the operator and its webhooks. Settles once every database has been seen and the API
 * server asks the webhooks. Throws when the CRDs are not installed or a folder cannot be used.
 */
export async function startOperator(options: OperatorOptions): Promise<{ stop(): Promise<void> }> {
  await mkdir(options.engineHome, { recursive: true, mode: 0o755 })
  await mkdir(options.stateDirectory, { recursive: true })
  const kube = await Kube.fromFile(options.kubeconfigFile)
  try {
    await assertInstalled(kube)
    await ensureStorageClass(kube)
    return await run(kube, options)
  } catch (error) {
    kube.close()
    throw error
  }
}

async function run(kube: Kube, options: OperatorOptions): Promise<{ stop(): Promise<void> }> {
  const { log } = options
  const report = reportTo(log)
  const world = await openWorld(kube, options, (database, reason) => {
    log(`${database}: its PostgreSQL server is gone (${reason})`)
    databases.add(database)
  })
  const databases = workQueue((key) => reconcileDatabase(world, key), report)
  const garbage = workQueue(async () => {
    await collectOrphans(kube)
    return undefined
  }, report)
  const seen = (db: Postgres) => {
    databases.add(keyOf(db))
    if (!options.collectsGarbage && db.metadata.deletionTimestamp !== undefined) garbage.add('garbage', 300)
  }
  const seenOps = ({ metadata, spec }: PostgresOpsRequest) =>
    databases.add(`${metadata.namespace}/${spec.databaseRef.name}`)
  // A switch takes effect at once, not at the next health check.
  const seenSwitches = async (namespace: string) => {
    const { items } = await kube.list(Postgres, resources.postgreses, { namespace })
    for (const db of items) databases.add(keyOf(db))
  }
  await wipeForgottenData(kube, world.engine)
  const webhooks = await startWebhooks({ ...options, kube })
  const informers = [
    startInformer(kube, resources.postgreses, Postgres, undefined, seen, log),
    startInformer(kube, resources.postgresOpsRequests, PostgresOpsRequest, undefined, seenOps, log),
    startInformer(
      kube,
      resources.configMaps,
      Named,
      `metadata.name=${switchesName}`,
      ({ metadata: { namespace } }) => {
        seenSwitches(namespace).catch((error: unknown) => report(namespace, error))
      },
      log,
    ),
  ]
  await Promise.all(informers.map(({ synced }) => synced))
  if (!options.collectsGarbage) garbage.add('garbage')
  return {
    async stop() {
      await Promise.all(informers.map((informer) => informer.stop()))
      await Promise.all([databases.stop(), garbage.stop()])
      await webhooks.stop()
      await world.servers.stopAll()
      kube.close()
    },
  }
}

async function openWorld(
  kube: Kube,
  { engineHome, stateDirectory, log }: OperatorOptions,
  gone: (database: string, reason: string) => void,
): Promise<World> {
  const engine = engines(engineHome).find(({ kind }) => kind === 'Postgres')
  if (!engine) throw new Error('there is no engine for Postgres')
  const available = await engine.available()
  if (available !== true) log(available)
  const said = new Set<string>()
  return {
    kube,
    engine,
    servers: openServers(engine, gone),
    addresses: await openLoopbackAddresses(join(stateDirectory, 'addresses.json')),
    names: await openNamesFile(join(stateDirectory, 'names.json')),
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

async function assertInstalled(kube: Kube): Promise<void> {
  for (const resource of [resources.postgreses, resources.postgresOpsRequests, resources.appBindings]) {
    try {
      await kube.list(Unscoped, resource)
    } catch (error) {
      if (!(error instanceof KubeError && error.status === 404)) throw error
      throw new Error(
        `the API server has no ${resource.plural}: install the CRDs before the operator starts`,
        {
          cause: error,
        },
      )
    }
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
