/** The services that an operator can add to the shipped catalog. */
import { readFileSync } from 'node:fs'
import test from 'ava'
import * as v from 'valibot'
import { parse } from 'yaml'
import { kindOf, kinds } from '../../shared/kubedb/databases/kinds.ts'
import { databaseName } from '../../shared/kubedb/records/names.ts'
import { catalogOf } from '../../shared/osb/catalog/catalog.ts'
import { readCatalogYaml } from '../../shared/osb/catalog/yaml.ts'
import { catalogParts, catalogWith } from '../support/catalog-parts.ts'

const servicesOf = (parts: string[]) => catalogOf(readCatalogYaml(catalogWith(parts), kinds), kinds).services
const shipped = servicesOf([])

test('all parts together make one catalog with the shipped one', (t) => {
  t.true(catalogParts().length > 0)
  t.is(servicesOf(catalogParts()).length, shipped.length + catalogParts().length)
  const offered = servicesOf(catalogParts()).flatMap(({ plans }) => plans.map(({ kind }) => kind))
  t.deepEqual([...new Set(offered)].sort(), [...kinds.keys()].sort(), 'every kind that the broker knows')
})

for (const part of catalogParts()) {
  test(`${part}: adds one service of a kind that the shipped catalog lacks, on versions that KubeDB has`, (t) => {
    const [service, ...others] = servicesOf([part]).slice(shipped.length)
    if (service === undefined) return t.fail()
    t.deepEqual(others, [])
    const Versions = v.record(v.string(), v.array(v.looseObject({ name: v.string() })))
    const file = new URL('../../sandbox/crds/versions.yaml', import.meta.url)
    const known = v.parse(Versions, parse(readFileSync(file, 'utf8')))
    for (const plan of service.plans) {
      t.false(shipped.some(({ plans }) => plans.some(({ kind }) => kind === plan.kind)))
      const names = known[`${plan.kind}Version`]?.map(({ name }) => name) ?? []
      for (const version of [plan.version, ...(plan.parameters.version?.enum ?? [])])
        t.true(names.includes(version), `${plan.name} ${version}`)
      const kind = kindOf(plan.kind)
      t.true(
        databaseName('2b28fa9b-31ae-48a9-a567-d9e261b9873c', kind.maxNameLength).length <= kind.maxNameLength,
      )
    }
  })
}
