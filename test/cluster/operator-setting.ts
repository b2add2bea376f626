import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TestFn } from 'ava'
import * as v from 'valibot'
import { startControlPlane } from '../../sandbox/control-plane/control-plane.ts'
import { startControlPlaneWithKinds } from '../../sandbox/control-plane/with-kinds.ts'
import type { Engine } from '../../sandbox/engines/parts/engine.ts'
import { Kube, KubeError, type Resource } from '../../sandbox/operator/cluster/kube.ts'
import {
  Named,
  OpsRequest,
  Database as Postgres,
  resources as resourcesOfAll,
  Secret,
  Service,
} from '../../sandbox/operator/cluster/resources.ts'
import { resourcesOf } from '../../sandbox/operator/kinds/parts/kind.ts'
import { postgres } from '../../sandbox/operator/kinds/postgres.ts'
import { startOperator } from '../../sandbox/operator/operator.ts'

const { databases, opsRequests } = resourcesOf(postgres)
export const resources = { ...resourcesOfAll, postgreses: databases, postgresOpsRequests: opsRequests }

/** A cluster with the operator, for one test file. */
export interface Setting {
  readonly folder: string
  readonly kube: Kube
  /** What the operator said. */
  readonly lines: string[]
  /** Ends the operator, keeps the cluster. */
  stopOperator(): Promise<void>
  startOperator(): Promise<void>
  /** Ends and starts the API server on its data, at the same address. */
  restartControlPlane(): Promise<void>
}

/**
 * Starts it before the tests of a file, and ends it after them.
 *
 * @param engines the makes of server there are; all that the sandbox knows if left out
 */
export function useSetting(test: TestFn, engines?: readonly Engine[]): Setting {
  let started: Awaited<ReturnType<typeof startSetting>> | undefined
  const setting = (): Setting => {
    if (!started) throw new Error('the setting is there once the tests run')
    return started
  }
  test.serial.before('a cluster with the operator', async (t) => {
    started = await startSetting((line) => t.log(line), engines)
  })
  test.after.always('its end', async () => {
    await started?.end()
  })
  return {
    get folder() {
      return setting().folder
    },
    get kube() {
      return setting().kube
    },
    get lines() {
      return setting().lines
    },
    stopOperator: () => setting().stopOperator(),
    startOperator: () => setting().startOperator(),
    restartControlPlane: () => setting().restartControlPlane(),
  }
}

async function startSetting(
  progress: (line: string) => void,
  engines?: readonly Engine[],
): Promise<Setting & { end(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'operator-'))
  // The engines run as nobody when the tests run as root.
  await chmod(folder, 0o755)
  const directory = join(folder, 'control-plane')
  let plane = await startControlPlaneWithKinds({ directory, progress })
  const kube = await Kube.fromFile(plane.kubeconfigFile)
  const lines: string[] = []
  let operator: Awaited<ReturnType<typeof startOperator>> | undefined
  const setting = {
    folder,
    kube,
    lines,
    async startOperator() {
      operator = await startOperator({
        ...plane,
        engineHome: join(folder, 'engines'),
        stateDirectory: join(folder, 'state'),
        log: (line) => lines.push(line),
        ...(engines && { engines }),
      })
    },
    async stopOperator() {
      await operator?.stop()
      operator = undefined
    },
    async restartControlPlane() {
      const apiPort = Number(new URL(plane.url).port)
      await plane.stop()
      plane = await startControlPlane({ directory, progress, apiPort })
    },
    async end() {
      await setting.stopOperator()
      kube.close()
      await plane.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
  await setting.startOperator()
  return setting
}

const namespaces: Resource = { api: 'api/v1', plural: 'namespaces' }

export async function createNamespace(kube: Kube, name: string): Promise<string> {
  await kube.create(namespaces, { metadata: { name } })
  return name
}

export async function deleteNamespace(kube: Kube, name: string): Promise<void> {
  await kube.delete(namespaces, { name })
}

/** Asks until there is an answer; throws what was awaited when there is none in time. */
export async function until<T>(
  what: string,
  probe: () => Promise<T | undefined | false>,
  seconds = 150,
): Promise<T> {
  const end = Date.now() + seconds * 1000
  for (;;) {
    const answer = await probe()
    if (answer !== undefined && answer !== false) return answer
    if (Date.now() > end) throw new Error(`not within ${seconds} s: ${what}`)
    await sleep(100)
  }
}

/** Names of all objects of a database. */
export async function offshootNames(
  kube: Kube,
  resource: Resource,
  namespace: string,
  database: string,
): Promise<string[]> {
  const labelSelector = `app.kubernetes.io/instance=${database}`
  const { items } = await kube.list(Named, resource, { namespace, labelSelector })
  return items.map(({ metadata }) => metadata.name)
}

/** The address that functions would resolve for a Service. */
export async function addressOf(setting: Setting, namespace: string, service: string): Promise<string> {
  const names = v.parse(
    v.record(v.string(), v.string()),
    JSON.parse(await readFile(join(setting.folder, 'state', 'names.json'), 'utf8')),
  )
  const address = names[`${service}.${namespace}.svc`]
  if (address === undefined) throw new Error(`names.json has no ${service}.${namespace}.svc`)
  return address
}

export async function setSwitches(
  kube: Kube,
  namespace: string,
  data: Record<string, string>,
): Promise<void> {
  await kube.delete(resources.configMaps, { namespace, name: 'sandbox-switches' })
  await kube.create(resources.configMaps, { metadata: { namespace, name: 'sandbox-switches' }, data })
}

/** Status and message of the refusal that a call is expected to meet. */
export async function refusalOf(call: Promise<unknown>): Promise<{ status: number; message: string }> {
  try {
    await call
  } catch (error) {
    if (error instanceof KubeError) return { status: error.status, message: error.message }
    throw error
  }
  throw new Error('the call was not refused')
}

export { Named, OpsRequest, Postgres, Secret, Service }
