/**
 * What each operation asks of the API server, whatever else there is in the cluster. A list in a list is what is asked
 * at once; the next one waits for its answers.
 */
import { randomUUID } from 'node:crypto'
import test, { type ExecutionContext } from 'ava'
import { turns } from '../../sandbox/machine/turns.ts'
import { type BindableEngine, bindableEngines, insideOf } from '../support/bindable-engines.ts'
import type { OsbAnswer } from '../support/broker.ts'
import { useCluster } from '../support/cluster.ts'
import { shapeOf } from '../support/fault-call.ts'
import { type FaultLane, openFaultLane } from '../support/fault-lane.ts'
import { bindingsOf, phaseIs } from '../support/inventory.ts'
import { offerOf } from '../support/offers.ts'
import type { Platform } from '../support/platform.ts'
import { copyBindingRecord, copyInstanceRecord } from '../support/record-copies.ts'
import { roundsOf } from '../support/rounds.ts'
import { usersRequestsCarriedOut, usersRequestsOf } from '../support/users-requests.ts'

const cluster = useCluster(test)

/** Engines at once. */
const busy = turns(2)

const record = ['GET appbindings/osb-i']
const recordAndDatabase = ['GET appbindings/db', 'GET appbindings/osb-i', 'GET postgreses/db']
const records = ['GET appbindings/osb-b', 'GET appbindings/osb-i']
const surroundings = (plural: string) => ['GET appbindings/db', `GET ${plural}/db`, 'GET secrets/db-auth']
const lastBindingOperation = [records]
const fetchBinding = [records, ['GET appbindings/db']]
const bind = (plural: string) => [
  record,
  [...surroundings(plural), 'POST appbindings of instance'].toSorted(),
  // The records are listed after the users in the engine: what a sweep finds there without a record is dropped.
  ['GET appbindings by label', 'PUT appbindings/osb-b'],
]
const unbind = (plural: string) => [
  records,
  [...surroundings(plural), 'PUT appbindings/osb-b'].toSorted(),
  ['DELETE appbindings/osb-b', 'GET appbindings by label'],
]

interface Scene {
  lane: FaultLane
  platform: Platform
  /** of an instance that is ready and has one binding */
  instanceId: string
  bindingId: string
  /** Fails the test unless `act` asks just that, and is answered as it should. */
  asks(expected: string[][], status: number, act: () => Promise<OsbAnswer>): Promise<OsbAnswer>
}

const patient = { REQUEST_BUDGET: '45', ABANDONED_AFTER: '120' }

async function scene(t: ExecutionContext, engine: BindableEngine): Promise<Scene> {
  const { offer, part, protocol } = engine
  const lane = await openFaultLane(t, { cluster, offer, part, protocol, environment: patient })
  const { platform } = lane
  const instanceId = await platform.instance(engine.parameters)
  await lane.cover(instanceId, engine.way)
  // Twice each: functions that are counted are awake and have their connections.
  for (const bindingId of [randomUUID(), randomUUID()]) {
    await platform.bind(instanceId, bindingId)
    await platform.fetchBinding(instanceId, bindingId)
    await platform.pollBinding(instanceId, bindingId)
    await platform.unbind(instanceId, bindingId)
    await platform.fetch(instanceId)
  }
  const bindingId = randomUUID()
  t.is((await platform.bind(instanceId, bindingId)).status, 201)
  return { lane, platform, instanceId, bindingId, asks: asking(t, lane) }
}

function asking(t: ExecutionContext, lane: FaultLane): Scene['asks'] {
  return async (expected, status, act) => {
    const { rounds, answer } = await watched(lane, act)
    t.deepEqual(rounds, expected)
    t.is(answer.status, status, answer.text)
    return answer
  }
}

async function watched(lane: FaultLane, act: () => Promise<OsbAnswer>) {
  const answers: OsbAnswer[] = []
  const rounds = await roundsOf(lane.interfere, async () => answers.push(await act()))
  const [answer] = answers
  if (!answer) throw new Error('the operation was not answered')
  return { rounds, answer }
}

test('the catalog asks nothing', async (t) => {
  const lane = await openFaultLane(t, { cluster })
  t.is((await lane.broker.get('/v2/catalog')).status, 200)
  t.deepEqual(await roundsOf(lane.interfere, () => lane.broker.get('/v2/catalog')), [])
})

for (const engine of bindableEngines) {
  // Enough that a LIST of all, or a GET for each, would show.
  const { many } = engine
  test(`${engine.title}: fetches, binds and unbinds ask the same with ${many} instances and ${many} bindings as with one`, (t) =>
    busy(async () => {
      t.timeout(240_000)
      const available = await engine.available()
      if (available !== true) {
        console.error(`skipped: ${available}`)
        t.pass()
        return
      }
      const { lane, platform, instanceId, bindingId: first, asks } = await scene(t, engine)
      /** @returns what the server is asked at a bind and at an unbind */
      const all = async (): Promise<string[][]> => {
        const [bindingId, other] = [randomUUID(), randomUUID()]
        await asks([record], 200, () => platform.fetch(instanceId))
        await asks(bind(engine.plural), 201, () => platform.bind(instanceId, bindingId))
        await asks(fetchBinding, 200, () => platform.fetchBinding(instanceId, bindingId))
        await asks(lastBindingOperation, 200, () => platform.pollBinding(instanceId, bindingId))
        await asks(unbind(engine.plural), 200, () => platform.unbind(instanceId, bindingId))
        const statements = async (act: () => Promise<unknown>) =>
          (await lane.callsOf(act))
            .filter((call) => call.to === 'engine')
            .map(shapeOf)
            // Some are sent side by side.
            .toSorted()
        return [
          await statements(() => platform.bind(instanceId, other)),
          await statements(() => platform.unbind(instanceId, other)),
        ]
      }
      const withOne = await all()
      t.true(withOne.every((statements) => statements.length > 2))
      await copyInstanceRecord(cluster, instanceId, many - 1)
      const users = await copyBindingRecord(cluster, instanceId, first, many - 1)
      const inside = await insideOf(cluster, engine, instanceId)
      await engine.makeUsers(inside, users)
      t.deepEqual(await all(), withOne)
      t.is((await engine.users(inside)).length, many)
    }))
}

test('Redis: binds and unbinds ask the same with 301 bindings as with one, and 300 users are made by one request', async (t) => {
  t.timeout(240_000)
  const offer = offerOf('redis', 'small')
  const lane = await openFaultLane(t, { cluster, offer, environment: patient })
  const { platform } = lane
  const instanceId = await platform.instance()
  const asks = asking(t, lane)
  const toTheEnd = async (bindingId: string, act: () => Promise<OsbAnswer>) => {
    const begun = await watched(lane, act)
    t.is(begun.answer.status, 202, begun.answer.text)
    // So that the next poll is the last one.
    await usersRequestsCarriedOut(cluster, instanceId)
    const end = await watched(lane, () => platform.pollBinding(instanceId, bindingId, begun.answer))
    t.true(end.answer.status === 410 || end.answer.body.state === 'succeeded', end.answer.text)
    return [begun.rounds, end.rounds]
  }
  const bound = (bindingId: string) => toTheEnd(bindingId, () => platform.bind(instanceId, bindingId))
  const all = async () => {
    const bindingId = randomUUID()
    const binding = await bound(bindingId)
    await asks(fetchBinding, 200, () => platform.fetchBinding(instanceId, bindingId))
    return { binding, unbinding: await toTheEnd(bindingId, () => platform.unbind(instanceId, bindingId)) }
  }
  const first = randomUUID()
  await bound(first)
  await all()
  const withOne = await all()

  await copyBindingRecord(cluster, instanceId, first, 299, { state: 'creating', request: 0 })
  const before = (await usersRequestsOf(cluster, instanceId)).map(({ metadata }) => metadata.name)
  await bound(randomUUID())
  const requests = await usersRequestsOf(cluster, instanceId)
  t.is(requests.filter(({ metadata }) => !before.includes(metadata.name)).length, 1)
  const bindings = await bindingsOf(cluster, instanceId)
  t.is(bindings.length, 301)
  t.true(bindings.every(({ state }) => state === 'ready'))
  t.deepEqual(await all(), withOne)
})

test('Memcached: what is shared is read once', async (t) => {
  const offer = offerOf('memcached', 'small')
  const lane = await openFaultLane(t, { cluster, offer, environment: patient })
  const { platform } = lane
  const instanceId = await platform.instance()
  const asks = asking(t, lane)
  const bindingId = randomUUID()
  t.is((await platform.bind(instanceId, randomUUID())).status, 201)
  const making = [record, bind('memcacheds')[1] ?? [], ['PUT appbindings/osb-b']]
  await asks(making, 201, () => platform.bind(instanceId, bindingId))
  await platform.fetchBinding(instanceId, bindingId)
  const fetching = [records, ['GET appbindings/db', 'GET secrets/db-auth']]
  await asks(fetching, 200, () => platform.fetchBinding(instanceId, bindingId))
})

test('provision asks twice; a poll once, and writes once when it is over', async (t) => {
  const [postgres] = bindableEngines
  if (!postgres) throw new Error('no engine')
  const { platform, asks } = await scene(t, postgres)
  const instanceId = randomUUID()
  const begun = await asks(
    [
      ['GET persistentvolumeclaims by label', 'GET postgresversions/18.3', 'POST appbindings of instance'],
      ['POST postgreses'],
    ],
    202,
    () => platform.provision(instanceId),
  )
  await phaseIs(cluster, instanceId, 'Ready')
  const end = await asks([recordAndDatabase, ['PUT appbindings/osb-i']], 200, () =>
    platform.poll(instanceId, begun),
  )
  t.is(end.body.state, 'succeeded', end.text)
  await asks([recordAndDatabase], 200, () => platform.poll(instanceId, begun))
})
