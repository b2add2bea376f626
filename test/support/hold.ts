/** Stops a request in the middle, so that others can overtake it. */
import type { FunctionName } from '../../shared/routes.ts'
import type { OsbAnswer } from './broker.ts'
import { type Call, shapeOf } from './fault-call.ts'
import type { FaultLane } from './fault-lane.ts'

export interface Held {
  /** Lets the call go on, and the request with it. */
  release(): void
  answer: Promise<OsbAnswer>
}

/**
 * @param shape of the call that is held before it leaves the function, the first of this shape
 * @param act sends the request
 * @returns once the call is held; undefined when the request was answered without making it
 */
export async function holdBefore(
  lane: FaultLane,
  name: FunctionName,
  shape: string,
  act: () => Promise<OsbAnswer>,
): Promise<Held | undefined> {
  const { promise: released, resolve: release } = Promise.withResolvers<void>()
  const { promise: held, resolve: hold } = Promise.withResolvers<'held'>()
  let met = false
  lane.interfere({
    async before(call: Call) {
      if (met || (call.to === 'api' && call.account !== `osb-${name}`) || shapeOf(call) !== shape)
        return undefined
      met = true
      hold('held')
      await released
      return undefined
    },
  })
  const answer = act()
  const first = await Promise.race([held, answer])
  lane.calm()
  if (first !== 'held') {
    release()
    return undefined
  }
  return { release, answer }
}

/**
 * Breaks or silences the connection of a request at one of its calls, and lets all else through again.
 *
 * @param act sends the request
 * @returns once that has happened; undefined when the request was answered without making the call
 */
export async function faultAt(
  lane: FaultLane,
  name: FunctionName,
  { when, shape, fault }: { when: 'before' | 'after'; shape: string; fault: 'reset' | 'hang' },
  act: () => Promise<OsbAnswer>,
): Promise<{ answer: Promise<OsbAnswer> } | undefined> {
  const { promise: struck, resolve: strike } = Promise.withResolvers<'struck'>()
  /** What an earlier request sent may still be answered. */
  const mine = new WeakSet<Call>()
  let met = false
  const strikes = (call: Call, point: 'before' | 'after') => {
    if (met || when !== point || !mine.has(call) || shapeOf(call) !== shape) return undefined
    met = true
    strike('struck')
    return fault
  }
  lane.interfere({
    before(call) {
      if (call.to === 'engine' || call.account === `osb-${name}`) mine.add(call)
      return strikes(call, 'before')
    },
    after: (call) => strikes(call, 'after'),
  })
  const answer = act()
  await Promise.race([struck, answer])
  lane.calm()
  return met ? { answer } : undefined
}

/** @returns the shapes of the calls of a request, each once, in their order */
export function shapesOf(calls: readonly Call[]): string[] {
  return [...new Set(calls.map(shapeOf))]
}
