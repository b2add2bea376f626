/** What is asked of an instance of a plan in its whole life: each parameter that the plan lets its users set. Pure. */
import type { Database } from '../shared/kubedb/databases/database.ts'
import { compareVersions } from '../shared/kubedb/databases/parts/dimensions.ts'
import type { Json, JsonObject } from '../shared/values/json.ts'
import type { Parameters, Plan, Setting } from '../shared/values/nouns.ts'

/** @returns what an instance is made with: what can be chosen only then, and the oldest version */
export function firstParameters(plan: Plan): Parameters {
  const [oldest] = versionsOf(plan)
  return {
    ...(plan.parameters.database ? { database: 'mine' } : {}),
    ...(oldest === undefined ? {} : { version: oldest }),
  }
}

/** @returns the versions that may be chosen and are of the make of the plan's own, the oldest first */
export function versionsOf({ version, parameters }: Plan): string[] {
  const make = (name: string) => name.replace(/[0-9.]+.*$/, '')
  return (parameters.version?.enum ?? []).filter((one) => make(one) === make(version)).sort(compareVersions)
}

/** @returns changes by a PATCH, one after the other, each of one parameter; the version last; null takes away what was set */
export function changesOf(plan: Plan, { settings }: Database): JsonObject[] {
  const { parameters } = plan
  const there = (name: keyof Parameters, ...values: Json[]): JsonObject[] =>
    values.map((value) => ({ [name]: value }))
  const range = (name: 'cpu' | 'memory' | 'replicas' | 'shards'): JsonObject[] => {
    const bound = parameters[name]
    return bound ? there(name, bound.max, bound.min) : []
  }
  const [issuer] = Object.keys(parameters.tls?.issuers ?? {})
  const configuration = Object.fromEntries(Object.entries(settings).flatMap(exampleOf).slice(0, 1))
  return [
    ...(parameters.metadata
      ? there('metadata', { labels: { 'example.com/team': 'a' }, annotations: { 'example.com/note': 'b' } })
      : []),
    ...(parameters.configuration ? there('configuration', configuration, null) : []),
    ...range('cpu'),
    ...range('memory'),
    ...(parameters.storage ? there('storage', parameters.storage.max) : []),
    ...range('replicas'),
    ...range('shards'),
    ...there('storageClass', ...(parameters.storageClass?.enum ?? []).toReversed()),
    ...(issuer === undefined ? [] : there('tls', issuer)),
    ...(parameters.spec ? there('spec', { deletionPolicy: 'Delete' }, null) : []),
    ...there('deletionPolicy', ...(parameters.deletionPolicy?.enum ?? []).toReversed()),
    ...(parameters.suspended ? there('suspended', true, false) : []),
    ...there('version', ...versionsOf(plan).slice(1)),
  ]
}

/** A value of a setting that every engine runs with, where it is a number or a switch. */
function exampleOf([name, setting]: [string, Setting]): [string, number | boolean][] {
  switch (setting.type) {
    case 'boolean':
      return [[name, true]]
    case 'integer': {
      const { min = 0, max = Number.MAX_SAFE_INTEGER } = setting
      return [[name, Math.min(max, Math.max(min, 0) + 100)]]
    }
    case 'number':
    case 'string':
      return []
  }
}
