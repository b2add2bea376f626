import { createHash } from 'node:crypto'
import * as v from 'valibot'
import { seconds } from './conditions.ts'
import { type Kube, KubeError } from './kube.ts'
import { resources } from './resources.ts'

/** The object an event is about. */
export interface Subject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace: string; readonly uid: string }
}

const Event = v.looseObject({ count: v.optional(v.number(), 1) })

/** Writes Kubernetes events; one that repeats is counted, not written again. */
export interface EventRecorder {
  normal(subject: Subject, reason: string, message: string): Promise<void>
  warning(subject: Subject, reason: string, message: string): Promise<void>
}

/** @param component who speaks, as `kubectl describe` shows it under From. */
export function eventRecorder(kube: Kube, component: string, log: (line: string) => void): EventRecorder {
  const record = async (type: 'Normal' | 'Warning', subject: Subject, reason: string, message: string) => {
    const { name, namespace, uid } = subject.metadata
    const digest = createHash('sha256')
      .update(`${uid} ${type} ${reason} ${message}`)
      .digest('hex')
      .slice(0, 16)
    const place = { namespace, name: `${name}.${digest}` }
    const now = seconds(new Date())
    try {
      const known = await kube.get(Event, resources.events, place)
      if (known) {
        await kube.patch(Event, resources.events, place, { count: known.count + 1, lastTimestamp: now })
        return
      }
      await kube.create(resources.events, {
        apiVersion: 'v1',
        kind: 'Event',
        metadata: place,
        involvedObject: { apiVersion: subject.apiVersion, kind: subject.kind, name, namespace, uid },
        type,
        reason,
        message,
        count: 1,
        firstTimestamp: now,
        lastTimestamp: now,
        source: { component },
        reportingComponent: component,
      })
    } catch (error) {
      // A namespace that is going away takes no events; work goes on without them.
      if (!(error instanceof KubeError)) throw error
      log(`event "${message}" of ${namespace}/${name} not written: ${error.message}`)
    }
  }
  return {
    normal: (subject, reason, message) => record('Normal', subject, reason, message),
    warning: (subject, reason, message) => record('Warning', subject, reason, message),
  }
}
