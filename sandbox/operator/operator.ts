// A stand-in for KubeDB's operator, for development and tests: it runs real servers on loopback.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { openLoopbackAddresses } from '../engines/loopback.ts'
import { postgresEngine } from '../engines/postgres.ts'
import { reconcileDatabase } from './database-reconciler.ts'
import { eventRecorder } from './events.ts'
import { startInformer } from './informer.ts'
import { Kube, KubeError } from './kube.ts'
import { openNamesFile } from './names-file.ts'
import { collectOrphans, wipeForgottenData } from './orphans.ts'
import { openPace } from './pace.ts'
import { Named, Postgres, PostgresOpsRequest, resources } from './resources.ts'
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
 * Starts the operator and its webhooks. The CRDs must be installed.
 * Settles once every database has been seen and the API server asks the webhooks.
 */
export async function startOperator(options: OperatorOptions): Promise<{ stop(): Promise<void> }> {
  const { engineHome, stateDirectory, log } = options
  await mkdir(engineHome, { recursive: true, mode: 0o755 })
  await mkdir(stateDirectory, { recursive: true })
  const kube = await Kube.fromFile(options.kubeconfigFile)
  await ensureStorageClass(kube)
  const engine = postgresEngine(engineHome)
  const available = await engine.available()
  if (available !== true) log(available)
  await wipeForgottenData(kube, engine)

  const said = new Set<string>()
  const world: World = {
    kube,
    engine,
    servers: openServers(engine, (database, reason) => {
      log(`${database}: its PostgreSQL server is gone (${reason})`)
      databases.add(database)
    }),
    addresses: await openLoopbackAddresses(join(stateDirectory, 'addresses.json')),
    names: await openNamesFile(join(stateDirectory, 'names.json')),
    pace: openPace(),
    events: eventRecorder(kube, 'KubeDB Operator', log),
    opsEvents: eventRecorder(kube, 'KubeDB Ops-manager Operator', log),
    log,
    logOnce(database, line) {
      if (said.has(`${database} ${line}`)) return
      said.add(`${database} ${line}`)
      log(line)
    },
  }
  const databases = workQueue((key) => reconcileDatabase(world, key), reportTo(log))
  const garbage = workQueue(async () => {
    await collectOrphans(kube)
    return undefined
  }, reportTo(log))
  const webhooks = await startWebhooks({ ...options, kube })

  const informers = [
    startInformer(
      kube,
      resources.postgreses,
      Postgres,
      undefined,
      (db) => {
        databases.add(keyOf(db))
        if (!options.collectsGarbage && db.metadata.deletionTimestamp !== undefined) garbage.add('all', 300)
      },
      log,
    ),
    startInformer(
      kube,
      resources.postgresOpsRequests,
      PostgresOpsRequest,
      undefined,
      ({ metadata, spec }) => databases.add(`${metadata.namespace}/${spec.databaseRef.name}`),
      log,
    ),
    // A switch takes effect at once, not at the next health check.
    startInformer(
      kube,
      resources.configMaps,
      Named,
      `metadata.name=${switchesName}`,
      ({ metadata }) =>
        wakeNamespace(kube, metadata.namespace, databases.add).catch(
          reportTo(log).bind(undefined, metadata.namespace),
        ),
      log,
    ),
  ]
  await Promise.all(informers.map(({ synced }) => synced))
  if (!options.collectsGarbage) garbage.add('all')

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

async function wakeNamespace(kube: Kube, namespace: string, wake: (key: string) => void): Promise<void> {
  const { items } = await kube.list(Postgres, resources.postgreses, { namespace })
  for (const db of items) wake(keyOf(db))
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
