/** What must not change about a database. */
import { equal } from '../../../shared/values/json.ts'
import { Refusal } from '../cluster/admission.ts'
import type { Database } from '../cluster/resources.ts'
import { type Path, valueAt } from '../cluster/spec-path.ts'

/** How kmodules' PreConditionSet says that something immutable was changed. */
export function preconditionMessage(target: string, fields: readonly string[]): string {
  const kept = ['apiVersion', 'kind', 'name', 'namespace', ...fields].join('\n\t')
  return `precondition failed for: ${target}.At least one of the following was changed:\n\t${kept}`
}

/** @param fixed dotted paths that must not change; `*` stands for any key */
export function validateChange(db: Database, old: Database, fixed: readonly string[]): void {
  const initialized = old.spec.init?.initialized ?? false
  const kept = initialized ? [...fixed, 'spec.init'] : fixed
  for (const dotted of kept)
    for (const path of pathsOf(dotted.split('.'), db, old)) {
      const value = valueAt(db, path)
      if (!equal(value, valueAt(old, path))) throw new Refusal(preconditionMessage(goMap(path, value), kept))
    }
}

function pathsOf(dotted: Path, ...objects: Database[]): Path[] {
  const star = dotted.indexOf('*')
  if (star < 0) return [dotted]
  const parents = objects.map((object) => valueAt(object, dotted.slice(0, star)))
  const keys = new Set(
    parents.flatMap((parent) => (parent !== null && typeof parent === 'object' ? Object.keys(parent) : [])),
  )
  return [...keys].map((key) => [...dotted.slice(0, star), key, ...dotted.slice(star + 1)])
}

/** A merge patch as Go prints a map. */
function goMap(path: Path, value: unknown): string {
  const leaf = value !== null && typeof value === 'object' ? 'map[]' : String(value)
  return path.reduceRight((inner, key) => `map[${key}:${inner}]`, leaf)
}
