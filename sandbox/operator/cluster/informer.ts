import { setTimeout as sleep } from 'node:timers/promises'
import { Watch } from '@kubernetes/client-node'
import * as v from 'valibot'
import { collectionOf, type Kube, KubeError, type Resource } from './kube.ts'

/** Follows all objects of a resource and tells of each that came, changed or went. */
export interface Informer {
  /** Settles once the first list has been told. */
  readonly synced: Promise<void>
  stop(): Promise<void>
}

const longestPause = 2000

/**
 * Lists, then watches, and lists again whenever the watch ends: after an error (the API server
 * restarted), or after 30 quiet seconds, which makes it a resync.
 *
 * @param told gets every object of every list and every event
 */
export function startInformer<S extends v.GenericSchema>(
  kube: Kube,
  resource: Resource,
  schema: S,
  fieldSelector: string | undefined,
  told: (object: v.InferOutput<S>) => void,
  log: (line: string) => void,
): Informer {
  const watch = new Watch(kube.config)
  const stopping = new AbortController()
  const selectors = fieldSelector === undefined ? {} : { fieldSelector }
  const firstList = Promise.withResolvers<void>()

  const round = async () => {
    const { items, resourceVersion } = await kube.list(schema, resource, selectors)
    for (const item of items) told(item)
    firstList.resolve()
    const over = Promise.withResolvers<void>()
    const request = await watch.watch(
      collectionOf(resource),
      { ...selectors, resourceVersion },
      (type, object) => {
        if (type === 'ERROR' || type === 'BOOKMARK') return
        const parsed = v.safeParse(schema, object)
        if (parsed.success) told(parsed.output)
        else log(`a ${resource.plural} object is not as expected: ${parsed.issues[0].message}`)
      },
      () => over.resolve(),
    )
    const abort = () => request.abort()
    stopping.signal.addEventListener('abort', abort)
    if (stopping.signal.aborted) abort()
    await over.promise
    stopping.signal.removeEventListener('abort', abort)
  }

  const follow = async () => {
    for (let pause = 100; !stopping.signal.aborted; ) {
      try {
        await round()
        pause = 100
      } catch (error) {
        // Seen at every restart of the API server; a refusal is worth a line.
        if (!(error instanceof KubeError) || error.status !== 0)
          log(`cannot list ${resource.plural}: ${error instanceof Error ? error.message : error}`)
        pause = Math.min(pause * 2, longestPause)
      }
      await sleep(pause, undefined, { signal: stopping.signal }).catch(() => undefined)
    }
    firstList.resolve()
  }

  const following = follow()
  return {
    synced: firstList.promise,
    async stop() {
      stopping.abort()
      await following
    },
  }
}
