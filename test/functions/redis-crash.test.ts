/**
 * A function that has KubeDB make or remove users may die at any line: it is killed before and after every call, and
 * the platform then sends its request again, or gives the binding up.
 */
import { randomUUID } from 'node:crypto'
import test, { type ExecutionContext } from 'ava'
import * as v from 'valibot'
import { databaseName } from '../../shared/kubedb/records/names.ts'
import type { FunctionName } from '../../shared/routes.ts'
import type { OsbAnswer } from '../support/broker.ts'
import { at, useCluster } from '../support/cluster.ts'
import { crashAt, crashPoints, nameOfPoint } from '../support/crash-points.ts'
import { openFaultLane } from '../support/fault-lane.ts'
import { offerOf } from '../support/offers.ts'
import { credentialsIn } from '../support/platform.ts'
import { opensRedis } from '../support/redis.ts'

const offer = offerOf('redis', 'small')

const cluster = useCluster(test)

async function begin(t: ExecutionContext) {
  const lane = await openFaultLane(t, { cluster, offer })
  const { platform } = lane
  const instanceId = await platform.instance()

  /** Users of bindings, as KubeDB's spec has them. */
  const declared = async (): Promise<string[]> => {
    const path = `${cluster.databasesPath('redises')}/${databaseName(instanceId, 40)}`
    const { body } = await cluster.admin('GET', path)
    const rules = at(body, 'spec', 'configuration', 'acl', 'rules')
    return v.parse(v.optional(v.array(v.string()), []), rules).map((rule) => rule.split(' ')[0] ?? '')
  }
  const self = {
    lane,
    platform,
    instanceId,
    /** Asserts that the binding is there, or that nothing of any binding is. */
    async assertBound(bindingId: string, point: string) {
      const fetched = await platform.fetchBinding(instanceId, bindingId)
      t.is(fetched.status, 200, `${point}: ${fetched.text}`)
      t.true(await opensRedis(cluster, credentialsIn(fetched)), point)
    },
    async removed(bindingId: string, point: string) {
      const answer = await platform.unbind(instanceId, bindingId)
      t.true([200, 202, 410].includes(answer.status), `${point}: ${answer.status} ${answer.text}`)
      const end = await platform.settleBinding(instanceId, bindingId, answer)
      t.true([200, 410].includes(end.status), `${point}: ${end.status} ${end.text}`)
      t.is((await platform.fetchBinding(instanceId, bindingId)).status, 404, point)
      t.deepEqual(await declared(), [], point)
      t.deepEqual((await lane.inventory(instanceId)).bindings, [], point)
    },
    /**
     * @param subject makes a binding to try it on
     * @param act sends the request, or polls, until it is over or answered with 5xx
     * @param endings what the platform does then; each is tried on a crash of its own, and leaves no binding
     */
    async run(
      name: FunctionName,
      subject: () => Promise<{ bindingId: string; begun?: OsbAnswer }>,
      act: (subject: { bindingId: string; begun?: OsbAnswer }) => Promise<OsbAnswer>,
      endings: ((bindingId: string, point: string) => Promise<void>)[],
    ) {
      const unharmed = await subject()
      const points = crashPoints(await lane.callsOf(() => act(unharmed)))
      await endings[0]?.(unharmed.bindingId, 'nowhere')
      t.log(`${points.length} points: ${points.map(nameOfPoint).join(' | ')}`)
      t.true(points.some((point) => point.leaves))
      for (const point of points.filter((one) => one.leaves)) {
        for (const end of endings) {
          const victim = await subject()
          await crashAt(lane, name, point, () => act(victim))
          await end(victim.bindingId, nameOfPoint(point))
        }
      }
    },
  }
  return self
}

test('bind: sent again, it makes the user; given up, nothing is left', async (t) => {
  const { platform, instanceId, run, assertBound, removed } = await begin(t)
  // The Secret and the first requests are there: what follows makes the same calls each time.
  for (let round = 0; round < 2; round++) {
    const bindingId = randomUUID()
    await platform.settleBinding(instanceId, bindingId, await platform.bind(instanceId, bindingId))
    await removed(bindingId, 'in preparation')
  }
  await run(
    'bind',
    async () => ({ bindingId: randomUUID() }),
    ({ bindingId }) => platform.bind(instanceId, bindingId),
    [
      async (bindingId, point) => {
        const answer = await platform.bind(instanceId, bindingId)
        t.true([201, 202].includes(answer.status), `${point}: ${answer.status} ${answer.text}`)
        const end = await platform.settleBinding(instanceId, bindingId, answer)
        t.true(answer.status === 201 || end.body.state === 'succeeded', `${point}: ${end.text}`)
        await assertBound(bindingId, point)
        await removed(bindingId, point)
      },
      removed,
    ],
  )
})

test('unbind and its polls: sent again, the user is gone', async (t) => {
  const { platform, instanceId, run, removed } = await begin(t)
  const ready = async () => {
    const bindingId = randomUUID()
    const end = await platform.settleBinding(
      instanceId,
      bindingId,
      await platform.bind(instanceId, bindingId),
    )
    t.is(end.body.state, 'succeeded', end.text)
    return bindingId
  }
  for (let round = 0; round < 2; round++) await removed(await ready(), 'in preparation')
  await run(
    'unbind',
    async () => ({ bindingId: await ready() }),
    ({ bindingId }) => platform.unbind(instanceId, bindingId),
    [removed],
  )
  await run(
    'last-binding-operation',
    async () => {
      const bindingId = await ready()
      return { bindingId, begun: await platform.unbind(instanceId, bindingId) }
    },
    ({ bindingId, begun }) =>
      begun
        ? platform.settleBinding(instanceId, bindingId, begun)
        : platform.pollBinding(instanceId, bindingId),
    [removed],
  )
})

test('polls of a bind: asked again, the user is there; given up, nothing is left', async (t) => {
  const { platform, instanceId, run, assertBound, removed } = await begin(t)
  await run(
    'last-binding-operation',
    async () => {
      const bindingId = randomUUID()
      return { bindingId, begun: await platform.bind(instanceId, bindingId) }
    },
    ({ bindingId, begun }) =>
      begun
        ? platform.settleBinding(instanceId, bindingId, begun)
        : platform.pollBinding(instanceId, bindingId),
    [
      async (bindingId, point) => {
        const answer = await platform.bind(instanceId, bindingId)
        const end = await platform.settleBinding(instanceId, bindingId, answer)
        t.true([200, 201].includes(answer.status) || end.body.state === 'succeeded', `${point}: ${end.text}`)
        await assertBound(bindingId, point)
        await removed(bindingId, point)
      },
      removed,
    ],
  )
})
