/** Ranges of versions as KubeDB's catalog states them: `>= 8.4.8, <= 9.1.0`. Pure. */

type Numbers = readonly [major: number, minor: number, patch: number]

const term = /^(>=|<=|!=|=|>|<)?\s*v?(\d+)(?:\.(\d+))?(?:\.(\d+))?$/

/** @returns its numbers, undefined for what is more than numbers (`2025-cu0`) */
function numbersOf(version: string): Numbers | undefined {
  const found = /^v?(\d+)(?:\.(\d+))?(?:\.(\d+))?$/.exec(version.trim())
  return found ? [Number(found[1]), Number(found[2] ?? 0), Number(found[3] ?? 0)] : undefined
}

const order = (one: Numbers, other: Numbers) => one[0] - other[0] || one[1] - other[1] || one[2] - other[2]

/**
 * @param version `18.3`, `8.4.8`
 * @param range terms joined by commas hold together, joined by `||` one of them does. A number that is left out stands
 *   for any: `< 9` ends before 9.0.0, `<= 9` takes in every 9.x.y
 * @returns whether the version lies in the range; undefined where one of the two is not understood
 */
export function within(version: string, range: string): boolean | undefined {
  const numbers = numbersOf(version)
  if (!numbers) return undefined
  const choices = range
    .split('||')
    .map((choice) => all(choice.split(',').map((part) => meets(numbers, part))))
  return any(choices)
}

function meets(version: Numbers, text: string): boolean | undefined {
  const found = term.exec(text.trim())
  if (!found) return undefined
  const [, operator = '=', ...parts] = found
  const given = parts.filter((part) => part !== undefined).map(Number)
  const bound: Numbers = [given[0] ?? 0, given[1] ?? 0, given[2] ?? 0]
  const same = given.every((part, index) => part === version[index])
  switch (operator) {
    case '>=':
      return order(version, bound) >= 0
    case '>':
      return order(version, bound) > 0 && !same
    case '<':
      return order(version, bound) < 0
    case '<=':
      return order(version, bound) < 0 || same
    case '!=':
      return !same
    default:
      return same
  }
}

/** What is not understood decides only where nothing else does. */
function all(verdicts: readonly (boolean | undefined)[]): boolean | undefined {
  if (verdicts.includes(false)) return false
  return verdicts.includes(undefined) ? undefined : true
}

function any(verdicts: readonly (boolean | undefined)[]): boolean | undefined {
  if (verdicts.includes(true)) return true
  return verdicts.includes(undefined) ? undefined : false
}

/** What the catalog lets a version become. */
export interface Ranges {
  /** empty: everything */
  allow: readonly string[]
  deny: readonly string[]
}

/** @returns whether the ranges admit the version; undefined where they are not understood */
export function admits({ allow, deny }: Ranges, version: string): boolean | undefined {
  const denied = any(deny.map((range) => within(version, range)))
  const allowed = allow.length === 0 ? true : any(allow.map((range) => within(version, range)))
  return all([allowed, denied === undefined ? undefined : !denied])
}
