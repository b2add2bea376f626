import * as v from 'valibot'
import { isObject } from '../../../shared/values/json.ts'
import { Part, type Spec } from './resources.ts'

/** Where something is in a spec: `[]` is the spec itself, `['topology', 'master']` a section of it. */
export type Path = readonly string[]

/** The section of a spec at a path; an empty one where the spec has none. */
export function partAt(spec: Spec, path: Path): Part {
  return v.parse(Part, valueAt(spec, path) ?? {})
}

/** Whatever is at a path, or nothing. */
export function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>((at, key) => (isObject(at) ? at[key] : undefined), value)
}

/** A merge patch that changes something at a path. */
export function patchAt(path: Path, change: object): object {
  return path.reduceRight<object>((inner, key) => ({ [key]: inner }), change)
}
