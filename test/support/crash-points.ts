/** Every place in an operation at which its function can die. */
import { setTimeout as delay } from 'node:timers/promises'
import type { ExecutionContext } from 'ava'
import type { Turns } from '../../sandbox/machine/turns.ts'
import type { FunctionName } from '../../shared/routes.ts'
import type { OsbAnswer } from './broker.ts'
import { type Call, shapeOf } from './fault-call.ts'
import type { FaultLane } from './fault-lane.ts'

/** Before a call leaves the function, or after its answer came but before the function learns of it. */
export interface CrashPoint {
  when: 'before' | 'after'
  /** of the call; the n-th of this shape */
  shape: string
  nth: number
  /** whether anything had been changed by then, so that a crash there leaves something behind */
  leaves: boolean
}

export const nameOfPoint = ({ when, shape, nth }: CrashPoint): string =>
  `${when} ${shape}${nth === 1 ? '' : ` (${nth})`}`

/** The end of sessions is asked for until there are none: how often differs from run to run. */
const repeated = /pg_terminate_backend/

/**
 * @param calls of an operation that was left alone
 * @returns its crash points in their order. Reads repeated by polls count once. On an engine's connection nothing
 *   happens between an answer and the next statement, so there only the points after are told
 */
export function crashPoints(calls: readonly Call[]): CrashPoint[] {
  const seen = new Map<string, number>()
  let written = false
  return calls.flatMap((call) => {
    const shape = shapeOf(call)
    const nth = (seen.get(shape) ?? 0) + 1
    seen.set(shape, nth)
    const before: CrashPoint = { when: 'before', shape, nth, leaves: written }
    written ||= !call.reads
    const after: CrashPoint = { when: 'after', shape, nth, leaves: written }
    if (nth > 1 && (call.reads || repeated.test(shape))) return []
    return call.to === 'engine' && call.verb !== 'CONNECT' ? [after] : [before, after]
  })
}

/**
 * Kills the function at the point.
 *
 * @param act sends requests until one is answered with 5xx
 * @throws when the point was not met: then the operation is not what it was when its calls were recorded
 */
export async function crashAt(
  lane: FaultLane,
  name: FunctionName,
  point: CrashPoint,
  act: () => Promise<OsbAnswer>,
): Promise<void> {
  const numbers = new WeakMap<Call, number>()
  let seen = 0
  let met = false
  const concerns = (call: Call) =>
    (call.to === 'engine' || call.account === `osb-${name}`) && shapeOf(call) === point.shape
  const die = (call: Call, when: CrashPoint['when']) => {
    if (met || when !== point.when || numbers.get(call) !== point.nth) return undefined
    met = true
    lane.kill(name)
    return 'hang' as const
  }
  lane.interfere({
    before(call) {
      if (concerns(call)) numbers.set(call, ++seen)
      return die(call, 'before')
    },
    after: (call) => die(call, 'after'),
  })
  let answer: OsbAnswer
  try {
    answer = await act()
  } finally {
    lane.calm()
  }
  if (!met) {
    throw new Error(
      `${name} never came to the point ${nameOfPoint(point)}, but answered ${answer.status} ${answer.text}`,
    )
  }
  // What was on its way when the function died still arrives.
  await delay(30)
}

export interface Scenario<Subject> {
  name: FunctionName
  /** makes what it is tried on */
  subject: () => Promise<Subject>
  /** sends the request, or polls, until it is over or answered with 5xx */
  act: (subject: Subject) => Promise<OsbAnswer>
  /** what the platform does after the crash, and what must be true then; each is tried on a crash of its own */
  endings: ((subject: Subject, point: string) => Promise<void>)[]
}

/**
 * Kills the function at every point of an operation, and lets the platform come to an end with each of them.
 *
 * @param inTurn how many subjects are made, and brought to their ends, at once
 */
export async function killEverywhere<Subject>(
  t: ExecutionContext,
  lane: FaultLane,
  { name, subject, act, endings }: Scenario<Subject>,
  inTurn: Turns,
): Promise<void> {
  const [ending] = endings
  const unharmed = await subject()
  const points = crashPoints(await lane.callsOf(() => act(unharmed)))
  await ending?.(unharmed, 'nowhere')
  t.log(`${points.length} points: ${points.map(nameOfPoint).join(' | ')}`)
  t.true(points.some((point) => point.leaves))
  // What ends in order leaves what V8 has compiled to those that start after it.
  await lane.broker.gateway.scaleToZero(name)

  const crash = (point: CrashPoint, victim: Subject) => crashAt(lane, name, point, () => act(victim))
  // Nothing has happened at these points: one subject bears them all.
  const patient = await subject()
  for (const point of points.filter((one) => !one.leaves)) await crash(point, patient)
  await ending?.(patient, 'before anything was changed')

  const cases = points
    .filter((point) => point.leaves)
    .flatMap((point) => endings.map((end) => ({ point, end })))
  const victims = await Promise.all(
    cases.map((one) => inTurn(async () => ({ ...one, victim: await subject() }))),
  )
  for (const { point, victim } of victims) await crash(point, victim)
  await Promise.all(victims.map(({ point, victim, end }) => inTurn(() => end(victim, nameOfPoint(point)))))
}
