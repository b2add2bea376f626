/** Versions and constraints in the lenient form that KubeDB's catalog uses (`18.3`, `>= 15.5, < 17`). */

type Version = readonly [major: number, minor: number, patch: number]

/** Parses `18`, `18.3` or `18.3.1`. Throws on other text. */
export function parseVersion(text: string): Version {
  const match = /^v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:[-+].*)?$/.exec(text.trim())
  if (!match) throw new Error(`"${text}" is not a version: write it as 18.3 or 18.3.1`)
  return [Number(match[1]), Number(match[2] ?? 0), Number(match[3] ?? 0)]
}

/** Below zero when `left` is the older one. */
export function compareVersions(left: Version, right: Version): number {
  return left[0] - right[0] || left[1] - right[1] || left[2] - right[2]
}

/** Whether a version meets a constraint: terms joined by commas (all) and `||` (any). */
export function satisfies(version: Version, constraint: string): boolean {
  return constraint
    .split('||')
    .some((alternative) => alternative.split(',').every((term) => satisfiesTerm(version, term.trim())))
}

function satisfiesTerm(version: Version, term: string): boolean {
  const match = /^(>=|<=|!=|=|>|<)?\s*(.+)$/.exec(term)
  const [, operator = '=', text = ''] = match ?? []
  const order = compareVersions(version, parseVersion(text))
  // `17.4` stands for every 17.4.x.
  const given = text.split('.').length
  const same = parseVersion(text)
    .slice(0, given)
    .every((part, index) => part === version[index])
  switch (operator) {
    case '>=':
      return order >= 0
    case '<=':
      return order <= 0 || same
    case '>':
      return order > 0 && !same
    case '<':
      return order < 0
    case '!=':
      return !same
    default:
      return same
  }
}

export interface UpdateConstraints {
  readonly allowlist?: readonly string[]
  readonly denylist?: readonly string[]
}

/** Whether the catalog lets a database on `current` become `target`; going back is never allowed. */
export function isUpgradable(current: string, target: string, constraints: UpdateConstraints): boolean {
  const { allowlist = [], denylist = [] } = constraints
  const version = parseVersion(target)
  if (compareVersions(version, parseVersion(current)) < 0) return false
  const allowed = allowlist.length === 0 || allowlist.some((constraint) => satisfies(version, constraint))
  return allowed && !denylist.some((constraint) => satisfies(version, constraint))
}
