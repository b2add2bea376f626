import {
  type ConditionChange,
  isTrue,
  sameConditions,
  withCondition,
  withoutCondition,
} from './conditions.ts'
import { phaseFromConditions } from './phase.ts'
import { type Condition, Postgres, resources } from './resources.ts'
import type { World } from './world.ts'

/** Sets conditions of a database, and the phase that follows from them. Answers the database as it is then. */
export function setConditions(
  world: World,
  db: Postgres,
  ...changes: readonly ConditionChange[]
): Promise<Postgres> {
  const now = new Date()
  const next = changes.reduce<Condition[]>(
    (conditions, change) => withCondition(conditions, change, db.metadata.generation, now),
    db.status.conditions,
  )
  return writeStatus(world, db, next)
}

/** Removes a condition from a database. Answers the database as it is then. */
export function removeCondition(world: World, db: Postgres, type: string): Promise<Postgres> {
  return writeStatus(world, db, withoutCondition(db.status.conditions, type))
}

async function writeStatus(world: World, db: Postgres, conditions: Condition[]): Promise<Postgres> {
  const phase = phaseFromConditions(conditions)
  const observedGeneration = db.metadata.generation
  if (
    sameConditions(conditions, db.status.conditions) &&
    phase === db.status.phase &&
    observedGeneration === db.status.observedGeneration
  )
    return db
  return world.kube.patch(
    Postgres,
    resources.postgreses,
    db.metadata,
    { status: { phase, observedGeneration, conditions } },
    'status',
  )
}

/** The conditions that KubeDB's health check writes. Each says which database it is about. */
export const conditionOf = {
  provisioningStarted: (db: Postgres): ConditionChange => ({
    type: 'ProvisioningStarted',
    status: 'True',
    reason: 'DatabaseProvisioningStartedSuccessfully',
    message: `The KubeDB operator has started the provisioning of Postgres: ${nameOf(db)}`,
  }),
  replicasReady: (): ConditionChange => ({
    type: 'ReplicaReady',
    status: 'True',
    reason: 'AllReplicasReady',
    message: 'All replicas are ready and in Running state',
  }),
  replicasNotReady: (why: string): ConditionChange => ({
    type: 'ReplicaReady',
    status: 'False',
    reason: 'SomeReplicasNotReady',
    message: `Some Replicas are not ready. error: ${why}`,
  }),
  accepting: (db: Postgres): ConditionChange => ({
    type: 'AcceptingConnection',
    status: 'True',
    reason: 'DatabaseAcceptingConnectionRequest',
    message: `The PostgreSQL: ${nameOf(db)} is accepting client requests.`,
  }),
  notAccepting: (db: Postgres, why: string): ConditionChange => ({
    type: 'AcceptingConnection',
    status: 'False',
    reason: 'DatabaseNotAcceptingConnectionRequest',
    message: `The PostgreSQL: ${nameOf(db)} is not accepting client requests. error: ${why}`,
  }),
  ready: (): ConditionChange => ({
    type: 'Ready',
    status: 'True',
    reason: 'ReadinessCheckSucceeded',
    message: 'DB is ready because of server getting Online and Running state',
  }),
  notReady: (db: Postgres, reason = 'ReadinessCheckFailed'): ConditionChange => ({
    type: 'Ready',
    status: 'False',
    reason,
    message: `The PostgreSQL: ${nameOf(db)} is not ready.`,
  }),
  provisioned: (db: Postgres): ConditionChange => ({
    type: 'Provisioned',
    status: 'True',
    reason: 'DatabaseSuccessfullyProvisioned',
    message: `The PostgreSQL: ${nameOf(db)} is successfully provisioned.`,
  }),
  halted: (db: Postgres): ConditionChange => ({
    type: 'Halted',
    status: 'True',
    reason: 'DatabaseHaltedSuccessfully',
    message: `PostgreSQL ${nameOf(db)} successfully halted.`,
  }),
  notAcceptingWhileHalted: (db: Postgres): ConditionChange => ({
    type: 'AcceptingConnection',
    status: 'False',
    reason: 'DatabaseHaltedSuccessfully',
    message: `The PostgreSQL: ${nameOf(db)} is not accepting client requests.`,
  }),
  paused: (db: Postgres, by: string): ConditionChange => ({
    type: 'Paused',
    status: 'True',
    reason: 'DatabasePausedByOpsRequest',
    message: `The Postgres ${nameOf(db)} is paused by the ops request ${by}.`,
  }),
} as const

function nameOf(db: Postgres): string {
  return `${db.metadata.namespace}/${db.metadata.name}`
}

export function isProvisioned(db: Postgres): boolean {
  return isTrue(db.status.conditions, 'Provisioned')
}
