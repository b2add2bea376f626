/** Functions on Knative Serving: gone when quiet, woken by a request, and how long that takes beside a bare server. */
import { setTimeout as delay } from 'node:timers/promises'
import * as v from 'valibot'
import { defaultNamespaces } from '../generate/rbac.ts'
import { knativeServices } from '../generate/services.ts'
import { apply, get } from './kubectl.ts'
import { untilReady } from './readiness.ts'

const serviceLabel = 'serving.knative.dev/service'

const Pods = v.object({
  items: v.array(
    v.object({
      metadata: v.object({
        name: v.string(),
        labels: v.record(v.string(), v.string()),
        deletionTimestamp: v.optional(v.string()),
      }),
      spec: v.object({
        serviceAccountName: v.optional(v.string(), 'default'),
        volumes: v.optional(v.array(v.looseObject({ name: v.string() })), []),
      }),
    }),
  ),
})

export type Pod = v.InferOutput<typeof Pods>['items'][number]

/** @returns the pods of these Services that are not on their way out, by Service */
export async function podsOf(services: readonly string[], namespace: string): Promise<Map<string, Pod>> {
  const { items } = await get(Pods, ['pods', '-n', namespace, '-l', serviceLabel])
  const found = new Map<string, Pod>()
  for (const pod of items) {
    const service = pod.metadata.labels[serviceLabel] ?? ''
    if (pod.metadata.deletionTimestamp === undefined && services.includes(service)) found.set(service, pod)
  }
  return found
}

/** Knative's own settings say how long that takes: a minute and a half where nobody changed them. */
export async function untilZero(services: readonly string[], namespace: string): Promise<void> {
  for (const end = Date.now() + 300_000; ; await delay(1000)) {
    const left = await podsOf(services, namespace)
    if (left.size === 0) return
    if (Date.now() > end) {
      const names = [...left.keys()].join(', ')
      throw new Error(`after five quiet minutes there are still pods of ${names}: is scale to zero off here?`)
    }
  }
}

/**
 * A server that does nothing, as a Service like that of the catalog, though public: the same image and bounds.
 *
 * @param mounts whether it mounts what the catalog does; the kubelet takes its time for that
 */
export function bareServer(name: string, image: string, mounts: boolean): object {
  const catalog = knativeServices(defaultNamespaces).find(({ metadata }) => metadata.name === 'osb-catalog')
  if (catalog === undefined) throw new Error('there is no Service of the catalog')
  const { containers, volumes, serviceAccountName: _, ...pod } = catalog.spec.template.spec
  const program =
    "require('node:http').createServer((_, response) => response.end('{}')).listen(process.env.PORT)"
  const bare = { image, args: ['--eval', program], ...(!mounts && { volumeMounts: [] }) }
  return {
    apiVersion: catalog.apiVersion,
    kind: catalog.kind,
    metadata: { name, namespace: catalog.metadata.namespace },
    spec: {
      template: {
        metadata: catalog.spec.template.metadata,
        spec: {
          ...pod,
          ...(mounts && { volumes }),
          containers: containers.map((container) => ({ ...container, ...bare })),
        },
      },
    },
  }
}

/** Something that sleeps, and the request that wakes it. */
export interface Sleeper {
  service: string
  /** @returns milliseconds to the end of the answer */
  wake(): Promise<number>
}

/**
 * Lets all of them fall asleep and wakes one after the other; every round begins with another one.
 *
 * @returns milliseconds of each wake, by Service
 */
export async function wakeInTurns(
  sleepers: readonly Sleeper[],
  rounds: number,
  namespace: string,
): Promise<Map<string, number[]>> {
  const taken = new Map(sleepers.map(({ service }) => [service, [] as number[]]))
  const names = [...taken.keys()]
  for (let round = 0; round < rounds; round++) {
    await untilZero(names, namespace)
    // A gateway hears a moment later that a pod has gone, and answers 503 by itself for that long.
    await delay(3000)
    const first = round % sleepers.length
    for (const sleeper of [...sleepers.slice(first), ...sleepers.slice(0, first)]) {
      taken.get(sleeper.service)?.push(await sleeper.wake())
    }
  }
  return taken
}

/** @returns the middle one, of an even number the upper */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

/** Waits until Knative calls its Services and DomainMappings ready; says of each that is not, why. */
export async function untilServed(namespace: string): Promise<void> {
  await untilReady({
    namespace,
    kinds: ['services.serving.knative.dev', 'domainmappings.serving.knative.dev'],
  })
}

/** Applies a Service and waits for it. */
export async function serve(name: string, namespace: string, service: object): Promise<string> {
  await apply(service)
  await untilServed(namespace)
  const { status } = await get(v.object({ status: v.object({ url: v.string() }) }), [
    'services.serving.knative.dev',
    name,
    '-n',
    namespace,
  ])
  return status.url
}
