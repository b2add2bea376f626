/** What tests of every kind assert of an instance on its way: bound, parted from, gone without a trace. */
import type { ExecutionContext } from 'ava'
import { databaseName, hash26, instanceLabel } from '../../shared/kubedb/records/names.ts'
import type { JsonObject } from '../../shared/values/json.ts'
import type { TestBroker } from './broker.ts'
import { at, type TestCluster, textAt } from './cluster.ts'
import { brief, credentialsIn, type Platform } from './platform.ts'

/** @returns the credentials of a new binding */
export async function bound(
  t: ExecutionContext,
  platform: Platform,
  instanceId: string,
  bindingId: string,
  role: string,
): Promise<JsonObject> {
  const answer = await platform.bind(instanceId, bindingId, { asynchronous: false, parameters: { role } })
  t.is(answer.status, 201, brief(answer))
  return credentialsIn(answer)
}

/** Asserts that a binding is taken away at once. */
export async function assertUnbound(
  t: ExecutionContext,
  platform: Platform,
  instanceId: string,
  bindingId: string,
): Promise<void> {
  const answer = await platform.unbind(instanceId, bindingId, { asynchronous: false })
  t.is(answer.status, 200, brief(answer))
}

/** Where a kind keeps what belongs to an instance. */
interface Traces {
  plural: string
  /** characters that the name of a database may have; 40 unless given */
  longest?: number
  /** what is looked for beside pods, Secrets and disks */
  also?: readonly string[]
}

/** @returns records, databases, and what belongs to them */
export async function remaining(
  cluster: TestCluster,
  instanceId: string,
  { plural, longest = 40, also = [] }: Traces,
): Promise<unknown[]> {
  const label = `labelSelector=${instanceLabel}%3D${hash26(instanceId)}`
  const ofDatabase = `labelSelector=app.kubernetes.io%2Finstance%3D${databaseName(instanceId, longest)}`
  const paths = [
    `${cluster.recordsPath()}?${label}`,
    `${cluster.databasesPath(plural)}?${label}`,
    ...['pods', 'secrets', 'persistentvolumeclaims', ...also].map(
      (one) => `${cluster.databasesPath(one)}?${ofDatabase}`,
    ),
  ]
  const found = await Promise.all(paths.map((path) => cluster.admin('GET', path)))
  return found.flatMap(({ body }) => at(body, 'items') ?? [])
}

/** Asserts that an instance is deprovisioned with all that belongs to it, and that no function told a password. */
export async function assertDeprovisioned(
  t: ExecutionContext,
  broker: TestBroker,
  platform: Platform,
  instanceId: string,
  traces: Traces,
  credentials: readonly JsonObject[],
): Promise<void> {
  const end = await platform.settle(instanceId, await platform.deprovision(instanceId))
  t.is(end.status, 410, brief(end))
  t.deepEqual(await remaining(broker.cluster, instanceId, traces), [])
  for (const one of credentials) {
    const secret = textAt(one, 'password')
    t.false(broker.lines.some((line) => line.includes(secret)))
  }
}
