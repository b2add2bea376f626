import { isFalse, isTrue } from './conditions.ts'
import type { Condition } from './resources.ts'

/** `status.phase` of a database. */
export type Phase =
  | ''
  | 'Provisioning'
  | 'DataRestoring'
  | 'Ready'
  | 'Critical'
  | 'NotReady'
  | 'Halted'
  | 'Unknown'

/**
 * KubeDB's rules (its PhaseFromCondition), in its order: the first that applies decides. Before a
 * database was `Provisioned` once, every trouble shows as `Provisioning`.
 */
export function phaseFromConditions(conditions: readonly Condition[]): Phase {
  const provisioned = isTrue(conditions, 'Provisioned')
  const restored = conditions.some((condition) => condition.type === 'DataRestored')
  if (isTrue(conditions, 'HealthCheckPaused')) return 'Unknown'
  if (isTrue(conditions, 'Halted')) return 'Halted'
  if (isTrue(conditions, 'DataRestoreStarted') && !restored) return 'DataRestoring'
  if (isFalse(conditions, 'DataRestored')) return 'NotReady'
  if (isFalse(conditions, 'AcceptingConnection') && provisioned) return 'NotReady'
  if (isFalse(conditions, 'ReplicaReady') && provisioned) return 'Critical'
  if (isFalse(conditions, 'Ready') && provisioned) return 'Critical'
  if (isTrue(conditions, 'Ready') && provisioned) return 'Ready'
  return isTrue(conditions, 'ProvisioningStarted') ? 'Provisioning' : ''
}
