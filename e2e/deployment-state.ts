import * as v from 'valibot'

const Labels = v.optional(v.record(v.string(), v.string()), {})
const count = v.optional(v.number(), 0)

export const Deployment = v.object({
  kind: v.literal('Deployment'),
  metadata: v.object({ name: v.string(), generation: count }),
  spec: v.object({
    replicas: v.optional(v.number(), 1),
    selector: v.object({ matchLabels: v.record(v.string(), v.string()) }),
  }),
  status: v.optional(
    v.object({
      observedGeneration: count,
      replicas: count,
      updatedReplicas: count,
      availableReplicas: count,
    }),
    { observedGeneration: 0, replicas: 0, updatedReplicas: 0, availableReplicas: 0 },
  ),
})
export type Deployment = v.InferOutput<typeof Deployment>

const Said = v.object({ reason: v.optional(v.string(), ''), message: v.optional(v.string(), '') })

export const Pod = v.object({
  kind: v.literal('Pod'),
  metadata: v.object({ name: v.string(), labels: Labels }),
  status: v.optional(
    v.object({
      containerStatuses: v.optional(
        v.array(
          v.object({
            state: v.optional(v.object({ waiting: v.optional(Said) }), {}),
            lastState: v.optional(v.object({ terminated: v.optional(Said) }), {}),
          }),
        ),
        [],
      ),
    }),
    { containerStatuses: [] },
  ),
})
export type Pod = v.InferOutput<typeof Pod>

export type DeploymentState =
  | { state: 'ready' }
  /** `why` is a sentence, or empty where nobody has said anything */
  | { state: 'failed' | 'coming'; why: string }

/** What a container waits for while nothing is wrong. */
const orderly = ['ContainerCreating', 'PodInitializing']

/**
 * @param pods of the run that is looked at: those of its own are told by its selector
 * @returns `ready` once all of its pods are new and serve; `failed` while a container cannot start. The kubelet tries
 * again: whoever asks decides how long that may go on
 */
export function stateOfDeployment(deployment: Deployment, pods: readonly Pod[]): DeploymentState {
  const { metadata, spec, status } = deployment
  const current = status.observedGeneration === metadata.generation
  if (
    current &&
    status.updatedReplicas === spec.replicas &&
    status.availableReplicas === spec.replicas &&
    status.replicas === spec.replicas
  )
    return { state: 'ready' }
  for (const { metadata, status } of pods) {
    const own = Object.entries(spec.selector.matchLabels).every(([key, is]) => metadata.labels[key] === is)
    if (!own) continue
    for (const { state, lastState } of status.containerStatuses) {
      const { waiting } = state
      if (waiting === undefined || orderly.includes(waiting.reason)) continue
      const ended = lastState.terminated
      const words = [waiting.reason, waiting.message, ended?.reason ?? '', ended?.message ?? '']
      return { state: 'failed', why: words.filter((word) => word !== '').join(' ') }
    }
  }
  return { state: 'coming', why: current ? 'its pods are not ready' : '' }
}
