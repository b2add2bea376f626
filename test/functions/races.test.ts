/** Requests for the same thing at the same time: the API server chooses one, and everybody hears the same story. */
import { randomInt, randomUUID } from 'node:crypto'
import test, { type ExecutionContext } from 'ava'
import { turns } from '../../sandbox/machine/turns.ts'
import type { JsonObject } from '../../shared/values/json.ts'
import { type OsbAnswer, openBroker } from '../support/broker.ts'
import { type TestCluster, textAt, useCluster } from '../support/cluster.ts'
import { canUse, inventoryOf, isEmpty } from '../support/inventory.ts'
import { credentialsIn, type Platform, platformOf } from '../support/platform.ts'
import { setSwitches } from '../support/switches.ts'

/** where databases come up */
const cluster = useCluster(test)
/** where the operator takes its time, so that a round costs little */
const dark = useCluster(test)

const provisionRounds = 150
const bindingRounds = 12

const environment = { REQUEST_BUDGET: '10', ABANDONED_AFTER: '13' }

async function platformOn(t: ExecutionContext, on: TestCluster): Promise<Platform> {
  return platformOf(await openBroker(t, { cluster: on, environment }))
}

/** As many as asked for, begun at the same moment. */
function atOnce(count: number, act: (index: number) => Promise<OsbAnswer>): Promise<OsbAnswer[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => act(index)))
}

const told = (answers: readonly OsbAnswer[]) =>
  answers.map(({ status, text }) => `${status} ${text}`).join('\n')

const statuses = (answers: readonly OsbAnswer[]) => [...new Set(answers.map(({ status }) => status))].sort()

const operations = (answers: readonly OsbAnswer[]) =>
  new Set(answers.filter(({ status }) => status === 202).map(({ body }) => textAt(body, 'operation')))

test('2 to 20 provisions at once make one database: the same ones share its operation, others conflict', async (t) => {
  await setSwitches(dark, { slow: '3600000' })
  const platform = await platformOn(t, dark)
  const variants: JsonObject[] = [{}, { storage: '20Gi' }, { memory: '2Gi' }]
  const inTurn = turns(3)

  const round = async (number: number): Promise<void> => {
    const instanceId = randomUUID()
    const count = number % 10 === 0 ? 20 : randomInt(2, 7)
    const kinds = number % 3 === 0 ? 1 : number % 3 === 1 ? 2 : 3
    const variantOf = (index: number) => index % kinds
    const answers = await atOnce(count, (index) => platform.provision(instanceId, variants[variantOf(index)]))
    const winners = new Set(
      answers.flatMap(({ status }, index) => (status === 202 ? [variantOf(index)] : [])),
    )
    const where = `round ${number}, ${count} requests of ${kinds} kinds:\n${told(answers)}`
    t.is(winners.size, 1, where)
    for (const [index, answer] of answers.entries()) {
      t.is(answer.status, winners.has(variantOf(index)) ? 202 : 409, where)
    }
    t.is(operations(answers).size, 1, where)
    const there = await inventoryOf(dark, instanceId)
    t.is(there.databases.length, 1, where)
    t.is(there.operation?.type, 'provision', where)

    const parting = await atOnce(randomInt(1, 4), () => platform.deprovision(instanceId))
    t.true(
      parting.every(({ status }) => status === 202 || status === 410),
      told(parting),
    )
    t.true(operations(parting).size <= 1, told(parting))
    const [first] = parting
    if (first && number % 10 === 0) {
      const end = await platform.settle(instanceId, first)
      t.is(end.status, 410, end.text)
      t.true(isEmpty(await inventoryOf(dark, instanceId)))
    }
  }
  await Promise.all(Array.from({ length: provisionRounds }, (_, number) => inTurn(() => round(number))))
})

test('binds at once make one user: the same ones get the same credentials, others conflict', async (t) => {
  const platform = await platformOn(t, cluster)
  const instanceId = await platform.instance()
  const partings: Promise<OsbAnswer>[] = []
  for (let number = 0; number < bindingRounds; number++) {
    const bindingId = randomUUID()
    const count = randomInt(2, 11)
    const kinds = 1 + (number % 2)
    const roles = ['owner', 'readWrite']
    const variantOf = (index: number) => index % kinds
    const answers = await atOnce(count, (index) =>
      platform.bind(instanceId, bindingId, { parameters: { role: roles[variantOf(index)] ?? 'owner' } }),
    )
    const where = `round ${number}, ${count} requests of ${kinds} kinds:\n${told(answers)}`
    const served = answers.filter(({ status }) => [200, 201, 202].includes(status))
    const winners = new Set(
      answers.flatMap(({ status }, index) => ([200, 201, 202].includes(status) ? [variantOf(index)] : [])),
    )
    t.is(winners.size, 1, where)
    for (const [index, { status }] of answers.entries()) {
      if (!winners.has(variantOf(index))) t.is(status, 409, where)
      else t.true([200, 201, 202].includes(status), where)
    }
    const credentials = served.filter(({ status }) => status !== 202).map(credentialsIn)
    t.is(new Set(credentials.map((one) => one.password)).size, 1, where)
    const { logins, bindings } = await inventoryOf(cluster, instanceId)
    const living = bindings.filter((one) => one.state === 'ready')
    t.deepEqual(logins, living.map((one) => one.user).toSorted(), where)
    t.is(bindings.filter((one) => one.bindingId === bindingId).length, 1, where)

    const parting = await atOnce(randomInt(1, 6), () => platform.unbind(instanceId, bindingId))
    t.true(
      parting.every(({ status }) => [200, 202, 410, 422].includes(status)),
      told(parting),
    )
    t.true(
      parting.some(({ status }) => status === 200 || status === 202),
      told(parting),
    )
    const begun = parting.find(({ status }) => status === 202)
    if (begun) partings.push(platform.settleBinding(instanceId, bindingId, begun))
  }
  t.true((await Promise.all(partings)).every(({ status }) => status === 410))
  const after = await inventoryOf(cluster, instanceId)
  t.deepEqual([after.users, after.bindings], [[], []])
})

test('many different binds at once all work, also the very first ones', async (t) => {
  const platform = await platformOn(t, cluster)
  const instanceId = await platform.instance()
  const answers = await atOnce(20, () => platform.bind(instanceId, randomUUID()))
  t.deepEqual(statuses(answers), [201], told(answers))
  const works = await Promise.all(answers.map((answer) => canUse(cluster, credentialsIn(answer))))
  t.true(works.every((one) => one))
  const { logins, bindings } = await inventoryOf(cluster, instanceId)
  t.is(bindings.length, 20)
  t.deepEqual(logins, bindings.map((one) => one.user).toSorted())

  const parting = await atOnce(20, async (index) => {
    const bindingId = bindings[index]?.bindingId ?? ''
    const answer = await platform.unbind(instanceId, bindingId)
    return platform.settleBinding(instanceId, bindingId, answer)
  })
  t.true(
    parting.every(({ status }) => status === 200 || status === 410),
    told(parting),
  )
  const after = await inventoryOf(cluster, instanceId)
  t.deepEqual([after.users, after.bindings], [[], []])
})

test('updates at once: the same ones share one operation, others have to wait', async (t) => {
  const platform = await platformOn(t, cluster)
  const instanceId = await platform.instance()
  let gibibytes = 10
  for (let number = 0; number < 6; number++) {
    const kinds = 1 + (number % 2)
    const wishes = [{ storage: `${gibibytes + 1}Gi` }, { storage: `${gibibytes + 2}Gi` }]
    gibibytes += 2
    const answers = await atOnce(randomInt(2, 11), (index) =>
      platform.update(instanceId, wishes[index % kinds] ?? {}),
    )
    const where = `round ${number}, ${kinds} kinds:\n${told(answers)}`
    const winners = new Set(answers.flatMap(({ status }, index) => (status === 202 ? [index % kinds] : [])))
    t.is(winners.size, 1, where)
    t.is(operations(answers).size, 1, where)
    for (const [index, { status, body }] of answers.entries()) {
      if (winners.has(index % kinds)) continue
      t.is(status, 422, where)
      t.is(body.error, 'ConcurrencyError', where)
    }
    const begun = answers.find(({ status }) => status === 202)
    if (!begun) throw new Error(where)
    const end = await platform.settle(instanceId, begun)
    t.is(end.body.state, 'succeeded', end.text)
    t.deepEqual((await inventoryOf(cluster, instanceId)).opsRequests, [])
  }
})

test('polls at once of whatever is under way all tell the truth', async (t) => {
  const platform = await platformOn(t, cluster)
  const instanceId = randomUUID()
  const follow = async (begun: OsbAnswer, last: (answer: OsbAnswer) => boolean): Promise<void> => {
    for (;;) {
      const answers = await atOnce(4, () => platform.poll(instanceId, begun))
      t.true(
        answers.every(
          (answer) => last(answer) || (answer.status === 200 && answer.body.state === 'in progress'),
        ),
        told(answers),
      )
      if (answers.every(last)) return
    }
  }
  const succeeded = ({ body }: OsbAnswer) => body.state === 'succeeded'
  await follow(await platform.provision(instanceId), succeeded)
  await follow(await platform.update(instanceId, { storage: '20Gi', cpu: '600m' }), succeeded)
  await follow(await platform.deprovision(instanceId), ({ status }) => status === 410)
  t.true(isEmpty(await inventoryOf(cluster, instanceId)))
})
