/** Thrown to leave a reconcile and come back later; nothing is wrong. */
export class ComeBack extends Error {
  override readonly name = 'ComeBack'
  /** Milliseconds. */
  readonly delay: number

  constructor(delay: number) {
    super(`come back in ${delay} ms`)
    this.delay = delay
  }
}

/** The switch `slow`: makes every stage wait once, without holding up the queue. */
export interface Pace {
  /** Returns when the stage may begin; throws {@link ComeBack} while it has to wait. */
  stage(database: string, stage: string, slow: number): void
  forget(database: string): void
}

export function openPace(): Pace {
  const begun = new Map<string, Map<string, number>>()
  return {
    stage(database, stage, slow) {
      if (slow <= 0) return
      const stages = begun.get(database) ?? new Map<string, number>()
      begun.set(database, stages)
      const since = stages.get(stage)
      if (since === undefined) stages.set(stage, Date.now())
      const left = (since ?? Date.now()) + slow - Date.now()
      if (left > 0) throw new ComeBack(left)
      stages.delete(stage)
    },
    forget(database) {
      begun.delete(database)
    },
  }
}
