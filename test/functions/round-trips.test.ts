/**
 * What each operation asks of the API server, whatever else there is in the cluster. A list in a list is what is asked
 * at once; the next one waits for its answers.
 */
import { randomUUID } from 'node:crypto'
import test, { type ExecutionContext } from 'ava'
import type { OsbAnswer } from '../support/broker.ts'
import { useCluster } from '../support/cluster.ts'
import { openFaultLane } from '../support/fault-lane.ts'
import { phaseIs } from '../support/inventory.ts'
import type { Platform } from '../support/platform.ts'
import { copyInstanceRecord } from '../support/record-copies.ts'
import { roundsOf } from '../support/rounds.ts'

const cluster = useCluster(test)

/** Enough that a LIST of all, or a GET for each, would show. */
const many = 50

/** How many bindings are made at once to get there. */
const lanes = 5

const record = ['GET appbindings/osb-i']
const recordAndDatabase = ['GET appbindings/db', 'GET appbindings/osb-i', 'GET postgreses/db']
const records = ['GET appbindings/osb-b', 'GET appbindings/osb-i']
const surroundings = ['GET appbindings/db', 'GET postgreses/db', 'GET secrets/db-auth']
const lastBindingOperation = [records]
const fetchBinding = [records, ['GET appbindings/db']]
const bind = [
  record,
  [...surroundings, 'POST appbindings of instance'],
  // The records are listed after the users in the engine: what a sweep finds there without a record is dropped.
  ['GET appbindings by label', 'PUT appbindings/osb-b'],
]
const unbind = [records, [...surroundings, 'PUT appbindings/osb-b'], ['DELETE appbindings/osb-b']]

interface Scene {
  platform: Platform
  /** of an instance that is ready and has one binding */
  instanceId: string
  /** Fails the test unless `act` asks just that, and is answered as it should. */
  asks(expected: string[][], status: number, act: () => Promise<OsbAnswer>): Promise<OsbAnswer>
}

async function scene(t: ExecutionContext): Promise<Scene> {
  const lane = await openFaultLane(t, {
    cluster,
    environment: { REQUEST_BUDGET: '45', ABANDONED_AFTER: '120' },
  })
  const { platform } = lane
  const instanceId = await platform.instance()
  await lane.cover(instanceId)
  // Twice each: functions that are counted are awake and have their connections.
  for (const bindingId of [randomUUID(), randomUUID()]) {
    await platform.bind(instanceId, bindingId)
    await platform.fetchBinding(instanceId, bindingId)
    await platform.pollBinding(instanceId, bindingId)
    await platform.unbind(instanceId, bindingId)
    await platform.fetch(instanceId)
  }
  t.is((await platform.bind(instanceId, randomUUID())).status, 201)
  return {
    platform,
    instanceId,
    async asks(expected, status, act) {
      const answers: OsbAnswer[] = []
      const rounds = await roundsOf(lane.interfere, async () => answers.push(await act()))
      t.deepEqual(rounds, expected)
      const [answer] = answers
      t.is(answer?.status, status, answer?.text)
      if (!answer) throw new Error('the operation was not answered')
      return answer
    },
  }
}

test('the catalog asks nothing', async (t) => {
  const lane = await openFaultLane(t, { cluster })
  t.is((await lane.broker.get('/v2/catalog')).status, 200)
  t.deepEqual(await roundsOf(lane.interfere, () => lane.broker.get('/v2/catalog')), [])
})

test(`fetches, binds and unbinds ask the same with ${many} instances and ${many} bindings as with one`, async (t) => {
  const { platform, instanceId, asks } = await scene(t)
  const all = async () => {
    const bindingId = randomUUID()
    await asks([record], 200, () => platform.fetch(instanceId))
    await asks(bind, 201, () => platform.bind(instanceId, bindingId))
    await asks(fetchBinding, 200, () => platform.fetchBinding(instanceId, bindingId))
    await asks(lastBindingOperation, 200, () => platform.pollBinding(instanceId, bindingId))
    await asks(unbind, 200, () => platform.unbind(instanceId, bindingId))
  }
  await all()
  await copyInstanceRecord(cluster, instanceId, many - 1)
  for (let made = 1; made < many; made += lanes) {
    const bound = await Promise.all(
      Array.from({ length: lanes }, () => platform.bind(instanceId, randomUUID())),
    )
    t.deepEqual(new Set(bound.map(({ status }) => status)), new Set([201]))
  }
  await all()
})

test('provision asks twice; a poll once, and writes once when it is over', async (t) => {
  const { platform, asks } = await scene(t)
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
