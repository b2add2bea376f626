/** Successors of bindings, and credentials that come to an end. */
import { randomUUID } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import { bindableEngines, insideOf } from '../support/bindable-engines.ts'
import { bindingPath, type OsbAnswer, openBroker, type TestBroker } from '../support/broker.ts'
import { at, textAt, useCluster } from '../support/cluster.ts'
import { canUse, inventoryOf, isEmpty } from '../support/inventory.ts'
import { brief, credentialsIn, planId, platformOf, serviceId } from '../support/platform.ts'

const cluster = useCluster(test)

/** The catalog with another text in a plan, `small` of PostgreSQL unless told. */
async function edit(broker: TestBroker, plan: string, id = planId): Promise<void> {
  const text = await readFile(broker.catalogFile, 'utf8')
  const from = text.indexOf(`id: ${id}`)
  const to = text.indexOf('binding_rotatable: true', from)
  if (from < 0 || to < 0) throw new Error('the plan small is not in the catalog as this test expects it')
  await writeFile(
    broker.catalogFile,
    text.slice(0, to) + plan + text.slice(to + 'binding_rotatable: true'.length),
  )
}

function rotate(
  broker: TestBroker,
  instanceId: string,
  bindingId: string,
  predecessor: string,
): Promise<OsbAnswer> {
  return broker.put(
    bindingPath(instanceId, bindingId),
    { predecessor_binding_id: predecessor },
    { query: 'accepts_incomplete=true' },
  )
}

function refused(t: ExecutionContext, answer: OsbAnswer, status: number, sentence: RegExp): void {
  t.is(answer.status, status, brief(answer))
  t.regex(String(answer.body.description), sentence)
}

test('a successor takes over role and parameters, both work side by side, each ends alone', async (t) => {
  const broker = await openBroker(t, { cluster })
  const platform = platformOf(broker)
  const instanceId = await platform.instance()
  const [first, second] = [randomUUID(), randomUUID()]
  const old = credentialsIn(await platform.bind(instanceId, first, { parameters: { role: 'owner' } }))

  const made = await rotate(broker, instanceId, second, first)
  t.is(made.status, 201, brief(made))
  const fresh = credentialsIn(made)
  t.not(fresh.username, old.username)
  t.not(fresh.password, old.password)
  t.is(made.body.metadata, undefined)
  t.true(await canUse(cluster, old))
  t.true(await canUse(cluster, fresh))
  t.deepEqual((await platform.fetchBinding(instanceId, second)).body.parameters, { role: 'owner' })
  const [reader, next] = [randomUUID(), randomUUID()]
  t.is((await platform.bind(instanceId, reader, { parameters: { role: 'readOnly' } })).status, 201)
  t.is((await rotate(broker, instanceId, next, reader)).status, 201)
  const { bindings } = await inventoryOf(cluster, instanceId)
  t.like(
    bindings.find(({ bindingId }) => bindingId === next),
    { role: 'readOnly', planId, serviceId, predecessor: reader },
  )

  const again = await rotate(broker, instanceId, second, first)
  t.is(again.status, 200, brief(again))
  t.deepEqual(credentialsIn(again), fresh)

  t.is((await platform.unbind(instanceId, first)).status, 200)
  t.false(await canUse(cluster, old))
  t.true(await canUse(cluster, fresh))
  const late = await rotate(broker, instanceId, second, first)
  t.is(late.status, 200, `a re-sent rotation whose predecessor is gone: ${brief(late)}`)

  t.is((await platform.unbind(instanceId, second)).status, 200)
  t.is((await platform.settle(instanceId, await platform.deprovision(instanceId))).status, 410)
  t.true(isEmpty(await inventoryOf(cluster, instanceId)))
})

test('who may not be a predecessor', async (t) => {
  const broker = await openBroker(t, { cluster })
  const platform = platformOf(broker)
  const [instanceId, other] = await Promise.all([platform.instance(), platform.instance()])
  const [first, second, foreign] = [randomUUID(), randomUUID(), randomUUID()]
  await Promise.all([platform.bind(instanceId, first), platform.bind(instanceId, second)])
  t.is((await platform.bind(other, foreign)).status, 201)

  const id = randomUUID()
  refused(t, await rotate(broker, instanceId, id, randomUUID()), 400, /^predecessor_binding_id: .*no binding/)
  refused(t, await rotate(broker, instanceId, id, foreign), 400, /^predecessor_binding_id: .*no binding/)
  refused(t, await rotate(broker, instanceId, id, id), 400, /^predecessor_binding_id: .*no binding/)
  t.is((await platform.fetchBinding(instanceId, id)).status, 404)
  refused(t, await rotate(broker, randomUUID(), id, first), 404, /no such service instance/)

  t.is((await rotate(broker, instanceId, id, first)).status, 201)
  refused(t, await rotate(broker, instanceId, id, second), 409, /predecessor/)
  refused(t, await platform.bind(instanceId, id), 409, /predecessor/)
  refused(t, await rotate(broker, instanceId, second, first), 409, /predecessor/)

  await edit(broker, 'binding_rotatable: false')
  refused(t, await rotate(broker, instanceId, randomUUID(), first), 400, /not binding_rotatable/)
  t.is((await rotate(broker, instanceId, id, first)).status, 200, 'what was rotated before stays')
})

test('twenty rotations at once to one id make one successor; to twenty ids, twenty', async (t) => {
  const broker = await openBroker(t, { cluster })
  const platform = platformOf(broker)
  const instanceId = await platform.instance()
  const first = randomUUID()
  t.is((await platform.bind(instanceId, first)).status, 201)

  const one = randomUUID()
  const same = await Promise.all(Array.from({ length: 10 }, () => rotate(broker, instanceId, one, first)))
  for (const answer of same) t.true([200, 201, 202, 422].includes(answer.status), brief(answer))
  const end = await rotate(broker, instanceId, one, first)
  t.is(end.status, 200, brief(end))
  const users = new Set(
    same.filter(({ status }) => status < 202).map((answer) => credentialsIn(answer).username),
  )
  t.deepEqual([...users], [credentialsIn(end).username])

  const ids = Array.from({ length: 10 }, () => randomUUID())
  const many = await Promise.all(ids.map((id) => rotate(broker, instanceId, id, first)))
  for (const answer of many) t.is(answer.status, 201, brief(answer))
  const { bindings, logins } = await inventoryOf(cluster, instanceId)
  t.is(bindings.length, 12)
  t.deepEqual(logins.toSorted(), bindings.map(({ user }) => user).toSorted())
})

test('credentials end when the plan says so: told, enforced, not renewed, still unbound', async (t) => {
  const broker = await openBroker(t, { cluster })
  const platform = platformOf(broker)
  const instanceId = await platform.instance()
  await edit(broker, 'binding_rotatable: true\n        bindingExpiry: { after: 5s, renewBefore: 2s }')
  const [short, next, late] = [randomUUID(), randomUUID(), randomUUID()]
  const begun = Date.now()
  const made = await platform.bind(instanceId, short)
  t.is(made.status, 201, brief(made))
  const metadata = at(made.body, 'metadata')
  const end = Date.parse(textAt(metadata, 'expires_at'))
  t.true(Math.abs(end - begun - 5000) < 3000, `${end - begun}`)
  t.is(end - Date.parse(textAt(metadata, 'renew_before')), 2000)
  t.deepEqual((await platform.fetchBinding(instanceId, short)).body.metadata, metadata)
  const credentials = credentialsIn(made)
  t.true(await canUse(cluster, credentials))
  const successor = await rotate(broker, instanceId, next, short)
  t.is(successor.status, 201, brief(successor))
  const bothEnded = Date.parse(textAt(successor.body, 'metadata', 'expires_at'))
  t.true(bothEnded >= end)

  await delay(Math.max(0, bothEnded - Date.now()) + 1100)
  t.false(await canUse(cluster, credentials), 'PostgreSQL refuses the log-in by itself')
  refused(t, await rotate(broker, instanceId, late, short), 400, /expired at/)
  const again = await platform.bind(instanceId, short)
  t.is(again.status, 200, brief(again))
  t.deepEqual(at(again.body, 'metadata'), metadata)
  t.false(await canUse(cluster, credentials), 'a bind that is sent again does not prolong it')

  await edit(broker, 'binding_rotatable: true')
  t.is((await platform.bind(instanceId, late)).status, 201)
  const { bindings, users } = await inventoryOf(cluster, instanceId)
  t.is(bindings.length, 3)
  t.deepEqual(users, [bindings.find(({ bindingId }) => bindingId === late)?.user], 'expired users are swept')
  t.is((await platform.unbind(instanceId, short)).status, 200)
  t.is((await platform.fetchBinding(instanceId, short)).status, 404)
})

test('where the engine knows no end of a user, the next bind or unbind on the instance brings it', async (t) => {
  const mysql = bindableEngines.find(({ title }) => title === 'MySQL')
  if (!mysql) throw new Error('there is no MySQL')
  const broker = await openBroker(t, { cluster })
  const platform = platformOf(broker, mysql.offer)
  const instanceId = await platform.instance()
  const inside = await insideOf(cluster, mysql, instanceId)
  const [other, short] = [randomUUID(), randomUUID()]
  t.is((await platform.bind(instanceId, other)).status, 201)
  await edit(
    broker,
    'binding_rotatable: true\n        bindingExpiry: { after: 5s, renewBefore: 2s }',
    mysql.offer.planId,
  )
  const made = await platform.bind(instanceId, short)
  t.is(made.status, 201, brief(made))
  const end = Date.parse(textAt(made.body, 'metadata', 'expires_at'))
  await delay(Math.max(0, end - Date.now()) + 100)
  await t.notThrowsAsync(mysql.use(inside, credentialsIn(made)))
  t.is((await platform.unbind(instanceId, other)).status, 200)
  t.deepEqual(await mysql.users(inside), [])
  await t.throwsAsync(mysql.use(inside, credentialsIn(made)), { code: 'ER_ACCESS_DENIED_ERROR' })
  t.is((await platform.fetchBinding(instanceId, short)).status, 200)
  t.is((await platform.unbind(instanceId, short)).status, 200)
})
