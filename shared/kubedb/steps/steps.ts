/** The steps of an update, carried out one at a time: an OpsRequest or a patch, and waiting for it. */
import { BrokerError } from '../../values/errors.ts'
import { equal } from '../../values/json.ts'
import { ApiError, refusal, refuser, translate } from '../cluster/api-error.ts'
import type { Collection } from '../cluster/cluster.ts'
import { Resource } from '../cluster/object.ts'
import type { Database } from '../databases/database.ts'
import { patience, unreachable } from '../observed/readiness.ts'
import { age, type Broker, timestamp } from '../records/broker.ts'
import {
  databases,
  type InstanceRecord,
  type Step,
  type UpdateOperation,
  userFacing,
} from '../records/instance-record.ts'
import { hash26, instanceLabel } from '../records/names.ts'
import { draftOpsRequest, draftPatch } from './step-draft.ts'

/** @returns where the OpsRequests of a kind are found */
export const opsRequests = (namespace: string, kind: Database): Collection => ({
  api: '/apis/ops.kubedb.com/v1alpha1',
  namespace,
  plural: kind.opsPlural,
})

/** @returns name of a step's OpsRequest: at most 40 + 1 + 12 + 1 + 3 characters */
export function stepName(record: InstanceRecord, operationId: string, number: number): string {
  return `${record.database.name}-${operationId}-${number}`
}

/**
 * Asks the cluster about every step before anything is written down.
 *
 * @throws {BrokerError} Unprocessable with KubeDB's reason
 */
export async function tryOut(
  broker: Broker,
  kind: Database,
  record: InstanceRecord,
  database: Resource,
  steps: readonly Step[],
): Promise<void> {
  const { namespace } = record.database
  await Promise.all(
    steps.map(async (step) => {
      const request = draftOpsRequest(kind, record, database, step)
      const patch = draftPatch(database, step)
      try {
        if (request)
          await broker.cluster.create(Resource, opsRequests(namespace, kind), request, { dryRun: true })
        if (patch) {
          await broker.cluster.patch(Resource, databases(kind, namespace), database.metadata.name, patch, {
            dryRun: true,
          })
        }
      } catch (error) {
        const refused = refusedChange(step, error)
        if (refused === undefined) throw translate(error, `trying out the change of ${step.dimension}`)
        throw new BrokerError('Unprocessable', refused, { cause: error })
      }
    }),
  )
}

/** @returns what the platform is told of a change that the cluster does not take; undefined when that is not the trouble */
function refusedChange({ dimension }: Step, error: unknown): string | undefined {
  if (!(error instanceof ApiError)) return undefined
  const why = refusal(error)
  return why === undefined ? undefined : `${refuser(error)} the change of ${dimension}: ${userFacing(why)}`
}

export type StepResult =
  | { state: 'done' }
  | { state: 'waiting'; description: string }
  /** never started, and a newer request of the same kind is there: has to be planned anew */
  | { state: 'skipped' }
  | { state: 'failed'; description: string }

/** Carries one step as far as it goes now. Calling it again does no harm. */
export async function advanceStep(
  broker: Broker,
  kind: Database,
  record: InstanceRecord,
  operation: UpdateOperation,
  database: Resource,
  step: Step,
): Promise<StepResult> {
  return step.change.by === 'patch'
    ? advancePatch(broker, kind, record, operation, database, step)
    : advanceOpsRequest(broker, kind, record, database, step, step.change.timeout)
}

async function advancePatch(
  broker: Broker,
  kind: Database,
  record: InstanceRecord,
  operation: UpdateOperation,
  database: Resource,
  step: Step,
): Promise<StepResult> {
  const patch = draftPatch(database, step)
  if (!patch) return { state: 'done' }
  let now = database
  if (!patched(kind, operation, database, step)) {
    try {
      now = await broker.cluster.patch(
        Resource,
        databases(kind, record.database.namespace),
        database.metadata.name,
        patch,
      )
    } catch (error) {
      const refused = refusedChange(step, error)
      if (refused === undefined) throw translate(error, `changing ${step.dimension}`)
      return { state: 'failed', description: refused }
    }
  }
  const waitsFor = settling(now, step)
  if (waitsFor === undefined) return { state: 'done' }
  // A patch has no timeout of its own, as an OpsRequest has.
  if (step.started !== undefined && age(step.started) > patience(operation.target.maximumPollingDuration)) {
    return { state: 'failed', description: `${step.dimension}: ${waitsFor}, for too long` }
  }
  return { state: 'waiting', description: `${step.dimension}: ${waitsFor}` }
}

function patched(kind: Database, operation: UpdateOperation, database: Resource, step: Step): boolean {
  const dimension = kind.dimensions.find((one) => one.name === step.dimension)
  const wanted = operation.target.resolved.spec
  const inMap = (patch: { [key: string]: string | null } | undefined, now: { [key: string]: string }) =>
    Object.entries(patch ?? {}).every(([key, value]) => (value === null ? !(key in now) : now[key] === value))
  return (
    (dimension === undefined || equal(dimension.read(database.spec), dimension.read(wanted))) &&
    inMap(step.labels, database.metadata.labels) &&
    inMap(step.annotations, database.metadata.annotations)
  )
}

/** @returns what a patch still waits for */
function settling(database: Resource, step: Step): string | undefined {
  if (step.change.by !== 'patch') return undefined
  if (step.change.spec.halted === true)
    return database.status.phase === 'Halted' ? undefined : 'the database is stopping'
  if (step.change.spec.halted === false) {
    const accepting = database.status.conditions.some(
      (one) => one.type === 'AcceptingConnection' && one.status === 'True',
    )
    return unreachable(database) === undefined && accepting && database.status.phase !== 'Halted'
      ? undefined
      : 'the database is starting'
  }
  return undefined
}

/** Added to an OpsRequest's own timeout: it bounds each of its steps, and starts when it is its turn. */
const margin = 30 * 60_000

async function advanceOpsRequest(
  broker: Broker,
  kind: Database,
  record: InstanceRecord,
  database: Resource,
  step: Step,
  timeout: string,
): Promise<StepResult> {
  const collection = opsRequests(record.database.namespace, kind)
  const request = draftOpsRequest(kind, record, database, step)
  if (!request) return { state: 'done' }
  let found = await broker.cluster.get(Resource, collection, step.name).catch((error: unknown) => {
    throw translate(error, 'reading an OpsRequest')
  })
  if (!found) {
    try {
      found = await broker.cluster.create(Resource, collection, request)
    } catch (error) {
      if (error instanceof ApiError && error.conflict) {
        return {
          state: 'waiting',
          description: `${step.dimension}: another request of the platform has just started it`,
        }
      }
      const refused = refusedChange(step, error)
      if (refused === undefined) throw translate(error, `changing ${step.dimension}`)
      return { state: 'failed', description: refused }
    }
  }
  const why = found.status.conditions.findLast((one) => one.message !== '')?.message
  switch (found.status.phase) {
    case 'Successful':
      return { state: 'done' }
    case 'Skipped':
      return { state: 'skipped' }
    case 'Failed':
    case 'Denied':
      return {
        state: 'failed',
        description: userFacing(
          `${step.dimension}: ${why ?? `KubeDB ended the change as ${found.status.phase}`}`,
        ),
      }
    case '':
    case 'Pending': {
      if (age(step.started ?? found.metadata.creationTimestamp) < milliseconds(timeout) + margin) {
        return {
          state: 'waiting',
          description: userFacing(`${step.dimension}: ${why ?? 'waits for its turn'}`),
        }
      }
      // Not begun, and not to begin once it has been called failed: only this very version of it is removed.
      const { uid, resourceVersion } = found.metadata
      try {
        await broker.cluster.remove(collection, step.name, { uid, resourceVersion })
      } catch (error) {
        if (!(error instanceof ApiError && error.conflict))
          throw translate(error, 'withdrawing an OpsRequest')
        return { state: 'waiting', description: `${step.dimension}: KubeDB has just taken it up` }
      }
      return { state: 'failed', description: `${step.dimension}: KubeDB never began the change` }
    }
    default:
      return { state: 'waiting', description: userFacing(`${step.dimension}: ${why ?? 'being changed'}`) }
  }
}

/** @param duration as Go writes it: 30m, 1h30m, 90s */
function milliseconds(duration: string): number {
  const units: { [unit: string]: number } = { h: 3_600_000, m: 60_000, s: 1000 }
  let sum = 0
  for (const [, number, unit = 's'] of duration.matchAll(/(\d+)([hms])/g))
    sum += Number(number) * (units[unit] ?? 0)
  return sum
}

/** @returns the step as begun now, where it was not yet */
export function begun(step: Step): Step {
  return step.state === 'waiting' ? { ...step, state: 'started', started: timestamp() } : step
}

/**
 * Withdraws the instance's OpsRequests that have not ended: they would outlive their database or hold it up.
 */
export async function withdrawOpsRequests(
  broker: Broker,
  kind: Database,
  record: InstanceRecord,
): Promise<void> {
  const collection = opsRequests(record.database.namespace, kind)
  const requests = await broker.cluster
    .list(
      Resource,
      collection,
      `labelSelector=${encodeURIComponent(`${instanceLabel}=${hash26(record.info.instanceId)}`)}`,
    )
    .catch((error: unknown) => {
      // A cluster without KubeDB's operations manager has none to withdraw.
      if (error instanceof ApiError && error.status === 404) return []
      throw error
    })
  const over = ['Successful', 'Failed', 'Skipped', 'Denied']
  await Promise.all(
    requests
      .filter((request) => !over.includes(request.status.phase))
      .map((request) =>
        broker.cluster.remove(collection, request.metadata.name, { uid: request.metadata.uid }),
      ),
  )
}
