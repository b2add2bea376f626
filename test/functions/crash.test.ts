/**
 * A function may die at any line. Everything it does to the world is an outbound call, so it is killed before and
 * after every call of every operation; then the platform either sends its request again or gives the thing up.
 */
import { randomUUID } from 'node:crypto'
import test, { type ExecutionContext } from 'ava'
import type { JsonObject } from '../../shared/json.ts'
import { bindingRecordName } from '../../shared/kubedb/names.ts'
import type { FunctionName } from '../../shared/routes.ts'
import type { OsbAnswer } from '../support/broker.ts'
import { at, useCluster } from '../support/cluster.ts'
import { type CrashPoint, crashAt, crashPoints, nameOfPoint } from '../support/crash-points.ts'
import { type FaultLane, openFaultLane } from '../support/fault-lane.ts'
import { asAdministrator, canUse, databaseObject, isEmpty, orphansOf, phaseIs } from '../support/inventory.ts'
import { credentialsIn } from '../support/platform.ts'
import { turns } from '../support/turns.ts'

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
type Ending = (subject: Subject, point: string) => Promise<void>

interface Scenario {
  name: FunctionName
  subject: () => Promise<Subject>
  /** sends the request, or polls, until it is over or answered with 5xx */
  act: (subject: Subject) => Promise<OsbAnswer>
  /** each is tried on a crash of its own */
  endings: Ending[]
}

/** Most of it is waiting; with more at once a busy machine makes the budgets run out. */
const inTurn = turns(8)

/** Instances that are ready, for whoever needs one next. */
const pool: string[] = []

/** The platform's side of one test, and what it asserts. */
interface Trial {
  lane: FaultLane
  /** an instance that is ready */
  instance(): Promise<string>
  run(scenario: Scenario): Promise<void>
  assertWhole(instanceId: string, point: string): Promise<void>
  assertBound(subject: Subject, point: string): Promise<void>
  assertUnbound(subject: Subject, point: string): Promise<void>
  /** @returns what `act` does while the engine takes no connections */
  withoutEngine(act: () => Promise<OsbAnswer>): Promise<OsbAnswer>
  /** gives up an instance */
  deprovisioned: Ending
  /** gives up a binding */
  unbound: Ending
}

async function begin(t: ExecutionContext): Promise<Trial> {
  const lane = await openFaultLane(t, { cluster })
  const { platform } = lane
  let withoutEngine = 0
  const self: Trial = {
    lane,

    async withoutEngine(act) {
      withoutEngine += 1
      lane.interfere({ before: (call) => (call.verb === 'CONNECT' ? 'reset' : undefined) })
      try {
        return await act()
      } finally {
        withoutEngine -= 1
        if (withoutEngine === 0) lane.calm()
      }
    },

    async instance() {
      const instanceId = pool.pop() ?? (await platform.instance())
      await lane.cover(instanceId)
      return instanceId
    },

    async run({ name, subject, act, endings }) {
      const [ending] = endings
      const unharmed = await subject()
      const points = crashPoints(await lane.callsOf(() => act(unharmed)))
      await ending?.(unharmed, 'nowhere')
      t.log(`${points.length} points: ${points.map(nameOfPoint).join(' | ')}`)
      t.true(points.some((point) => point.leaves))

      const crash = (point: CrashPoint, victim: Subject) => crashAt(lane, name, point, () => act(victim))
      // Nothing has happened at these points: one subject bears them all.
      const patient = await subject()
      for (const point of points.filter((one) => !one.leaves)) await crash(point, patient)
      await ending?.(patient, 'before anything was changed')

      const cases = points
        .filter((point) => point.leaves)
        .flatMap((point) => endings.map((end) => ({ point, end })))
      const victims = await Promise.all(
        cases.map((one) => inTurn(async () => ({ ...one, victim: await subject() }))),
      )
      for (const { point, victim } of victims) await crash(point, victim)
      await Promise.all(
        victims.map(({ point, victim, end }) => inTurn(() => end(victim, nameOfPoint(point)))),
      )
    },

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

    async assertBound({ instanceId, bindingId }, point) {
      const answer = await platform.fetchBinding(instanceId, bindingId)
      t.is(answer.status, 200, `${point}: ${answer.text}`)
      t.true(await canUse(cluster, credentialsIn(answer)), point)
    },

    async assertUnbound({ instanceId, bindingId }, point) {
      const { bindings } = await lane.inventory(instanceId)
      t.false(
        bindings.some((one) => one.bindingId === bindingId),
        point,
      )
      t.deepEqual(await orphansOf(cluster, instanceId), [], point)
      t.is((await platform.fetchBinding(instanceId, bindingId)).status, 404, point)
    },

    async deprovisioned({ instanceId }, point) {
      const answer = await platform.deprovision(instanceId)
      t.true([202, 410].includes(answer.status), `${point}: ${answer.status} ${answer.text}`)
      const end = await platform.settle(instanceId, answer)
      t.is(end.status, 410, `${point}: ${end.text}`)
      const left = await lane.inventory(instanceId)
      t.true(isEmpty(left), `${point}: ${JSON.stringify(left)}`)
    },

    async unbound(subject, point) {
      const { instanceId, bindingId } = subject
      const answer = await platform.unbind(instanceId, bindingId)
      t.true([200, 202, 410].includes(answer.status), `${point}: ${answer.status} ${answer.text}`)
      const end = await platform.settleBinding(instanceId, bindingId, answer)
      t.true([200, 410].includes(end.status), `${point}: ${end.status} ${end.text}`)
      await self.assertUnbound(subject, point)
    },
  }
  return self
}

test.serial('provision: sent again, it makes one database; given up, nothing is left', async (t) => {
  const trial = await begin(t)
  const { lane } = trial
  const { platform } = lane
  const sentAgain: Ending = async ({ instanceId, bindingId }, point) => {
    const answer = await platform.provision(instanceId)
    t.true([200, 202].includes(answer.status), `${point}: ${answer.status} ${answer.text}`)
    const end = await platform.settle(instanceId, answer)
    t.true(answer.status === 200 || end.body.state === 'succeeded', `${point}: ${end.text}`)
    t.is((await platform.provision(instanceId)).status, 200, point)
    await lane.cover(instanceId)
    const bound = await platform.bind(instanceId, bindingId)
    t.is(bound.status, 201, `${point}: ${bound.text}`)
    t.true(await canUse(cluster, credentialsIn(bound)), point)
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

test.serial('polling a provision: asked again, it succeeds; given up, nothing is left', async (t) => {
  const trial = await begin(t)
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

test.serial('bind: sent again, the credentials work; given up, no user is left', async (t) => {
  const trial = await begin(t)
  const { platform } = trial.lane
  const instanceId = await trial.instance()
  // The very first bind sets up the server; the next test is about that.
  t.is((await platform.bind(instanceId, randomUUID())).status, 201)
  const sentAgain: Ending = async (subject, point) => {
    const answer = await platform.bind(instanceId, subject.bindingId)
    t.true([200, 201].includes(answer.status), `${point}: ${answer.status} ${answer.text}`)
    t.true(await canUse(cluster, credentialsIn(answer)), point)
    await trial.assertBound(subject, point)
  }
  await trial.run({
    name: 'bind',
    subject: async () => ({ instanceId, bindingId: randomUUID() }),
    act: ({ bindingId }) => platform.bind(instanceId, bindingId),
    endings: [sentAgain, trial.unbound],
  })
  await trial.assertWhole(instanceId, 'all')
  pool.push(instanceId)
})

test.serial('the first bind: sent again, it finishes what the dead one had begun to set up', async (t) => {
  const trial = await begin(t)
  const { lane } = trial
  const { platform } = lane
  const instanceId = await trial.instance()
  /** as if nobody had ever bound to the instance */
  const untouched = async (): Promise<Subject> => {
    const { bindings } = await lane.inventory(instanceId)
    for (const { bindingId } of bindings) {
      await cluster.admin('DELETE', `${cluster.recordsPath()}/${bindingRecordName(instanceId, bindingId)}`)
    }
    await asAdministrator(cluster, instanceId, async (client) => {
      await client.query('DROP DATABASE IF EXISTS app WITH (FORCE)')
      const groups = await client.query<{ rolname: string }>(
        "SELECT rolname FROM pg_roles WHERE rolname ~ '^(osb_|b[a-z2-7]{26}$)'",
      )
      for (const { rolname } of groups.rows)
        await client.query(`DROP OWNED BY ${rolname}; DROP ROLE ${rolname}`)
      for (const name of ['postgres', 'template1'])
        await client.query(`GRANT CONNECT, TEMPORARY ON DATABASE ${name} TO PUBLIC`)
    })
    return { instanceId, bindingId: randomUUID() }
  }
  const subject = await untouched()
  const calls = await lane.callsOf(() => platform.bind(instanceId, subject.bindingId))
  const points = crashPoints(calls.filter((call) => call.to === 'engine'))
  t.log(`${points.length} points: ${points.map(nameOfPoint).join(' | ')}`)
  t.true(points.length > 10)
  for (const point of points) {
    const { bindingId } = await untouched()
    await crashAt(lane, 'bind', point, () => platform.bind(instanceId, bindingId))
    const answer = await platform.bind(instanceId, bindingId)
    t.is(answer.status, 201, `${nameOfPoint(point)}: ${answer.text}`)
    t.true(await canUse(cluster, credentialsIn(answer)), nameOfPoint(point))
    await trial.assertWhole(instanceId, nameOfPoint(point))
  }
  pool.push(instanceId)
})

test.serial('unbind: sent again, neither user nor record is left', async (t) => {
  const trial = await begin(t)
  const { platform } = trial.lane
  const instanceId = await trial.instance()
  const sentAgain =
    (asynchronous: boolean): Ending =>
    async (subject, point) => {
      const { bindingId } = subject
      const answer = await platform.unbind(instanceId, bindingId, { asynchronous })
      t.true([200, 202, 410].includes(answer.status), `${point}: ${answer.status} ${answer.text}`)
      const end = await platform.settleBinding(instanceId, bindingId, answer)
      t.true([200, 410].includes(end.status), `${point}: ${end.status} ${end.text}`)
      await trial.assertUnbound(subject, point)
    }
  await trial.run({
    name: 'unbind',
    async subject() {
      const bindingId = randomUUID()
      t.is((await platform.bind(instanceId, bindingId)).status, 201)
      return { instanceId, bindingId }
    },
    act: ({ bindingId }) => platform.unbind(instanceId, bindingId),
    endings: [sentAgain(true), sentAgain(false)],
  })
  await trial.assertWhole(instanceId, 'all')
  pool.push(instanceId)
})

test.serial('polling a bind: asked again, the credentials work; given up, no user is left', async (t) => {
  const trial = await begin(t)
  const { platform } = trial.lane
  const instanceId = await trial.instance()
  // The first bind of an instance sets the engine up; what it asks for more is tried by a test of its own.
  t.is((await platform.bind(instanceId, randomUUID())).status, 201)
  const askedAgain: Ending = async (subject, point) => {
    const answer = await platform.pollBinding(instanceId, subject.bindingId, subject.begun)
    t.is(answer.body.state, 'succeeded', `${point}: ${answer.text}`)
    await trial.assertBound(subject, point)
  }
  await trial.run({
    name: 'last-binding-operation',
    async subject() {
      const bindingId = randomUUID()
      const begun = await trial.withoutEngine(() => platform.bind(instanceId, bindingId))
      t.is(begun.status, 202, begun.text)
      return { instanceId, bindingId, begun }
    },
    act: (subject) => platform.settleBinding(instanceId, subject.bindingId, begunOf(subject)),
    endings: [askedAgain, trial.unbound],
  })
  await trial.assertWhole(instanceId, 'all')
  pool.push(instanceId)
})

test.serial('polling an unbind: asked again, neither user nor record is left', async (t) => {
  const trial = await begin(t)
  const { platform } = trial.lane
  const instanceId = await trial.instance()
  const askedAgain: Ending = async (subject, point) => {
    const answer = await platform.pollBinding(instanceId, subject.bindingId, subject.begun)
    t.is(answer.status, 410, `${point}: ${answer.text}`)
    await trial.assertUnbound(subject, point)
  }
  // All of them first: a bind also finishes the unbinds that were left to polls.
  const bindings = Array.from({ length: 24 }, () => randomUUID())
  for (const bindingId of bindings) t.is((await platform.bind(instanceId, bindingId)).status, 201)
  await trial.run({
    name: 'last-binding-operation',
    async subject() {
      const bindingId = bindings.pop() ?? t.fail()
      const begun = await trial.withoutEngine(() => platform.unbind(instanceId, bindingId))
      t.is(begun.status, 202, begun.text)
      return { instanceId, bindingId, begun }
    },
    act: (subject) => platform.settleBinding(instanceId, subject.bindingId, begunOf(subject)),
    endings: [askedAgain],
  })
  await trial.assertWhole(instanceId, 'all')
  pool.push(instanceId)
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

test.serial('update: sent again, both steps are made; given up, nothing is left', async (t) => {
  const trial = await begin(t)
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

test.serial('polling an update: asked again, both steps are made; given up, nothing is left', async (t) => {
  const trial = await begin(t)
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

test.serial('deprovision: sent again, nothing is left', async (t) => {
  const trial = await begin(t)
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

test.serial('polling a deprovision: asked again, nothing is left', async (t) => {
  const trial = await begin(t)
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
