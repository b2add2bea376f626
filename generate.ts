/**
 * Writes the committed files that follow from others: roles, tables in the docs, the rendered catalog.
 *
 * Usage: `node generate.ts` writes them; `node generate.ts --check` only compares, names each one that is stale and
 * exits with 1.
 */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import * as v from 'valibot'
import { parse } from 'yaml'
import { type WrittenKind, written } from './generate/admission/written.ts'
import { chartFiles } from './generate/chart/chart.ts'
import { configurationPage } from './generate/configuration-page.ts'
import { dashboardFiles } from './generate/dashboard.ts'
import { doctorFiles } from './generate/doctor.ts'
import { withCredentials } from './generate/example-credentials.ts'
import { keysPage } from './generate/keys-page.ts'
import { knativeFiles, localGateways } from './generate/knative.ts'
import type { Files } from './generate/manifest.ts'
import { defaultNamespaces, rbacFiles } from './generate/rbac.ts'
import { routesPage } from './generate/routes-page.ts'
import { servicePage } from './generate/service-page.ts'
import { KindRecord } from './generate/webhook-record/record.ts'
import { variables } from './shared/environment/config.ts'
import { routerVariables } from './shared/gateway/config.ts'
import { kindOf, kinds } from './shared/kubedb/databases/kinds.ts'
import { planOf } from './shared/osb/catalog/plan.ts'
import { readCatalogYaml, renderCatalog } from './shared/osb/catalog/yaml.ts'

/** @returns every derived file of the checkout as it should be */
export async function derivedFiles(root: string): Promise<Files> {
  const catalog = await readFile(join(root, 'knative/base/catalog.yaml'), 'utf8')
  const rendered = renderCatalog(catalog, kinds)
  const version = await versionIn(join(root, 'package.json'))
  const lists = await whatIsWritten(root, catalog)
  return {
    'generate/admission/written.json': `${JSON.stringify(lists, null, 2)}\n`,
    ...rbacFiles([...kinds.values()], undefined, lists),
    ...knativeFiles(),
    ...doctorFiles([...kinds.values()]),
    ...dashboardFiles(defaultNamespaces, [...kinds.values()], {
      HTTPRoute: localGateways['gateway-api'],
      VirtualService: localGateways.istio,
      HTTPProxy: localGateways.contour,
    }),
    ...chartFiles([...kinds.values()], version, { yaml: catalog, json: rendered }, lists),
    'knative/base/catalog.json': rendered,
    'docs/routes.md': routesPage(),
    'docs/configuration.md': configurationPage(variables(), routerVariables()),
    ...servicePages(catalog, await endedVersions(root)),
    ...(await bindingPages(root, catalog)),
  }
}

/** @returns what the broker writes into a cluster for the plans of the catalog, and of the services that may be added */
async function whatIsWritten(root: string, catalog: string): Promise<WrittenKind[]> {
  const { services } = readCatalogYaml(await wholeCatalog(root, catalog), kinds)
  const plans = services.flatMap((service) =>
    service.plans.map((plan) => ({ plan: planOf(service, plan), kind: kindOf(service.kind) })),
  )
  const records = new Map<string, KindRecord>()
  for (const kind of new Set(services.map((service) => service.kind)))
    records.set(kind, await answersOf(root, kind))
  return written(plans, records)
}

/** @returns what KubeDB's webhooks were recorded to answer of a kind */
async function answersOf(root: string, kind: string): Promise<KindRecord> {
  const text = await readFile(join(root, `test/kubedb-webhooks/${kind}.json`), 'utf8')
  return v.parse(KindRecord, JSON.parse(text))
}

async function versionIn(file: string): Promise<string> {
  return v.parse(v.object({ version: v.string() }), JSON.parse(await readFile(file, 'utf8'))).version
}

/** @returns by kind, the versions that KubeDB's catalog calls past the end of their life */
type EndedVersions = (kind: string) => string[]

async function endedVersions(root: string): Promise<EndedVersions> {
  const Seeds = v.record(
    v.string(),
    v.array(v.object({ name: v.string(), endOfLife: v.optional(v.boolean(), false) })),
  )
  const seeds = v.parse(Seeds, parse(await readFile(join(root, 'sandbox/crds/versions.yaml'), 'utf8')))
  return (kind) =>
    (seeds[`${kind}Version`] ?? []).filter(({ endOfLife }) => endOfLife).map(({ name }) => name)
}

/** @returns a page for each service of the catalog */
function servicePages(catalog: string, ended: EndedVersions): Files {
  const pages = readCatalogYaml(catalog, kinds).services.map((service): [string, string] => [
    `docs/services/${service.name}.md`,
    servicePage(service, kindOf(service.kind), ended(service.kind)),
  ])
  return Object.fromEntries(pages)
}

/** @returns the page about keys, and the pages that show credentials, with what the broker gives today */
async function bindingPages(root: string, catalog: string): Promise<Files> {
  const services = readCatalogYaml(await wholeCatalog(root, catalog), kinds).services
  const offers = services.map((service) => ({
    name: service.name,
    title: String(service.metadata?.displayName ?? service.name),
    kind: kindOf(service.kind),
    plans: service.plans.map((plan) => planOf(service, plan)),
  }))
  const files: Record<string, string> = { 'docs/bindings/keys.md': keysPage(offers) }
  const pages = (await readdir(join(root, 'docs/bindings'))).map((name) => `docs/bindings/${name}`)
  for (const page of ['docs/bindings.md', ...pages.filter((name) => !(name in files))]) {
    const text = await readFile(join(root, page), 'utf8')
    const filled = withCredentials(text, offers)
    if (filled !== undefined) files[page] = filled
  }
  return files
}

/** @returns the catalog with every service that an operator may add to it */
async function wholeCatalog(root: string, catalog: string): Promise<string> {
  const folder = join(root, 'examples/catalog')
  const parts = await Promise.all(
    (await readdir(folder)).sort().map((name) => readFile(join(folder, name), 'utf8')),
  )
  return [
    catalog,
    ...parts.map((part) => part.slice(part.indexOf('\nservices:\n') + '\nservices:\n'.length)),
  ].join('\n')
}

/** @returns the paths of those files that are not as they should be, or not there */
export async function staleFiles(root: string): Promise<string[]> {
  const stale = await Promise.all(
    Object.entries(await derivedFiles(root)).map(async ([path, content]) =>
      (await textOf(join(root, path))) === content ? [] : [path],
    ),
  )
  return stale.flat()
}

async function textOf(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

if (process.argv[1] === import.meta.filename) {
  const root = import.meta.dirname
  if (process.argv.includes('--check')) {
    const stale = await staleFiles(root)
    for (const path of stale) console.error(`${path} is out of date: run \`npm run generate\``)
    process.exitCode = stale.length > 0 ? 1 : 0
  } else {
    for (const [path, content] of Object.entries(await derivedFiles(root))) {
      await mkdir(dirname(join(root, path)), { recursive: true })
      await writeFile(join(root, path), content)
    }
  }
}
