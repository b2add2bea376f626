/**
 * Bindings whose users the broker makes itself, on every such engine: a function may die at any line, and so may what it
 * has asked of the server, or the server may not answer at all. Everything that a function does to the world is an
 * outbound call, so it is killed before and after every call; every statement's connection breaks or falls silent. Then
 * the platform sends its request again, or gives the binding up.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import { turns } from '../../sandbox/machine/turns.ts'
import { bindingRecordName } from '../../shared/kubedb/records/names.ts'
import type { FunctionName } from '../../shared/routes.ts'
import type { JsonObject } from '../../shared/values/json.ts'
import { type BindableEngine, bindableEngines, type Inside, insideOf } from '../support/bindable-engines.ts'
import type { OsbAnswer } from '../support/broker.ts'
import { useCluster } from '../support/cluster.ts'
import { crashAt, crashPoints, killEverywhere, nameOfPoint, type Scenario } from '../support/crash-points.ts'
import { type Call, shapeOf } from '../support/fault-call.ts'
import { type FaultLane, openFaultLane, times } from '../support/fault-lane.ts'
import { faultAt } from '../support/hold.ts'
import { bindingsOf } from '../support/inventory.ts'
import { credentialsIn, type Platform } from '../support/platform.ts'

const cluster = useCluster(test)

interface Subject {
  bindingId: string
  /** the answer that began what is being settled */
  begun?: OsbAnswer
}

/** An engine's instance, and the platform's side of one test on it. */
interface Trial {
  /** sends no more at once than the engine can take */
  platform: Platform
  lane: FaultLane
  instanceId: string
  inside: Inside
  run(scenario: Scenario<Subject>): Promise<void>
  /** Asserts that bindings are ready, each with its user, and that there are no other users. */
  assertWhole(point: string): Promise<void>
  assertBound(bindingId: string, point: string): Promise<void>
  assertUnbound(bindingId: string, point: string): Promise<void>
  /** @returns whether credentials let their owner in */
  works(credentials: JsonObject): Promise<boolean>
  /** @returns what `act` does while the engine takes no connections */
  withoutEngine(act: () => Promise<OsbAnswer>): Promise<OsbAnswer>
  /** gives up a binding, asynchronously unless told */
  unbound(subject: Subject, point: string, options?: { asynchronous: boolean }): Promise<void>
}

/** Most of a test is starting functions, one at a time: another one uses the other core. */
const busy = turns(2)

/** Of one test. Most of an ending is waiting until a dead function cannot be alive any more. */
const endingsAtOnce = 60

async function trialOf(
  t: ExecutionContext,
  engine: BindableEngine,
  lane: FaultLane,
  instanceId: string,
): Promise<Trial> {
  const inTurn = turns(endingsAtOnce)
  const few = turns(engine.atOnce)
  const platform: Platform = {
    ...lane.platform,
    bind: (...asked) => few(() => lane.platform.bind(...asked)),
    unbind: (...asked) => few(() => lane.platform.unbind(...asked)),
    fetchBinding: (...asked) => few(() => lane.platform.fetchBinding(...asked)),
    pollBinding: (...asked) => few(() => lane.platform.pollBinding(...asked)),
  }
  const inside = await insideOf(cluster, engine, instanceId)
  let withoutEngine = 0

  /**
   * Users without a record. Looked at twice: one that was about to be removed at the first look may have lost its
   * record by then, and is gone at the second.
   */
  const orphans = async (): Promise<string[]> => {
    // Users first, then the records: a user made in between has its record already.
    const users = await engine.users(inside)
    const known = new Set((await bindingsOf(cluster, instanceId)).map(({ user }) => user))
    const suspects = users.filter((user) => !known.has(user))
    if (suspects.length === 0) return []
    const still = await engine.users(inside)
    return suspects.filter((user) => still.includes(user))
  }

  const self: Trial = {
    platform,
    lane,
    instanceId,
    inside,

    run: (scenario) => killEverywhere(t, lane, scenario, inTurn),

    async assertWhole(point) {
      const bindings = await bindingsOf(cluster, instanceId)
      t.true(
        bindings.every(({ state }) => state === 'ready'),
        `${point}: ${JSON.stringify(bindings.map(({ state }) => state))}`,
      )
      t.deepEqual(await engine.users(inside), bindings.map(({ user }) => user).toSorted(), point)
    },

    async assertBound(bindingId, point) {
      const answer = await platform.fetchBinding(instanceId, bindingId)
      t.is(answer.status, 200, `${point}: ${answer.text}`)
      t.true(await self.works(credentialsIn(answer)), point)
    },

    async assertUnbound(bindingId, point) {
      const bindings = await bindingsOf(cluster, instanceId)
      t.false(
        bindings.some((one) => one.bindingId === bindingId),
        point,
      )
      t.deepEqual(await orphans(), [], point)
      t.is((await platform.fetchBinding(instanceId, bindingId)).status, 404, point)
    },

    works: (credentials) =>
      engine.use(inside, credentials).then(
        () => true,
        (error: unknown) => {
          t.log(String(error))
          return false
        },
      ),

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

    async unbound({ bindingId }, point, { asynchronous } = { asynchronous: true }) {
      const answer = await platform.unbind(instanceId, bindingId, { asynchronous })
      t.true([200, 202, 410].includes(answer.status), `${point}: ${answer.status} ${answer.text}`)
      if (answer.status === 202) {
        const poll = await platform.pollBinding(instanceId, bindingId, answer)
        // Whoever made the binding may be alive as far as the broker knows. Many that ask would cost others their time.
        if (poll.body.state === 'in progress') await delay(times.abandonedAfter * 1000)
      }
      const end = await platform.settleBinding(instanceId, bindingId, answer)
      t.true([200, 410].includes(end.status), `${point}: ${end.status} ${end.text}`)
      await self.assertUnbound(bindingId, point)
    },
  }
  return self
}

for (const engine of bindableEngines) {
  /** A bind also finishes what was left to polls, so tests on one instance take turns. */
  const inTurn = turns(1)
  let instance: Promise<string> | undefined

  const onInstance = (title: string, body: (t: ExecutionContext, trial: Trial) => Promise<void>) =>
    test(`${engine.title}: ${title}`, (t) =>
      inTurn(() =>
        busy(async () => {
          t.timeout(280_000)
          const available = await engine.available()
          if (available !== true) {
            console.error(`skipped: ${available}`)
            t.pass()
            return
          }
          const { offer, part, protocol } = engine
          const lane = await openFaultLane(t, { cluster, offer, part, protocol })
          instance ??= lane.platform.instance(engine.parameters)
          const instanceId = await instance
          await lane.cover(instanceId, engine.way)
          const trial = await trialOf(t, engine, lane, instanceId)
          // The very first bind sets up the server; that is a test of its own.
          const bindingId = randomUUID()
          t.is((await trial.platform.bind(instanceId, bindingId)).status, 201)
          await body(t, trial)
          await trial.assertWhole('all')
          for (const one of await bindingsOf(cluster, instanceId))
            await trial.unbound({ bindingId: one.bindingId }, 'at the end')
        }),
      ))

  onInstance('bind: sent again, the credentials work; given up, no user is left', async (t, trial) => {
    const { platform, instanceId } = trial
    await trial.run({
      name: 'bind',
      subject: async () => ({ bindingId: randomUUID() }),
      act: ({ bindingId }) => platform.bind(instanceId, bindingId),
      endings: [
        async ({ bindingId }, point) => {
          const answer = await platform.bind(instanceId, bindingId)
          t.true([200, 201].includes(answer.status), `${point}: ${answer.status} ${answer.text}`)
          t.true(await trial.works(credentialsIn(answer)), point)
          await trial.assertBound(bindingId, point)
        },
        trial.unbound,
      ],
    })
  })

  const { forget } = engine
  if (forget) {
    onInstance('the first bind: sent again, it finishes what the dead one had begun', async (t, trial) => {
      const { lane, platform, instanceId, inside } = trial
      /** as if nobody had ever bound to the instance */
      const untouched = async (): Promise<string> => {
        for (const { bindingId } of await bindingsOf(cluster, instanceId)) {
          const name = bindingRecordName(instanceId, bindingId)
          await cluster.admin('DELETE', `${cluster.recordsPath()}/${name}`)
        }
        await forget(inside)
        return randomUUID()
      }
      const unharmed = await untouched()
      const calls = await lane.callsOf(() => platform.bind(instanceId, unharmed))
      const points = crashPoints(calls.filter((call) => call.to === 'engine'))
      t.log(`${points.length} points: ${points.map(nameOfPoint).join(' | ')}`)
      t.true(points.length > 8)
      for (const point of points) {
        const bindingId = await untouched()
        await crashAt(lane, 'bind', point, () => platform.bind(instanceId, bindingId))
        const answer = await platform.bind(instanceId, bindingId)
        t.is(answer.status, 201, `${nameOfPoint(point)}: ${answer.text}`)
        t.true(await trial.works(credentialsIn(answer)), nameOfPoint(point))
        await trial.assertWhole(nameOfPoint(point))
      }
    })
  }

  onInstance('unbind: sent again, neither user nor record is left', async (t, trial) => {
    const { platform, instanceId } = trial
    await trial.run({
      name: 'unbind',
      async subject() {
        const bindingId = randomUUID()
        t.is((await platform.bind(instanceId, bindingId)).status, 201)
        return { bindingId }
      },
      act: ({ bindingId }) => platform.unbind(instanceId, bindingId),
      endings: [trial.unbound, (subject, point) => trial.unbound(subject, point, { asynchronous: false })],
    })
  })

  onInstance(
    'a statement whose answer is lost or never comes: refused in time, then right',
    async (t, trial) => {
      const { lane, platform, instanceId } = trial
      const inTurn = turns(endingsAtOnce)
      const statements = (calls: readonly Call[]) =>
        [...new Set(calls.filter((call) => call.to === 'engine').map(shapeOf))].flatMap((shape) =>
          (['before', 'after'] as const).map((when) => ({ when, shape })),
        )
      const probe = randomUUID()
      const making = statements(await lane.callsOf(() => platform.bind(instanceId, probe)))
      const removing = statements(await lane.callsOf(() => platform.unbind(instanceId, probe)))
      t.true(making.length >= 6 && removing.length >= 4, `${making.length}, ${removing.length}`)

      /** @returns each point with a binding of its own, and what the platform was told there */
      const tried = async (
        points: typeof making,
        name: FunctionName,
        fault: 'reset' | 'hang',
        subject: () => Promise<string>,
        act: (bindingId: string) => Promise<OsbAnswer>,
      ) => {
        const tries: { where: string; bindingId: string; answer: Promise<OsbAnswer> }[] = []
        for (const point of points) {
          const where = `${fault} ${point.when} ${point.shape}`
          const bindingId = await subject()
          const begun = Date.now()
          const sent = await faultAt(lane, name, { ...point, fault }, () => act(bindingId))
          t.truthy(sent, `${where}: never asked`)
          if (!sent) continue
          const answer = sent.answer.then((one) => {
            t.true([202, 503].includes(one.status), `${where}: ${one.status} ${one.text}`)
            t.true(Date.now() - begun < (times.requestBudget + 4) * 1000, `${where}: it took too long`)
            return one
          })
          tries.push({ where, bindingId, answer })
          // What else the request had sent still arrives, and is not to be taken for the next one's.
          if (fault === 'reset') await answer
          await delay(engine.sideBySide ? 400 : 30)
        }
        await Promise.all(tries.map(({ answer }) => answer))
        return tries
      }
      // Many of them hang at the same time: past the limit.
      const send = (bindingId: string) => lane.platform.bind(instanceId, bindingId)
      const part = (bindingId: string) => lane.platform.unbind(instanceId, bindingId)
      for (const fault of ['reset', 'hang'] as const) {
        const made = await tried(making, 'bind', fault, async () => randomUUID(), send)
        await Promise.all(
          made.map(({ where, bindingId }) =>
            inTurn(async () => {
              const again = await platform.bind(instanceId, bindingId)
              t.true([200, 201].includes(again.status), `${where}: ${again.status} ${again.text}`)
              t.true(await trial.works(credentialsIn(again)), where)
            }),
          ),
        )
        const ids = made.map(({ bindingId }) => bindingId)
        while (ids.length < removing.length) {
          const bindingId = randomUUID()
          t.is((await platform.bind(instanceId, bindingId)).status, 201)
          ids.push(bindingId)
        }
        const removed = await tried(removing, 'unbind', fault, async () => ids.pop() ?? t.fail(), part)
        await Promise.all(
          removed.map(({ where, bindingId }) => inTurn(() => trial.unbound({ bindingId }, where))),
        )
      }
    },
  )

  // A poll does what the bind or unbind does that it carries on, with the same statements: once will do.
  if (engine !== bindableEngines[0]) continue

  onInstance(
    'polling a bind: asked again, the credentials work; given up, no user is left',
    async (t, trial) => {
      const { platform, instanceId } = trial
      await trial.run({
        name: 'last-binding-operation',
        async subject() {
          const bindingId = randomUUID()
          const begun = await trial.withoutEngine(() => platform.bind(instanceId, bindingId))
          t.is(begun.status, 202, begun.text)
          return { bindingId, begun }
        },
        act: (subject) => platform.settleBinding(instanceId, subject.bindingId, begunOf(subject)),
        endings: [
          async ({ bindingId, begun }, point) => {
            const answer = await platform.pollBinding(instanceId, bindingId, begun)
            t.is(answer.body.state, 'succeeded', `${point}: ${answer.text}`)
            await trial.assertBound(bindingId, point)
          },
          trial.unbound,
        ],
      })
    },
  )

  onInstance('polling an unbind: asked again, neither user nor record is left', async (t, trial) => {
    const { platform, instanceId } = trial
    // All of them first: a bind also finishes the unbinds that were left to polls.
    const bindings = Array.from({ length: 40 }, () => randomUUID())
    const bound = await Promise.all(bindings.map((bindingId) => platform.bind(instanceId, bindingId)))
    t.deepEqual(new Set(bound.map(({ status }) => status)), new Set([201]))
    await trial.run({
      name: 'last-binding-operation',
      async subject() {
        const bindingId = bindings.pop()
        if (bindingId === undefined) throw new Error('there are more points than bindings')
        const begun = await trial.withoutEngine(() => platform.unbind(instanceId, bindingId))
        t.is(begun.status, 202, begun.text)
        return { bindingId, begun }
      },
      act: (subject) => platform.settleBinding(instanceId, subject.bindingId, begunOf(subject)),
      endings: [
        async ({ bindingId, begun }, point) => {
          const answer = await platform.pollBinding(instanceId, bindingId, begun)
          t.is(answer.status, 410, `${point}: ${answer.text}`)
          await trial.assertUnbound(bindingId, point)
        },
      ],
    })
  })
}

function begunOf({ begun }: Subject): OsbAnswer {
  if (!begun) throw new Error('nothing was begun on this subject')
  return begun
}
