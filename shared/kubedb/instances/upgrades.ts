/** Whether KubeDB takes a database from one version to another, and if not, which way does. Pure. */
import type { JsonObject } from '../../values/json.ts'
import type { Database } from '../databases/database.ts'
import { compareVersions } from '../databases/parts/dimensions.ts'
import { admits, type Ranges } from './version-range.ts'
import { type RangesOf, type VersionFacts, versionKindOf } from './versions.ts'

/**
 * @param from name of the *Version object that the database runs
 * @param to name of the one that it is to run
 * @param versions every version that the cluster has
 * @param spec KubeDB's spec of the database
 * @returns a sentence for the platform's user: why not, and what would work; undefined where nothing is known against it
 */
export function upgradeObstacle(
  kind: Database,
  from: string,
  to: string,
  versions: readonly VersionFacts[],
  spec: JsonObject,
): string | undefined {
  const current = versions.find(({ name }) => name === from)
  const target = versions.find(({ name }) => name === to)
  if (!target) {
    const others = current ? nextOf(kind, current, versions, spec) : []
    return `version: KubeDB on this cluster has no ${kind.kind} version ${to}; ${offer(others)}`
  }
  if (!current) {
    return `version: KubeDB on this cluster has ${from} no more, which this database runs, and cannot tell what it may become; the operator of the broker has to bring the ${versionKindOf(kind)} ${from} back`
  }
  const why = refusal(kind, current, target, spec)
  if (why === undefined) return undefined
  const [first, ...further] = wayTo(kind, current, target, versions, spec)
  const cure =
    first !== undefined && further.length > 0
      ? `upgrade to ${first} first`
      : offer(nextOf(kind, current, versions, spec))
  return `version: ${why}; ${cure}`
}

/** @returns why KubeDB refuses one upgrade */
function refusal(
  kind: Database,
  current: VersionFacts,
  target: VersionFacts,
  spec: JsonObject,
): string | undefined {
  if (target.deprecated) return `${target.name} is deprecated, KubeDB upgrades nothing to it`
  const differs = (one: string | undefined, other: string | undefined) =>
    one !== undefined && other !== undefined && one !== other
  if (differs(current.distribution, target.distribution) && !sharesMajor(kind, current, target)) {
    return `a database stays with its distribution; ${current.name} is of ${current.distribution}, ${target.name} of ${target.distribution}`
  }
  if (differs(current.baseOS, target.baseOS)) {
    return `a database stays with its base image; ${current.name} is of ${current.baseOS}, ${target.name} of ${target.baseOS}`
  }
  if (admits(rangesOf(kind, current, spec), target.version) === false) {
    return `KubeDB does not take ${kind.kind} from ${current.name} to ${target.name} in one step`
  }
  return undefined
}

function sharesMajor(kind: Database, one: VersionFacts, other: VersionFacts): boolean {
  const major = ({ version }: VersionFacts) => version.split('.')[0]
  return kind.upgrades?.otherDistributions === 'of the same major version' && major(one) === major(other)
}

function rangesOf(kind: Database, { allow, deny }: VersionFacts, spec: JsonObject): Ranges {
  const pick = (ranges: RangesOf): readonly string[] => {
    if (Array.isArray(ranges)) return ranges
    const topology = kind.upgrades?.ranges?.(spec)
    return topology === undefined ? [] : (ranges[topology] ?? [])
  }
  return { allow: pick(allow), deny: pick(deny) }
}

/** @returns the names of the versions that an upgrade may go to at once, the newest first */
function nextOf(
  kind: Database,
  current: VersionFacts,
  versions: readonly VersionFacts[],
  spec: JsonObject,
): string[] {
  return versions
    .filter(
      (version) =>
        compareVersions(version.name, current.name) > 0 &&
        refusal(kind, current, version, spec) === undefined,
    )
    .map(({ name }) => name)
    .sort((one, other) => compareVersions(other, one))
}

/** @returns the shortest way from one version to another, without the first; none where there is no way */
function wayTo(
  kind: Database,
  current: VersionFacts,
  target: VersionFacts,
  versions: readonly VersionFacts[],
  spec: JsonObject,
): string[] {
  const ways: string[][] = [[current.name]]
  const seen = new Set([current.name])
  for (let way = ways.shift(); way !== undefined; way = ways.shift()) {
    const here = versions.find(({ name }) => name === way.at(-1))
    if (!here) continue
    for (const name of nextOf(kind, here, versions, spec)) {
      if (name === target.name) return [...way.slice(1), name]
      if (seen.has(name)) continue
      seen.add(name)
      ways.push([...way, name])
    }
  }
  return []
}

/** How many versions a sentence names. */
const shown = 8

function offer(next: readonly string[]): string {
  if (next.length === 0) return 'there is no newer version that it could be upgraded to'
  const more = next.length > shown ? ' and older ones' : ''
  return `it can be upgraded to ${next.slice(0, shown).join(', ')}${more}`
}
