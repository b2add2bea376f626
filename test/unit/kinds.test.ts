import test from 'ava'
import { planUpdate } from '../../shared/kubedb/planner.ts'
import { targetOf } from '../../shared/kubedb/target.ts'
import type { Parameters } from '../../shared/nouns.ts'
import { checkParameters } from '../../shared/osb/parameters.ts'
import { type Shipped, shippedPlans } from '../support/shipped-catalog.ts'

const plans = shippedPlans()

function resolved({ plan, kind }: Shipped, sent: Parameters = {}) {
  const checked = checkParameters(plan, kind, sent, 'create', [])
  const version = checked.version ?? plan.version
  return targetOf(
    { plan, kind, sent: {}, checked, version, maintenance: plan.maintenanceVersion },
    { addresses: 'cluster', instance: '6f0a1c6e' },
  ).resolved
}

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
