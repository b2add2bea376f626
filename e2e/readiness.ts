/** Waits for what Knative serves, or for Deployments, and says of what does not come up why. */
import { setTimeout as delay } from 'node:timers/promises'
import * as v from 'valibot'
import { Deployment, Pod, stateOfDeployment } from './deployment-state.ts'
import { get } from './kubectl.ts'

const Condition = v.object({
  type: v.string(),
  status: v.string(),
  reason: v.optional(v.string(), ''),
  message: v.optional(v.string(), ''),
})
/** An object of Knative. */
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

/** How one that is waited for stands. */
interface Standing {
  name: string
  state: 'ready' | 'failed' | 'coming'
  /** a sentence */
  why: string
}

export interface Wish {
  namespace: string
  /** resources of Knative, by their full names; or `deployments.apps` and `pods`, which are not waited for themselves */
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
    const { items } = await get(v.object({ items: v.array(v.looseObject({ kind: v.string() })) }), args)
    const all = standings(items)
    const open = all.filter(({ state }) => state !== 'ready')
    for (const { name, state } of all) {
      if (state !== 'failed') failing.delete(name)
      else if (!failing.has(name)) failing.set(name, Date.now())
      if (state !== 'ready' || told.has(name)) continue
      told.add(name)
      onReady?.(name)
    }
    if (open.length === 0) return all.length
    const failed = open.filter(({ name }) => Date.now() - (failing.get(name) ?? Date.now()) > patience * 1000)
    if (failed.length > 0) throw new Error(failed.map(sentenceOf).join('\n'))
    if (Date.now() > end) throw new Error(open.map(sentenceOf).join('\n'))
  }
}

const sentenceOf = ({ name, why }: Standing) => `${name} is not ready: ${why}`

function standings(items: readonly { kind: string }[]): Standing[] {
  const pods = items.filter(({ kind }) => kind === 'Pod').map((item) => v.parse(Pod, item))
  return items.flatMap((item) => {
    switch (item.kind) {
      case 'Pod':
        return []
      case 'Deployment':
        return [standingOfDeployment(v.parse(Deployment, item), pods)]
      default:
        return [standingOfServed(v.parse(Served, item))]
    }
  })
}

function standingOfDeployment(deployment: Deployment, pods: readonly Pod[]): Standing {
  const name = `Deployment ${deployment.metadata.name}`
  const found = stateOfDeployment(deployment, pods)
  if (found.state === 'ready') return { name, state: 'ready', why: '' }
  return { name, state: found.state, why: found.why || 'no controller has looked at it' }
}

function standingOfServed(one: Served): Standing {
  const ready = readyOf(one)
  const why = ready
    ? `${ready.reason} ${ready.message}`.trim() || 'no reason is given'
    : 'Knative has not looked at it: is its controller up?'
  return { name: `${one.kind} ${one.metadata.name}`, state: stateOf(one), why }
}

const readyOf = ({ status }: Served) => status.conditions.find(({ type }) => type === 'Ready')

/** What is said of an earlier generation counts for nothing. */
function stateOf(one: Served): Standing['state'] {
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
