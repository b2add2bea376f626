/** Waits for what Knative serves, and says of what does not come up why. */
import { setTimeout as delay } from 'node:timers/promises'
import * as v from 'valibot'
import { get } from './kubectl.ts'

const Condition = v.object({
  type: v.string(),
  status: v.string(),
  reason: v.optional(v.string(), ''),
  message: v.optional(v.string(), ''),
})
const Served = v.object({
  kind: v.string(),
  metadata: v.object({ name: v.string(), generation: v.optional(v.number(), 0) }),
  status: v.optional(
    v.object({
      observedGeneration: v.optional(v.number(), 0),
      conditions: v.optional(v.array(Condition), []),
    }),
    { observedGeneration: 0, conditions: [] },
  ),
})

type Served = v.InferOutput<typeof Served>

export interface Wish {
  namespace: string
  /** resources of Knative, by their full names */
  kinds: readonly string[]
  /** of labels; all in the namespace unless given */
  selector?: string
  /** seconds */
  deadline?: number
  /**
   * Seconds that one may be called failed, until it counts; Knative tries again, and a DomainMapping fails as long as its
   * Service is coming. As long as the deadline unless given
   */
  patience?: number
  /** is told of each that is ready, once */
  onReady?: (object: string) => void
}

/**
 * @returns how many there are; none is no failure
 * @throws with a sentence for each that failed, in the words of its revision, or that is not ready in time
 */
export async function untilReady(wish: Wish): Promise<number> {
  const { namespace, kinds, selector, deadline = 300, patience = deadline, onReady } = wish
  const args = [kinds.join(','), '-n', namespace, ...(selector === undefined ? [] : ['-l', selector])]
  const told = new Set<string>()
  const failing = new Map<string, number>()
  for (const end = Date.now() + deadline * 1000; ; await delay(500)) {
    const { items } = await get(v.object({ items: v.array(Served) }), args)
    const open = items.filter((one) => stateOf(one) !== 'ready')
    for (const one of items) {
      const name = nameOf(one)
      if (stateOf(one) !== 'failed') failing.delete(name)
      else if (!failing.has(name)) failing.set(name, Date.now())
      if (open.includes(one) || told.has(name)) continue
      told.add(name)
      onReady?.(name)
    }
    if (open.length === 0) return items.length
    const failed = open.filter(
      (one) => Date.now() - (failing.get(nameOf(one)) ?? Date.now()) > patience * 1000,
    )
    if (failed.length > 0) throw new Error(failed.map(sentenceOf).join('\n'))
    if (Date.now() > end) throw new Error(open.map(sentenceOf).join('\n'))
  }
}

const nameOf = ({ kind, metadata }: Served) => `${kind} ${metadata.name}`

const readyOf = ({ status }: Served) => status.conditions.find(({ type }) => type === 'Ready')

/** What is said of an earlier generation counts for nothing. */
function stateOf(one: Served): 'ready' | 'failed' | 'coming' {
  if (one.status.observedGeneration !== one.metadata.generation) return 'coming'
  switch (readyOf(one)?.status) {
    case 'True':
      return 'ready'
    case 'False':
      return 'failed'
    default:
      return 'coming'
  }
}

function sentenceOf(one: Served): string {
  const ready = readyOf(one)
  const why = ready
    ? `${ready.reason} ${ready.message}`.trim() || 'no reason is given'
    : 'Knative has not looked at it: is its controller up?'
  return `${nameOf(one)} is not ready: ${why}`
}
