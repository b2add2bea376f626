import { readdir, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import * as v from 'valibot'
import { parse, parseAllDocuments } from 'yaml'
import { turns } from '../machine/turns.ts'
import { ask, type Endpoint, granted } from './request.ts'

/** A kind that the API server now serves. */
export interface InstalledKind {
  kind: string
  /** `<plural>.<group>` */
  name: string
  group: string
  plural: string
  /** The version in which objects are stored. */
  version: string
}

const Schema = v.looseObject({
  type: v.optional(v.string()),
  enum: v.optional(v.array(v.unknown())),
  required: v.optional(v.array(v.string())),
  properties: v.optional(
    v.record(
      v.string(),
      v.lazy((): v.GenericSchema<unknown, Schema> => Schema),
    ),
  ),
})

interface Schema {
  type?: string | undefined
  enum?: unknown[] | undefined
  required?: string[] | undefined
  properties?: Record<string, Schema> | undefined
}

const Crd = v.object({
  apiVersion: v.literal('apiextensions.k8s.io/v1'),
  kind: v.literal('CustomResourceDefinition'),
  metadata: v.object({ name: v.string() }),
  spec: v.looseObject({
    group: v.string(),
    names: v.looseObject({ kind: v.string(), plural: v.string() }),
    versions: v.array(
      v.looseObject({
        name: v.string(),
        served: v.boolean(),
        storage: v.boolean(),
        schema: v.object({ openAPIV3Schema: Schema }),
      }),
    ),
  }),
})
type Crd = v.InferOutput<typeof Crd>

const AnyManifest = v.object({ kind: v.string(), metadata: v.object({ name: v.string() }) })

const CrdStatus = v.object({
  status: v.optional(
    v.object({
      conditions: v.nullish(
        v.array(v.object({ type: v.string(), status: v.string(), message: v.optional(v.string()) })),
      ),
    }),
  ),
})

const ResourceList = v.object({ resources: v.array(v.object({ name: v.string() })) })

/** Ranges of versions; MySQL states them for each of its topologies. */
const Ranges = v.union([v.array(v.string()), v.record(v.string(), v.array(v.string()))])

/** Kind of the catalog → its versions, as sandbox/crds/versions.yaml states them. */
const Versions = v.record(
  v.string(),
  v.array(
    v.strictObject({
      name: v.string(),
      version: v.string(),
      distribution: v.optional(v.string()),
      authPlugin: v.optional(v.string()),
      /** Under whom its servers run. */
      runAsUser: v.number(),
      /** By default the group of the same number. */
      runAsGroup: v.optional(v.number()),
      /** Has this version an image of MySQL's router? */
      router: v.optional(v.boolean()),
      deprecated: v.optional(v.boolean()),
      endOfLife: v.optional(v.boolean()),
      updateConstraints: v.optional(
        v.strictObject({
          allowlist: v.optional(Ranges),
          denylist: v.optional(Ranges),
        }),
      ),
    }),
  ),
)

const ownFolder = join(import.meta.dirname, '../crds')
const versionsFile = join(ownFolder, 'versions.yaml')

/** How long the API server may take to serve a new kind, in milliseconds. */
const servedWithin = 180_000

/** CRDs installed at once: some are of a megabyte, and the API server takes each up with all that are there. */
const atOnce = 4

export interface CrdsOptions {
  /**
   * other CRDs to take in place of those in sandbox/crds, as *.json or *.yaml; by default what KUBEDB_CRDS names. Only
   * the kinds that sandbox/crds has are taken from it
   */
  folder?: string
}

/**
 * Makes the API server serve the kinds of KubeDB, and fills its catalog with the versions of
 * sandbox/crds/versions.yaml. May be repeated: what is there is brought up to date.
 *
 * @returns the kinds, all served
 * @throws if a file is no CRD, if the folder lacks one, or with the API server's words if it refuses one
 */
export async function installCrds(plane: Endpoint, options: CrdsOptions = {}): Promise<InstalledKind[]> {
  const crds = await crdsOf(options)
  const busy = turns(atOnce)
  await Promise.all(crds.map((crd) => busy(() => install(plane, crd))))
  await seedVersions(plane, crds)
  return crds.map((crd) => ({
    kind: crd.spec.names.kind,
    name: crd.metadata.name,
    group: crd.spec.group,
    plural: crd.spec.names.plural,
    version: storedVersion(crd).name,
  }))
}

/** Waits until the API server serves kinds that it has in store. */
export async function untilServed(plane: Endpoint, options: CrdsOptions = {}): Promise<void> {
  const busy = turns(atOnce)
  await Promise.all((await crdsOf(options)).map((crd) => busy(() => served(plane, crd))))
}

/** @returns what all files say that decide what {@link installCrds} makes of an API server, this one among them */
export async function crdTexts(options: CrdsOptions): Promise<string[]> {
  const folder = options.folder ?? process.env.KUBEDB_CRDS
  const files = [...(await manifestsIn(ownFolder)), ...(folder ? await manifestsIn(resolve(folder)) : [])]
  return Promise.all([import.meta.filename, ...files].map((file) => readFile(file, 'utf8')))
}

async function manifestsIn(folder: string): Promise<string[]> {
  const names = (await readdir(folder)).filter((name) => /\.(json|ya?ml)$/.test(name))
  return names.sort().map((name) => join(folder, name))
}

async function crdsOf(options: CrdsOptions): Promise<Crd[]> {
  const own = await crdsIn(ownFolder)
  const folder = options.folder ?? process.env.KUBEDB_CRDS
  return folder ? pick(await crdsIn(resolve(folder)), own, folder) : [...own.values()]
}

/** The CRDs in a folder by name; a file may hold several, and other objects. */
async function crdsIn(folder: string): Promise<Map<string, Crd>> {
  const found = new Map<string, Crd>()
  for (const file of (await manifestsIn(folder)).filter((file) => file !== versionsFile)) {
    const text = await readFile(file, 'utf8')
    // The YAML parser would read JSON too, but takes seconds for the CRDs of KubeDB.
    const documents = file.endsWith('.json')
      ? [JSON.parse(text)]
      : parseAllDocuments(text).map((document) => document.toJS({ maxAliasCount: -1 }))
    for (const document of documents) {
      const manifest = v.safeParse(AnyManifest, document)
      if (!manifest.success || manifest.output.kind !== 'CustomResourceDefinition') continue
      found.set(
        manifest.output.metadata.name,
        parsed(Crd, document, `${file}: ${manifest.output.metadata.name}`),
      )
    }
  }
  return found
}

function pick(crds: Map<string, Crd>, wanted: Map<string, Crd>, folder: string): Crd[] {
  return [...wanted.keys()].map((name) => {
    const crd = crds.get(name)
    if (crd === undefined) {
      throw new Error(
        `The folder of CRDs ${folder} has no ${name}: it needs ${[...wanted.keys()].join(', ')}.`,
      )
    }
    return crd
  })
}

async function install(plane: Endpoint, crd: Crd): Promise<void> {
  await apply(plane, crdPath(crd), crd)
  await served(plane, crd)
}

const crdPath = ({ metadata: { name } }: Crd): string =>
  `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${name}`

async function served(plane: Endpoint, crd: Crd): Promise<void> {
  const { name } = crd.metadata
  const deadline = Date.now() + servedWithin
  const versions = crd.spec.versions.filter((version) => version.served)
  for (let tries = 1; ; tries++) {
    const answers = await Promise.all(
      versions.map((version) => ask(plane, 'GET', `${collection(crd, version.name)}?limit=1`)),
    )
    if (answers.every((answer) => answer.status === 200) && (await isListed(plane, crd, versions))) return
    // Some are of a megabyte: they are looked at themselves no more often than a person would.
    if (tries % 20 === 0) await assertNotRefused(plane, crd)
    if (Date.now() > deadline) throw new Error(`${name} is not served after ${servedWithin / 1000} s.`)
    await sleep(50)
  }
}

/** The API server answers for a kind before it names it among those that it serves. */
async function isListed(
  plane: Endpoint,
  { spec: { group, names } }: Crd,
  versions: Crd['spec']['versions'],
): Promise<boolean> {
  const answers = await Promise.all(
    versions.map((version) => ask(plane, 'GET', `/apis/${group}/${version.name}`)),
  )
  return answers.every(
    ({ status, body }) =>
      status === 200 &&
      v.parse(ResourceList, JSON.parse(body)).resources.some(({ name }) => name === names.plural),
  )
}

async function assertNotRefused(plane: Endpoint, crd: Crd): Promise<void> {
  const path = crdPath(crd)
  const { status } = granted(CrdStatus, `GET ${path}`, await ask(plane, 'GET', path))
  const refused = status?.conditions?.find(
    ({ type, status }) => type === 'NamesAccepted' && status === 'False',
  )
  if (refused) throw new Error(`${crd.metadata.name} is refused: ${refused.message}`)
}

async function seedVersions(plane: Endpoint, crds: readonly Crd[]): Promise<void> {
  const seeds = parsed(Versions, parse(await readFile(versionsFile, 'utf8')), versionsFile)
  for (const [kind, versions] of Object.entries(seeds)) {
    const crd = crds.find((candidate) => candidate.spec.names.kind === kind)
    if (crd === undefined) throw new Error(`${versionsFile}: there is no CRD of kind ${kind} beside it.`)
    const stored = storedVersion(crd)
    const spec = stored.schema.openAPIV3Schema.properties?.spec ?? {}
    await Promise.all(
      versions.map(({ name, router, runAsUser, runAsGroup, ...facts }) =>
        apply(plane, `${collection(crd, stored.name)}/${name}`, {
          apiVersion: `${crd.spec.group}/${stored.name}`,
          kind,
          metadata: { name },
          spec: {
            ...placeholders(spec, facts.version),
            ...(router ? { router: placeholder(spec.properties?.router ?? {}, facts.version) } : {}),
            securityContext: { runAsUser, ...(runAsGroup === undefined ? {} : { runAsGroup }) },
            ...facts,
          },
        }),
      ),
    )
  }
}

/** What a schema requires but the catalog's facts do not say, mostly images: nothing in the sandbox pulls them. */
function placeholders(schema: Schema, version: string): Record<string, unknown> {
  const properties = schema.properties ?? {}
  return Object.fromEntries(
    (schema.required ?? []).map((name) => [name, placeholder(properties[name] ?? {}, version)]),
  )
}

function placeholder(schema: Schema, version: string): unknown {
  switch (schema.type) {
    case 'object':
      return placeholders(schema, version)
    case 'array':
      return []
    case 'boolean':
      return false
    case 'integer':
    case 'number':
      return 0
    default:
      return schema.enum?.[0] ?? `sandbox:${version}`
  }
}

async function apply(plane: Endpoint, path: string, manifest: unknown): Promise<void> {
  const query = 'fieldManager=sandbox&force=true&fieldValidation=Strict'
  const answer = await ask(plane, 'PATCH', `${path}?${query}`, manifest, 'application/apply-patch+yaml')
  granted(v.unknown(), `PATCH ${path}`, answer)
}

function collection(crd: Crd, version: string): string {
  return `/apis/${crd.spec.group}/${version}/${crd.spec.names.plural}`
}

function storedVersion(crd: Crd): Crd['spec']['versions'][number] {
  const stored = crd.spec.versions.find((version) => version.storage)
  if (stored === undefined) throw new Error(`${crd.metadata.name} has no version with storage: true.`)
  return stored
}

function parsed<T extends v.GenericSchema>(schema: T, value: unknown, source: string): v.InferOutput<T> {
  const result = v.safeParse(schema, value)
  if (result.success) return result.output
  const issue = result.issues[0]
  throw new Error(`${source}: ${v.getDotPath(issue) ?? 'the whole'}: ${issue.message}`)
}
