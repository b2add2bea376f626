/** The whole life of a service instance as a platform leads it, from provision to deprovision. */
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { ExecutionContext } from 'ava'
import type { FunctionName } from '../../shared/routes.ts'
import type { OsbAnswer } from './broker.ts'
import { at } from './cluster.ts'
import type { FaultLane } from './fault-lane.ts'
import { canUse, databaseObject, isEmpty } from './inventory.ts'
import { credentialsIn, planId } from './platform.ts'

/**
 * Gets a request to a right answer, whatever it takes.
 *
 * @param act sends the request once
 * @param right the statuses of answers that are no trouble
 * @returns the answer that is right
 */
export type Send = (
  name: FunctionName,
  act: () => Promise<OsbAnswer>,
  right: readonly number[],
) => Promise<OsbAnswer>

/** Asserts at each step what a user would see, and at the end that nothing is left. */
export async function leadLife(t: ExecutionContext, lane: FaultLane, send: Send): Promise<void> {
  const { platform, cluster } = lane
  const instanceId = randomUUID()
  const bindingId = randomUUID()

  const follow = async (begun: OsbAnswer): Promise<OsbAnswer> => {
    for (;;) {
      const answer = await send('last-operation', () => platform.poll(instanceId, begun), [200, 410])
      if (answer.status !== 200 || answer.body.state !== 'in progress') return answer
      await delay(150)
    }
  }
  const followBinding = async (begun: OsbAnswer): Promise<OsbAnswer> => {
    for (;;) {
      const poll = () => platform.pollBinding(instanceId, bindingId, begun)
      const answer = await send('last-binding-operation', poll, [200, 410])
      if (answer.status !== 200 || answer.body.state !== 'in progress') return answer
      await delay(150)
    }
  }

  const made = await send('provision', () => platform.provision(instanceId), [200, 202])
  const ready = await follow(made)
  t.is(ready.body.state, 'succeeded', ready.text)
  const fetched = await send('fetch-instance', () => platform.fetch(instanceId), [200])
  t.is(at(fetched.body, 'plan_id'), planId)
  await lane.cover(instanceId)

  const begun = await send('bind', () => platform.bind(instanceId, bindingId), [200, 201, 202])
  const bound = await followBinding(begun)
  t.is(bound.body.state, 'succeeded', bound.text)
  const shown = await send('fetch-binding', () => platform.fetchBinding(instanceId, bindingId), [200])
  t.true(await canUse(cluster, credentialsIn(shown)))
  const again = await send('bind', () => platform.bind(instanceId, bindingId), [200])
  t.deepEqual(credentialsIn(again), credentialsIn(shown))

  const growth = { storage: '20Gi', cpu: '600m' }
  const changed = await send('update', () => platform.update(instanceId, growth), [200, 202])
  const updated = await follow(changed)
  t.is(updated.body.state, 'succeeded', updated.text)
  const { spec } = await databaseObject(cluster, instanceId)
  t.is(at(spec, 'storage', 'resources', 'requests', 'storage'), growth.storage)
  const whole = await lane.inventory(instanceId)
  t.is(whole.databases.length, 1)
  t.deepEqual(
    whole.logins,
    whole.bindings.map((one) => one.user),
  )

  const parting = await send('unbind', () => platform.unbind(instanceId, bindingId), [200, 202, 410])
  const parted = parting.status === 202 ? await followBinding(parting) : parting
  t.true([200, 410].includes(parted.status), parted.text)
  t.false(await canUse(cluster, credentialsIn(shown)))
  const alone = await lane.inventory(instanceId)
  t.deepEqual([alone.users, alone.bindings], [[], []])

  const last = randomUUID()
  await send('bind', () => platform.bind(instanceId, last), [200, 201, 202])
  const end = await send('deprovision', () => platform.deprovision(instanceId), [202, 410])
  const gone = end.status === 202 ? await follow(end) : end
  t.is(gone.status, 410, gone.text)
  const left = await lane.inventory(instanceId)
  t.true(isEmpty(left), JSON.stringify(left))
}
