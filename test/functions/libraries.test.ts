/**
 * Applications find their databases by the libraries of their languages: with what Cloud Foundry or a platform of
 * servicebinding.io gives them, and the lines that docs/bindings says, and nothing else.
 */
import { randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import * as v from 'valibot'
import { resolveServiceNames } from '../../sandbox/broker/names.ts'
import { kinds } from '../../shared/kubedb/databases/kinds.ts'
import { checkCatalog } from '../../shared/osb/catalog/file.ts'
import { parseYaml } from '../../shared/osb/catalog/yaml.ts'
import type { JsonObject } from '../../shared/values/json.ts'
import { useBroker } from '../support/broker.ts'
import { catalogParts, catalogWith } from '../support/catalog-parts.ts'
import {
  blocksOf,
  type Claim,
  claims,
  databases,
  type Found,
  type Language,
  languages,
  type PlatformName,
  type Role,
  written,
} from '../support/library-claims.ts'
import { preparations } from '../support/library-notes.ts'
import { canHaveNames, type End, type Row } from '../support/library-programs.ts'
import { credentialsIn, platformOf } from '../support/platform.ts'
import { offerTls } from '../support/tls-offer.ts'

/** Where libraries on Cloud Foundry look. */
const { services } = checkCatalog(parseYaml(catalogWith(catalogParts())), kinds)

const broker = useBroker(test)
const { cluster } = broker
test.before('names of Services resolve', () => resolveServiceNames(cluster.names))

/** The name that the pages give service and binding. */
const name = 'notes-db'

/** @returns what the platform gives an application that is bound, and a folder with it where it is one */
async function environmentOf(
  { service }: Found,
  platform: PlatformName,
  credentials: JsonObject,
): Promise<Record<string, string>> {
  if (platform === 'cloud-foundry') {
    const tags = tagsOf(service)
    const services = { [service]: [{ name, instance_name: name, label: service, tags, credentials }] }
    return { VCAP_APPLICATION: '{}', VCAP_SERVICES: JSON.stringify(services) }
  }
  const folder = join(await temporary, randomUUID())
  await mkdir(join(folder, name), { recursive: true })
  for (const [key, value] of Object.entries(credentials))
    await writeFile(join(folder, name, key), typeof value === 'string' ? value : JSON.stringify(value))
  return { SERVICE_BINDING_ROOT: folder }
}

const tagsOf = (service: string): string[] => services.find((one) => one.name === service)?.tags ?? []

const temporary = mkdtemp(join(tmpdir(), 'library-bindings-'))
test.after.always('folders of bindings', async () => rm(await temporary, { recursive: true, force: true }))

/** @returns the credentials of each role, or why there is no such database here; with places for all notes */
async function start(database: Found): Promise<Map<Role, JsonObject> | string> {
  const available = (await database.available?.()) ?? true
  if (available !== true) return available
  const platform = platformOf(broker, database.offer)
  const instance = await platform.instance(database.parameters)
  const mine = claims.filter((claim) => claim.database === database)
  const wanted = new Set<Role>(['owner', ...mine.map(({ role }) => role)])
  const bound = await Promise.all(
    [...wanted].map(async (role): Promise<[Role, JsonObject]> => {
      const binding = randomUUID()
      const begun = await platform.bind(instance, binding, { parameters: { role } })
      await platform.settleBinding(instance, binding, begun)
      return [role, credentialsIn(await platform.fetchBinding(instance, binding))]
    }),
  )
  const credentials = new Map(bound)
  await preparations[database.kind](
    credentials.get('owner') ?? {},
    mine.map(({ row }) => ({ name: row.note, ...(row.does === 'read' ? { text: written } : {}) })),
  )
  return credentials
}

type Started = ReadonlyMap<Found, Promise<Map<Role, JsonObject> | string>>

/** Each database once, for all languages. */
let started: Promise<Started> | undefined

async function startAll(): Promise<Started> {
  await writeFile(broker.catalogFile, catalogWith(catalogParts()))
  const offered = databases.filter(({ variants }) => variants.includes('tls'))
  for (const { offer, spec } of offered) await offerTls(broker, offer, spec)
  // Two at a time: all at once they would take each other's time.
  const lanes: Promise<unknown>[] = [Promise.resolve(), Promise.resolve()]
  return new Map(
    databases.map((database, index) => {
      const lane = index % lanes.length
      const running = Promise.resolve(lanes[lane]).then(() => start(database))
      lanes[lane] = running.catch(() => undefined)
      return [database, running]
    }),
  )
}

/** How a row ended, why it was not run here, or why it could not be. */
type Ends = Map<Claim, End | string | Error>

const brokenDown = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)))

/** @returns how each row ended, or why it was not run; all rows of a language at once */
async function endsOf(language: Language): Promise<Ends> {
  const ends: Ends = new Map()
  const mine = claims.filter((claim) => claim.language === language)
  const ready: [Claim, Row][] = []
  started ??= startAll()
  for (const claim of mine) {
    // A database that does not come up is the trouble of its own rows.
    const credentials = await (await started).get(claim.database)?.catch(brokenDown)
    const own = credentials instanceof Map ? credentials.get(claim.role) : undefined
    if (own === undefined) ends.set(claim, credentials instanceof Error ? credentials : String(credentials))
    else
      ready.push([
        claim,
        { ...claim.row, environment: await environmentOf(claim.database, claim.platform, own) },
      ])
  }
  const hostsFile = join(await temporary, `hosts-${language.name}`)
  const known = v.parse(v.record(v.string(), v.string()), JSON.parse(await readFile(cluster.names, 'utf8')))
  const lines = Object.entries(known).map(([service, address]) => `${address} ${service}\n`)
  await writeFile(hostsFile, ['127.0.0.1 localhost\n', ...lines].join(''))
  const able = await canHaveNames({ hostsFile })
  const runner = able === true ? await language.runner({ hostsFile }) : able
  if (typeof runner === 'string') {
    for (const [claim] of ready) ends.set(claim, runner)
    return ends
  }
  const answers = await runner(ready.map(([, row]) => row))
  for (const [index, [claim]] of ready.entries()) ends.set(claim, answers[index] ?? { error: 'no end' })
  return ends
}

const told = new Set<string>()

for (const language of languages) {
  let ends: Promise<Ends> | undefined
  for (const claim of claims.filter((one) => one.language === language)) {
    test(claim.title, async (t) => {
      t.timeout(20 * 60_000)
      ends ??= endsOf(language)
      const end = (await ends).get(claim)
      if (end instanceof Error) throw end
      if (end === undefined || typeof end === 'string') {
        if (!told.has(String(end))) console.error(`skipped: ${end}`)
        told.add(String(end))
        t.pass()
      } else if ('answer' in claim.ends) t.deepEqual(end, claim.ends)
      else t.regex('error' in end ? end.error : `no error, but the answer ${end.answer}`, claim.ends.error)
    })
  }
}

test('what the pages give lines for is run', (t) => {
  const pages = [...new Set(databases.map(({ page }) => page))]
  const blocks = pages.flatMap((page) => blocksOf(page).map(({ info, text }) => ({ page, info, text })))
  t.true(blocks.length > 40)
  for (const { page, info, text } of blocks) {
    const mine = claims.filter(
      ({ database, language: { code }, row }) => database.page === page && `${code} ${row.library}` === info,
    )
    const run = mine.some(({ row }) => text.split('\n').every((line) => row.lines.includes(line)))
    t.true(run, `${page}: ${info}\n${text}`)
  }
})
