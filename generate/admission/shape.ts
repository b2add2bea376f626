/** What a value may be made of: the list that the admission policy holds writes against. Pure. */
import * as v from 'valibot'
import { equal, isObject, Json } from '../../shared/values/json.ts'

/**
 * - a text is a leaf: `any` value; `own Secret`, the name of a Secret of this database, or none; `own name`, that of the
 *   database itself; `not root`, the number of a user; `settings`, lines of an engine's file
 * - `{ "=": […] }` is one of these values, `{ "~": […] }` a text that one of these expressions matches as a whole,
 *   `{ "+user": […] }` the name of a binding's user and one of these texts, in which `<user>` is that name
 * - a list of one shape is a list of such values
 * - every other object has these members, and no others
 */
export type Shape = Leaf | OneOf | Matching | OfUser | readonly Shape[] | Members
export type Leaf = 'any' | 'own Secret' | 'own name' | 'not root' | 'settings'
interface OneOf {
  readonly '=': readonly Json[]
}
interface Matching {
  readonly '~': readonly string[]
}
interface OfUser {
  readonly '+user': readonly string[]
}
export interface Members {
  readonly [key: string]: Shape
}

/** Reads a shape as it is kept. */
export const Shape: v.GenericSchema<unknown, Shape> = v.lazy(() =>
  v.union([
    v.picklist(['any', 'own Secret', 'own name', 'not root', 'settings']),
    v.strictObject({ '=': v.array(Json) }),
    v.strictObject({ '~': v.array(v.string()) }),
    v.strictObject({ '+user': v.array(v.string()) }),
    v.pipe(v.array(Shape), v.length(1)),
    v.record(v.string(), Shape),
  ]),
)

export const isOneOf = (shape: Shape): shape is OneOf =>
  typeof shape === 'object' && '=' in shape && Array.isArray(shape['='])
export const isMatching = (shape: Shape): shape is Matching =>
  typeof shape === 'object' && '~' in shape && Array.isArray(shape['~'])
export const isOfUser = (shape: Shape): shape is OfUser =>
  typeof shape === 'object' && '+user' in shape && Array.isArray(shape['+user'])
export const isList = (shape: Shape): shape is readonly Shape[] => Array.isArray(shape)
export const isMembers = (shape: Shape): shape is Members =>
  typeof shape === 'object' && ![isOneOf, isMatching, isOfUser, isList].some((is) => is(shape))

/** What is said of a value by where it stands: names of others, and what makes a pod powerful. */
type Bound = (path: string, value: Json) => Shape | undefined

/**
 * @param bound what is said of values at some places; elsewhere any value may stand where one stands
 * @returns the shape of a value that was written
 */
export function shapeOf(value: Json, bound: Bound, path = ''): Shape {
  const said = bound(path, value)
  if (said !== undefined) return said
  if (Array.isArray(value)) {
    const elements = value.map((each) => shapeOf(each, bound, `${path}[]`))
    return [elements.reduce<Shape>(union, {})]
  }
  if (!isObject(value)) return 'any'
  return Object.fromEntries(
    Object.entries(value).map(
      ([key, each]) => [key, shapeOf(each, bound, path === '' ? key : `${path}.${key}`)] as const,
    ),
  )
}

/**
 * @returns the shape of what has either of two shapes
 * @throws {Error} where they say different things of one value
 */
export function union(one: Shape, other: Shape): Shape {
  if (isList(one) && isList(other)) return [union(one[0] ?? {}, other[0] ?? {})]
  if (isOneOf(one) && isOneOf(other)) {
    const more = other['='].filter((value) => !one['='].some((known) => equal(known, value)))
    return { '=': [...one['='], ...more].sort(byText) }
  }
  if (isMatching(one) && isMatching(other)) return { '~': [...new Set([...one['~'], ...other['~']])].sort() }
  if (isOfUser(one) && isOfUser(other))
    return { '+user': [...new Set([...one['+user'], ...other['+user']])].sort() }
  if (isMembers(one) && isMembers(other)) {
    const keys = [...new Set([...Object.keys(one), ...Object.keys(other)])].sort()
    return Object.fromEntries(
      keys.map((key) => {
        const [a, b] = [one[key], other[key]]
        return [key, a === undefined ? (b ?? {}) : b === undefined ? a : union(a, b)] as const
      }),
    )
  }
  if (isMembers(one) && Object.keys(one).length === 0) return other
  if (isMembers(other) && Object.keys(other).length === 0) return one
  if (JSON.stringify(one) === JSON.stringify(other)) return one
  throw new Error(`a value is both ${JSON.stringify(one)} and ${JSON.stringify(other)}`)
}

const byText = (one: Json, other: Json) => (JSON.stringify(one) < JSON.stringify(other) ? -1 : 1)

/** @returns the shape at a path of members; undefined where there is none */
export function within(shape: Shape, path: readonly string[]): Shape | undefined {
  return path.reduce<Shape | undefined>(
    (inner, key) => (inner !== undefined && isMembers(inner) ? inner[key] : undefined),
    shape,
  )
}
