import { existsSync } from 'node:fs'
import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import * as v from 'valibot'
import { parse } from 'yaml'
import {
  type ControlPlane,
  type ControlPlaneOptions,
  startControlPlane,
} from '../../sandbox/control-plane/control-plane.ts'
import { installCrds } from '../../sandbox/control-plane/crds.ts'
import { ask } from '../../sandbox/control-plane/request.ts'
import { startControlPlaneWithKinds } from '../../sandbox/control-plane/with-kinds.ts'
import { appBinding, badAppBindings, goodAppBindings } from '../support/crd-cases/app-binding.ts'
import { elasticsearch } from '../support/crd-cases/elasticsearch.ts'
import { kafka } from '../support/crd-cases/kafka.ts'
import {
  type Bad,
  databaseKind,
  databaseRef,
  type Good,
  type Kind,
  opsRequestKind,
  type Spec,
  versionKind,
} from '../support/crd-cases/kind.ts'
import { memcached } from '../support/crd-cases/memcached.ts'
import { mongodb } from '../support/crd-cases/mongodb.ts'
import { mariadb, mysql, perconaxtradb } from '../support/crd-cases/mysql-family.ts'
import { postgres } from '../support/crd-cases/postgres.ts'
import { rabbitmq } from '../support/crd-cases/rabbitmq.ts'
import { redis } from '../support/crd-cases/redis.ts'

const root = join(import.meta.dirname, '../..')
const ownFolder = join(root, 'sandbox/crds')
const upstreamFolder = join(root, '../shared/crds/kubedb')
const hasUpstream = existsSync(upstreamFolder)
if (!hasUpstream) console.error(`skipped: comparison with KubeDB's own CRDs, for want of ${upstreamFolder}`)
const testUpstream = hasUpstream ? test : test.skip

let folder: string
let own: ControlPlane
let upstream: ControlPlane | undefined

test.before(async (t) => {
  folder = await mkdtemp(join(tmpdir(), 'crds-'))
  const place = (name: string): ControlPlaneOptions => ({
    directory: join(folder, name),
    progress: (line) => t.log(line),
  })
  own = await startControlPlane(place('own'))
  await installCrds(own, { folder: ownFolder })
  // Ours are installed here, as at everybody's first start; these take a minute that others have spent.
  if (hasUpstream) upstream = await startControlPlaneWithKinds(place('upstream'), { folder: upstreamFolder })
})

test.after.always(async () => {
  await own?.stop()
  await upstream?.stop()
  await rm(folder, { recursive: true, force: true })
})

const everyKind = [
  postgres,
  kafka,
  mysql,
  mariadb,
  perconaxtradb,
  mongodb,
  rabbitmq,
  redis,
  memcached,
  elasticsearch,
]
const database = databaseKind(postgres)
const version = versionKind(postgres)

/** Asks one API server whether it would take an object, without storing it. */
async function verdict(plane: ControlPlane, kind: Kind, spec: Spec, name: string): Promise<string> {
  const { path, ...type } = kind
  const manifest = { ...type, metadata: { name }, spec }
  const answer = await ask(plane, 'POST', `${path}?dryRun=All&fieldValidation=Strict`, manifest)
  return answer.status === 201 ? 'accepted' : `${answer.status} ${answer.body}`
}

async function accepted(t: ExecutionContext, kind: Kind, spec: Spec, name = 'osb-x'): Promise<void> {
  t.is(await verdict(own, kind, spec, name), 'accepted', 'by our CRDs')
  if (upstream) t.is(await verdict(upstream, kind, spec, name), 'accepted', "by KubeDB's CRDs")
}

/** Refused by both, and for the same field. */
async function refused(
  t: ExecutionContext,
  kind: Kind,
  spec: Spec,
  why: RegExp,
  name = 'osb-x',
): Promise<void> {
  t.regex(await verdict(own, kind, spec, name), why, 'by our CRDs')
  if (upstream) t.regex(await verdict(upstream, kind, spec, name), why, "by KubeDB's CRDs")
}

function testCases(what: string, kind: Kind, { good = {}, bad = {} }: { good?: Good; bad?: Bad }): void {
  for (const [title, spec] of Object.entries(good)) {
    test(`${what} is accepted: ${title}`, accepted, kind, spec)
  }
  for (const [title, [spec, why]] of Object.entries(bad)) {
    test(`${what} is refused: ${title}`, refused, kind, spec, why)
  }
}

for (const cases of everyKind) {
  const { kind, databases, opsRequests, versions } = cases
  testCases(`a ${kind}`, databaseKind(cases), databases)
  testCases(`a ${kind}OpsRequest`, opsRequestKind(cases), opsRequests)
  testCases(`a ${kind}Version`, versionKind(cases), versions)
  const smallest = databases.good['the smallest one'] ?? {}
  const title = `a ${kind} is refused: a name that begins with a digit`
  test(title, refused, databaseKind(cases), smallest, /metadata.name/, '2010d83f')
}
testCases('an AppBinding', appBinding, { good: goodAppBindings, bad: badAppBindings })

const smallest = { version: '18.3' }
const longest = 'p'.repeat(63)
test(
  'a Postgres is refused: a name of 64 characters',
  refused,
  database,
  smallest,
  /metadata.name/,
  `${longest}p`,
)
test('a Postgres is accepted: a name of 63 characters', accepted, database, smallest, longest)

const lastTransitionTime = '2026-11-21T00:00:00Z'
const condition = {
  type: 'Provisioned',
  status: 'True',
  reason: 'DatabaseSuccessfullyProvisioned',
  message: 'm',
  lastTransitionTime,
}

test('status is written apart from the spec, with known phases only', async (t) => {
  for (const plane of [own, upstream].filter((plane) => plane !== undefined)) {
    for (const { kind, spec, phase } of everyKind.flatMap((cases) => [
      { kind: databaseKind(cases), spec: { version: '1' }, phase: 'Ready' },
      { kind: opsRequestKind(cases), spec: { databaseRef, type: 'Restart' }, phase: 'Successful' },
    ])) {
      const { path, ...type } = kind
      const object = { ...type, metadata: { name: 'with-status' }, spec, status: { phase } }
      const created = await ask(plane, 'POST', path, object)
      t.is(created.status, 201, created.body)
      t.false('status' in v.parse(v.looseObject({}), JSON.parse(created.body)), 'a POST sets no status')
      const write = async (status: object): Promise<number> =>
        (await ask(plane, 'PATCH', `${path}/with-status/status?fieldValidation=Strict`, { status })).status
      t.is(await write({ phase, observedGeneration: 1, conditions: [condition] }), 200)
      t.is(await write({ phase: 'Creating' }), 422)
      t.is(await write({ replicas: 1 }), 422)
      t.is(await write({ conditions: [{ type: 'Ready', lastTransitionTime }] }), 422)
    }
  }
})

test("the defaults are KubeDB's", async (t) => {
  const specs = await Promise.all(
    [own, upstream ?? own].map(async (plane) => {
      const manifest = {
        apiVersion: database.apiVersion,
        kind: database.kind,
        metadata: { name: 'defaults' },
      }
      const spec = {
        version: '18.3',
        authSecret: { name: 'a' },
        leaderElection: {},
        podTemplate: { spec: {} },
        monitor: { prometheus: { exporter: {} } },
      }
      const { body } = await ask(plane, 'POST', `${database.path}?dryRun=All`, { ...manifest, spec })
      return v.parse(v.object({ spec: v.looseObject({}) }), JSON.parse(body)).spec
    }),
  )
  t.deepEqual(specs[0], specs[1])
  t.like(specs[0], { authSecret: { kind: 'Secret' }, healthChecker: { periodSeconds: 10 } })
})

test('installing again changes nothing and lists the kinds', async (t) => {
  const generation = async (): Promise<unknown> => {
    const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/postgreses.kubedb.com'
    const { body } = await ask(own, 'GET', path)
    return v.parse(v.object({ metadata: v.object({ generation: v.number() }) }), JSON.parse(body))
  }
  const before = await generation()
  const kinds = await installCrds(own, { folder: ownFolder })
  t.deepEqual(await generation(), before)
  t.deepEqual(
    kinds.find(({ kind }) => kind === 'Postgres'),
    {
      kind: 'Postgres',
      name: 'postgreses.kubedb.com',
      group: 'kubedb.com',
      plural: 'postgreses',
      version: 'v1',
    },
  )
})

/** Runs before the tests that change what is there. */
test.serial(
  'a control plane that begins with a copy has the same kinds and versions, and keys of its own',
  async (t) => {
    const directory = join(folder, 'copy')
    const copy = await startControlPlaneWithKinds(
      { directory, progress: (line) => t.log(line) },
      { folder: ownFolder },
    )
    t.teardown(() => copy.stop())
    const found = async (plane: ControlPlane): Promise<unknown[]> => {
      const Objects = v.object({
        items: v.array(v.object({ metadata: v.object({ name: v.string() }), spec: v.unknown() })),
      })
      const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
      const catalog = ['postgres', 'mysql', 'redis'].map(
        (kind) => `/apis/catalog.kubedb.com/v1alpha1/${kind}versions`,
      )
      const answers = await Promise.all([crds, ...catalog].map((path) => ask(plane, 'GET', path)))
      return answers.map(({ body }) => v.parse(Objects, JSON.parse(body)).items)
    }
    const [copied, installed] = await Promise.all([found(copy), found(own)])
    t.true(installed.flat().length > 60)
    t.deepEqual(copied, installed)
    t.not(copy.adminToken, own.adminToken)
    const stranger = await ask({ ...copy, adminToken: own.adminToken }, 'GET', '/api/v1/namespaces')
    t.is(stranger.status, 401)
  },
)

test('a withdrawn version comes back, and a changed one is put right', async (t) => {
  const path = `${version.path}/13.21`
  t.is((await ask(own, 'PATCH', path, { spec: { endOfLife: false } })).status, 200)
  t.is((await ask(own, 'DELETE', `${version.path}/12.22`)).status, 200)
  await installCrds(own, { folder: ownFolder })
  t.like(JSON.parse((await ask(own, 'GET', path)).body), { spec: { endOfLife: true, version: '13.21' } })
  t.is((await ask(own, 'GET', `${version.path}/12.22`)).status, 200)
})

test('a folder that lacks a kind is refused by name', async (t) => {
  const partial = await mkdtemp(join(tmpdir(), 'crds-'))
  t.teardown(() => rm(partial, { recursive: true }))
  await cp(join(ownFolder, 'postgreses.kubedb.com.yaml'), join(partial, 'any-name.yml'))
  await t.throwsAsync(installCrds(own, { folder: partial }), {
    message: /The folder of CRDs .* has no appbindings.appcatalog.appscode.com: it needs/,
  })
})

/** What has to be the same at a place of ours and at the same place of KubeDB's. */
const facets = [
  'type',
  'enum',
  'format',
  'nullable',
  'minimum',
  'maximum',
  'pattern',
  'default',
  'required',
  'maxLength',
  'anyOf',
  'x-kubernetes-int-or-string',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-map-type',
  'x-kubernetes-embedded-resource',
  'x-kubernetes-preserve-unknown-fields',
]

const Node = v.record(v.string(), v.unknown())
const children = (node: unknown, key: string): Record<string, unknown> =>
  v.parse(v.fallback(Node, {}), v.parse(Node, node)[key])

/** Every difference between our schema and KubeDB's, but for fields that ours leaves out. */
function differences(ours: unknown, theirs: unknown, path: string): string[] {
  const theirNode = v.safeParse(Node, theirs)
  if (!theirNode.success) return [`${path} is not KubeDB's`]
  const ourNode = v.parse(Node, ours)
  const own = facets
    .filter((facet) => JSON.stringify(ourNode[facet]) !== JSON.stringify(theirNode.output[facet]))
    .map(
      (facet) =>
        `${path} ${facet}: ${JSON.stringify(ourNode[facet])} ≠ ${JSON.stringify(theirNode.output[facet])}`,
    )
  const below = Object.entries(children(ours, 'properties')).flatMap(([name, child]) =>
    differences(child, children(theirs, 'properties')[name], `${path}.${name}`),
  )
  const inside = ['items', 'additionalProperties'].flatMap((key) =>
    ourNode[key] === undefined ? [] : differences(ourNode[key], theirNode.output[key], `${path}[]`),
  )
  return [...own, ...below, ...inside]
}

const AnyCrd = v.object({
  spec: v.object({
    group: v.string(),
    scope: v.string(),
    names: v.looseObject({}),
    versions: v.array(
      v.looseObject({ name: v.string(), schema: v.object({ openAPIV3Schema: v.looseObject({}) }) }),
    ),
  }),
})

testUpstream("every field of our CRDs is KubeDB's own, with its type, limits and default", async (t) => {
  const files = (await readdir(ownFolder)).filter((file) => file !== 'versions.yaml')
  t.true(files.length >= 31)
  for (const file of files) {
    const name = file.replace(/\.yaml$/, '')
    const ours = v.parse(AnyCrd, parse(await readFile(join(ownFolder, file), 'utf8'), { maxAliasCount: -1 }))
    const theirs = v.parse(AnyCrd, JSON.parse(await readFile(join(upstreamFolder, `${name}.json`), 'utf8')))
    t.deepEqual(ours.spec.names, theirs.spec.names)
    t.is(ours.spec.scope, theirs.spec.scope)
    t.is(ours.spec.group, theirs.spec.group)
    for (const version of ours.spec.versions) {
      const theirVersion = theirs.spec.versions.find(({ name }) => name === version.name)
      t.deepEqual(version.additionalPrinterColumns, theirVersion?.additionalPrinterColumns)
      t.is(JSON.stringify(version.subresources ?? {}), JSON.stringify(theirVersion?.subresources))
      t.deepEqual(differences(version.schema.openAPIV3Schema, theirVersion?.schema.openAPIV3Schema, name), [])
    }
  }
})

testUpstream("the versions we seed are facts of KubeDB's catalog", async (t) => {
  const Facts = v.array(v.looseObject({ kind: v.string(), name: v.string() }))
  const facts = v.parse(
    Facts,
    JSON.parse(await readFile(join(upstreamFolder, '../kubedb-versions.json'), 'utf8')),
  )
  const Seeds = v.record(v.string(), v.array(v.looseObject({ name: v.string() })))
  const seeds = v.parse(Seeds, parse(await readFile(join(ownFolder, 'versions.yaml'), 'utf8')))
  for (const [kind, versions] of Object.entries(seeds)) {
    // Under whom their servers run is held against what KubeDB's webhooks make of it: test/kubedb-webhooks.
    for (const { runAsUser: _user, runAsGroup: _group, ...version } of versions) {
      t.deepEqual(
        { kind, ...version },
        facts.find((fact) => fact.kind === kind && fact.name === version.name) ?? {},
      )
    }
  }
})
