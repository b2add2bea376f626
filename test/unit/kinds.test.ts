import { readFileSync } from 'node:fs'
import test from 'ava'
import * as v from 'valibot'
import { parse } from 'yaml'
import { kinds } from '../../shared/kubedb/databases/kinds.ts'
import { planUpdate } from '../../shared/kubedb/instances/planner.ts'
import { targetOf } from '../../shared/kubedb/instances/target.ts'
import { boundsFormat } from '../../shared/osb/catalog/format.ts'
import { sameMake } from '../../shared/osb/messages/maintenance.ts'
import { checkParameters } from '../../shared/osb/parameters/parameters.ts'
import type { Parameters } from '../../shared/values/nouns.ts'
import { allPlans, type Shipped, shippedPlan } from '../support/shipped-catalog.ts'

const plans = allPlans()

function resolved({ plan, kind }: Shipped, sent: Parameters = {}) {
  const checked = checkParameters(plan, kind, sent, 'create', [])
  const version = checked.version ?? plan.version
  return targetOf(
    { plan, kind, sent: {}, checked, version, maintenance: plan.maintenanceVersion },
    { addresses: 'cluster', instance: '6f0a1c6e' },
  ).resolved
}

test('every version of the shipped catalog is one that KubeDB has', (t) => {
  const file = new URL('../../sandbox/crds/versions.yaml', import.meta.url)
  const Versions = v.record(v.string(), v.array(v.looseObject({ name: v.string() })))
  const known = v.parse(Versions, parse(readFileSync(file, 'utf8')))
  for (const { plan, kind } of plans) {
    const names = known[`${kind.kind}Version`]?.map(({ name }) => name) ?? []
    const offered = [plan.version, ...(plan.parameters.version?.enum ?? [])]
    t.deepEqual(
      offered.filter((name) => !names.includes(name)),
      [],
      `${plan.serviceName} ${plan.name}`,
    )
  }
})

test('every kind takes each parameter, or says why it does not', (t) => {
  const all = Object.keys(boundsFormat().entries)
  for (const kind of kinds.values()) {
    const said = [...kind.parameters, ...Object.keys(kind.lacks ?? {})].sort()
    t.deepEqual(said, [...all].sort(), kind.kind)
  }
})

const ofService = (one: Shipped) => plans.filter(({ plan }) => plan.serviceId === one.plan.serviceId)

test('what cannot become of an instance has one reason: what it is comes before how large it is', (t) => {
  for (const from of plans) {
    for (const to of ofService(from)) {
      const [had, wanted] = [resolved(from), resolved(to)]
      const change = planUpdate(from.kind, { had, wanted, unfinished: [], live: had.spec })
      if (change.kind !== 'impossible') continue
      t.notRegex(change.reason, /cannot be changed once the database exists/)
      if (/^(storageType|topology|mode): /.test(change.reason))
        t.notRegex(change.reason, /shrink|get a disk|class/)
    }
  }
})

test('an Elasticsearch does not become an OpenSearch by a change of plan, which keeps the version', (t) => {
  const { plan } = shippedPlan('elasticsearch', 'opensearch-small')
  t.throws(() => sameMake(plan, 'xpack-9.2.3'), {
    name: 'BrokerError',
    message:
      /^plan_id: the plan is of another make of the engine, opensearch-3\.4\.0, and this instance is xpack/,
  })
  t.notThrows(() => sameMake(plan, 'opensearch-2.5.0'))
  t.notThrows(() => sameMake(shippedPlan('elasticsearch', 'elasticsearch').plan, 'opensearch-2.5.0'))
})

for (const shipped of plans) {
  const { plan, kind } = shipped
  const name = `${plan.serviceName} ${plan.name}`

  test(`${name}: makes the same spec whenever it is asked`, (t) => {
    const one = resolved(shipped)
    t.deepEqual(one, resolved(shipped))
    t.is(one.spec.version, plan.version)
    t.is(one.spec.deletionPolicy, 'WipeOut')
    t.deepEqual(planUpdate(kind, { had: one, wanted: resolved(shipped), unfinished: [], live: one.spec }), {
      kind: 'nothing',
    })
  })
}
