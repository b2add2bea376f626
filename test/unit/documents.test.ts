/** Pages, examples and the dashboard: what they name is there. */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import test from 'ava'
import { parseAllDocuments } from 'yaml'
import { platformRole } from '../../generate/reviews.ts'
import { isObject } from '../../shared/values/json.ts'

const root = join(import.meta.dirname, '../..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')

test('links between pages lead somewhere', (t) => {
  const pages = [
    'README.md',
    'CONTRIBUTING.md',
    ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' }).map((name) => `docs/${name}`),
  ]
  let links = 0
  for (const page of pages.filter((name) => name.endsWith('.md'))) {
    // code may look like a link
    const text = read(page).replaceAll(/`[^`\n]*`/g, '')
    for (const [, target = ''] of text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
      if (/^https?:/.test(target)) continue
      links += 1
      t.true(existsSync(join(root, dirname(page), target)), `${page} → ${target}`)
    }
  }
  t.true(links > 15)
})

test('every example is named by a page and can be read by its program', (t) => {
  const page = read('docs/registration.md')
  const parts = read('docs/operating.md')
  const names = readdirSync(join(root, 'examples'), { recursive: true, encoding: 'utf8' })
  for (const name of names.filter((name) => name !== 'catalog')) {
    t.true((name.startsWith('catalog/') ? parts : page).includes(`../examples/${name}`), name)
    if (name.endsWith('.sh')) t.notThrows(() => execFileSync('sh', ['-n', join(root, 'examples', name)]))
    else for (const document of parseAllDocuments(read(`examples/${name}`))) t.deepEqual(document.errors, [])
  }
})

test('the example with a token binds the role that the component has, for the audience that it sets', (t) => {
  const text = read('examples/service-catalog-bearer.yaml')
  t.true(text.includes(`name: ${platformRole().metadata.name}`))
  const audience = /name: TOKEN_AUDIENCE, value: (\S+) /.exec(
    read('knative/components/bearer/kustomization.yaml'),
  )?.[1]
  t.truthy(audience)
  t.true(text.includes(`--audience ${audience}`))
})

test('the dashboard asks for metrics that the functions send', (t) => {
  const dashboard: unknown = JSON.parse(read('docs/dashboards/kubedb-service-broker.json'))
  if (!isObject(dashboard) || !Array.isArray(dashboard.panels)) throw new Error('there are no panels')
  const telemetry = read('shared/telemetry/sdk.ts')
  const sent = [...telemetry.matchAll(/create(?:Histogram|Counter)\('([^']+)'/g)].map(([, name = '']) =>
    name.replaceAll('.', '_'),
  )
  const asked = [...JSON.stringify(dashboard).matchAll(/\((?:rate\()?([a-z_]+)[{[]/g)].map(([, name = '']) =>
    name.replace(/_(seconds_)?(bucket|count|total)$/, ''),
  )
  t.true(asked.length >= 6)
  for (const name of asked) t.true(sent.includes(name), name)
})
