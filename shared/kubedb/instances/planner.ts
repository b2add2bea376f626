/**
 * What has to be done to a running database so that it becomes what is wanted. Pure: compares what was asked before
 * (the record), what is asked now (the target), and what the cluster has.
 */
import { equal, isObject, type Json, type JsonObject } from '../../values/json.ts'
import type { Database, Dimension } from '../databases/database.ts'
import type { Resolved, Step } from '../records/instance-record.ts'
import { upgradeObstacle } from './upgrades.ts'
import type { VersionFacts } from './versions.ts'

export type UpdatePlan =
  | { kind: 'nothing' }
  | { kind: 'steps'; steps: Step[] }
  | { kind: 'impossible'; reason: string }

export interface Comparison {
  /** in force, as recorded */
  had: Resolved
  wanted: Resolved
  /** targets of earlier updates that did not finish: what they may have touched is looked at again */
  unfinished: readonly Resolved[]
  /** the spec that the cluster has now */
  live: JsonObject
  /** what KubeDB's catalog in the cluster has of the kind, for an update to another version */
  versions?: readonly VersionFacts[]
}

/**
 * @param kind the KubeDB kind, with its dimensions in the order of change
 * @returns the steps from the cluster's state to the wanted one, or why there is no way
 */
export function planUpdate(
  kind: Database,
  { had, wanted, unfinished, live, versions }: Comparison,
): UpdatePlan {
  const other = otherDatabase(kind, had, wanted)
  if (other.length > 0) return { kind: 'impossible', reason: other.join('; ') }
  const reasons: string[] = []
  const steps: Step[] = []

  for (const path of differences(had.spec, wanted.spec)) {
    if (!kind.dimensions.some((dimension) => covers(dimension, path))) {
      reasons.push(`spec.${path} cannot be changed once the database exists`)
    }
  }

  for (const dimension of kind.dimensions) {
    const before = dimension.read(had.spec)
    const target = dimension.read(wanted.spec)
    const touched = unfinished.some(({ spec }) => !equal(dimension.read(spec), before))
    if (equal(before, target) && !touched) continue

    const now = dimension.read(live)
    if (equal(now, target)) continue
    if (!equal(before, target)) {
      const asked = dimension.change(before, target)
      if (asked.by === 'nothing') {
        reasons.push(asked.impossible)
        continue
      }
    }
    if (dimension.reached(now, target)) continue
    const change = dimension.change(now, target)
    const obstacle =
      versions && change.by === 'opsRequest' && change.type === 'UpdateVersion'
        ? upgradeObstacle(kind, String(now), String(target), versions, live)
        : undefined
    if (change.by === 'nothing') reasons.push(change.impossible)
    else if (obstacle !== undefined) reasons.push(obstacle)
    else steps.push({ dimension: dimension.name, change, name: '', state: 'waiting' })
  }

  const names = metadataStep(had, wanted, unfinished)
  if (names) steps.unshift(names)
  if (reasons.length > 0) return { kind: 'impossible', reason: reasons.join('; ') }

  const resumes = steps.some(({ change }) => change.by === 'patch' && change.spec.halted === false)
  if (live.halted === true && !resumes && steps.some((step) => step.change.by === 'opsRequest')) {
    return {
      kind: 'impossible',
      reason: 'the instance is suspended; send `"suspended": false` first (or in the same request)',
    }
  }
  if (steps.length === 0) return { kind: 'nothing' }
  return { kind: 'steps', steps: inOrder(steps) }
}

/** @returns why the wanted database is another one than that which is there, and not the same changed */
function otherDatabase(kind: Database, had: Resolved, wanted: Resolved): string[] {
  return kind.dimensions.flatMap((dimension) => {
    const [before, target] = [dimension.read(had.spec), dimension.read(wanted.spec)]
    if (!dimension.defining || equal(before, target)) return []
    const change = dimension.change(before, target)
    return change.by === 'nothing' ? [change.impossible] : []
  })
}

/** A suspended database is resumed before anything else, and suspended after everything else. */
function inOrder(steps: Step[]): Step[] {
  const rank = ({ change }: Step) =>
    change.by === 'patch' && change.spec.halted === false
      ? 0
      : change.by === 'patch' && change.spec.halted === true
        ? 2
        : 1
  return steps
    .map((step, index) => ({ step, index }))
    .sort((a, b) => rank(a.step) - rank(b.step) || a.index - b.index)
    .map(({ step }) => step)
}

/** Labels and annotations are set by one patch; those no longer wanted are taken away. */
function metadataStep(had: Resolved, wanted: Resolved, unfinished: readonly Resolved[]): Step | undefined {
  const labels = mapPatch([had.labels, ...unfinished.map((one) => one.labels)], wanted.labels)
  const annotations = mapPatch(
    [had.annotations, ...unfinished.map((one) => one.annotations)],
    wanted.annotations,
  )
  if (!labels && !annotations) return undefined
  return {
    dimension: 'metadata',
    change: { by: 'patch', spec: {} },
    ...(labels ? { labels } : {}),
    ...(annotations ? { annotations } : {}),
    name: '',
    state: 'waiting',
  }
}

type Names = { [key: string]: string }

/** @param maybeThere what may be in force: each name with the value of any of them */
function mapPatch(maybeThere: readonly Names[], wanted: Names): { [key: string]: string | null } | undefined {
  const patch: { [key: string]: string | null } = {}
  for (const key of maybeThere.flatMap(Object.keys)) if (!Object.hasOwn(wanted, key)) patch[key] = null
  for (const [key, value] of Object.entries(wanted)) {
    const [had, ...unfinished] = maybeThere
    if (had?.[key] !== value || unfinished.some((one) => one[key] !== value)) patch[key] = value
  }
  return Object.keys(patch).length === 0 ? undefined : patch
}

const covers = (dimension: Dimension, path: string) =>
  dimension.paths.some((own) => path === own || path.startsWith(`${own}.`))

/** @returns the dotted paths of the leaves in which two specs differ; a list is a leaf */
export function differences(one: Json | undefined, other: Json | undefined, path = ''): string[] {
  if (
    (isObject(one) || isObject(other)) &&
    (one === undefined || isObject(one)) &&
    (other === undefined || isObject(other))
  ) {
    const keys = [...new Set([...Object.keys(one ?? {}), ...Object.keys(other ?? {})])]
    return keys.flatMap((key) => differences(one?.[key], other?.[key], path === '' ? key : `${path}.${key}`))
  }
  return equal(one, other) ? [] : [path]
}
