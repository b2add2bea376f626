/** What nobody has chosen and still has to be written down: the class of a database's disks, the address of its page. */
import test from 'ava'
import { kindOf } from '../../shared/kubedb/databases/kinds.ts'
import { planUpdate } from '../../shared/kubedb/instances/planner.ts'
import { dashboardUrl, targetOf } from '../../shared/kubedb/instances/target.ts'
import type { Resolved } from '../../shared/kubedb/records/instance-record.ts'
import { isObject, type JsonObject } from '../../shared/values/json.ts'
import type { Parameters, Plan } from '../../shared/values/nouns.ts'
import { shippedPlan } from '../support/shipped-catalog.ts'

const { plan, kind } = shippedPlan('postgresql', 'small')
const classes = (...offered: string[]): Plan => ({
  ...plan,
  parameters: { ...plan.parameters, storageClass: { enum: offered } },
})

function resolved(of: Plan, checked: Parameters = {}, had?: Resolved, by = kind): Resolved {
  const { version } = of
  const wish = { plan: of, kind: by, sent: {}, checked, version, maintenance: version }
  return targetOf({ ...wish, ...(had ? { had } : {}) }, { addresses: 'cluster', instance: 'i' }).resolved
}
const classOf = ({ spec }: Resolved) => (isObject(spec.storage) ? spec.storage.storageClassName : undefined)
const none = resolved(plan)

test('a new instance has the first of the classes that its plan lists, unless one is chosen', (t) => {
  t.is(classOf(none), undefined)
  t.is(classOf(resolved(classes('standard', 'fast'))), 'standard')
  t.is(classOf(resolved(classes('standard', 'fast'), { storageClass: 'fast' })), 'fast')
  const named: JsonObject = {
    ...plan.spec,
    storage: { ...Object(plan.spec.storage), storageClassName: 'fast' },
  }
  t.is(classOf(resolved({ ...classes('standard', 'fast'), spec: named })), 'fast')
})

test('every part of a database has it, and one in memory has none', (t) => {
  const sharded = shippedPlan('mongodb', 'large-sharded')
  const parameters = { ...sharded.plan.parameters, storageClass: { enum: ['standard', 'fast'] } }
  const { spec } = resolved({ ...sharded.plan, parameters }, {}, undefined, sharded.kind)
  t.like(spec.shardTopology, {
    shard: { storage: { storageClassName: 'standard' } },
    configServer: { storage: { storageClassName: 'standard' } },
  })
  const spec0 = { version: '18.3', storageType: 'Ephemeral' }
  t.notRegex(JSON.stringify(resolved({ ...classes('standard'), spec: spec0 })), /storageClassName/)
  const cache = shippedPlan('memcached', 'small')
  t.notRegex(JSON.stringify(resolved(cache.plan, {}, undefined, kindOf('Memcached'))), /storageClassName/)
})

test('an update of something else moves no disk, whatever the plan lists by now', (t) => {
  const had = resolved(classes('standard', 'fast'))
  for (const listed of [classes('standard'), classes('fast', 'standard'), plan])
    t.is(classOf(resolved(listed, { cpu: '1' }, had)), 'standard')
  // One that was made when the plan listed none.
  t.is(classOf(resolved(classes('standard', 'fast'), { cpu: '1' }, none)), undefined)
  const wanted = resolved(classes('fast', 'standard'), { cpu: '1' }, none)
  const update = planUpdate(kind, { had: none, wanted, unfinished: [], live: none.spec })
  t.like(update, { kind: 'steps', steps: [{ dimension: 'resources' }] })
})

test('a class that the plan lists no more is left for the first that it does', (t) => {
  const had = resolved(classes('old', 'fast'))
  t.is(classOf(resolved(classes('standard', 'fast'), {}, had)), 'standard')
})

test('the names in the address of a page are encoded, and cannot become anything else', (t) => {
  const names = { name: 'osb-a', namespace: 'ns', instance: '{name}&x=/../"<' }
  t.is(
    dashboardUrl('https://g.example/{namespace}/{name}?i={instance}', names),
    'https://g.example/ns/osb-a?i=%7Bname%7D%26x%3D%2F..%2F%22%3C',
  )
  t.is(dashboardUrl(undefined, names), undefined)
})
