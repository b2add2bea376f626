/**
 * A function may die at any line. Everything it does to the world is an outbound call, so it is killed before and
 * after every call of every operation on instances; then the platform either sends its request again or gives the thing
 * up. Bindings: binding-crash.test.ts and redis-crash.test.ts.
 */
import { randomUUID } from 'node:crypto'
import test, { type ExecutionContext } from 'ava'
import { turns } from '../../sandbox/machine/turns.ts'
import type { JsonObject } from '../../shared/values/json.ts'
import type { OsbAnswer } from '../support/broker.ts'
import { at, useCluster } from '../support/cluster.ts'
import { killEverywhere, type Scenario } from '../support/crash-points.ts'
import { type FaultLane, openFaultLane } from '../support/fault-lane.ts'
import { canUse, databaseObject, isEmpty, phaseIs } from '../support/inventory.ts'
import { credentialsIn } from '../support/platform.ts'

const cluster = useCluster(test)

interface Subject {
  instanceId: string
  bindingId: string
  /** the answer that began what is being settled */
  begun?: OsbAnswer
  /** of an update */
  parameters?: JsonObject
}

/** What the platform does after the crash, and what must be true then; `point` says where it was. */
type Ending = Scenario<Subject>['endings'][number]

/** One lane mostly starts functions, one at a time: another uses the other core. */
const busy = turns(2)

/** Most of it is waiting; with more at once a busy machine makes the budgets run out. */
const inTurn = turns(8)

/** Instances that are ready, for whoever needs one next. */
const pool: string[] = []

/** The platform's side of one test, and what it asserts. */
interface Trial {
  lane: FaultLane
  /** an instance that is ready */
  instance(): Promise<string>
  run(scenario: Scenario<Subject>): Promise<void>
  assertWhole(instanceId: string, point: string): Promise<void>
  /** gives up an instance */
  deprovisioned: Ending
}

async function begin(t: ExecutionContext): Promise<Trial> {
  const lane = await openFaultLane(t, { cluster })
  const { platform } = lane
  const self: Trial = {
    lane,

    async instance() {
      const instanceId = pool.pop() ?? (await platform.instance())
      await lane.cover(instanceId)
      return instanceId
    },

    run: (scenario) => killEverywhere(t, lane, scenario, inTurn),

    async assertWhole(instanceId, point) {
      const found = await lane.inventory(instanceId)
      const { databases, operation, bindings, logins, users, opsRequests } = found
      t.is(databases.length, 1, point)
      t.is(operation?.state, 'succeeded', point)
      t.true(
        bindings.every((one) => one.state === 'ready'),
        point,
      )
      t.deepEqual(users, bindings.map((one) => one.user).toSorted(), point)
      t.deepEqual(logins, users, point)
      t.deepEqual(opsRequests, [], point)
    },

    async deprovisioned({ instanceId }, point) {
      const answer = await platform.deprovision(instanceId)
      t.true([202, 410].includes(answer.status), `${point}: ${answer.status} ${answer.text}`)
      const end = await platform.settle(instanceId, answer)
      t.is(end.status, 410, `${point}: ${end.text}`)
      const left = await lane.inventory(instanceId)
      t.true(isEmpty(left), `${point}: ${JSON.stringify(left)}`)
    },
  }
  return self
}

function onLane(title: string, body: (t: ExecutionContext, trial: Trial) => Promise<void>): void {
  test(title, (t) =>
    busy(async () => {
      t.timeout(240_000)
      await body(t, await begin(t))
    }),
  )
}

onLane('provision: sent again, it makes one database; given up, nothing is left', async (t, trial) => {
  const { lane } = trial
  const { platform } = lane
  const sentAgain: Ending = async ({ instanceId, bindingId }, point) => {
    const answer = await platform.provision(instanceId)
    t.true([200, 202].includes(answer.status), `${point}: ${answer.status} ${answer.text}`)
    const end = await platform.settle(instanceId, answer)
    t.true(answer.status === 200 || end.body.state === 'succeeded', `${point}: ${end.text}`)
    t.is((await platform.provision(instanceId)).status, 200, point)
    await lane.cover(instanceId)
    // On a busy machine a server may take no connection in time: the platform polls then.
    const begun = await platform.bind(instanceId, bindingId)
    const bound = await platform.settleBinding(instanceId, bindingId, begun)
    t.true(begun.status === 201 || bound.body.state === 'succeeded', `${point}: ${bound.text}`)
    t.true(await canUse(cluster, credentialsIn(await platform.fetchBinding(instanceId, bindingId))), point)
    await trial.assertWhole(instanceId, point)
    pool.push(instanceId)
  }
  await trial.run({
    name: 'provision',
    subject: async () => ({ instanceId: randomUUID(), bindingId: randomUUID() }),
    act: ({ instanceId }) => platform.provision(instanceId),
    endings: [sentAgain, trial.deprovisioned],
  })
})

onLane('polling a provision: asked again, it succeeds; given up, nothing is left', async (t, trial) => {
  const { platform } = trial.lane
  const askedAgain: Ending = async ({ instanceId, begun }, point) => {
    const answer = await platform.poll(instanceId, begun)
    t.is(answer.body.state, 'succeeded', `${point}: ${answer.text}`)
    await trial.assertWhole(instanceId, point)
    pool.push(instanceId)
  }
  await trial.run({
    name: 'last-operation',
    async subject() {
      const instanceId = randomUUID()
      const begun = await platform.provision(instanceId)
      await phaseIs(cluster, instanceId, 'Ready')
      return { instanceId, bindingId: '', begun }
    },
    act: ({ instanceId, begun }) => platform.poll(instanceId, begun),
    endings: [askedAgain, trial.deprovisioned],
  })
})

/** Every update asks for more than the one before, so that none has nothing to do. */
let size = 10

function grown(): JsonObject {
  size += 1
  return { storage: `${size}Gi`, cpu: `${500 + 10 * size}m` }
}

async function assertUpdated(
  t: ExecutionContext,
  trial: Trial,
  { instanceId, parameters }: Subject,
  point: string,
): Promise<void> {
  const fetched = await trial.lane.platform.fetch(instanceId)
  t.deepEqual(at(fetched.body, 'parameters'), parameters, `${point}: ${fetched.text}`)
  const { spec } = await databaseObject(cluster, instanceId)
  t.is(at(spec, 'storage', 'resources', 'requests', 'storage'), parameters?.storage, point)
  const cpu = at(spec, 'podTemplate', 'spec', 'containers', 0, 'resources', 'requests', 'cpu')
  t.is(cpu, parameters?.cpu, point)
  await trial.assertWhole(instanceId, point)
  pool.push(instanceId)
}

onLane('update: sent again, both steps are made; given up, nothing is left', async (t, trial) => {
  const { platform } = trial.lane
  const sentAgain: Ending = async (subject, point) => {
    const answer = await platform.update(subject.instanceId, subject.parameters ?? {})
    t.true([200, 202].includes(answer.status), `${point}: ${answer.status} ${answer.text}`)
    const end = await platform.settle(subject.instanceId, answer)
    t.true(answer.status === 200 || end.body.state === 'succeeded', `${point}: ${end.text}`)
    await assertUpdated(t, trial, subject, point)
  }
  await trial.run({
    name: 'update',
    subject: async () => ({ instanceId: await trial.instance(), bindingId: '', parameters: grown() }),
    act: ({ instanceId, parameters = {} }) => platform.update(instanceId, parameters),
    endings: [sentAgain, trial.deprovisioned],
  })
})

onLane('polling an update: asked again, both steps are made; given up, nothing is left', async (t, trial) => {
  const { platform } = trial.lane
  const askedAgain: Ending = async (subject, point) => {
    const end = await platform.settle(subject.instanceId, begunOf(subject))
    t.is(end.body.state, 'succeeded', `${point}: ${end.text}`)
    await assertUpdated(t, trial, subject, point)
  }
  await trial.run({
    name: 'last-operation',
    async subject() {
      const instanceId = await trial.instance()
      const parameters = grown()
      const begun = await platform.update(instanceId, parameters)
      t.is(begun.status, 202, begun.text)
      return { instanceId, bindingId: '', parameters, begun }
    },
    act: (subject) => platform.settle(subject.instanceId, begunOf(subject)),
    endings: [askedAgain, trial.deprovisioned],
  })
})

function begunOf({ begun }: Subject): OsbAnswer {
  if (!begun) throw new Error('nothing was begun on this subject')
  return begun
}

onLane('deprovision: sent again, nothing is left', async (t, trial) => {
  const { platform } = trial.lane
  await trial.run({
    name: 'deprovision',
    subject: async () => {
      const subject = { instanceId: await trial.instance(), bindingId: randomUUID() }
      t.is((await platform.bind(subject.instanceId, subject.bindingId)).status, 201)
      return subject
    },
    act: ({ instanceId }) => platform.deprovision(instanceId),
    endings: [trial.deprovisioned],
  })
})

onLane('polling a deprovision: asked again, nothing is left', async (t, trial) => {
  const { platform } = trial.lane
  const askedAgain: Ending = async (subject, point) => {
    const { instanceId } = subject
    const end = await platform.settle(instanceId, begunOf(subject))
    t.is(end.status, 410, `${point}: ${end.text}`)
    const left = await trial.lane.inventory(instanceId)
    t.true(isEmpty(left), `${point}: ${JSON.stringify(left)}`)
    t.is((await platform.deprovision(instanceId)).status, 410, point)
  }
  await trial.run({
    name: 'last-operation',
    async subject() {
      const subject = { instanceId: await trial.instance(), bindingId: randomUUID() }
      t.is((await platform.bind(subject.instanceId, subject.bindingId)).status, 201)
      return { ...subject, begun: await platform.deprovision(subject.instanceId) }
    },
    act: (subject) => platform.settle(subject.instanceId, begunOf(subject)),
    endings: [askedAgain],
  })
})
