/** The sandbox's stand-in fills in what KubeDB's own webhooks do, field for field. */
import { readFileSync } from 'node:fs'
import test from 'ava'
import * as v from 'valibot'
import { parse } from 'yaml'
import { difference } from '../../generate/webhook-record/difference.ts'
import { Database, Version } from '../../sandbox/operator/cluster/resources.ts'
import { kinds } from '../../sandbox/operator/kinds/kinds.ts'
import { kindOf } from '../../shared/kubedb/databases/kinds.ts'
import { canonical, JsonObject } from '../../shared/values/json.ts'
import { recordedDatabase } from '../support/plan-walk.ts'
import { defaulted, readRecord } from '../support/webhook-record.ts'

const Seeds = v.record(
  v.string(),
  v.array(
    v.looseObject({
      name: v.string(),
      version: v.string(),
      runAsUser: v.number(),
      runAsGroup: v.optional(v.number()),
      router: v.optional(v.boolean(), false),
    }),
  ),
)
const file = new URL('../../sandbox/crds/versions.yaml', import.meta.url)
const seeds = v.parse(Seeds, parse(readFileSync(file, 'utf8')))

/** A *Version object as the sandbox has it. */
function versionOf(kind: string, name: string): Version {
  const found = seeds[`${kind}Version`]?.find((one) => one.name === name)
  if (!found) throw new Error(`sandbox/crds/versions.yaml has no ${kind} ${name}`)
  const { runAsUser, runAsGroup, router, ...facts } = found
  const images = router ? { router: { image: 'sandbox' } } : {}
  const spec = {
    ...facts,
    ...images,
    securityContext: { runAsUser, ...(runAsGroup === undefined ? {} : { runAsGroup }) },
  }
  return v.parse(Version, { metadata: { name }, spec })
}

/** What cannot be the same, with the reason. */
const others: { path: RegExp; why: string }[] = [
  { path: /\/env\/\[KAFKA_CLUSTER_ID\]\/value$/, why: 'Kafka clusters get an id of the clock' },
]

const met = new Set<RegExp>()

for (const kind of kinds) {
  const record = readRecord(kind.kind)
  const titles = [...Object.keys(record.databases), ...Object.keys(record.states)]

  test.serial(`${kind.kind}: the stand-in makes the same of every draft`, (t) => {
    let compared = 0
    for (const title of titles) {
      const made = defaulted(record, title)
      const draft = (record.databases[title] ?? record.states[title])?.draft
      if (!made || !draft) continue
      const { name, namespace } = recordedDatabase(kindOf(kind.kind))
      const db = v.parse(Database, { metadata: { name, namespace }, spec: draft })
      const own = kind.admission.defaults(db, versionOf(kind.kind, db.spec.version))
      const found = difference(
        v.parse(JsonObject, JSON.parse(JSON.stringify(own))),
        v.parse(JsonObject, made.spec),
      )
      const differ = Object.entries(found).filter(([path]) => {
        const other = others.find((one) => one.path.test(path))
        if (other) met.add(other.path)
        return !other
      })
      t.deepEqual(differ, [], `${title}: ${canonical(differ)}`)
      compared += 1
    }
    t.true(compared > 0)
  })
}

test.serial('what cannot be the same is met, and has a reason', (t) => {
  for (const { path, why } of others) t.true(met.has(path), `${path.source}: ${why}`)
})
