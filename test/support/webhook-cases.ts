/**
 * Everything that the broker may ask of KubeDB's admission webhooks, by names that last: databases as they are made,
 * what may be asked of each, and how it is removed. Pure.
 */
import { createHash } from 'node:crypto'
import type { Draft } from '../../shared/kubedb/cluster/cluster.ts'
import type { Database } from '../../shared/kubedb/databases/database.ts'
import { at, put, without } from '../../shared/kubedb/databases/parts/spec.ts'
import { draftDatabase } from '../../shared/kubedb/instances/database-draft.ts'
import { beforeRemoval } from '../../shared/kubedb/instances/deprovisioning.ts'
import { planUpdate } from '../../shared/kubedb/instances/planner.ts'
import type { Target } from '../../shared/kubedb/records/instance-record.ts'
import { draftOpsRequest, draftPatch } from '../../shared/kubedb/steps/step-draft.ts'
import { canonical, isObject, type JsonObject } from '../../shared/values/json.ts'
import type { Parameters } from '../../shared/values/nouns.ts'
import { parametersOf, recordedDatabase, recordOf, targetOrRefusal, withClusterOffers } from './plan-walk.ts'
import { allPlans, type Shipped } from './shipped-catalog.ts'
import { catalogVersions } from './version-facts.ts'

/** A database as the broker makes it. */
export interface DatabaseCase {
  /** service, plan, parameters */
  title: string
  draft: Draft
}

/** One write about a database that is there. */
export interface ChangeCase {
  title: string
  /** its spec, as the broker asked for it */
  before: JsonObject
  write: Write
}

/** An OpsRequest's spec without the database's name, a merge patch of the database, or its end. */
export type Write = { opsRequest: JsonObject } | { patch: JsonObject } | { delete: true }

export interface KindCases {
  kind: Database
  databases: DatabaseCase[]
  changes: ChangeCase[]
}

/** An instance that can be made. */
interface Wanted {
  title: string
  shipped: Shipped
  parameters: Parameters
  addresses: 'cluster' | 'external'
  target: Target
}

/** @returns all there is to ask, kind by kind; each thing once, under its first name */
export function webhookCases(): KindCases[] {
  const plans = allPlans()
  const wanted = [
    ...plans.flatMap((shipped) => instancesOf(shipped, '')),
    ...plans.flatMap((shipped) => instancesOf(withClusterOffers(shipped), ', issuers and classes offered')),
  ]
  const kinds = [...new Set(plans.map(({ kind }) => kind))].sort((one, other) =>
    one.kind < other.kind ? -1 : 1,
  )
  return kinds.map((kind) => {
    const own = onceBy(
      wanted.filter(({ shipped }) => shipped.kind === kind),
      ({ shipped, target }) => [shipped.plan.id, target.resolved],
    )
    return {
      kind,
      databases: onceBy(
        own.map(({ title, shipped, target }) => ({
          title,
          draft: draftDatabase(kind, recordOf(shipped, target)),
        })),
        ({ draft }) => specOf(draft),
      ),
      changes: onceBy([...updatesOf(own), ...bindingsOf(own), ...removalsOf(own)], ({ before, write }) => [
        before,
        write,
      ]),
    }
  })
}

/** Every instance of a plan that can be made: each parameter at each of its bounds, inside the cluster and outside. */
function instancesOf(shipped: Shipped, offers: string): Wanted[] {
  return parametersOf(shipped).flatMap((parameters) =>
    (['cluster', 'external'] as const).flatMap((addresses) => {
      const target = targetOrRefusal(shipped, parameters, addresses)
      if (!target) return []
      const outside = addresses === 'external' ? ', from outside' : ''
      const title = `${nameOf(shipped)} ${wordsOf(parameters)}${outside}${offers}`
      return [{ title, shipped, parameters, addresses, target }]
    }),
  )
}

const nameOf = ({ plan }: Shipped) => `${plan.serviceName} ${plan.name}`

/** Parameters in few words; what is long ends with a part of its hash, so that a name lasts. */
function wordsOf(parameters: Parameters): string {
  const text = canonical(parameters)
  if (text.length <= 100) return text
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 8)
  return `${Object.keys(parameters).sort().join(', ')} #${hash}`
}

/** What the planner does to get from one instance to another: of the same plan by its parameters, or to another plan. */
function updatesOf(wanted: readonly Wanted[]): ChangeCase[] {
  const plain = wanted.filter(isDefault)
  return wanted.flatMap((one) => {
    const { plan } = one.shipped
    const own = plain.filter(({ shipped }) => shipped.plan.id === plan.id)
    const others = plain.filter(
      ({ shipped }) => shipped.plan.serviceId === plan.serviceId && shipped.plan.id !== plan.id,
    )
    return [
      ...own.flatMap((other) => [...stepsOf(one, other), ...stepsOf(other, one)]),
      ...others.flatMap((other) => stepsOf(one, other)),
    ]
  })
}

function stepsOf(from: Wanted, to: Wanted): ChangeCase[] {
  const { kind } = from.shipped
  const had = from.target.resolved
  // The version changes only where it is asked for.
  const target = targetOrRefusal(to.shipped, to.parameters, to.addresses, String(had.spec.version))
  if (!target) return []
  const { resolved } = target
  const versions = catalogVersions(kind)
  const planned = planUpdate(kind, { had, wanted: resolved, unfinished: [], live: had.spec, versions })
  if (planned.kind !== 'steps') return []
  const record = recordOf(from.shipped, from.target)
  const database = { metadata: { name: record.database.name, uid: '' } }
  return planned.steps.flatMap((step, index) => {
    const opsRequest = draftOpsRequest(kind, record, database, step)
    const write = opsRequest ? requestOf(specOf(opsRequest)) : patchOf(draftPatch(database, step))
    const done = planned.steps.slice(0, index).map(({ dimension }) => dimension)
    // All steps are tried out before the first one, and each is written when those before it are done.
    return [[], done].map((names) => ({
      title: `${from.title} -> ${to.title}: ${step.dimension}${names.length > 0 ? `, after ${names.join(', ')}` : ''}`,
      before: moved(kind, names, had.spec, resolved.spec),
      write,
    }))
  })
}

/** @returns the spec of an object that the broker drafts, which all have one */
export function specOf({ spec }: Draft): JsonObject {
  if (!isObject(spec)) throw new Error('a draft without a spec')
  return spec
}

/** Which database it is about, everybody knows. */
function requestOf({ databaseRef: _, ...rest }: JsonObject): Write {
  return { opsRequest: rest }
}

function patchOf(patch: JsonObject | undefined): Write {
  const { metadata, ...rest } = patch ?? {}
  const { uid: _, ...names } = isObject(metadata) ? metadata : {}
  return { patch: { ...(Object.keys(names).length > 0 ? { metadata: names } : {}), ...rest } }
}

/** @returns the spec with some of its dimensions as they are to be */
function moved(kind: Database, dimensions: readonly string[], from: JsonObject, to: JsonObject): JsonObject {
  return kind.dimensions
    .filter(({ name }) => dimensions.includes(name))
    .flatMap(({ paths }) => paths)
    .reduce((spec, path) => {
      const value = at(to, path)
      return value === null ? without(spec, path) : put(spec, path, value)
    }, from)
}

const isDefault = ({ parameters, addresses }: Wanted) =>
  canonical(parameters) === '{}' && addresses === 'cluster'

/** @returns the name of the Secret with the passwords of users that KubeDB makes */
export const usersSecret = (kind: Database) => `${recordedDatabase(kind).name}-users-0b6f8a52`

/** Users that KubeDB makes and removes for bindings, where it does. */
function bindingsOf(wanted: readonly Wanted[]): ChangeCase[] {
  return wanted.filter(isDefault).flatMap(({ title, shipped: { kind }, target }) => {
    const { accounts } = kind
    if (accounts.by !== 'declaration') return []
    const { spec } = target.resolved
    const secret = usersSecret(kind)
    const user = (letter: string) => `b${letter.repeat(26)}`
    const make = kind.roles.map((role, index) => ({ name: user('abc'.charAt(index)), role }))
    const names = make.map(({ name }) => name)
    const first = accounts.request(spec, { secret, make, remove: [] })
    // What KubeDB writes into the database when it has made them.
    const rules = at(first.body, 'configuration.auth.syncACL')
    const made = put(spec, 'configuration.acl', { secretRef: { name: secret }, rules })
    const requests = [
      { what: 'users made', before: spec, ...first },
      {
        what: 'users removed',
        before: made,
        ...accounts.request(made, { secret: '', make: [], remove: names }),
      },
      {
        what: 'a user made as another is removed',
        before: made,
        ...accounts.request(made, {
          secret,
          make: [{ name: user('d'), role: 'readOnly' }],
          remove: names.slice(0, 1),
        }),
      },
    ]
    return requests.map(({ what, before, type, body }) => ({
      title: `${title}: ${what}`,
      before,
      write: { opsRequest: { type, apply: 'IfReady', timeout: '10m', ...body } },
    }))
  })
}

/** What is written to remove an instance: it is resumed, its policy put back, and then it is deleted. */
function removalsOf(wanted: readonly Wanted[]): ChangeCase[] {
  return wanted
    .filter(({ parameters, addresses }) => {
      const names = Object.keys(parameters)
      const plain = names.every((name) => name === 'suspended' || name === 'deletionPolicy')
      return plain && names.length < 2 && addresses === 'cluster'
    })
    .flatMap(({ title, target }) => {
      const before = target.resolved.spec
      const patch = { spec: beforeRemoval(before.deletionPolicy ?? 'WipeOut') }
      return [
        { title: `${title}: before it is removed`, before, write: { patch } },
        { title: `${title}: removed`, before, write: { delete: true } },
      ]
    })
}

/** @returns each value once, by what is told of it, the first of its kind */
function onceBy<T>(values: readonly T[], content: (value: T) => unknown): T[] {
  const found = new Map<string, T>()
  for (const value of values) {
    const key = canonical(content(value))
    if (!found.has(key)) found.set(key, value)
  }
  return [...found.values()]
}
