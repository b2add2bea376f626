/**
 * Functions whose every outbound call passes a fault proxy, for one test:
 *
 *     const lane = await openFaultLane(t, { cluster })
 *     lane.interfere({ before: (call) => (shapeOf(call) === 'PUT appbindings/osb-i' ? 'reset' : undefined) })
 *     await lane.platform.provision(id)
 *     lane.calm()
 *
 * Several lanes may share one cluster: each has functions and proxies of its own.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import { databaseName } from '../../shared/kubedb/records/names.ts'
import type { FunctionName } from '../../shared/routes.ts'
import { openBroker, type TestBroker } from './broker.ts'
import { catalogWith } from './catalog-parts.ts'
import type { TestCluster } from './cluster.ts'
import { startEngineFaultProxy } from './engine-fault-proxy.ts'
import type { Call, Interference } from './fault-call.ts'
import { startFaultProxy } from './fault-proxy.ts'
import { encryptionOf, type Inventory, inventoryOf } from './inventory.ts'
import type { Offer } from './offers.ts'
import { type Platform, platformOf } from './platform.ts'
import { postgresProtocol } from './wire/postgres.ts'
import type { Protocol } from './wire/wire.ts'

/** Short, so that what waits for a dead function does not wait long. */
export const times = { requestBudget: 8, abandonedAfter: 11 }

export interface FaultLaneOptions {
  cluster: TestCluster
  /** the plan that the platform asks for; PostgreSQL's `small` unless told otherwise */
  offer?: Offer
  /** file of examples/catalog without which that is not on offer */
  part?: string | undefined
  /** of its engine; PostgreSQL's unless told otherwise */
  protocol?: Protocol
  /** more environment variables of the functions */
  environment?: Readonly<Record<string, string>>
}

/** How functions come to the server of an engine. */
export interface Way {
  /** what the name of the Service ends with, after that of the database */
  readonly service?: string
  /** alias of the certificate that the server shows, where it speaks TLS */
  readonly certificate?: string
}

export interface FaultLane {
  cluster: TestCluster
  broker: TestBroker
  platform: Platform
  /** Does this to all calls from now on. */
  interfere(interference: Interference): void
  /** Lets all calls through again. */
  calm(): void
  /** @returns the calls that were made while `act` ran, in the order of arrival */
  callsOf(act: () => Promise<unknown>): Promise<Call[]>
  /** Ends the function's process as the kernel does, without a last word; nothing if none runs. */
  kill(name: FunctionName): void
  /**
   * Leads the functions to the instance's engine through the proxy; once it has a Service.
   *
   * @param how it is reached, where that is not by its first Service and in clear
   */
  cover(instanceId: string, how?: Way): Promise<void>
  inventory(instanceId: string): Promise<Inventory>
}

/** @returns a lane that ends with the test */
export async function openFaultLane(t: ExecutionContext, options: FaultLaneOptions): Promise<FaultLane> {
  const { cluster } = options
  const directory = await mkdtemp(join(tmpdir(), 'fault-lane-'))
  const api = await startFaultProxy({
    upstream: cluster.url,
    caFile: cluster.caFile,
    // The control plane's certificate is its own authority; the key lies beside it.
    certificateFile: cluster.caFile,
    keyFile: cluster.caFile.replace(/\.crt$/, '.key'),
  })
  const engine = await startEngineFaultProxy({
    protocol: options.protocol ?? postgresProtocol,
    operatorNames: cluster.names,
    directory,
  })
  t.teardown(async () => {
    if (!t.passed)
      t.log(
        broker.lines
          .filter((line) => line.includes('"level":"error"'))
          .slice(-10)
          .join('\n'),
      )
    await Promise.all([api.stop(), engine.stop()])
    await rm(directory, { recursive: true, force: true })
  })
  const broker = await openBroker(t, {
    cluster,
    apiServer: { host: '127.0.0.1', port: api.port, ca: cluster.ca },
    environment: {
      SANDBOX_NAMES: engine.namesFile,
      REQUEST_BUDGET: String(times.requestBudget),
      ABANDONED_AFTER: String(times.abandonedAfter),
      ...options.environment,
    },
  })
  if (options.part !== undefined) await writeFile(broker.catalogFile, catalogWith([options.part]))
  const interfere = (interference: Interference) => {
    api.interference = interference
    engine.interference = interference
  }
  return {
    cluster,
    broker,
    platform: platformOf(broker, options.offer),
    interfere,
    calm: () => interfere({}),
    async callsOf(act) {
      const calls: Call[] = []
      interfere({
        before(call) {
          calls.push(call)
          return undefined
        },
      })
      try {
        await act()
      } finally {
        interfere({})
      }
      return calls
    },
    kill(name) {
      const pid = broker.gateway.pid(name)
      if (pid !== undefined) process.kill(pid, 'SIGKILL')
    },
    cover: async (instanceId, { service = '', certificate } = {}) =>
      engine.cover(
        `${databaseName(instanceId, 40)}${service}.${cluster.namespaces.databases}.svc`,
        certificate === undefined ? undefined : await encryptionOf(cluster, instanceId, certificate),
      ),
    inventory: (instanceId) => inventoryOf(cluster, instanceId),
  }
}
