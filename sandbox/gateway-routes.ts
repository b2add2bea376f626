import { type FunctionName, routes } from '../shared/routes.ts'

/** Where a request goes. */
export type Match =
  | { to: FunctionName }
  /** a path of the route map, but none of these methods was used */
  | { allowed: string[] }
  | { unknown: true }

const templates = routes.map((route) => ({ route, segments: route.path.split('/') }))

/**
 * @param method as sent
 * @param target the request target as sent, query included. It is compared undecoded: `%2F` stays inside a segment
 */
export function match(method: string, target: string): Match {
  const segments = target.replace(/[?#].*$/s, '').split('/')
  const here = templates.filter((template) => fits(template.segments, segments)).map(({ route }) => route)
  const route = here.find((candidate) => candidate.method === method)
  if (route) return { to: route.function }
  if (here.length > 0) return { allowed: here.map((candidate) => candidate.method) }
  return { unknown: true }
}

function fits(template: readonly string[], segments: readonly string[]): boolean {
  return (
    template.length === segments.length &&
    template.every((part, i) => (part.startsWith(':') ? segments[i] !== '' : part === segments[i]))
  )
}
