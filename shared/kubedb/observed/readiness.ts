/** What the condition of a database means for the operation that waits for it. Pure. */
import type { Condition, Event, Resource } from '../cluster/object.ts'

const condition = (database: Resource, type: string): Condition | undefined =>
  database.status.conditions.find((one) => one.type === type)

/** The database has been up once. KubeDB sets this once and never takes it back. */
export function provisioned(database: Resource): boolean {
  return condition(database, 'Provisioned')?.status === 'True' || database.status.phase === 'Ready'
}

/** The database is being or has been stopped: no user can be made or dropped. */
export function halted(database: Resource): boolean {
  return database.spec.halted === true
}

/** KubeDB's health check says that nobody can connect just now. */
export function unreachable(database: Resource): string | undefined {
  if (database.metadata.deletionTimestamp) return 'the database is being deleted'
  if (halted(database)) return 'the database is suspended'
  const accepting = condition(database, 'AcceptingConnection')
  if (accepting?.status === 'False')
    return accepting.message || 'the database does not accept connections just now'
  return undefined
}

/** After this many milliseconds a user wants to read why. */
export const slow = 30_000

/**
 * @param events newest last, as far as they were read
 * @param noAddress why applications have no address of it yet
 * @returns what a user may read while the database comes up: the last condition that is not met, and the newest warning
 */
export function progress(
  database: Resource,
  events: readonly Event[],
  noAddress: string | undefined,
): string {
  const unmet = database.status.conditions
    .filter(
      (one) => one.status !== 'True' && one.type !== 'Paused' && one.type !== 'Halted' && one.message !== '',
    )
    .at(-1)
  const warning = events
    .filter((event) => event.type === 'Warning' && event.message !== '')
    .sort((a, b) => time(a).localeCompare(time(b)))
    .at(-1)
  const phase = database.status.phase || 'not yet seen by KubeDB'
  return [
    `database ${database.metadata.name} is ${phase}`,
    ...(unmet ? [unmet.message] : []),
    // Before the database is up, that it cannot be reached goes without saying.
    ...(noAddress !== undefined && provisioned(database) ? [noAddress] : []),
    ...(warning ? [`${warning.reason}: ${warning.message}`] : []),
  ].join('; ')
}

const time = (event: Event): string =>
  event.lastTimestamp || event.eventTime || event.metadata.creationTimestamp

/** Of the time that the platform will poll for, the part after which the broker itself calls an operation failed. */
const share = 0.9

/**
 * @param maximumPollingDuration seconds, as the plan says
 * @returns milliseconds after which an operation that is not done has failed
 */
export function patience(maximumPollingDuration: number | undefined): number {
  return (maximumPollingDuration ?? 1800) * share * 1000
}
