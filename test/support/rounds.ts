/**
 * How many calls of the API server an operation makes, and how many of them it has to wait for one after the other:
 *
 *     const rounds = await roundsOf(lane.interfere, () => lane.platform.fetch(id))
 *     // [['GET appbindings/osb-i']]: one round of one call
 */
import { setTimeout as delay } from 'node:timers/promises'
import { type Call, type Interference, shapeOf } from './fault-call.ts'

/**
 * Calls that are under way at the same time are one round; a call that begins after another was answered may depend on
 * that answer, and counts as a later one.
 *
 * @param interfere of the proxies through which the calls go; lets all calls through again at the end
 * @param hold milliseconds that every call is kept waiting: what is sent side by side arrives within it
 * @returns the rounds in their order, each with its calls in the order of arrival
 */
export async function callsInRounds(
  interfere: (interference: Interference) => void,
  act: () => Promise<unknown>,
  hold = 100,
): Promise<Call[][]> {
  const rounds: Call[][] = []
  const depths = new Map<Call, number>()
  let answered = 0
  interfere({
    async before(call) {
      if (call.to !== 'api') return undefined
      const depth = answered
      depths.set(call, depth)
      rounds[depth] = [...(rounds[depth] ?? []), call]
      await delay(hold)
      return undefined
    },
    after(call) {
      const depth = depths.get(call)
      if (depth !== undefined) answered = Math.max(answered, depth + 1)
      return undefined
    },
  })
  try {
    await act()
  } finally {
    interfere({})
  }
  return rounds
}

/** @returns the same as the shapes of the calls, in each round in alphabetical order */
export async function roundsOf(...args: Parameters<typeof callsInRounds>): Promise<string[][]> {
  const rounds = await callsInRounds(...args)
  return rounds.map((round) => round.map(shapeOf).toSorted())
}
