/**
 * What the API server and the engines may do to the functions: conflicts, refusals, breaks, silence. The answer is
 * right or a 5xx in the specification's shape, in time, and the same request sent again ends well.
 */
import { randomUUID } from 'node:crypto'
import { readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import * as v from 'valibot'
import { turns } from '../../sandbox/machine/turns.ts'
import { type OsbAnswer, openBroker } from '../support/broker.ts'
import { at, objectIn, useCluster } from '../support/cluster.ts'
import { type Call, type Fault, type Interference, shapeOf } from '../support/fault-call.ts'
import { type FaultLane, openFaultLane, times } from '../support/fault-lane.ts'
import { canUse } from '../support/inventory.ts'
import { leadLife, type Send } from '../support/life.ts'
import { credentialsIn, type Platform, platformOf } from '../support/platform.ts'

const cluster = useCluster(test)

/** More would only wait for the two cores, and the budgets run out. */
const inTurn = turns(4)

/** Milliseconds beyond the budget for a machine that is busy. */
const margin = 1500

const isWrite = (call: Call) => call.to === 'api' && call.verb !== 'GET'

/** The function's, where the proxy learns of it, and what it did. */
const nameOf = (call: Call) => `${call.account} ${shapeOf(call)}`

/** An answer that sends the platform to try again, and leads it to believe nothing that is not so. */
function assertTrouble(t: ExecutionContext, answer: OsbAnswer, conflict: boolean): void {
  const told = `${answer.status} ${answer.text}`
  const busy = conflict && answer.status === 422 && answer.body.error === 'ConcurrencyError'
  t.true(busy || answer.status >= 500, told)
  t.is(typeof answer.body.error, 'string', told)
  t.is(typeof answer.body.description, 'string', told)
  t.true(String(answer.headers['content-type']).startsWith('application/json'), told)
}

/** A test with a lane of its own, when it is its turn. */
function onLane(title: string, body: (t: ExecutionContext, lane: FaultLane) => Promise<void>): void {
  test(title, (t) =>
    inTurn(async () => {
      const lane = await openFaultLane(t, { cluster })
      await body(t, lane)
      assertInTime(t, lane.broker.lines)
    }),
  )
}

const Line = v.object({ message: v.literal('request'), durationMs: v.number() })

/** Every request ended within its budget, as the functions themselves tell. */
function assertInTime(t: ExecutionContext, lines: readonly string[]): void {
  let slowest = 0
  for (const line of lines) {
    const result = v.safeParse(Line, objectIn(line.slice(line.indexOf('{'))))
    if (result.success) slowest = Math.max(slowest, result.output.durationMs)
  }
  t.true(slowest > 0)
  t.true(slowest < times.requestBudget * 1000 + margin, `${slowest} ms`)
}

/** Sends a request until the answer is right. */
function persevere(t: ExecutionContext, conflict: boolean): Send {
  return async (name, act, right) => {
    for (let attempt = 1; attempt <= 25; attempt++) {
      const answer = await act()
      if (right.includes(answer.status) && answer.body.state !== 'failed') return answer
      assertTrouble(t, answer, conflict)
    }
    throw new Error(`${name} did not come to a right answer`)
  }
}

const faults: {
  [name: string]: (call: Call) => { point: keyof Interference; fault: Fault } | number | undefined
} = {
  'the answer 409 to a write': (call) =>
    isWrite(call) ? { point: 'before', fault: { answer: 409 } } : undefined,
  'the answer 429': () => ({ point: 'before', fault: { answer: 429 } }),
  'the answer 500': () => ({ point: 'before', fault: { answer: 500 } }),
  'the answer 503': () => ({ point: 'before', fault: { answer: 503 } }),
  'the answer 500 to what was done all the same': () => ({ point: 'after', fault: { answer: 500 } }),
  'a connection reset before anything arrived': () => ({ point: 'before', fault: 'reset' }),
  'a lost answer': () => ({ point: 'after', fault: 'reset' }),
  'an answer that takes one to three seconds': () => 1000 + 2000 * Math.random(),
}

for (const [name, choose] of Object.entries(faults)) {
  onLane(`every call of every operation meets once: ${name}`, async (t, lane) => {
    const met = new Set<string>()
    const numbers = new WeakMap<Call, keyof Interference>()
    lane.interfere({
      async before(call) {
        if (met.has(nameOf(call))) return undefined
        const chosen = choose(call)
        if (chosen === undefined) return undefined
        met.add(nameOf(call))
        if (typeof chosen === 'number') {
          await delay(call.to === 'engine' ? chosen / 10 : chosen)
          return undefined
        }
        numbers.set(call, chosen.point)
        return chosen.point === 'before' ? chosen.fault : undefined
      },
      after(call) {
        const chosen = choose(call)
        return numbers.get(call) === 'after' && typeof chosen === 'object' ? chosen.fault : undefined
      },
    })
    await leadLife(t, lane, persevere(t, name.includes('409')))
    t.log(`${met.size} calls met it`)
    t.true(met.size > 10)
  })
}

onLane(
  'a call that fails for good: 5xx, nothing believed that is not so, and well again afterwards',
  async (t, lane) => {
    const record = persevere(t, false)
    const known = new Map<string, Set<string>>()
    const learn: Send = async (name, act, right) => {
      let answer: OsbAnswer | undefined
      const calls = await lane.callsOf(async () => {
        answer = await record(name, act, right)
      })
      const shapes = known.get(name) ?? new Set()
      for (const call of calls) if (call.to === 'api') shapes.add(shapeOf(call))
      known.set(name, shapes)
      if (!answer) throw new Error(`${name} was not answered`)
      return answer
    }
    await leadLife(t, lane, learn)

    const pending = structuredClone(known)
    await leadLife(t, lane, async (name, act, right) => {
      for (const shape of pending.get(name) ?? []) {
        let met = false
        lane.interfere({
          before(call) {
            if (call.account !== `osb-${name}` || shapeOf(call) !== shape) return undefined
            met = true
            return { answer: 503 }
          },
        })
        const answer = await act()
        lane.calm()
        // Some calls are made only in some states: they get their turn when they are.
        if (met) pending.get(name)?.delete(shape)
        if (!met && right.includes(answer.status)) return answer
        if (met && !right.includes(answer.status)) assertTrouble(t, answer, false)
        t.not(answer.status, 404, answer.text)
        t.not(answer.body.state, 'failed', answer.text)
      }
      return record(name, act, right)
    })
    t.deepEqual(
      [...pending.values()].flatMap((shapes) => [...shapes]),
      [],
    )
  },
)

/** One request of each operation on something that exists. */
function allOf(
  platform: Platform,
  instanceId: string,
  bindingId: string,
): [string, () => Promise<OsbAnswer>][] {
  return [
    ['provision', () => platform.provision(randomUUID())],
    ['provision again', () => platform.provision(instanceId)],
    ['last-operation', () => platform.poll(instanceId)],
    ['fetch-instance', () => platform.fetch(instanceId)],
    ['update', () => platform.update(instanceId, { cpu: '700m' })],
    ['bind', () => platform.bind(instanceId, randomUUID())],
    ['bind again', () => platform.bind(instanceId, bindingId)],
    ['fetch-binding', () => platform.fetchBinding(instanceId, bindingId)],
    ['last-binding-operation', () => platform.pollBinding(instanceId, bindingId)],
    ['unbind', () => platform.unbind(instanceId, bindingId)],
    ['deprovision', () => platform.deprovision(instanceId)],
  ]
}

onLane('an API server that never answers: 5xx within the budget, everything as it was', async (t, lane) => {
  const { instanceId, bindingId } = await bound(t, lane)
  const before = await lane.inventory(instanceId)
  lane.interfere({ before: (call) => (call.to === 'api' ? 'hang' : undefined) })
  await Promise.all(
    allOf(lane.platform, instanceId, bindingId).map(async ([name, act]) => {
      const answer = await act()
      t.true(answer.status >= 500, `${name}: ${answer.status} ${answer.text}`)
      assertTrouble(t, answer, false)
    }),
  )
  lane.calm()
  t.deepEqual(await lane.inventory(instanceId), before)
  await orderly(t, lane, instanceId, bindingId)
})

test('an API server that cannot be reached: 5xx, never 404, 410 or failed', async (t) => {
  const broker = await openBroker(t, {
    cluster,
    // nothing listens on the port of an unused service
    apiServer: { host: '127.0.0.1', port: 1, ca: cluster.ca },
    environment: {
      REQUEST_BUDGET: String(times.requestBudget),
      ABANDONED_AFTER: String(times.abandonedAfter),
    },
  })
  await Promise.all(
    allOf(platformOf(broker), randomUUID(), randomUUID()).map(async ([name, act]) => {
      const answer = await act()
      t.is(answer.status, 503, `${name}: ${answer.text}`)
      assertTrouble(t, answer, false)
    }),
  )
})

onLane(
  'a function without the key of a binding says so; unbind needs none; with the key all is as before',
  async (t, lane) => {
    const { platform, broker } = lane
    const { instanceId, bindingId } = await bound(t, lane)
    const credentials = credentialsIn(await platform.fetchBinding(instanceId, bindingId))
    const other = randomUUID()
    t.is((await platform.bind(instanceId, other)).status, 201)

    const [key = ''] = await readdir(broker.keysDirectory)
    const from = join(broker.keysDirectory, key)
    const aside = join(broker.keysDirectory, '..', 'key-aside')
    const afresh = async () => {
      await broker.gateway.scaleToZero('bind')
      await broker.gateway.scaleToZero('fetch-binding')
    }
    await rename(from, aside)
    for (const act of [
      () => platform.fetchBinding(instanceId, bindingId),
      () => platform.bind(instanceId, bindingId),
      () => platform.bind(instanceId, randomUUID()),
    ]) {
      await afresh()
      const answer = await act()
      t.is(answer.status, 500, answer.text)
      t.is(answer.body.error, 'Misconfigured', answer.text)
    }
    t.is((await platform.unbind(instanceId, other)).status, 200)
    const { logins, bindings } = await lane.inventory(instanceId)
    t.deepEqual(
      logins,
      bindings.filter((one) => one.state === 'ready').map((one) => one.user),
    )

    await rename(aside, from)
    await afresh()
    t.deepEqual(credentialsIn(await platform.fetchBinding(instanceId, bindingId)), credentials)
    t.deepEqual(credentialsIn(await platform.bind(instanceId, bindingId)), credentials)
  },
)

onLane(
  'an engine that accepts and never answers: asynchronous, or refused in time; bound once it answers',
  async (t, lane) => {
    const { platform } = lane
    const { instanceId, bindingId } = await bound(t, lane)
    const late = randomUUID()
    lane.interfere({ before: (call) => (call.verb === 'CONNECT' ? 'hang' : undefined) })
    const [sync, begun, parting] = await Promise.all([
      platform.bind(instanceId, randomUUID(), { asynchronous: false }),
      platform.bind(instanceId, late),
      platform.unbind(instanceId, bindingId),
    ])
    t.true(sync.body.error === 'AsyncRequired' || sync.status === 503, `${sync.status} ${sync.text}`)
    t.true([202, 503].includes(begun.status), `${begun.status} ${begun.text}`)
    t.true([202, 503].includes(parting.status), `${parting.status} ${parting.text}`)
    lane.calm()
    const end = await platform.settleBinding(
      instanceId,
      late,
      begun.status === 202 ? begun : await platform.bind(instanceId, late),
    )
    t.true(end.body.state === 'succeeded' || end.status === 201, end.text)
    await orderly(t, lane, instanceId, bindingId, [late])
  },
)

async function bound(
  t: ExecutionContext,
  { platform, cover }: FaultLane,
): Promise<{ instanceId: string; bindingId: string }> {
  const instanceId = await platform.instance()
  await cover(instanceId)
  const bindingId = randomUUID()
  await persevere(t, false)('bind', () => platform.bind(instanceId, bindingId), [200, 201])
  return { instanceId, bindingId }
}

/** Unbinds, and asserts that every user has a record, and every other binding works. */
async function orderly(
  t: ExecutionContext,
  lane: FaultLane,
  instanceId: string,
  bindingId: string,
  others: readonly string[] = [],
): Promise<void> {
  const { platform } = lane
  const parting = await platform.unbind(instanceId, bindingId)
  const end = await platform.settleBinding(instanceId, bindingId, parting)
  t.true([200, 410].includes(end.status), `${end.status} ${end.text}`)
  const { users, bindings } = await lane.inventory(instanceId)
  t.false(bindings.some((one) => one.bindingId === bindingId))
  t.true(
    users.every((user) => bindings.some((one) => one.user === user)),
    `${users}`,
  )
  for (const one of others) {
    t.true(await canUse(cluster, credentialsIn(await platform.fetchBinding(instanceId, one))))
    t.is(at((await platform.fetchBinding(instanceId, one)).body, 'state'), undefined)
  }
}
