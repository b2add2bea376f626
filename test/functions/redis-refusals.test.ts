/**
 * Bindings of Redis when KubeDB does not do what it is asked for: it refuses the request, skips it, fails, hangs, or the
 * database was made anew. Nothing of that may keep a binding from being given up, or from being made later.
 */
import { randomUUID } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import * as v from 'valibot'
import { databaseName } from '../../shared/kubedb/records/names.ts'
import { JsonObject } from '../../shared/values/json.ts'
import { at, backupOf, type TestCluster, textAt, useCluster } from '../support/cluster.ts'
import { shapeOf } from '../support/fault-call.ts'
import { openFaultLane } from '../support/fault-lane.ts'
import { bindingsOf } from '../support/inventory.ts'
import { offerOf } from '../support/offers.ts'
import { brief, credentialsIn } from '../support/platform.ts'
import { opensRedis } from '../support/redis.ts'
import { setSwitches } from '../support/switches.ts'
import { usersRequestsCarriedOut, usersRequestsOf } from '../support/users-requests.ts'

const offer = offerOf('redis', 'small')

/** where KubeDB misbehaves, for one test after the other */
const unwilling = useCluster(test)
const willing = useCluster(test)

async function begin(t: ExecutionContext, cluster: TestCluster) {
  const lane = await openFaultLane(t, { cluster, offer })
  const { platform } = lane
  const instanceId = await platform.instance()
  const path = `${cluster.databasesPath('redises')}/${databaseName(instanceId, 40)}`
  const requests = () => usersRequestsOf(cluster, instanceId)
  const self = {
    lane,
    platform,
    instanceId,
    path,
    /** Users of bindings, as KubeDB's spec has them. */
    async declared(): Promise<string[]> {
      const { body } = await cluster.admin('GET', path)
      const rules = at(body, 'spec', 'configuration', 'acl', 'rules')
      return v.parse(v.optional(v.array(v.string()), []), rules).map((rule) => rule.split(' ')[0] ?? '')
    },
    async phases(): Promise<string[]> {
      return (await requests()).map(({ status }) => status.phase)
    },
    /** Numbers of the requests that are there, in their order. */
    async numbers(): Promise<number[]> {
      return (await requests())
        .map(({ metadata }) => Number(/\d+$/.exec(metadata.name)?.[0]))
        .sort((a, b) => a - b)
    },
    carriedOut: () => usersRequestsCarriedOut(cluster, instanceId),
    /** Binds to the end. */
    async bound(bindingId: string): Promise<void> {
      const begun = await platform.bind(instanceId, bindingId)
      const end = await platform.settleBinding(instanceId, bindingId, begun)
      t.true(begun.status === 201 || end.body.state === 'succeeded', brief(end))
      const fetched = await platform.fetchBinding(instanceId, bindingId)
      t.true(await opensRedis(cluster, credentialsIn(fetched)), brief(fetched))
    },
    /** Binds, and the function dies before it makes a call of this shape. */
    async bindDiesBefore(shape: string, bindingId: string): Promise<void> {
      lane.interfere({
        before(call) {
          if (shapeOf(call) !== shape) return undefined
          lane.kill('bind')
          return 'hang'
        },
      })
      t.is((await platform.bind(instanceId, bindingId)).status, 502)
      lane.calm()
    },
    /** Unbinds to the end: neither record nor user is left of any binding. */
    async unbound(bindingId: string): Promise<void> {
      const parting = await platform.unbind(instanceId, bindingId)
      t.true([200, 202].includes(parting.status), brief(parting))
      const end = await platform.settleBinding(instanceId, bindingId, parting)
      t.true([200, 410].includes(end.status), brief(end))
      t.false((await bindingsOf(cluster, instanceId)).some((one) => one.bindingId === bindingId))
    },
  }
  return self
}

test.serial(
  'refused: the bind says why, is no obstacle when it is given up, and succeeds later',
  async (t) => {
    await setSwitches(unwilling, {})
    const { platform, instanceId, bound, unbound, declared } = await begin(t, unwilling)
    const [kept, first, second] = [randomUUID(), randomUUID(), randomUUID()]
    await bound(kept)

    await setSwitches(unwilling, { 'refuse-ops': 'Reconfigure' })
    for (const bindingId of [first, second]) {
      const refused = await platform.bind(instanceId, bindingId)
      t.is(refused.status, 500, brief(refused))
      t.regex(textAt(refused.body, 'description'), /^KubeDB refuses to change the users.*switch refuse-ops/)
      const poll = await platform.pollBinding(instanceId, bindingId)
      t.is(poll.body.state, 'in progress', brief(poll))
      t.regex(textAt(poll.body, 'description'), /KubeDB refuses/)
    }
    // Nothing can come of it any more, so there is nothing to wait for.
    const parting = await platform.unbind(instanceId, first)
    t.is(parting.status, 200, brief(parting))
    t.is((await platform.unbind(instanceId, first)).status, 410)

    // A user that is there is not forgotten.
    const waiting = await platform.unbind(instanceId, kept)
    t.is(waiting.status, 202, brief(waiting))
    const poll = await platform.pollBinding(instanceId, kept, waiting)
    t.is(poll.body.state, 'in progress', brief(poll))
    t.regex(textAt(poll.body, 'description'), /KubeDB refuses/)
    t.is((await declared()).length, 1)

    await setSwitches(unwilling, {})
    await bound(second)
    const end = await platform.settleBinding(instanceId, kept, waiting)
    t.is(end.status, 410, brief(end))
    await unbound(second)
    t.deepEqual(await declared(), [])
    t.deepEqual(await bindingsOf(unwilling, instanceId), [])
  },
)

test.serial('refused, and the function died with the number in its record: time tells', async (t) => {
  await setSwitches(unwilling, {})
  const { platform, instanceId, declared, bindDiesBefore } = await begin(t, unwilling)
  const bindingId = randomUUID()
  await bindDiesBefore('POST redisopsrequests', bindingId)
  t.is((await bindingsOf(unwilling, instanceId))[0]?.request, 1)
  await setSwitches(unwilling, { 'refuse-ops': 'Reconfigure' })
  const parting = await platform.unbind(instanceId, bindingId)
  t.is(parting.status, 202, brief(parting))
  const poll = await platform.pollBinding(instanceId, bindingId, parting)
  t.is(poll.body.state, 'in progress', brief(poll))
  const end = await platform.settleBinding(instanceId, bindingId, parting)
  t.is(end.status, 410, brief(end))
  t.deepEqual(await bindingsOf(unwilling, instanceId), [])
  t.deepEqual(await declared(), [])
})

test('the function died before there was a Secret for passwords: a poll makes it, and the user', async (t) => {
  const { lane, platform, instanceId, bindDiesBefore } = await begin(t, willing)
  const bindingId = randomUUID()
  await bindDiesBefore('POST secrets', bindingId)
  const made: string[] = []
  lane.interfere({
    before(call) {
      if (shapeOf(call) === 'POST secrets') made.push(call.account)
      return undefined
    },
  })
  let end = await platform.pollBinding(instanceId, bindingId)
  for (let poll = 1; end.body.state === 'in progress' && poll < 100; poll++) {
    await delay(100)
    end = await platform.pollBinding(instanceId, bindingId)
  }
  lane.calm()
  t.is(end.body.state, 'succeeded', brief(end))
  t.deepEqual(made, ['osb-last-binding-operation'])
  t.true(await opensRedis(willing, credentialsIn(await platform.fetchBinding(instanceId, bindingId))))
})

test.serial('skipped: asked for anew until it is done', async (t) => {
  await setSwitches(unwilling, { 'skip-ops': 'Reconfigure' })
  const { platform, instanceId, phases, unbound } = await begin(t, unwilling)
  const bindingId = randomUUID()
  const begun = await platform.bind(instanceId, bindingId)
  t.is(begun.status, 202, brief(begun))
  for (;;) {
    const poll = await platform.pollBinding(instanceId, bindingId, begun)
    t.is(poll.body.state, 'in progress', brief(poll))
    if ((await phases()).includes('Skipped')) break
    await delay(100)
  }
  await setSwitches(unwilling, {})
  const end = await platform.settleBinding(instanceId, bindingId, begun)
  t.is(end.body.state, 'succeeded', brief(end))
  await unbound(bindingId)
})

test.serial(
  'failed three times: the binding has failed, in words of KubeDB, and can be given up',
  async (t) => {
    await setSwitches(unwilling, { 'fail-ops': 'Reconfigure' })
    const { platform, instanceId, unbound, bound, declared } = await begin(t, unwilling)
    const bindingId = randomUUID()
    const begun = await platform.bind(instanceId, bindingId)
    const end = await platform.settleBinding(instanceId, bindingId, begun)
    t.is(end.body.state, 'failed', brief(end))
    t.true(textAt(end.body, 'description').length > 10)
    t.is((await platform.fetchBinding(instanceId, bindingId)).status, 404)
    const again = await platform.bind(instanceId, bindingId)
    t.is(again.status, 422, brief(again))
    await setSwitches(unwilling, {})
    const parting = await platform.settleBinding(
      instanceId,
      bindingId,
      await platform.unbind(instanceId, bindingId),
    )
    t.is(parting.status, 410, brief(parting))
    t.deepEqual(await declared(), [])
    await bound(bindingId)
    await unbound(bindingId)
  },
)

test.serial('cancelled while KubeDB is at it: the user is made, and removed', async (t) => {
  await setSwitches(unwilling, { 'stall-ops': 'Reconfigure' })
  const { platform, instanceId, phases, declared } = await begin(t, unwilling)
  const bindingId = randomUUID()
  const begun = await platform.bind(instanceId, bindingId)
  t.is(begun.status, 202, brief(begun))
  while (!(await phases()).includes('Progressing')) await delay(50)
  const parting = await platform.unbind(instanceId, bindingId)
  t.is(parting.status, 202, brief(parting))
  const cancelled = await platform.pollBinding(instanceId, bindingId, begun)
  t.is(cancelled.body.state, 'failed', brief(cancelled))
  const poll = await platform.pollBinding(instanceId, bindingId, parting)
  t.is(poll.body.state, 'in progress', brief(poll))
  t.is((await platform.fetchBinding(instanceId, bindingId)).status, 404)
  t.is((await platform.bind(instanceId, bindingId)).status, 422)
  await setSwitches(unwilling, {})
  const end = await platform.settleBinding(instanceId, bindingId, parting)
  t.is(end.status, 410, brief(end))
  t.deepEqual(await declared(), [])
  t.deepEqual(await bindingsOf(unwilling, instanceId), [])
})

test.serial('requests that have ended are removed by whoever asks KubeDB next', async (t) => {
  await setSwitches(unwilling, {})
  const { platform, instanceId, bound, numbers, carriedOut } = await begin(t, unwilling)
  await bound(randomUUID())
  t.deepEqual(await numbers(), [1])

  await setSwitches(unwilling, { 'stall-ops': 'Reconfigure' })
  const [second, third] = [randomUUID(), randomUUID()]
  t.is((await platform.bind(instanceId, second)).status, 202)
  const waiting = await platform.bind(instanceId, third)
  t.is(waiting.status, 202)
  t.deepEqual(await numbers(), [1, 2])
  await setSwitches(unwilling, {})
  await carriedOut()
  t.is((await platform.pollBinding(instanceId, third, waiting)).body.state, 'in progress')
  t.deepEqual(await numbers(), [2, 3], 'by a poll')

  await carriedOut()
  t.is((await platform.settleBinding(instanceId, third, waiting)).body.state, 'succeeded')
  t.is((await platform.bind(instanceId, randomUUID())).status, 202)
  t.deepEqual(await numbers(), [3, 4], 'by a bind')
  await carriedOut()
})

test('a database made anew: its users come back when their binds are sent again', async (t) => {
  const { platform, instanceId, path, bound, declared } = await begin(t, willing)
  const [first, second] = [randomUUID(), randomUUID()]
  await bound(first)
  await bound(second)
  const before = credentialsIn(await platform.fetchBinding(instanceId, first))
  const { body } = await willing.admin('GET', path)
  await willing.admin('DELETE', path)
  while ((await willing.admin('GET', path)).status !== 404) await delay(100)
  // As from a backup of its object before there were any bindings.
  const { configuration: _, ...spec } = v.parse(JsonObject, at(body, 'spec'))
  const made = await willing.admin('POST', willing.databasesPath('redises'), { ...backupOf(body), spec })
  t.is(made.status, 201, made.text)
  for (;;) {
    const found = await willing.admin('GET', path)
    if (at(found.body, 'status', 'phase') === 'Ready') break
    await delay(100)
  }
  t.deepEqual(await declared(), [])
  for (const bindingId of [first, second]) await bound(bindingId)
  t.deepEqual(credentialsIn(await platform.fetchBinding(instanceId, first)), before)
  t.is((await declared()).length, 2)
})

test('an expired user is gone with the next request about users; its record stays until it is unbound', async (t) => {
  const { lane, platform, instanceId, bound, unbound, declared } = await begin(t, willing)
  const { catalogFile } = lane.broker
  const catalog = await readFile(catalogFile, 'utf8')
  const plan = catalog.indexOf(`id: ${offer.planId}`)
  const mark = 'binding_rotatable: true'
  const place = catalog.indexOf(mark, plan) + mark.length
  const ending = '\n        bindingExpiry: { after: 12s, renewBefore: 2s }'
  await writeFile(catalogFile, catalog.slice(0, place) + ending + catalog.slice(place))
  const [short, next] = [randomUUID(), randomUUID()]
  await bound(short)
  const fetched = await platform.fetchBinding(instanceId, short)
  const end = Date.parse(textAt(fetched.body, 'metadata', 'expires_at'))
  await writeFile(catalogFile, catalog)
  await delay(Math.max(0, end - Date.now()) + 100)
  // Redis has no expiry of users, so it lets this one in until KubeDB is asked to remove it.
  t.true(await opensRedis(willing, credentialsIn(fetched)))
  await bound(next)
  t.false(await opensRedis(willing, credentialsIn(fetched)))
  t.is((await declared()).length, 1)
  const again = await platform.bind(instanceId, short)
  t.is(again.status, 200, brief(again))
  t.false(await opensRedis(willing, credentialsIn(fetched)), 'a bind that is sent again does not prolong it')
  await unbound(short)
  await unbound(next)
  t.deepEqual(await declared(), [])
})
