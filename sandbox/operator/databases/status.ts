import {
  type ConditionChange,
  isTrue,
  sameConditions,
  withCondition,
  withoutCondition,
} from '../cluster/conditions.ts'
import { phaseFromConditions } from '../cluster/phase.ts'
import { type Condition, Database } from '../cluster/resources.ts'
import type { Kind } from '../kinds/parts/kind.ts'
import type { World } from './world.ts'

/** Sets conditions of a database, and the phase that follows from them. Answers the database as it is then. */
export function setConditions(
  world: World,
  db: Database,
  ...changes: readonly ConditionChange[]
): Promise<Database> {
  const now = new Date()
  const next = changes.reduce<Condition[]>(
    (conditions, change) => withCondition(conditions, change, db.metadata.generation, now),
    db.status.conditions,
  )
  return writeStatus(world, db, next)
}

/** Removes a condition from a database. Answers the database as it is then. */
export function removeCondition(world: World, db: Database, type: string): Promise<Database> {
  return writeStatus(world, db, withoutCondition(db.status.conditions, type))
}

async function writeStatus(world: World, db: Database, conditions: Condition[]): Promise<Database> {
  const phase = phaseFromConditions(conditions)
  const observedGeneration = db.metadata.generation
  if (
    sameConditions(conditions, db.status.conditions) &&
    phase === db.status.phase &&
    observedGeneration === db.status.observedGeneration
  )
    return db
  return world.kube.patch(
    Database,
    world.own.databases,
    db.metadata,
    { status: { phase, observedGeneration, conditions } },
    'status',
  )
}

/** The conditions that KubeDB writes; most name the database they are about. */
export const conditionOf = {
  provisioningStarted: ({ kind }: Kind, db: Database): ConditionChange => ({
    type: 'ProvisioningStarted',
    status: 'True',
    reason: 'DatabaseProvisioningStartedSuccessfully',
    message: `The KubeDB operator has started the provisioning of ${kind}: ${nameOf(db)}`,
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
  accepting: ({ title }: Kind, db: Database): ConditionChange => ({
    type: 'AcceptingConnection',
    status: 'True',
    reason: 'DatabaseAcceptingConnectionRequest',
    message: `The ${title}: ${nameOf(db)} is accepting client requests.`,
  }),
  notAccepting: ({ title }: Kind, db: Database, why: string): ConditionChange => ({
    type: 'AcceptingConnection',
    status: 'False',
    reason: 'DatabaseNotAcceptingConnectionRequest',
    message: `The ${title}: ${nameOf(db)} is not accepting client requests. error: ${why}`,
  }),
  ready: (): ConditionChange => ({
    type: 'Ready',
    status: 'True',
    reason: 'ReadinessCheckSucceeded',
    message: 'DB is ready because of server getting Online and Running state',
  }),
  notReady: ({ title }: Kind, db: Database, reason = 'ReadinessCheckFailed'): ConditionChange => ({
    type: 'Ready',
    status: 'False',
    reason,
    message: `The ${title}: ${nameOf(db)} is not ready.`,
  }),
  provisioned: ({ title }: Kind, db: Database): ConditionChange => ({
    type: 'Provisioned',
    status: 'True',
    reason: 'DatabaseSuccessfullyProvisioned',
    message: `The ${title}: ${nameOf(db)} is successfully provisioned.`,
  }),
  halted: ({ title }: Kind, db: Database): ConditionChange => ({
    type: 'Halted',
    status: 'True',
    reason: 'DatabaseHaltedSuccessfully',
    message: `${title} ${nameOf(db)} successfully halted.`,
  }),
  notAcceptingWhileHalted: ({ title }: Kind, db: Database): ConditionChange => ({
    type: 'AcceptingConnection',
    status: 'False',
    reason: 'DatabaseHaltedSuccessfully',
    message: `The ${title}: ${nameOf(db)} is not accepting client requests.`,
  }),
  paused: ({ kind }: Kind, db: Database, by: string): ConditionChange => ({
    type: 'Paused',
    status: 'True',
    reason: 'DatabasePausedByOpsRequest',
    message: `The ${kind} ${nameOf(db)} is paused by the ops request ${by}.`,
  }),
} as const

function nameOf(db: Database): string {
  return `${db.metadata.namespace}/${db.metadata.name}`
}

export function isProvisioned(db: Database): boolean {
  return isTrue(db.status.conditions, 'Provisioned')
}
