/** Plans and services that have left the catalog: what there is of them goes on and can be ended, nothing new begins. */
import { randomUUID } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import test, { type ExecutionContext } from 'ava'
import { bindingPath, instancePath, openBroker, type TestBroker } from '../support/broker.ts'
import { textAt, useCluster } from '../support/cluster.ts'
import { canUse, inventoryOf, isEmpty } from '../support/inventory.ts'
import { offerOf } from '../support/offers.ts'
import { credentialsIn, planId, platformOf, serviceId } from '../support/platform.ts'

const cluster = useCluster(test)

const otherPlan = offerOf('postgresql', 'demo-postgresql').planId
const later = { query: 'accepts_incomplete=true' }

/** To a platform another id is another plan or service: the one of the old id has gone. */
async function remove(broker: TestBroker, ...ids: string[]): Promise<void> {
  const text = await readFile(broker.catalogFile, 'utf8')
  const changed = ids.reduce((before, id) => before.replaceAll(id, randomUUID()), text)
  if (changed === text) throw new Error(`the catalog has none of ${ids.join(', ')}`)
  await writeFile(broker.catalogFile, changed)
}

/** Everything that a platform does with what it has, and with what it would like to have. */
async function lifeWithout(
  t: ExecutionContext,
  what: 'the plan' | 'the service',
  refusals: { provision: RegExp; update: RegExp },
): Promise<void> {
  t.timeout(240_000)
  const broker = await openBroker(t, { cluster })
  const platform = platformOf(broker)
  const instanceId = await platform.instance({ cpu: '600m' })
  const before = randomUUID()
  const credentials = credentialsIn(await platform.bind(instanceId, before))
  const young = randomUUID()
  const begun = await platform.provision(young)
  t.is(begun.status, 202, begun.text)

  await remove(broker, ...(what === 'the plan' ? [planId] : [serviceId, planId]))
  const catalog = await broker.get('/v2/catalog')
  t.is(catalog.status, 200)
  t.false(catalog.text.includes(planId))

  // What has begun comes to its end, and the same request is still the same request.
  const end = await platform.settle(young, begun)
  t.is(end.body.state, 'succeeded', end.text)
  t.is((await platform.provision(young)).status, 200)
  t.is((await platform.provision(young, { cpu: '600m' })).status, 409)

  const refused = await platform.provision(randomUUID())
  t.is(refused.status, 400, refused.text)
  t.regex(textAt(refused.body, 'description'), refusals.provision)

  const fetched = await platform.fetch(instanceId)
  t.is(fetched.status, 200, fetched.text)
  t.is(fetched.body.plan_id, planId)

  const bindingId = randomUUID()
  const bound = await platform.bind(instanceId, bindingId)
  t.is(bound.status, 201, bound.text)
  t.true(await canUse(cluster, credentialsIn(bound)))
  t.true(await canUse(cluster, credentials))
  t.is((await platform.fetchBinding(instanceId, bindingId)).status, 200)
  t.is((await platform.pollBinding(instanceId, bindingId)).body.state, 'succeeded')
  t.true(
    [200, 410].includes(
      (await platform.settleBinding(instanceId, bindingId, await platform.unbind(instanceId, bindingId)))
        .status,
    ),
  )

  const update = await platform.update(instanceId, { cpu: '700m' })
  t.is(update.status, 422, update.text)
  t.is(update.body.error, undefined)
  t.regex(textAt(update.body, 'description'), refusals.update)
  const renamed = await broker.patch(
    instancePath(instanceId),
    { service_id: serviceId, context: { platform: 'cloudfoundry', instance_name: 'renamed' } },
    later,
  )
  t.is(renamed.status, 200, renamed.text)

  if (what === 'the plan') {
    const unknown = await broker.patch(
      instancePath(instanceId),
      { service_id: serviceId, plan_id: randomUUID() },
      later,
    )
    t.is(unknown.status, 400, unknown.text)
    const foreign = await broker.put(bindingPath(instanceId, randomUUID()), {
      service_id: serviceId,
      plan_id: randomUUID(),
    })
    t.is(foreign.status, 400, foreign.text)
  }

  for (const id of [instanceId, young]) {
    t.is((await platform.settle(id, await platform.deprovision(id))).status, 410)
    t.true(isEmpty(await inventoryOf(cluster, id)))
  }
  t.false(await canUse(cluster, credentials))
}

test('instances of a plan that has left the catalog go on; new ones are refused', (t) =>
  lifeWithout(t, 'the plan', {
    provision: /^plan_id: service postgresql has no plan of that id/,
    update: /is offered no more, .* move the instance to another plan \(demo-postgresql, .*\) with plan_id$/,
  }))

test('instances of a service that has left the catalog go on; new ones are refused', (t) =>
  lifeWithout(t, 'the service', {
    provision: /^service_id: no service of this catalog has that id/,
    update: /^the service of this instance is offered no more/,
  }))

test('an instance moves from a plan that has left the catalog to one that is in it', async (t) => {
  const broker = await openBroker(t, { cluster })
  const platform = platformOf(broker)
  const made = randomUUID()
  const wish = { service_id: serviceId, plan_id: otherPlan, organization_guid: 'org', space_guid: 'space' }
  const end = await platform.settle(made, await broker.put(instancePath(made), wish, later))
  t.is(end.body.state, 'succeeded', end.text)
  await remove(broker, otherPlan)
  const catalog = await broker.get('/v2/catalog')
  const [name, target] = /"id":"([^"]+)","name":"demo-ha-postgresql"/.exec(catalog.text) ?? []
  t.truthy(name)
  const moved = await broker.patch(instancePath(made), { service_id: serviceId, plan_id: target }, later)
  t.is((await platform.settle(made, moved)).body.state, 'succeeded', moved.text)
  t.is((await platform.fetch(made)).body.plan_id, target)
  t.is((await platform.settle(made, await platform.deprovision(made))).status, 410)
})
