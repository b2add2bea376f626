/**
 * Requests that pass each other: one is held before each of its calls while another one runs. Whatever the order,
 * a user that can log in has a record, and in the end there is what the last answer says.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import { turns } from '../../sandbox/machine/turns.ts'
import { databaseName, instanceLabel, instanceRecordName } from '../../shared/kubedb/records/names.ts'
import type { OsbAnswer } from '../support/broker.ts'
import { at, backupOf, useCluster } from '../support/cluster.ts'
import { shapeOf } from '../support/fault-call.ts'
import { type FaultLane, openFaultLane } from '../support/fault-lane.ts'
import { holdBefore, shapesOf } from '../support/hold.ts'
import { canUse, inventoryOf, isEmpty, orphansOf, phaseIs } from '../support/inventory.ts'
import { brief, credentialsIn } from '../support/platform.ts'
import { setSwitches } from '../support/switches.ts'

const cluster = useCluster(test)
/** where the operator takes its time, so that nothing of a database is made */
const dark = useCluster(test)

const inTurn = turns(4)

/** Milliseconds in which a request that is held has made the calls that go beside the one that is held. */
const quiet = 250

function onLane(
  title: string,
  body: (t: ExecutionContext, lane: FaultLane) => Promise<void>,
  on = cluster,
): void {
  test(title, (t) => inTurn(async () => body(t, await openFaultLane(t, { cluster: on }))))
}

async function assertNoOrphan(t: ExecutionContext, instanceId: string, where: string): Promise<void> {
  t.deepEqual(await orphansOf(cluster, instanceId), [], where)
}

/**
 * Looks at the very moment at which a user has been made, before its function learns of it.
 *
 * @returns users that could log in without a record, filled as they are found
 */
function watchCreation(lane: FaultLane, instanceId: string): string[] {
  const found: string[] = []
  lane.interfere({
    async after(call) {
      if (call.to === 'api' || !shapeOf(call).includes('CREATE ROLE "user"')) return undefined
      found.push(...(await orphansOf(cluster, instanceId)))
      return undefined
    },
  })
  return found
}

async function assertUnbound(
  t: ExecutionContext,
  lane: FaultLane,
  instanceId: string,
  bindingId: string,
  where: string,
) {
  const { users, bindings } = await lane.inventory(instanceId)
  t.false(
    bindings.some((one) => one.bindingId === bindingId),
    where,
  )
  t.deepEqual(users, bindings.map((one) => one.user).toSorted(), where)
}

/** A ready instance with a binding, so that nothing in it is for the first time. */
async function used(lane: FaultLane): Promise<string> {
  const instanceId = await lane.platform.instance()
  await lane.cover(instanceId)
  const answer = await lane.platform.bind(instanceId, randomUUID())
  if (answer.status !== 201) throw new Error(`not bound: ${brief(answer)}`)
  return instanceId
}

const few = turns(4)

/** As a platform does it: what is answered 503, perhaps by a machine that is busy, is sent again. */
async function inAFew(act: () => Promise<OsbAnswer>): Promise<OsbAnswer> {
  let answer = await few(act)
  for (let attempt = 1; answer.status === 503 && attempt < 5; attempt++) answer = await few(act)
  return answer
}

onLane('a bind that is overtaken by its unbind at any call leaves no user', async (t, lane) => {
  const { platform } = lane
  const instanceId = await used(lane)
  const shapes = shapesOf(await lane.callsOf(() => platform.bind(instanceId, randomUUID())))
  t.log(shapes.join(' | '))
  t.true(shapes.length > 8)
  for (const shape of shapes) {
    const bindingId = randomUUID()
    const held = await holdBefore(lane, 'bind', shape, () => platform.bind(instanceId, bindingId))
    t.truthy(held, shape)
    if (!held) continue
    const parting = await platform.unbind(instanceId, bindingId)
    t.true([200, 202, 410].includes(parting.status), `${shape}: ${brief(parting)}`)
    await assertNoOrphan(t, instanceId, `${shape}, unbind accepted`)
    if (parting.status === 202) {
      const poll = await platform.pollBinding(instanceId, bindingId, parting)
      t.is(poll.body.state, 'in progress', `${shape}: ${brief(poll)}`)
      await assertNoOrphan(t, instanceId, `${shape}, unbind polled`)
    }
    const orphans = watchCreation(lane, instanceId)
    held.release()
    const answer = await held.answer
    lane.calm()
    t.deepEqual(orphans, [], `${shape}: users without a record`)
    await assertNoOrphan(t, instanceId, `${shape}, bind answered ${brief(answer)}`)
    if (answer.status === 201) {
      // The unbind had come before there was anything to unbind, or after all was done but the answer.
      t.true([200, 410].includes(parting.status), `${shape}: ${brief(parting)}`)
      t.is(await canUse(cluster, credentialsIn(answer)), parting.status === 410, shape)
    } else t.true(answer.status === 422 || answer.status >= 500, `${shape}: ${brief(answer)}`)

    const last = parting.status === 202 ? parting : await platform.unbind(instanceId, bindingId)
    const end = await platform.settleBinding(instanceId, bindingId, last)
    t.true([200, 410].includes(end.status), `${shape}: ${brief(end)}`)
    await assertUnbound(t, lane, instanceId, bindingId, shape)
  }
})

onLane(
  'a bind whose function has given up at any call leaves no user, whatever still arrives',
  async (t, lane) => {
    const { platform } = lane
    const instanceId = await used(lane)
    const shapes = shapesOf(await lane.callsOf(() => platform.bind(instanceId, randomUUID())))
    const sleepers = []
    for (const shape of shapes) {
      const bindingId = randomUUID()
      const held = await holdBefore(lane, 'bind', shape, () => platform.bind(instanceId, bindingId))
      t.truthy(held, shape)
      if (held) sleepers.push({ shape, bindingId, held })
      await delay(quiet)
    }
    await Promise.all(
      sleepers.map(async ({ shape, bindingId, held }) => {
        const parting = await inAFew(() => platform.unbind(instanceId, bindingId))
        t.true([200, 202, 410].includes(parting.status), `${shape}: ${brief(parting)}`)
        const answer = await held.answer
        // Only the sweep of other users comes after the binding is ready.
        if (answer.status === 201) t.is(shape, 'GET appbindings by label')
        else if (answer.status === 202) t.is(shape, 'CONNECT')
        else t.true(answer.status === 422 || answer.status >= 500, `${shape}: ${brief(answer)}`)
        // Its function is at the end of its time; what it had sent arrives only now.
        held.release()
        await delay(100)
        await assertNoOrphan(t, instanceId, `${shape}, arrived`)
        const end = await platform.settleBinding(instanceId, bindingId, parting)
        t.true([200, 410].includes(end.status), `${shape}: ${brief(end)}`)
        await assertNoOrphan(t, instanceId, `${shape}, unbound`)
        // To the platform the bind has failed: it removes what may be left of it.
        const again = await inAFew(() => platform.unbind(instanceId, bindingId))
        const last = await platform.settleBinding(instanceId, bindingId, again)
        t.true([200, 410].includes(last.status), `${shape}: ${brief(last)}`)
      }),
    )
    for (const { shape, bindingId } of sleepers) await assertUnbound(t, lane, instanceId, bindingId, shape)
  },
)

onLane('an unbind that is overtaken by a bind of the same id at any call', async (t, lane) => {
  const { platform } = lane
  const instanceId = await used(lane)
  const probe = randomUUID()
  await platform.bind(instanceId, probe)
  const shapes = shapesOf(await lane.callsOf(() => platform.unbind(instanceId, probe)))
  t.log(shapes.join(' | '))
  t.true(shapes.length > 8)
  for (const shape of shapes) {
    const bindingId = randomUUID()
    t.is((await platform.bind(instanceId, bindingId)).status, 201, shape)
    const held = await holdBefore(lane, 'unbind', shape, () => platform.unbind(instanceId, bindingId))
    t.truthy(held, shape)
    if (!held) continue
    const answer = await platform.bind(instanceId, bindingId)
    t.true([200, 201, 422].includes(answer.status), `${shape}: ${brief(answer)}`)
    await assertNoOrphan(t, instanceId, `${shape}, bind answered`)
    held.release()
    const parting = await held.answer
    t.true([200, 202].includes(parting.status), `${shape}: ${brief(parting)}`)
    await assertNoOrphan(t, instanceId, `${shape}, unbind answered`)
    const end = await platform.settleBinding(instanceId, bindingId, parting)
    t.true([200, 410].includes(end.status), `${shape}: ${brief(end)}`)
    // The record goes while the expired ones are looked for: this bind came after the unbind.
    if (shape === 'GET appbindings by label') {
      t.is(answer.status, 201, brief(answer))
      t.true(await canUse(cluster, credentialsIn(answer)), shape)
      t.is((await platform.unbind(instanceId, bindingId)).status, 200, shape)
    }
    await assertUnbound(t, lane, instanceId, bindingId, shape)
  }
})

onLane('two binds of one id, the first held at any call, the binding removed in between', async (t, lane) => {
  const { platform } = lane
  const instanceId = await used(lane)
  const shapes = shapesOf(await lane.callsOf(() => platform.bind(instanceId, randomUUID())))
  const endings: { shape: string; bindingId: string; parting: OsbAnswer }[] = []
  for (const shape of shapes) {
    const bindingId = randomUUID()
    const held = await holdBefore(lane, 'bind', shape, () => platform.bind(instanceId, bindingId))
    t.truthy(held, shape)
    if (!held) continue
    const second = await platform.bind(instanceId, bindingId)
    t.true([200, 201].includes(second.status), `${shape}: ${brief(second)}`)
    const parting = await platform.unbind(instanceId, bindingId)
    t.true([200, 202].includes(parting.status), `${shape}: ${brief(parting)}`)
    await assertNoOrphan(t, instanceId, `${shape}, unbound`)

    const orphans = watchCreation(lane, instanceId)
    held.release()
    const answer = await held.answer
    lane.calm()
    t.deepEqual(orphans, [], `${shape}: users without a record`)
    if (answer.status === 201) {
      const { bindings } = await lane.inventory(instanceId)
      const there = bindings.some((one) => one.bindingId === bindingId)
      t.is(await canUse(cluster, credentialsIn(answer)), there, shape)
    } else t.true(answer.status === 422 || answer.status >= 500, `${shape}: ${brief(answer)}`)
    if (parting.status === 202) endings.push({ shape, bindingId, parting })
    if (answer.status === 201) await platform.unbind(instanceId, bindingId)
    await assertNoOrphan(t, instanceId, `${shape}, all answered`)
  }
  await Promise.all(
    endings.map(async ({ shape, bindingId, parting }) => {
      const end = await platform.settleBinding(instanceId, bindingId, parting)
      t.is(end.status, 410, `${shape}: ${brief(end)}`)
    }),
  )
  const { logins, bindings } = await lane.inventory(instanceId)
  t.deepEqual(logins, bindings.map((one) => one.user).toSorted())
})

onLane(
  'a provision that is overtaken by its deprovision at any call: either it is there, or nothing is',
  async (t, lane) => {
    await setSwitches(dark, { slow: '3600000' })
    const { platform } = lane
    const calls = await lane.callsOf(() => platform.provision(randomUUID()))
    // Some wait until the provision's function cannot be alive any more: they may do so together.
    const endings: (() => Promise<void>)[] = []
    for (const shape of shapesOf(calls)) {
      const instanceId = randomUUID()
      const held = await holdBefore(lane, 'provision', shape, () => platform.provision(instanceId))
      t.truthy(held, shape)
      if (!held) continue
      const parting = await platform.deprovision(instanceId)
      t.true([202, 410].includes(parting.status), `${shape}: ${brief(parting)}`)
      if (parting.status === 202) {
        const poll = await platform.poll(instanceId, parting)
        t.is(poll.body.state, 'in progress', `${shape}: ${brief(poll)}`)
      }
      held.release()
      const answer = await held.answer
      const there = await lane.inventory(instanceId)
      t.true(there.databases.length <= 1, shape)
      t.true(
        there.databases.length === 0 || there.operation !== undefined,
        `${shape}: a database without a record`,
      )
      if (parting.status === 410) {
        t.is(answer.status, 202, `${shape}: ${brief(answer)}`)
        t.is(there.databases.length, 1, shape)
      }
      const last = parting.status === 202 ? parting : await platform.deprovision(instanceId)
      endings.push(async () => {
        const end = await platform.settle(instanceId, last)
        t.is(end.status, 410, `${shape}: ${brief(end)}`)
        t.true(isEmpty(await lane.inventory(instanceId)), shape)
      })
    }
    await Promise.all(endings.map((ending) => ending()))
  },
  dark,
)

onLane(
  'a provision sent again whose record is gone when its database arrives leaves no database',
  async (t, lane) => {
    await setSwitches(dark, { slow: '3600000' })
    const { platform } = lane
    const instanceId = randomUUID()
    const before = 'POST postgreses'
    const first = await holdBefore(lane, 'provision', before, () => platform.provision(instanceId))
    // What it was about to send never leaves.
    lane.kill('provision')
    const lost = await first?.answer
    t.true(lost !== undefined && lost.status >= 500, lost && brief(lost))

    const held = await holdBefore(lane, 'provision', before, () => platform.provision(instanceId))
    // A deprovision does so once it takes the maker for dead, which is after this test's patience.
    const record = `${dark.recordsPath()}/${instanceRecordName(instanceId)}`
    t.is((await dark.admin('DELETE', record)).status, 200)
    const removed: string[] = []
    lane.interfere({
      before(call) {
        if (call.verb === 'DELETE') removed.push(`${call.account} ${shapeOf(call)}`)
        return undefined
      },
    })
    held?.release()
    const answer = await held?.answer
    lane.calm()
    t.deepEqual(removed, ['osb-provision DELETE postgreses/db'])
    // It begins anew: what the platform asked for last is there.
    t.is(answer?.status, 202, answer && brief(answer))
    const there = await lane.inventory(instanceId)
    t.true(there.operation !== undefined && there.databases.length <= 1)
    const end = await platform.settle(instanceId, await platform.deprovision(instanceId))
    t.is(end.status, 410, brief(end))
    t.true(isEmpty(await lane.inventory(instanceId)))
  },
  dark,
)

onLane(
  'a provision whose function has given up at any call leaves nothing, whatever still arrives',
  async (t, lane) => {
    await setSwitches(dark, { slow: '3600000' })
    const { platform } = lane
    const shapes = shapesOf(await lane.callsOf(() => platform.provision(randomUUID())))
    const sleepers = []
    for (const shape of shapes) {
      const instanceId = randomUUID()
      const held = await holdBefore(lane, 'provision', shape, () => platform.provision(instanceId))
      t.truthy(held, shape)
      if (held) sleepers.push({ shape, instanceId, held })
      await delay(quiet)
    }
    await Promise.all(
      sleepers.map(async ({ shape, instanceId, held }) => {
        const parting = await platform.deprovision(instanceId)
        t.true([202, 410].includes(parting.status), `${shape}: ${brief(parting)}`)
        const answer = await held.answer
        t.true(answer.status >= 500, `${shape}: ${brief(answer)}`)
        held.release()
        await delay(100)
        const there = await lane.inventory(instanceId)
        t.true(there.databases.length === 0 || there.operation !== undefined, shape)
        const end = await platform.settle(instanceId, parting)
        t.is(end.status, 410, `${shape}: ${brief(end)}`)
        // To the platform the provision has failed: it removes what may be left of it.
        const last = await platform.settle(instanceId, await platform.deprovision(instanceId))
        t.is(last.status, 410, `${shape}: ${brief(last)}`)
        t.true(isEmpty(await lane.inventory(instanceId)), shape)
      }),
    )
  },
  dark,
)

onLane('a bind that is overtaken by the deprovision of its instance leaves no record', async (t, lane) => {
  const { platform } = lane
  const probe = await used(lane)
  const shapes = shapesOf(await lane.callsOf(() => platform.bind(probe, randomUUID()))).filter(
    // What the engine is asked first is the same as far as the cluster is concerned, and the sweep comes too late.
    (shape) => (!shape.startsWith('QUERY') || shape.includes('CREATE ROLE')) && !shape.endsWith('by label'),
  )
  const instances = await Promise.all(shapes.map(async (shape) => ({ shape, instanceId: await used(lane) })))
  for (const { shape, instanceId } of instances) {
    const bindingId = randomUUID()
    const held = await holdBefore(lane, 'bind', shape, () => platform.bind(instanceId, bindingId))
    t.truthy(held, shape)
    if (!held) continue
    const parting = await platform.deprovision(instanceId)
    t.is(parting.status, 202, `${shape}: ${brief(parting)}`)
    const end = await platform.settle(instanceId, parting)
    t.is(end.status, 410, `${shape}: ${brief(end)}`)
    held.release()
    const answer = await held.answer
    if (answer.status === 202) {
      const poll = await platform.pollBinding(instanceId, bindingId, answer)
      t.is(poll.body.state, 'failed', `${shape}: ${brief(poll)}`)
    } else t.true([404, 422].includes(answer.status) || answer.status >= 500, `${shape}: ${brief(answer)}`)
    // What a platform does after a bind that failed.
    const unbound = await platform.settleBinding(
      instanceId,
      bindingId,
      await platform.unbind(instanceId, bindingId),
    )
    t.true([200, 410].includes(unbound.status), `${shape}: ${brief(unbound)}`)
    const left = await lane.inventory(instanceId)
    t.true(isEmpty(left), `${shape}: ${JSON.stringify(left)}`)
  }
})

onLane(
  'polls with tokens of the past do not disturb an instance that is provisioned anew',
  async (t, lane) => {
    const { platform } = lane
    const instanceId = randomUUID()
    const first = await platform.provision(instanceId)
    await platform.settle(instanceId, first)
    const parting = await platform.deprovision(instanceId)
    t.is((await platform.settle(instanceId, parting)).status, 410)
    const gone = await platform.poll(instanceId, first)
    t.is(gone.body.state, 'failed', brief(gone))

    const second = await platform.provision(instanceId)
    t.is(second.status, 202, brief(second))
    const { databases } = await lane.inventory(instanceId)
    for (let round = 0; round < 5; round++) {
      const [old, older] = await Promise.all([
        platform.poll(instanceId, parting),
        platform.poll(instanceId, first),
      ])
      t.is(old.status, 410, brief(old))
      t.is(older.status, 200, brief(older))
      t.is(older.body.state, 'failed', brief(older))
      await delay(100)
    }
    t.is((await platform.settle(instanceId, second)).body.state, 'succeeded')
    t.is((await platform.poll(instanceId, parting)).status, 410)
    const { databases: now, operation } = await lane.inventory(instanceId)
    t.deepEqual(now, databases)
    t.is(operation?.state, 'succeeded')
  },
)

onLane('a database that is removed by hand and made again under another UID', async (t, lane) => {
  const { platform } = lane
  const instanceId = await used(lane)
  const path = `${cluster.databasesPath('postgreses')}/${databaseName(instanceId, 40)}`
  const { body } = await cluster.admin('GET', path)

  // While an update is under way:
  await setSwitches(cluster, { 'stall-ops': 'VolumeExpansion' })
  const update = await platform.update(instanceId, { storage: '20Gi' })
  t.is(update.status, 202, brief(update))
  await cluster.admin('DELETE', path)
  await vanished(path)
  const failed = await platform.settle(instanceId, update)
  t.is(failed.body.state, 'failed', brief(failed))
  await setSwitches(cluster, {})

  const bound = await platform.bind(instanceId, randomUUID())
  t.true(bound.status === 422 || bound.status >= 500, brief(bound))
  const changed = await platform.update(instanceId, { cpu: '700m' })
  t.is(changed.status, 422, brief(changed))

  // Restored from a backup of its object: another UID, the same labels.
  const again = await cluster.admin('POST', cluster.databasesPath('postgreses'), backupOf(body))
  t.is(again.status, 201, again.text)
  await phaseIs(cluster, instanceId, 'Ready')
  const old = await platform.poll(instanceId, update)
  t.is(old.body.state, 'failed', brief(old))
  const rebound = await platform.bind(instanceId, randomUUID())
  t.is(rebound.status, 201, brief(rebound))
  const parting = await platform.deprovision(instanceId)
  t.is((await platform.settle(instanceId, parting)).status, 410)
  t.true(isEmpty(await lane.inventory(instanceId)))
})

async function vanished(path: string): Promise<void> {
  for (const end = Date.now() + 30_000; Date.now() < end; await delay(100)) {
    if ((await cluster.admin('GET', path)).status === 404) return
  }
  throw new Error(`${path} is still there`)
}

onLane(
  "a stranger's database of the same name is never touched",
  async (t, lane) => {
    const { platform } = lane
    const instanceId = randomUUID()
    const name = databaseName(instanceId, 40)
    const collection = dark.databasesPath('postgreses')
    const made = await dark.admin('POST', collection, {
      apiVersion: 'kubedb.com/v1',
      kind: 'Postgres',
      metadata: { name },
      spec: { version: '18.3', storageType: 'Ephemeral', deletionPolicy: 'WipeOut' },
    })
    t.is(made.status, 201, made.text)
    const uid = at(made.body, 'metadata', 'uid')
    const refused = await platform.provision(instanceId)
    t.is(refused.status, 409, brief(refused))
    t.is((await platform.deprovision(instanceId)).status, 410)
    t.is((await platform.fetch(instanceId)).status, 404)
    const there = await dark.admin('GET', `${collection}/${name}`)
    t.is(at(there.body, 'metadata', 'uid'), uid)
    t.is(at(there.body, 'metadata', 'labels', instanceLabel), undefined)
    t.is(at(there.body, 'metadata', 'deletionTimestamp'), undefined)
    t.is((await inventoryOf(dark, instanceId)).operation, undefined)
  },
  dark,
)
