/** Paths as they came over the wire. Hono's own routing decodes and normalises; a guard must not. */
import type { Context } from 'hono'
import type { Edge } from './edge.ts'

/** @returns the request's path, not decoded and not normalised, without the query */
export function rawPath(c: Context<Edge>): string {
  const target = c.env?.incoming?.url ?? c.req.url
  const path = target.replace(/^[a-z]+:\/\/[^/?#]*/i, '')
  const end = path.search(/[?#]/)
  return end < 0 ? path : path.slice(0, end)
}

/**
 * @param template a path of the route map
 * @param path a raw path
 * @returns the raw segments that stand where the template has `:name`, by name; undefined if the path is another.
 *   A parameter is exactly one segment and never empty
 */
export function segments(template: string, path: string): ReadonlyMap<string, string> | undefined {
  const wanted = template.split('/')
  const given = path.split('/')
  if (wanted.length !== given.length) return undefined
  const found = new Map<string, string>()
  for (const [index, part] of wanted.entries()) {
    const segment = given[index] ?? ''
    if (part.startsWith(':')) {
      if (segment === '') return undefined
      found.set(part.slice(1), segment)
    } else if (part !== segment) {
      return undefined
    }
  }
  return found
}
