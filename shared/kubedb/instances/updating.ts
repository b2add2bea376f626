/** Changing a service instance: planned from what is recorded, wanted and there; carried on by every poll. */
import { createHash } from 'node:crypto'
import { BrokerError } from '../../values/errors.ts'
import { canonical, equal, type JsonObject } from '../../values/json.ts'
import type { LastOperation, Outcome } from '../../values/nouns.ts'
import { sweepAfterResume } from '../bindings/sweep.ts'
import type { Resource } from '../cluster/object.ts'
import type { Database } from '../databases/database.ts'
import { kindOf } from '../databases/kinds.ts'
import { readDatabase } from '../observed/database.ts'
import { type Broker, newOperationId, timestamp, writeFailed } from '../records/broker.ts'
import { instanceState, updating } from '../records/decide.ts'
import {
  type InstanceInfo,
  type InstanceOperation,
  type InstanceRecord,
  type Resolved,
  type Step,
  type Target,
  type UpdateOperation,
  userFacing,
  writeInstanceRecord,
} from '../records/instance-record.ts'
import { writeVerdict } from '../records/instance-store.ts'
import { keptContext } from '../records/kept-context.ts'
import { tokenOf } from '../records/token.ts'
import { advanceStep, begun, stepName, tryOut } from '../steps/steps.ts'
import { type Comparison, planUpdate } from './planner.ts'
import { listVersions, type VersionFacts } from './versions.ts'

/** The request as far as it decides whether two updates are the same. */
export interface UpdateRequest {
  serviceId: string
  planId: string | undefined
  parameters: JsonObject | undefined
  maintenance: string | undefined
}

/** @returns sha256 of what two updates must share to be the same */
export function updateHash(request: UpdateRequest): string {
  return createHash('sha256').update(canonical(request)).digest('hex')
}

/**
 * What the table says to a PATCH before it is looked at more closely.
 *
 * @param asynchronous whether the platform allows an answer of 202
 * @returns an answer, or undefined when the change has to be planned
 * @throws {BrokerError} ConcurrencyError, Unprocessable, AsyncRequired
 */
export async function updateAgain(
  broker: Broker,
  record: InstanceRecord,
  request: UpdateRequest,
  asynchronous: boolean,
): Promise<Outcome<InstanceRecord> | undefined> {
  const { operation } = record
  const decision = updating[instanceState(record)]
  const same = operation.type === 'update' && operation.request === updateHash(request)
  switch (same ? decision.same : decision.other) {
    case 'plan':
      return undefined
    case 'under way': {
      if (operation.type !== 'update') return undefined
      const database = await readDatabase(broker, record)
      // Users that were unbound while the database was suspended are removed by polls, which may log in to it.
      const settled = await advanceUpdate(
        broker,
        record,
        operation,
        database,
        async () => 'the next poll resumes',
      )
      if (settled.record.operation.state === 'succeeded')
        return { state: 'done', created: false, value: settled.record }
      if (!asynchronous) throw asyncRequired()
      return {
        state: 'under way',
        operation: tokenOf(record, database?.metadata.uid ?? ''),
        dashboardUrl: operation.target.dashboardUrl,
      }
    }
    case 'not found':
      throw new BrokerError('NotFound', 'there is no such service instance')
    case 'impossible':
      throw new BrokerError(
        'Unprocessable',
        'the service instance failed to be provisioned; deprovision it',
        {
          instanceUsable: false,
        },
      )
    case 'busy':
      throw new BrokerError(
        'ConcurrencyError',
        'another operation on the service instance is under way; wait for it',
      )
  }
}

function asyncRequired(): BrokerError {
  return new BrokerError('AsyncRequired', 'this change takes a while: send accepts_incomplete=true')
}

/**
 * Writes down the names that the platform has for the instance now, and changes nothing else (OSB:
 * `allow_context_updates`).
 *
 * @throws {Overtaken}
 */
export async function updateContext(
  broker: Broker,
  record: InstanceRecord,
  context: JsonObject,
): Promise<Outcome<InstanceRecord>> {
  const info = { ...record.info, context: keptContext(context) }
  if (equal(info, record.info)) return { state: 'done', created: false, value: record }
  return { state: 'done', created: false, value: await write(broker, record, { info }) }
}

/**
 * Begins an update.
 *
 * @param context as sent: the names that the platform has for the instance now (OSB: `allow_context_updates`)
 * @param asynchronous whether the platform allows an answer of 202
 * @throws {BrokerError} Unprocessable with the reason, before anything is written; AsyncRequired
 * @throws {Overtaken}
 */
export async function update(
  broker: Broker,
  record: InstanceRecord,
  request: UpdateRequest,
  target: Target,
  context: JsonObject | undefined,
  asynchronous: boolean,
): Promise<Outcome<InstanceRecord>> {
  const kind = kindOf(record.database.kind)
  const moves = !equal(record.info.resolved.spec.version ?? null, target.resolved.spec.version ?? null)
  const [database, versions] = await Promise.all([
    readDatabase(broker, record),
    moves ? listVersions(broker, kind) : undefined,
  ])
  if (!database) {
    throw new BrokerError(
      'Unprocessable',
      'the database of this service instance is gone; deprovision the instance',
      {
        instanceUsable: false,
        updateRepeatable: false,
      },
    )
  }
  const unfinished = unfinishedOf(record.operation)
  const steps = stepsOf(kind, record, target, unfinished, database.spec, versions)
  const info = context === undefined ? record.info : { ...record.info, context: keptContext(context) }
  const operation: UpdateOperation = {
    v: 1,
    type: 'update',
    id: newOperationId(),
    state: 'in progress',
    started: timestamp(),
    description: '',
    request: updateHash(request),
    target,
    steps: [],
    previous: verdictOf(record.operation),
    ...(unfinished.length > 0 ? { unfinished } : {}),
  }
  if (steps.length === 0) {
    const after = { ...info, ...target }
    if (equal(after, record.info)) return { state: 'done', created: false, value: record }
    const value = await write(broker, record, {
      info: after,
      operation: { ...operation, state: 'succeeded' },
    })
    return { state: 'done', created: false, value }
  }
  if (!asynchronous) throw asyncRequired()
  const named = steps.map((step, index) => ({
    ...step,
    name: step.change.by === 'opsRequest' ? stepName(record, operation.id, index + 1) : '',
  }))
  await tryOut(broker, kind, record, database, named)
  const begunOperation = {
    ...operation,
    steps: named.map((step, index) => (index === 0 ? begun(step) : step)),
  }
  const written = await write(broker, record, { info, operation: begunOperation })
  const [first] = begunOperation.steps
  if (first) {
    await advanceStep(broker, kind, written, begunOperation, database, first).catch((error: unknown) => {
      // The intent is written, so every poll tries again: an error now would say that nothing changes.
      if (!(error instanceof BrokerError)) throw error
    })
  }
  return {
    state: 'under way',
    operation: tokenOf(written, database.metadata.uid),
    dashboardUrl: target.dashboardUrl,
  }
}

async function write(
  broker: Broker,
  record: InstanceRecord,
  change: { info?: InstanceInfo; operation?: UpdateOperation },
): Promise<InstanceRecord> {
  return writeInstanceRecord(broker.cluster, broker.namespace, record, change).catch((error: unknown) => {
    throw writeFailed(error, 'writing the instance record')
  })
}

/** @returns what updates that failed in a row wanted: any of it may be in force */
function unfinishedOf(operation: InstanceOperation): Resolved[] {
  if (operation.type !== 'update' || operation.state !== 'failed') return []
  const all = [...(operation.unfinished ?? []), operation.target.resolved]
  return all.filter((one, index) => !all.slice(index + 1).some((later) => equal(one, later)))
}

/** @throws {BrokerError} Unprocessable */
function stepsOf(
  kind: Database,
  record: InstanceRecord,
  target: Target,
  unfinished: readonly Resolved[],
  live: JsonObject,
  versions: readonly VersionFacts[] | undefined,
): Step[] {
  const comparison: Comparison = {
    had: record.info.resolved,
    wanted: target.resolved,
    unfinished,
    live,
    ...(versions ? { versions } : {}),
  }
  const plan = planUpdate(kind, comparison)
  switch (plan.kind) {
    case 'nothing':
      return []
    case 'steps':
      return plan.steps
    case 'impossible':
      throw new BrokerError('Unprocessable', plan.reason)
  }
}

/** @returns how an operation ended, for whoever asks after it once the next one has begun */
export function verdictOf(operation: InstanceOperation): InstanceOperation['previous'] {
  const { id, state, description } = operation
  return { id, state, description }
}

/**
 * Carries an update as far as it goes now, and writes down what is done.
 *
 * @param afterResume what is left to do before a resumed database is handed out, undefined when nothing is
 * @returns the record as it is now, and what a user may read
 */
export async function advanceUpdate(
  broker: Broker,
  record: InstanceRecord,
  operation: UpdateOperation,
  database: Resource | undefined,
  afterResume: (database: Resource) => Promise<string | undefined>,
): Promise<{ record: InstanceRecord; description: string }> {
  if (operation.state !== 'in progress') return { record, description: operation.description }
  const kind = kindOf(record.database.kind)
  const settle = async (change: Partial<UpdateOperation>, description: string) => ({
    record: await writeVerdict(broker, record, { operation: { ...operation, ...change } }),
    description,
  })
  if (!database || database.metadata.deletionTimestamp) {
    const description = 'the database was removed; deprovision the instance'
    return settle({ state: 'failed', description }, description)
  }

  let steps = operation.steps
  const set = (index: number, step: Step) => {
    steps = steps.map((one, at) => (at === index ? step : one))
  }
  for (const [index, planned] of operation.steps.entries()) {
    if (planned.state === 'done') continue
    const step = begun(planned)
    set(index, step)
    const result = await advanceStep(broker, kind, record, operation, database, step)
    switch (result.state) {
      case 'done':
        if (step.change.by === 'patch' && step.change.spec.halted === false) {
          const left = await afterResume(database)
          if (left !== undefined) return settle({ steps }, left)
        }
        set(index, { ...step, state: 'done' })
        continue
      case 'waiting': {
        const description = userFacing(`step ${index + 1} of ${steps.length}, ${result.description}`)
        return equal(steps, operation.steps) ? { record, description } : settle({ steps }, description)
      }
      case 'skipped':
        set(index, { ...step, state: 'waiting', name: nextName(record, operation, steps) })
        return settle({ steps }, `${step.dimension}: KubeDB skipped the change; it is asked for again`)
      case 'failed':
        return settle({ steps, state: 'failed', description: result.description }, result.description)
    }
  }
  return {
    record: await writeVerdict(broker, record, {
      info: { ...record.info, ...operation.target },
      operation: { ...operation, steps, state: 'succeeded', description: '' },
    }),
    description: 'the change is made',
  }
}

/** Names are never used twice: the next number after the highest. */
function nextName(record: InstanceRecord, operation: UpdateOperation, steps: readonly Step[]): string {
  const numbers = steps.map((step) => Number(/-(\d+)$/.exec(step.name)?.[1] ?? 0))
  return stepName(record, operation.id, Math.max(steps.length, ...numbers) + 1)
}

/** One poll of an update. */
export async function pollUpdate(
  broker: Broker,
  record: InstanceRecord,
  operation: UpdateOperation,
  database: Resource | undefined,
): Promise<LastOperation> {
  const { record: now, description } = await advanceUpdate(broker, record, operation, database, (resumed) =>
    sweepAfterResume(broker, record, resumed),
  )
  switch (now.operation.state) {
    case 'succeeded':
      return { state: 'succeeded', description: 'the change is made' }
    case 'failed':
      return {
        state: 'failed',
        description: now.operation.description || 'the change could not be made',
        instanceUsable: database !== undefined,
        updateRepeatable: database !== undefined,
      }
    case 'in progress':
      return { state: 'in progress', description: description || 'the change is being made' }
  }
}
