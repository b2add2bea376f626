/** Which permissions of the route map the functions have used, as the API server's audit log tells. */
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import * as v from 'valibot'
import { nameOf, resourcesOf } from '../../generate/roles.ts'
import { userAgent } from '../../shared/kubedb/cluster/connection.ts'
import { kinds } from '../../shared/kubedb/databases/kinds.ts'
import { dashboardRoutes, type Route, routes } from '../../shared/routes.ts'

/** One verb of one row of the route map. */
export interface Permission {
  /** `bind` */
  function: string
  /** `create` */
  verb: string
  /** `secrets` */
  target: string
}

/** A permission in use. */
export interface Use {
  permission: Permission
  /** where the function's ServiceAccount is */
  namespace: string
  /** milliseconds since 1970 */
  at: number
}

const resources = Object.entries(resourcesOf([...kinds.values()]))

/** The rows of the route map, and the one of the dashboard, whose rows differ in their paths only. */
export const rows: readonly Route[] = [...routes, dashboardRoutes[0]]

/** @returns `bind: create secrets` */
export function wordsOf({ function: name, verb, target }: Permission): string {
  return `${name}: ${verb} ${target}`
}

/** @returns every permission of the route map */
export function allPermissions(): Permission[] {
  return rows.flatMap((route) =>
    Object.entries(route.permissions).flatMap(([target, verbs]) =>
      verbs.map((verb) => ({ function: route.function, verb, target })),
    ),
  )
}

const Event = v.object({
  userAgent: v.optional(v.string()),
  user: v.object({ username: v.string() }),
  verb: v.string(),
  requestReceivedTimestamp: v.string(),
  objectRef: v.optional(v.object({ resource: v.string(), namespace: v.optional(v.string()) })),
  responseStatus: v.optional(v.object({ code: v.optional(v.number()) })),
})

/** @returns all uses that an audit log tells of, in its order */
export async function usesIn(auditLog: string): Promise<Use[]> {
  const uses: Use[] = []
  for await (const line of createInterface({ input: createReadStream(auditLog) })) {
    const use = useIn(line)
    if (use) uses.push(use)
  }
  return uses
}

/**
 * @param line of an audit log (audit.k8s.io/v1)
 * @returns what was used, or undefined when no function asked, or when the API server did not let it
 */
export function useIn(line: string): Use | undefined {
  const event = v.parse(Event, JSON.parse(line))
  const [, account, name] = /^system:serviceaccount:([^:]+):(.+)$/.exec(event.user.username) ?? []
  const route = rows.find((candidate) => nameOf(candidate) === name)
  // Tests, too, ask with the functions' tokens.
  if (account === undefined || !route || event.userAgent !== userAgent || !event.objectRef) return undefined
  if (event.responseStatus?.code === 403) return undefined
  const { resource, namespace } = event.objectRef
  const place = namespace === undefined ? 'cluster' : namespace === account ? 'broker' : 'databases'
  const [target] = resources.find(([, row]) => row.place === place && row.resources.includes(resource)) ?? []
  if (target === undefined) return undefined
  return {
    permission: { function: route.function, verb: event.verb, target },
    namespace: account,
    at: Date.parse(event.requestReceivedTimestamp),
  }
}
