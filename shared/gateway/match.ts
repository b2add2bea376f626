import { segments } from '../osb/edge/path.ts'
import { dashboardRoutes, type ProgramName, routes } from '../routes.ts'

/** Where a request goes. */
export type Match =
  | { to: ProgramName }
  /** a path of the route map, but none of these methods was used */
  | { allowed: string[] }
  | { unknown: true }

/**
 * @param method as sent
 * @param target the request target as sent, query included. It is compared undecoded: `%2F` stays inside a segment
 * @param options.dashboard whether there is one
 */
export function match(method: string, target: string, { dashboard = false } = {}): Match {
  const path = target.replace(/[?#].*$/s, '')
  const all = dashboard ? [...routes, ...dashboardRoutes] : routes
  const here = all.filter((route) => segments(route.path, path) !== undefined)
  const route = here.find((candidate) => candidate.method === method)
  if (route) return { to: route.function }
  if (here.length > 0) return { allowed: here.map((candidate) => candidate.method) }
  return { unknown: true }
}
