import { isObject } from '../../values/json.ts'
import { hasControlCharacters, list, member, shown } from './schema.ts'
import type { Purpose } from './schemas.ts'

/** Deeper than anything in an allow-list; keeps what is hostile from costing anything. */
const deepest = 16

/** Refusals that one message names; the others are counted. */
const named = 5

/** Keys that could reach JavaScript's prototypes instead of data. */
const poisoned = ['__proto__', 'constructor', 'prototype']

interface Allowed {
  steps: readonly string[]
  /** what the value must be; undefined: any string, number or boolean */
  values: readonly string[] | undefined
}

/**
 * Holds a raw spec against a kind's allow-list. Whatever the list does not cover is refused, so that a field which
 * KubeDB adds tomorrow is refused too. Types are left to the API server's strict validation.
 *
 * @param spec what the user sent
 * @param allowed paths of single values such as `replicas` or `containers.*.name=postgres|exporter`: `*` is any member
 *   or element, `**` at the end all that is below, `=` allows these strings only
 * @param purpose an update may send null to take a value back
 * @returns what is wrong, one sentence each; empty when all is covered
 */
export function specMistakes(
  spec: { [key: string]: unknown },
  allowed: readonly string[],
  path: string,
  purpose: Purpose,
): string[] {
  if (Object.keys(spec).length === 0) return []
  const refusals: string[] = []
  visit(spec, allowed.map(parse), path, purpose, 0, refusals)
  const [rest, shownOnes] = [refusals.slice(named), refusals.slice(0, named)]
  return rest.length === 0
    ? shownOnes
    : [...shownOnes, `${path}: and ${rest.length} more that this plan does not allow`]
}

function parse(text: string): Allowed {
  const at = text.indexOf('=')
  const steps = (at < 0 ? text : text.slice(0, at)).split('.')
  return { steps, values: at < 0 ? undefined : text.slice(at + 1).split('|') }
}

/** `allowed`: what of the list still matches at this place, each with the steps that are left. */
function visit(
  value: unknown,
  allowed: readonly Allowed[],
  path: string,
  purpose: Purpose,
  depth: number,
  refusals: string[],
): void {
  if (depth > deepest) {
    refusals.push(`${path}: is nested too deeply`)
    return
  }
  const children = childrenOf(value)
  if (children.length === 0) {
    const mistake = leafMistake(value, allowed, purpose)
    if (mistake !== undefined) refusals.push(`${path}: ${mistake}`)
    return
  }
  for (const [key, child] of children) {
    const place = member(path, key)
    if (typeof key === 'string' && poisoned.includes(key)) {
      refusals.push(`${place}: is no field of a spec`)
      continue
    }
    const below = allowed.flatMap((one) => descend(one, key))
    if (below.length === 0) refusals.push(`${place}: this plan does not allow it`)
    else visit(child, below, place, purpose, depth + 1, refusals)
  }
}

/** @returns members or elements; none for scalars and for what is empty, which count as leaves */
function childrenOf(value: unknown): (readonly [string | number, unknown])[] {
  if (Array.isArray(value)) return value.map((element: unknown, index) => [index, element] as const)
  return isObject(value) ? Object.entries(value) : []
}

function descend(one: Allowed, key: string | number): Allowed[] {
  const [step, ...rest] = one.steps
  if (step === '**') return [one]
  return step === '*' || step === key ? [{ steps: rest, values: one.values }] : []
}

function leafMistake(value: unknown, allowed: readonly Allowed[], purpose: Purpose): string | undefined {
  const covering = allowed.filter(({ steps: [step] }) => step === undefined || step === '**')
  if (covering.length === 0) return 'this plan does not allow it to be set as a whole'
  if (value === null) return purpose === 'update' ? undefined : 'null says nothing; leave it out'
  if (typeof value === 'object' && !covering.some(({ steps: [step] }) => step === '**')) {
    return 'must be a single value'
  }
  if (typeof value === 'number' && !Number.isFinite(value)) return 'is not a number that can be stored'
  if (typeof value === 'string' && hasControlCharacters(value)) {
    return 'must not contain line breaks or other control characters'
  }
  if (covering.some(({ values }) => values === undefined)) return undefined
  const choices = covering.flatMap(({ values }) => values ?? [])
  if (typeof value === 'string' && choices.includes(value)) return undefined
  return `${shown(value)} is not allowed; choose ${list(choices.map(shown))}`
}
