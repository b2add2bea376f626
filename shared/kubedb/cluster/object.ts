/** Kubernetes objects as this broker reads them: what it does not need is dropped, what it needs is checked. */
import * as v from 'valibot'
import { JsonObject } from '../../values/json.ts'

const strings = v.optional(v.record(v.string(), v.string()), {})

export const Metadata = v.object({
  name: v.string(),
  namespace: v.optional(v.string(), ''),
  uid: v.string(),
  /** absent in answers to dry runs */
  resourceVersion: v.optional(v.string(), ''),
  creationTimestamp: v.optional(v.string(), ''),
  deletionTimestamp: v.optional(v.string()),
  finalizers: v.optional(v.array(v.string()), []),
  labels: strings,
  annotations: strings,
})
export type Metadata = v.InferOutput<typeof Metadata>

export const Condition = v.object({
  type: v.string(),
  status: v.string(),
  reason: v.optional(v.string(), ''),
  message: v.optional(v.string(), ''),
  lastTransitionTime: v.optional(v.string(), ''),
})
export type Condition = v.InferOutput<typeof Condition>

/** A database or an OpsRequest. */
export const Resource = v.object({
  metadata: Metadata,
  spec: v.optional(JsonObject, {}),
  status: v.optional(
    v.object({
      phase: v.optional(v.string(), ''),
      conditions: v.optional(v.array(Condition), []),
    }),
    { phase: '', conditions: [] },
  ),
})
export type Resource = v.InferOutput<typeof Resource>

export const AppBinding = v.object({
  metadata: Metadata,
  spec: v.object({
    type: v.optional(v.string(), ''),
    version: v.optional(v.string(), ''),
    appRef: v.optional(
      v.object({
        apiGroup: v.optional(v.string(), ''),
        kind: v.optional(v.string(), ''),
        namespace: v.optional(v.string(), ''),
        name: v.string(),
      }),
    ),
    secret: v.optional(v.object({ name: v.string() })),
    clientConfig: v.object({
      service: v.optional(
        v.object({
          name: v.string(),
          namespace: v.optional(v.string()),
          port: v.number(),
          scheme: v.optional(v.string(), ''),
          query: v.optional(v.string(), ''),
        }),
      ),
      caBundle: v.optional(v.string()),
    }),
  }),
})
export type AppBinding = v.InferOutput<typeof AppBinding>

export const Secret = v.object({ metadata: Metadata, data: strings })
export type Secret = v.InferOutput<typeof Secret>

export const Service = v.object({
  metadata: Metadata,
  spec: v.object({
    type: v.optional(v.string(), 'ClusterIP'),
    ports: v.optional(
      v.array(
        v.object({ name: v.optional(v.string(), ''), port: v.number(), nodePort: v.optional(v.number()) }),
      ),
      [],
    ),
  }),
  status: v.optional(
    v.object({
      loadBalancer: v.optional(
        v.object({
          ingress: v.optional(
            v.array(v.object({ ip: v.optional(v.string()), hostname: v.optional(v.string()) })),
            [],
          ),
        }),
        { ingress: [] },
      ),
    }),
    { loadBalancer: { ingress: [] } },
  ),
})
export type Service = v.InferOutput<typeof Service>

/** Anything that only has to be there. */
export const Anything = v.object({ metadata: Metadata })
export type Anything = v.InferOutput<typeof Anything>

export const Event = v.object({
  type: v.optional(v.string(), ''),
  reason: v.optional(v.string(), ''),
  message: v.optional(v.string(), ''),
  lastTimestamp: v.nullish(v.string(), ''),
  eventTime: v.nullish(v.string(), ''),
  metadata: v.object({ creationTimestamp: v.optional(v.string(), '') }),
})
export type Event = v.InferOutput<typeof Event>
