/** The ConfigMap with the environment variables of the functions. */
import * as v from 'valibot'
import { nameOf } from '../generate/roles.ts'
import { configurationName } from '../generate/services.ts'
import { dashboardRoutes, type Route, routes } from '../shared/routes.ts'
import type { Examination } from './examination.ts'
import { find } from './kube.ts'

const ConfigMap = v.object({ data: v.optional(v.record(v.string(), v.string()), {}) })

const Sources = v.optional(
  v.array(v.object({ configMapRef: v.optional(v.object({ name: v.string() })) })),
  [],
)
const Workload = v.object({
  spec: v.object({
    template: v.object({ spec: v.object({ containers: v.array(v.object({ envFrom: Sources })) }) }),
  }),
})

export interface ConfigurationMap {
  name: string
  data: { readonly [variable: string]: string }
}

/**
 * @returns the one that the functions name: kustomize puts a hash of its content at the end of its name. Without
 *   functions, or where the ConfigMap is not there, which is allowed, nothing is in it
 */
export async function configurationMap({
  ask,
  broker,
}: Pick<Examination, 'ask' | 'broker'>): Promise<ConfigurationMap> {
  const name = (await nameInFunctions(ask, broker)) ?? configurationName
  const found = await find(ask, ConfigMap, `/api/v1/namespaces/${broker}/configmaps/${name}`)
  return { name, data: found?.data ?? {} }
}

/** Its ServiceAccount, Service and Secret have this name. */
export const dashboardName = nameOf(dashboardRoutes[0])

/** What brings all of it. */
export const dashboardCure =
  'list knative/components/dashboard (dashboard-plain without Knative) in your overlay, and apply it'

/** @returns what is to be in the cluster: the ten functions, and the dashboard where its address is configured */
export function functionsOf({ data }: ConfigurationMap): readonly Route[] {
  return data.DASHBOARD_URL === undefined ? routes : [...routes, ...dashboardRoutes.slice(0, 1)]
}

async function nameInFunctions(ask: Examination['ask'], broker: string): Promise<string | undefined> {
  const [first] = routes.map(nameOf)
  const workload =
    (await find(ask, Workload, `/apis/serving.knative.dev/v1/namespaces/${broker}/services/${first}`)) ??
    (await find(ask, Workload, `/apis/apps/v1/namespaces/${broker}/deployments/${first}`))
  const sources = workload?.spec.template.spec.containers.flatMap(({ envFrom }) => envFrom) ?? []
  return sources
    .map(({ configMapRef }) => configMapRef?.name)
    .find((one) => one?.startsWith(configurationName))
}
