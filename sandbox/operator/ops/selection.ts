import type { OpsRequest } from '../cluster/resources.ts'

/** What to do about the OpsRequests of one database; decided without looking at anything else. */
export type OpsDecision =
  /** Carry on with the one that is Progressing. */
  | { do: 'advance'; request: OpsRequest }
  /** Begin with this one. */
  | { do: 'start'; request: OpsRequest }
  /** Some wait: for the database to be Ready, or to be resumed. */
  | { do: 'wait' }
  | { do: 'nothing' }

const unstarted = new Set(['', 'Pending'])

/** Oldest first. Creation times have whole seconds: within one, the name decides. */
export function inOrder(requests: readonly OpsRequest[]): OpsRequest[] {
  return requests.toSorted(
    (left, right) =>
      compareOrder(left.metadata.creationTimestamp ?? '', right.metadata.creationTimestamp ?? '') ||
      compareOrder(left.metadata.name, right.metadata.name),
  )
}

/** Requests that never started and that a newer one of the same type replaces. */
export function replaced(requests: readonly OpsRequest[]): OpsRequest[] {
  const waiting = inOrder(requests.filter(({ status }) => unstarted.has(status.phase)))
  return waiting.filter((request, index) =>
    waiting.slice(index + 1).some(({ spec }) => spec.type === request.spec.type),
  )
}

/**
 * One at a time per database. `apply: IfReady` waits for the phase Ready, `Always` does not; a
 * later request may overtake one that waits. A halted database takes none.
 */
export function selectOps(
  requests: readonly OpsRequest[],
  database: { phase: string; halted: boolean },
): OpsDecision {
  const progressing = requests.find(({ status }) => status.phase === 'Progressing')
  if (progressing) return { do: 'advance', request: progressing }
  const waiting = inOrder(requests.filter(({ status }) => unstarted.has(status.phase)))
  if (waiting.length === 0) return { do: 'nothing' }
  const startable = waiting.find(({ spec }) => spec.apply === 'Always' || database.phase === 'Ready')
  return startable && !database.halted ? { do: 'start', request: startable } : { do: 'wait' }
}

/** Order of two texts by code unit, the same on every machine. */
function compareOrder(left: string, right: string): number {
  if (left === right) return 0
  return left < right ? -1 : 1
}
