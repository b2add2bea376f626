/** OpsRequests: which of them is next, and its steps. */
import { type ConditionChange, isTrue, withCondition } from '../cluster/conditions.ts'
import { parseDuration } from '../cluster/duration.ts'
import { KubeError } from '../cluster/kube.ts'
import { Database, OpsRequest } from '../cluster/resources.ts'
import type { Switches } from '../cluster/switches.ts'
import { ComeBack } from '../databases/pace.ts'
import { conditionOf, setConditions } from '../databases/status.ts'
import { keyOf, type World } from '../databases/world.ts'
import { opsKind } from '../kinds/parts/kind.ts'
import { replaced, selectOps } from './selection.ts'
import { stepsOf } from './steps.ts'

/** How long another waits while one is in progress (KubeDB: 30 s). */
const retryPeriod = 2000

const never = Number.POSITIVE_INFINITY

export interface OpsProgress {
  /** Something was written: the database has to be read anew. */
  readonly moved: boolean
  /** A request is in progress: the database's spec is not to be looked at. */
  readonly pausing: boolean
  /** Milliseconds until the next look. */
  readonly again: number
}

/** Carries the OpsRequests of one database one stretch further. */
export async function advanceOpsRequests(
  world: World,
  db: Database,
  switches: Switches,
): Promise<OpsProgress> {
  let requests = await listRequests(world, db)
  if (requests.length === 0) return { moved: false, pausing: false, again: never }
  for (const request of replaced(requests)) await skip(world, request, 'a newer one of its type exists')
  for (const request of requests)
    if (request.status.phase === '') await writeStatus(world, request, 'Pending', [])
  requests = await listRequests(world, db)
  const decision = selectOps(requests, { phase: db.status.phase, halted: db.spec.halted ?? false })
  switch (decision.do) {
    case 'nothing':
      return { moved: false, pausing: false, again: never }
    case 'wait':
      return { moved: false, pausing: false, again: retryPeriod }
    case 'start':
      if (switches.skipOps.includes(decision.request.spec.type)) {
        await skip(world, decision.request, 'the switch skip-ops of the sandbox is on')
        return { moved: false, pausing: false, again: 0 }
      }
      return advance(world, db, await start(world, db, decision.request), switches)
    case 'advance':
      return advance(world, db, decision.request, switches)
  }
}

async function listRequests(world: World, db: Database): Promise<OpsRequest[]> {
  const { namespace, name } = db.metadata
  const { items } = await world.kube.list(OpsRequest, world.own.opsRequests, { namespace })
  return items.filter(
    ({ spec, metadata }) => spec.databaseRef.name === name && metadata.deletionTimestamp === undefined,
  )
}

async function skip(world: World, request: OpsRequest, why: string): Promise<void> {
  await writeStatus(world, request, 'Skipped', [
    { type: 'Skipped', status: 'True', reason: 'Skipped', message: `The ops request is skipped: ${why}` },
  ])
}

async function start(world: World, db: Database, request: OpsRequest): Promise<OpsRequest> {
  const { type } = request.spec
  const started = await writeStatus(world, request, 'Progressing', [
    {
      type: 'Running',
      status: 'True',
      reason: 'Running',
      message: `${world.kind.kind} ops-request ${type} is in progress`,
    },
  ])
  await world.opsEvents.normal(
    subjectOfRequest(world, request),
    'PauseDatabase',
    `Pausing ${world.kind.kind} ${keyOf(db)}`,
  )
  return started
}

async function advance(
  world: World,
  found: Database,
  request: OpsRequest,
  switches: Switches,
): Promise<OpsProgress> {
  const { type } = request.spec
  if (!isTrue(found.status.conditions, 'Paused')) {
    await setConditions(world, found, conditionOf.paused(world.kind, found, request.metadata.name))
    await world.opsEvents.normal(
      subjectOfRequest(world, request),
      'PauseDatabase',
      `Successfully paused ${world.kind.kind} ${keyOf(found)}`,
    )
  }
  try {
    if (switches.failOps.includes(type)) throw new Error('the switch fail-ops of the sandbox is on')
    assertInTime(request)
    if (switches.stallOps.includes(type)) return { moved: true, pausing: true, again: 500 }
    return await takeSteps(world, request, switches)
  } catch (error) {
    if (error instanceof ComeBack) return { moved: true, pausing: true, again: error.delay }
    // The API server stumbled: the step is taken again, until its timeout.
    if (error instanceof KubeError && error.isPassing) throw error
    return fail(world, request, error instanceof Error ? error.message : String(error))
  }
}

/** Each step once: a step whose condition is there was taken, by this process or an earlier one. */
async function takeSteps(world: World, begun: OpsRequest, switches: Switches): Promise<OpsProgress> {
  let request = begun
  const place = { namespace: request.metadata.namespace, name: request.spec.databaseRef.name }
  for (const step of stepsOf(request)) {
    if (isTrue(request.status.conditions, step.condition)) continue
    world.pace.stage(
      `${place.namespace}/${place.name}`,
      `${request.metadata.name} ${step.condition}`,
      switches.slow,
    )
    const db = await world.kube.get(Database, world.own.databases, place)
    if (!db) return { moved: true, pausing: true, again: 0 }
    await step.take(world, db, request)
    request = await writeStatus(world, request, 'Progressing', [
      { type: step.condition, status: 'True', reason: step.condition, message: step.message },
    ])
    await world.opsEvents.normal(subjectOfRequest(world, request), step.condition, step.message)
  }
  const message = `Successfully completed the ${request.spec.type} of ${world.kind.kind} ${place.namespace}/${place.name}`
  await writeStatus(world, request, 'Successful', [
    { type: 'Successful', status: 'True', reason: 'Successful', message },
  ])
  await world.opsEvents.normal(subjectOfRequest(world, request), 'Successful', message)
  return { moved: true, pausing: false, again: 0 }
}

async function fail(world: World, request: OpsRequest, message: string): Promise<OpsProgress> {
  await writeStatus(world, request, 'Failed', [
    { type: 'Failed', status: 'True', reason: `${request.spec.type}Failed`, message },
  ])
  await world.opsEvents.warning(subjectOfRequest(world, request), 'Failed', message)
  return { moved: true, pausing: false, again: 0 }
}

/** The timeout is per step: counted from the last condition that came. Throws when it is over. */
function assertInTime({ spec, status }: OpsRequest): void {
  if (spec.timeout === undefined) return
  const limit = parseDuration(spec.timeout)
  const times = status.conditions.map((condition) => Date.parse(condition.lastTransitionTime))
  if (times.length === 0 || Date.now() - Math.max(...times) <= limit) return
  throw new Error(`the step after ${status.conditions.at(-1)?.type} took longer than ${spec.timeout}`)
}

/** Writes phase and conditions; answers the request as it is then. */
function writeStatus(
  world: World,
  request: OpsRequest,
  phase: string,
  changes: readonly ConditionChange[],
): Promise<OpsRequest> {
  const { generation } = request.metadata
  const now = new Date()
  const conditions = changes.reduce(
    (list, change) => withCondition(list, change, generation, now),
    request.status.conditions,
  )
  return world.kube.patch(
    OpsRequest,
    world.own.opsRequests,
    request.metadata,
    { status: { phase, observedGeneration: generation, conditions } },
    'status',
  )
}

function subjectOfRequest(world: World, request: OpsRequest) {
  return { apiVersion: 'ops.kubedb.com/v1alpha1', kind: opsKind(world.kind), metadata: request.metadata }
}
