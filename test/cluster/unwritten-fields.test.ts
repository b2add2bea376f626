/**
 * Every field of the CRDs that the broker never writes, each by itself, tried with the token of each function that writes
 * objects of the kind: refused. What the broker writes is told here once more, from drafts and from what KubeDB was
 * recorded to make of them, and not by the lists of the policy. In CI all fields are tried, elsewhere a sample.
 */
import { randomUUID } from 'node:crypto'
import test from 'ava'
import * as v from 'valibot'
import { containersOf } from '../../generate/admission/defaults.ts'
import { turns } from '../../sandbox/machine/turns.ts'
import { withoutWebhooks } from '../../sandbox/operator/webhooks/webhooks.ts'
import type { Database } from '../../shared/kubedb/databases/database.ts'
import { kinds } from '../../shared/kubedb/databases/kinds.ts'
import { isObject, type Json, type JsonObject } from '../../shared/values/json.ts'
import { type TestCluster, textAt, useCluster } from '../support/cluster.ts'
import {
  changeOf,
  once,
  parametersOf,
  recordOf,
  targetOrRefusal,
  withClusterOffers,
  writtenBy,
} from '../support/plan-walk.ts'
import { denied, policiesInForce } from '../support/policies.ts'
import { allPlans } from '../support/shipped-catalog.ts'
import { everMade, readRecord, recordedKinds } from '../support/webhook-record.ts'

const cluster = useCluster(test)
const labels = { 'osb.kubedb.com/instance': 'a'.repeat(26) }
/** One field of so many is tried where not all are. */
const sample = process.env.CI ? 1 : 24
const busy = turns(8)

test.before('the policies are in force, and webhooks are not', async (t) => {
  await cluster.ready()
  // Webhooks speak before policies do, of values that stand for others here.
  const { databases } = cluster.namespaces
  const metadata = { labels: { [withoutWebhooks]: '' } }
  t.is((await cluster.admin('PATCH', `/api/v1/namespaces/${databases}`, { metadata })).status, 200)
  await policiesInForce(cluster)
})

interface Schema {
  type?: string | undefined
  enum?: unknown[] | undefined
  minimum?: number | undefined
  pattern?: string | undefined
  required?: string[] | undefined
  properties?: { [name: string]: Schema } | undefined
  items?: Schema | undefined
}
const Schema: v.GenericSchema<unknown, Schema> = v.object({
  type: v.optional(v.string()),
  enum: v.optional(v.array(v.unknown())),
  minimum: v.optional(v.number()),
  pattern: v.optional(v.string()),
  required: v.optional(v.array(v.string())),
  properties: v.optional(
    v.record(
      v.string(),
      v.lazy(() => Schema),
    ),
  ),
  items: v.optional(v.lazy(() => Schema)),
})
const Crd = v.object({
  spec: v.object({
    versions: v.array(
      v.object({
        name: v.string(),
        schema: v.object({ openAPIV3Schema: v.object({ properties: v.object({ spec: Schema }) }) }),
      }),
    ),
  }),
})

async function specSchema(name: string, version: string): Promise<Schema> {
  const answer = await cluster.admin('GET', `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${name}`)
  const found = v.parse(Crd, answer.body).spec.versions.find((one) => one.name === version)
  if (!found) throw new Error(`${name} has no version ${version}`)
  return found.schema.openAPIV3Schema.properties.spec
}

type Path = readonly string[]
const text = (path: Path) => path.join('.').replaceAll('.[]', '[]')

/** @returns the paths of everything in a value, as texts; a member of a list is `[]` */
function pathsIn(value: Json, path: Path = []): string[] {
  const below = Array.isArray(value)
    ? value.flatMap((each) => pathsIn(each, [...path, '[]']))
    : isObject(value)
      ? Object.entries(value).flatMap(([key, each]) => pathsIn(each, [...path, key]))
      : []
  return [text(path), ...below]
}

/** @returns the path and all above it */
const whole = (path: string): string[] =>
  path.split('.').flatMap((_, index, steps) => {
    const up = steps.slice(0, index + 1).join('.')
    return [up, up.replace(/\[\]$/, '')]
  })

/** Where pods run: what plans of any catalog may say. */
const placement = [
  'affinity',
  'nodeSelector',
  'priorityClassName',
  'terminationGracePeriodSeconds',
  'tolerations',
  'topologySpreadConstraints',
]

/** Changes between raw specs that no plan's walk has: nodes of a Kafka without roles, an Elasticsearch that ends to encrypt. */
const byRawSpecs: { [kind: string]: string[] } = {
  Kafka: ['horizontalScaling.node'],
  Elasticsearch: ['tls.remove'],
}

/** What the CRDs fill into OpsRequests. */
const filledIn = ['maxRetries', 'verticalScaling.mode']

function writtenOf(kind: Database): { databases: Set<string>; requests: Set<string> } {
  const offers = allPlans()
    .filter((offer) => offer.kind === kind)
    .map(withClusterOffers)
  const specs: JsonObject[] = []
  const requests: JsonObject[] = []
  for (const offer of offers) {
    const targets = (['cluster', 'external'] as const).flatMap((addresses) =>
      parametersOf(offer).flatMap((sent) => targetOrRefusal(offer, sent, addresses) ?? []),
    )
    specs.push(...targets.map(({ resolved }) => resolved.spec))
    // Plans that take raw specs have changes that no others have.
    const some = offer.plan.parameters.spec ? targets : targets.slice(0, 1)
    for (const one of some)
      for (const [had, wanted] of targets.flatMap((other) => [
        [one, other] as const,
        [other, one] as const,
      ])) {
        const change = changeOf(kind, had.resolved, wanted.resolved)
        for (const { spec } of writtenBy(kind, recordOf(offer, had), 'u', change).opsRequests)
          if (isObject(spec)) requests.push(spec)
      }
  }
  if (kind.accounts.by === 'declaration') {
    const make = [{ name: 'u', role: 'owner' as const }]
    const { type, body } = kind.accounts.request({ version: '8.2.2' }, { secret: 's', make, remove: ['v'] })
    requests.push({ type, ...body })
  }
  const made = once(everMade(readRecord(kind.kind)).map(([, { spec = {} }]) => spec))
  const databases = alike([
    ...once(specs).flatMap((spec) => pathsIn(spec)),
    ...kind.spec.flatMap((path) => whole((path.split('=')[0] ?? '').replaceAll('.*', '[]'))),
    ...made.flatMap((spec) => pathsIn(spec)),
  ])
  return {
    databases,
    requests: new Set([
      ...once(requests).flatMap((spec) => pathsIn(spec)),
      ...filledIn,
      ...(byRawSpecs[kind.kind] ?? []),
    ]),
  }
}

/**
 * Pods are alike in all parts of a database, and what stands below a member of a container in all its containers. Of roles
 * some were never seen: what KubeDB adds to one, it adds to each.
 */
function alike(paths: readonly string[]): Set<string> {
  const roles = [...new Set(paths.flatMap((path) => /^topology\.(\w+)\./.exec(path)?.[1] ?? []))]
  const places = [...new Set(paths.flatMap((path) => /^(.*podTemplate)(\.|$)/.exec(path)?.[1] ?? []))]
  const more = paths.flatMap((path) => {
    const [, inPod] = /podTemplate(\..*)$/.exec(path) ?? []
    if (inPod !== undefined) {
      const swapped = /^\.spec\.(containers|initContainers)\[\]\.\w+\./.test(inPod)
        ? [
            inPod.replace(/initContainers|containers/, (name) =>
              name === 'containers' ? 'initContainers' : 'containers',
            ),
          ]
        : []
      return [inPod, ...swapped].flatMap((below) => places.map((place) => `${place}${below}`))
    }
    const [, inRole] = /^topology\.\w+(\..*)$/.exec(path) ?? []
    return inRole !== undefined && /^\.(suffix|maxUnavailable)/.test(inRole)
      ? roles.map((role) => `topology.${role}${inRole}`)
      : []
  })
  return new Set([...paths, ...more])
}

interface Field {
  path: Path
  /** of the object of which it is a member, and of all above it */
  schemas: readonly Schema[]
}

/** @returns the topmost fields that are not written: whoever is refused these is refused what is below them */
function unwritten(
  schema: Schema,
  written: Set<string>,
  path: Path = [],
  above: readonly Schema[] = [],
): Field[] {
  const schemas = [...above, schema]
  if (schema.items) return unwritten(schema.items, written, [...path, '[]'], schemas)
  return Object.entries(schema.properties ?? {}).flatMap(([key, inner]): Field[] => {
    const here = [...path, key]
    if (path.at(-1) === 'spec' && path.at(-2) === 'podTemplate' && placement.includes(key)) return []
    if (!written.has(text(here))) return [{ path: here, schemas: [...schemas, inner] }]
    // Parts of a change are alike for all components of a database.
    return unwritten(inner, written, here, schemas)
  })
}

/** @returns the least value that the schema takes */
function least(schema: Schema): Json {
  const [first] = schema.enum ?? []
  if (typeof first === 'string' || typeof first === 'number') return first
  switch (schema.type) {
    case 'array':
      return []
    case 'boolean':
      return true
    case 'integer':
    case 'number':
      return schema.minimum ?? 1
    case 'string':
      return schema.pattern?.includes('[0-9]') ? '1' : 'x'
    case 'object':
      return Object.fromEntries(
        (schema.required ?? []).map((key) => [key, least(schema.properties?.[key] ?? {})] as const),
      )
    default:
      return 1
  }
}

/** @returns a spec with the field and what has to be around it */
function specWith(kind: Database, { path, schemas }: Field): JsonObject {
  const inner = schemas.at(-1) ?? {}
  return path.reduceRight<Json>((value, step, index) => {
    const name = step === '[]' ? containerIn(kind, path[index - 1] ?? '') : undefined
    if (step === '[]') return [isObject(value) && name !== undefined ? Object.assign(value, { name }) : value]
    const around = least(schemas[index] ?? {})
    return { ...(isObject(around) ? around : {}), [step]: value }
  }, least(inner)) as JsonObject
}

/** @returns the name of a container that the kind has in such a list */
function containerIn({ kind, container }: Database, list: string): string | undefined {
  if (list === 'containers') return container
  return list === 'initContainers' ? initContainers.get(kind) : undefined
}

/** By kind. */
const initContainers = new Map(
  recordedKinds().map((kind) => {
    const names = Object.keys(containersOf(readRecord(kind)))
    return [kind, names.find((name) => /init|copy|merger/.test(name))] as const
  }),
)

type Ask = TestCluster['admin']

/** Whoever writes nothing of what the field is in is told of that. */
const isNamed = ({ path }: Field, said: string): boolean =>
  said.includes(String(path.at(-1))) ||
  path.some((_, index) => index > 0 && said.includes(`spec.${text(path.slice(0, index))}: `))

/** Tries each field and gathers who was let in. */
async function refusedEverywhere(
  fields: readonly Field[],
  attempt: (field: Field) => Promise<{ who: string; status: number; text: string; byPolicy: boolean }[]>,
): Promise<{ letIn: string[]; unnamed: string[]; byPolicy: number; tried: number }> {
  const result = { letIn: [] as string[], unnamed: [] as string[], byPolicy: 0, tried: 0 }
  await Promise.all(
    fields.map((field) =>
      busy(async () => {
        for (const { who, status, text: said, byPolicy } of await attempt(field)) {
          result.tried++
          if (byPolicy) result.byPolicy++
          if (status < 300) result.letIn.push(`${who}: spec.${text(field.path)}`)
          else if (byPolicy && !isNamed(field, said))
            result.unnamed.push(`${who}: spec.${text(field.path)}: ${said}`)
        }
      }),
    ),
  )
  return result
}

const every = <T>(list: readonly T[], offset: number) =>
  list.filter((_, index) => (index + offset) % sample === 0)

const asks = new Map<string, Promise<Ask>>()
const as = (name: string): Promise<Ask> => {
  const found = asks.get(name) ?? cluster.as(`osb-${name}`)
  asks.set(name, found)
  return found
}

async function tried(name: string, method: string, path: string, body: JsonObject) {
  const answer = await (await as(name))(method, path, body)
  return { who: name, status: answer.status, text: answer.text, byPolicy: denied(answer) }
}

for (const [index, kind] of [...kinds.values()].entries()) {
  const { plural, apiVersion, opsKind, opsPlural } = kind
  const [group = '', version = ''] = apiVersion.split('/')
  const { databases, requests } = writtenOf(kind)

  test(`no function writes a field of a ${kind.kind} that the broker never writes`, async (t) => {
    t.timeout(600_000)
    const schema = await specSchema(`${plural}.${group}`, version)
    const all = unwritten(schema, databases)
    const object = (spec: JsonObject): JsonObject => ({
      apiVersion,
      kind: kind.kind,
      metadata: { name: `osb-${randomUUID()}`, labels },
      spec,
    })
    const collection = cluster.databasesPath(plural)
    const least_ = { ...(least(schema) as JsonObject), version: '1' }
    const made = await cluster.admin('POST', collection, object(least_))
    t.is(made.status, 201, made.text)
    const one = `${collection}/${textAt(made.body, 'metadata', 'name')}?dryRun=All`
    const {
      letIn,
      unnamed,
      byPolicy,
      tried: count,
    } = await refusedEverywhere(every(all, index), async (field) => {
      const spec = specWith(kind, field)
      return [
        await tried('provision', 'POST', `${collection}?dryRun=All`, object({ ...spec, version: '1' })),
        ...(await Promise.all(
          ['update', 'last-operation', 'deprovision'].map((name) => tried(name, 'PATCH', one, { spec })),
        )),
      ]
    })
    t.log(`${all.length} fields, ${count} attempts, ${byPolicy} refused by the policy`)
    t.deepEqual(letIn, [])
    t.deepEqual(unnamed, [])
    t.true(byPolicy > 0.9 * count, `only ${byPolicy} of ${count} came as far as the policy`)
  })

  test(`no function writes a field of a ${opsKind} that the broker never writes`, async (t) => {
    t.timeout(600_000)
    const schema = await specSchema(`${opsPlural}.ops.kubedb.com`, 'v1alpha1')
    const all = unwritten(schema, requests).filter(({ path }) => !isComponent(kind, path))
    const name = `osb-${randomUUID()}`
    const path = `${cluster.databasesPath(opsPlural)}?dryRun=All`
    const writers = ['update', 'last-operation', 'bind', 'last-binding-operation', 'unbind']
    const {
      letIn,
      unnamed,
      byPolicy,
      tried: count,
    } = await refusedEverywhere(every(all, index), (field) =>
      Promise.all(
        writers.map((writer) => {
          const number = /bind/.test(writer) ? 'users-1' : 'abcdefghijkl-1'
          return tried(writer, 'POST', path, {
            apiVersion: 'ops.kubedb.com/v1alpha1',
            kind: opsKind,
            metadata: {
              name: `${name}-${number}`,
              labels,
              ownerReferences: [{ apiVersion, kind: kind.kind, name, uid: randomUUID() }],
            },
            spec: { type: 'UpdateVersion', ...specWith(kind, field), databaseRef: { name } },
          })
        }),
      ),
    )
    t.log(`${all.length} fields, ${count} attempts, ${byPolicy} refused by the policy`)
    t.deepEqual(letIn, [])
    // Whoever makes no OpsRequests of the kind is told that.
    const makers = kind.accounts.by === 'declaration' ? writers : ['update', 'last-operation']
    t.deepEqual(
      unnamed.filter((told) => makers.some((writer) => told.startsWith(`${writer}:`))),
      [],
    )
    t.true(count === 0 || byPolicy > 0.8 * count, `only ${byPolicy} of ${count} came as far as the policy`)
  })
}

/** Changes name the parts of a database, of which no one database has all. */
function isComponent({ spec }: Database, path: Path): boolean {
  const parts = spec.flatMap((one) => /^(?:topology|shardTopology)\.(\w+)\./.exec(one)?.[1] ?? [])
  const [change = ''] = path
  const changes = ['horizontalScaling', 'verticalScaling', 'volumeExpansion', 'migration']
  return changes.includes(change) && parts.includes(path.at(-1) ?? '')
}
