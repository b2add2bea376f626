/**
 * What the broker writes, by kind and by who writes it: the shapes of databases, of OpsRequests and of patches, and the
 * lines of settings. It follows from the catalogs, the kinds' tables, and what KubeDB's webhooks were recorded to add. Pure.
 */
import type { Database } from '../../shared/kubedb/databases/database.ts'
import { merge } from '../../shared/kubedb/databases/parts/spec.ts'
import { beforeRemoval } from '../../shared/kubedb/instances/deprovisioning.ts'
import { isObject, type Json, type JsonObject } from '../../shared/values/json.ts'
import type { Parameters } from '../../shared/values/nouns.ts'
import { parseQuantity } from '../../shared/values/quantity.ts'
import {
  example,
  once,
  parametersOf,
  type Shipped,
  targetOrRefusal,
  withClusterOffers,
} from '../plan-walk.ts'
import type { KindRecord } from '../webhook-record/record.ts'
import { bound, placement } from './bounds.ts'
import { addedTo, containersOf } from './defaults.ts'
import { isMembers, type Members, type Shape, shapeOf, union, within } from './shape.ts'
import { escaped, someUser, userNameLength } from './table.ts'

/** Everything about one kind. */
export interface WrittenKind {
  kind: string
  apiVersion: string
  plural: string
  opsKind: string
  opsPlural: string
  /** specs of databases, as drafts have them */
  draft: Shape
  /** what KubeDB's webhooks add to that */
  defaults: Shape
  /** what patches of a database's spec say */
  patch: Shape
  /** specs of OpsRequests: of changes to a database, of users that come and go, of users that only go */
  changes: Shape
  users?: Shape
  removals?: Shape
  /** what the containers of its pods have, by their names */
  containers: { readonly [name: string]: readonly string[] }
  /** the lines that files of settings may have, as regular expressions */
  lines: readonly string[]
}

/** What the CRDs of all kinds fill into OpsRequests. */
const filledIn: { readonly [path: string]: Shape } = {
  maxRetries: 'any',
  'verticalScaling.mode': { '=': ['Restart'] },
}

/**
 * @param records by kind, what KubeDB's webhooks were recorded to answer
 * @returns what the broker writes of each kind that the plans are of, in the order of kinds
 */
export function written(plans: readonly Shipped[], records: ReadonlyMap<string, KindRecord>): WrittenKind[] {
  const kinds = [...new Set(plans.map(({ kind }) => kind))].sort((one, other) =>
    one.kind < other.kind ? -1 : 1,
  )
  return kinds.map((kind) => {
    const record = records.get(kind.kind)
    if (!record) throw new Error(`nobody has recorded what KubeDB's webhooks make of ${kind.kind}`)
    return writtenOf(kind, plans.filter((offer) => offer.kind === kind).map(withClusterOffers), record)
  })
}

function writtenOf(kind: Database, plans: readonly Shipped[], record: KindRecord): WrittenKind {
  const walked = walk(kind, plans)
  const shapes = (specs: readonly JsonObject[]) => together(specs.map((spec) => shapeOf(spec, bound)))
  const drafted = union(
    kind.spec.reduce<Shape>((all, path) => union(all, shapeOfPath(path)), {}),
    shapes([...walked.drafts, beforeRemoval('WipeOut')]),
  )
  const { apiVersion, plural, opsKind, opsPlural } = kind
  return {
    kind: kind.kind,
    apiVersion,
    plural,
    opsKind,
    opsPlural,
    draft: union(drafted, placement(drafted)),
    defaults: alike(addedTo(record), drafted),
    patch: shapes(walked.patches),
    changes: completed(shapes(walked.requests)),
    ...usersOf(kind, plans),
    containers: { [kind.container]: ['name', 'resources'], ...containersOf(record) },
    lines: linesOf(plans, walked),
  }
}

/** @returns the shape of an OpsRequest with what is filled in, where it has the parts that this is filled into */
function completed(shape: Shape): Shape {
  return Object.entries(filledIn).reduce(
    (all, [path, leaf]) =>
      within(shape, path.split('.').slice(0, -1)) === undefined ? all : union(all, fold(path, leaf)),
    shape,
  )
}

/** Not every role of a topology was seen: what KubeDB adds to one, it adds to each that a database may have. */
function alike(known: Shape, drafted: Shape): Shape {
  const roles = within(drafted, ['topology'])
  const seen = within(known, ['topology'])
  if (roles === undefined || seen === undefined || !isMembers(roles) || !isMembers(seen)) return known
  const parts = Object.values(seen).filter((part) => isMembers(part) && 'podTemplate' in part)
  if (parts.length === 0) return known
  const one = together(parts)
  const all = Object.keys(roles).map((role): [string, Shape] => [role, one])
  return union(known, { topology: Object.fromEntries(all) })
}

const together = (shapes: readonly Shape[]): Shape => shapes.reduce<Shape>(union, {})

interface Walked {
  drafts: JsonObject[]
  requests: JsonObject[]
  patches: JsonObject[]
}

/**
 * All databases of a kind that there may be, and every step between any two of them: what a dimension of one becomes
 * that of another, or what nobody has yet.
 */
function walk(kind: Database, plans: readonly Shipped[]): Walked {
  const found: Walked = { drafts: drafts(plans), requests: [], patches: [beforeRemoval('WipeOut')] }
  for (const dimension of kind.dimensions) {
    const states = once(found.drafts.map((spec) => dimension.read(spec)))
    for (const now of states) {
      for (const wanted of now === null ? states : [...states, another(now)]) {
        const change = dimension.change(now, wanted)
        if (change.by === 'patch') found.patches.push(change.spec)
        if (change.by !== 'opsRequest') continue
        const { type, apply, timeout, body } = change
        found.requests.push({ databaseRef: { name: 'osb-x' }, type, apply, timeout, ...body })
      }
    }
  }
  return {
    drafts: found.drafts,
    requests: once(found.requests),
    patches: once(found.patches),
  }
}

function drafts(plans: readonly Shipped[]): JsonObject[] {
  const specs = plans.flatMap((offer) =>
    (['cluster', 'external'] as const).flatMap((addresses) =>
      [...parametersOf(offer), ...wholes(offer)].flatMap((sent) => {
        const target = targetOrRefusal(offer, sent, addresses)
        return target ? [target.resolved.spec] : []
      }),
    ),
  )
  return once(specs)
}

/** @returns a value of the same form in which everything is another */
function another(value: Json): Json {
  if (Array.isArray(value)) return value.map(another)
  if (isObject(value))
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, another(each)] as const))
  if (typeof value === 'number') return value + 1
  if (typeof value === 'boolean') return !value
  return typeof value === 'string' && parseQuantity(value) !== undefined ? '64Ti' : 'another'
}

/** @returns raw specs, where a plan takes any, with everything that its kind allows below one part of it */
function wholes({ plan, kind }: Shipped): Parameters[] {
  if (!plan.parameters.spec) return []
  const parts = new Map<string, JsonObject>()
  for (const path of kind.spec) {
    const [steps = '', values] = path.split('=')
    const keys = steps.split('.')
    const [first = ''] = keys
    if (keys.length === 1) continue
    parts.set(first, merge(parts.get(first) ?? {}, branch(keys.slice(1), sample(steps, values))))
  }
  return [...parts].map(([part, spec]) => ({ spec: { [part]: spec } }))
}

function branch(keys: readonly string[], value: Json): JsonObject {
  const [key = '', ...rest] = keys
  const [next, ...after] = rest
  if (next === undefined) return { [key]: value }
  if (next === '*') return { [key]: [after.length === 0 ? value : branch(after, value)] }
  return { [key]: branch(rest, value) }
}

function sample(path: string, values: string | undefined): Json {
  if (values !== undefined) return values.split('|')[0] ?? ''
  if (/(replicas|shards)$/.test(path)) return 3
  if (/(memory|storage)$/.test(path)) return '20Gi'
  return /cpu$/.test(path) ? '4' : 'standard'
}

/** A path of a raw spec's allow-list, such as `storage.accessModes.*=ReadWriteOnce`. */
function shapeOfPath(path: string): Shape {
  const [steps = ''] = path.split('=')
  const whole = steps.replaceAll('.*', '[]')
  return fold(whole, bound(whole, '') ?? 'any')
}

/** @returns the shape with nothing but what stands at the path */
function fold(path: string, leaf: Shape): Shape {
  return path
    .split('.')
    .reverse()
    .reduce<Shape>((inner, step) => {
      const key = step.replaceAll('[]', '')
      const lists = (step.length - key.length) / 2
      let shape = inner
      for (let depth = 0; depth < lists; depth++) shape = [shape]
      return { [key]: shape } satisfies Members
    }, leaf)
}

/** A name as the broker gives it to users. */
const exampleUser = `b${'a'.repeat(userNameLength - 1)}`
const exampleSecret = 'osb-users'

function usersOf(kind: Database, plans: readonly Shipped[]): { users?: Shape; removals?: Shape } {
  const { accounts } = kind
  if (accounts.by !== 'declaration') return {}
  const specs = plans.flatMap(({ plan }) =>
    (plan.parameters.version?.enum ?? [plan.version]).map((version) => ({ ...plan.spec, version })),
  )
  const shapes = (make: boolean) =>
    together(
      specs.flatMap((spec) =>
        kind.roles.map((role) => {
          const { type, body } = accounts.request(spec, {
            secret: exampleSecret,
            make: make ? [{ name: exampleUser, role }] : [],
            remove: [exampleUser],
          })
          const whole = { databaseRef: { name: 'osb-x' }, type, apply: 'IfReady', timeout: '10m', ...body }
          return shapeOf(whole, (path, value) => ruled(path, value))
        }),
      ),
    )
  return { users: completed(shapes(true)), removals: completed(shapes(false)) }
}

/** Rules of users are bounded to the letter, but for the name. */
function ruled(path: string, value: Json): Shape | undefined {
  if (Array.isArray(value) && value.every((each) => typeof each === 'string')) {
    if (value.length === 0) return [{ '=': [] }]
    if (!value.every((each) => each.startsWith(exampleUser)))
      throw new Error(`${path}: a rule about users does not begin with a user`)
    return [{ '+user': value.map((each) => each.slice(userNameLength).replaceAll(exampleUser, someUser)) }]
  }
  return bound(path, value)
}

const number = '[-0-9.e+]+'

/**
 * The lines of files of settings: each setting that the kind offers with what its value may be, and whatever else stands
 * in what the plans and the broker itself write.
 */
function linesOf(plans: readonly Shipped[], walked: Walked): string[] {
  const lines = new Set<string>()
  for (const offer of plans) {
    const { plan, kind } = offer
    const bare = filesIn(targetOrRefusal(offer, {})?.resolved.spec ?? {})
    for (const line of bare) lines.add(escaped(line))
    if (!plan.parameters.configuration) continue
    for (const [name, setting] of Object.entries(kind.settings)) {
      for (const end of [0, 1]) {
        const value = example(setting, end)
        const target = targetOrRefusal(offer, { configuration: { [name]: value } })
        const own = name.split('.').at(-1) ?? name
        for (const line of filesIn(target?.resolved.spec ?? {})) {
          if (bare.has(line)) continue
          lines.add(line.includes(own) ? pattern(line, value, setting) : escaped(line))
        }
      }
    }
  }
  const all = [...lines].sort()
  const whole = new RegExp(`^(${all.join('|')})$`, 'u')
  const others = walked.drafts.flatMap((spec) => [...filesIn(spec)])
  return [...new Set([...all, ...others.filter((line) => !whole.test(line)).map(escaped)])].sort()
}

/** @returns the line with every value that the setting may have */
function pattern(
  line: string,
  value: string | number | boolean,
  setting: Database['settings'][string],
): string {
  if (typeof value === 'boolean') return escaped(line)
  const text = String(value)
  const at = line.lastIndexOf(text)
  if (at < 0) return escaped(line)
  const values = setting.type === 'string' ? grouped(setting.pattern.replace(/^\^|\$$/g, '')) : number
  return `${escaped(line.slice(0, at))}${values}${escaped(line.slice(at + text.length))}`
}

const grouped = (pattern: string) => (/^\([^()]*\)$|^[^|]*$/.test(pattern) ? pattern : `(${pattern})`)

/** @returns the lines of all files of settings, wherever they are in a spec */
function filesIn(spec: JsonObject): Set<string> {
  const found = new Set<string>()
  const visit = (value: Json): void => {
    if (Array.isArray(value)) for (const each of value) visit(each)
    else if (isObject(value))
      for (const [key, each] of Object.entries(value)) {
        if (key === 'inline' && isObject(each))
          for (const text of Object.values(each)) for (const line of String(text).split('\n')) found.add(line)
        else visit(each)
      }
  }
  visit(spec)
  found.delete('')
  return found
}
