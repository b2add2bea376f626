/** An instance id is one over all kinds of databases, and a kind that does not answer makes nothing disappear. */
import { randomUUID } from 'node:crypto'
import test from 'ava'
import { turns } from '../../sandbox/machine/turns.ts'
import { kinds } from '../../shared/kubedb/databases/kinds.ts'
import { hash26, instanceLabel } from '../../shared/kubedb/records/names.ts'
import type { JsonObject } from '../../shared/values/json.ts'
import { instancePath, openBroker } from '../support/broker.ts'
import { at, useCluster } from '../support/cluster.ts'
import { type Call, type Fault, shapeOf } from '../support/fault-call.ts'
import { openFaultLane } from '../support/fault-lane.ts'
import { inventoryOf, isEmpty } from '../support/inventory.ts'
import { type Offer, offerOf } from '../support/offers.ts'
import { setSwitches } from '../support/switches.ts'

const cluster = useCluster(test)
/** where the operator takes its time, so that a round costs little */
const dark = useCluster(test)

const rounds = 150

const asked = ({ serviceId, planId }: Offer) => ({ service_id: serviceId, plan_id: planId })

const memcached = asked(offerOf('memcached', 'demo-memcached'))
const redis = asked(offerOf('redis', 'demo-redis'))
const postgresql = asked(offerOf('postgresql', 'small'))

test(`one instance id asked for as two services at the same moment, ${rounds} times: one database, one 202, one 409`, async (t) => {
  await setSwitches(dark, { slow: '3600000' })
  const broker = await openBroker(t, {
    cluster: dark,
    environment: { REQUEST_BUDGET: '10', ABANDONED_AFTER: '13' },
  })
  const inTurn = turns(3)
  const winners = new Set<unknown>()

  const databasesOf = async (instanceId: string): Promise<string[]> => {
    const label = `labelSelector=${instanceLabel}%3D${hash26(instanceId)}`
    const lists = await Promise.all(
      [...kinds.values()].map(async ({ plural, kind }) => {
        const { status, body, text } = await dark.admin('GET', `${dark.databasesPath(plural)}?${label}`)
        t.is(status, 200, text)
        const items = at(body, 'items')
        return Array.isArray(items) ? items.map(() => kind) : []
      }),
    )
    return lists.flat()
  }
  const round = async (number: number): Promise<void> => {
    const instanceId = randomUUID()
    const rivals: JsonObject[] = number % 2 === 0 ? [postgresql, memcached] : [redis, postgresql]
    const answers = await Promise.all(
      rivals.map((ids) =>
        broker.put(
          instancePath(instanceId),
          { ...ids, organization_guid: 'org', space_guid: 'space' },
          { query: 'accepts_incomplete=true' },
        ),
      ),
    )
    const told = answers.map(({ status, text }) => `${status} ${text}`).join('\n')
    t.deepEqual(answers.map(({ status }) => status).toSorted(), [202, 409], told)
    const there = await databasesOf(instanceId)
    t.is(there.length, 1, `${told}\n${there}`)
    const won = rivals[answers.findIndex(({ status }) => status === 202)]
    winners.add(won)
    const named: { [kind: string]: JsonObject } = { Postgres: postgresql, Memcached: memcached, Redis: redis }
    t.is(named[there[0] ?? ''], won, told)
  }
  await Promise.all(Array.from({ length: rounds }, (_, number) => inTurn(() => round(number))))
  // A race that always ends the same is none.
  t.true(winners.size >= 3)
})

const faults: { [name: string]: Fault } = {
  'answers 500': { answer: 500 },
  'answers 503': { answer: 503 },
  'breaks off': 'reset',
}

for (const [name, fault] of Object.entries(faults)) {
  test(`a kind of which every read ${name} makes no instance disappear`, async (t) => {
    const lane = await openFaultLane(t, { cluster })
    const { platform } = lane
    const instanceId = await platform.instance()
    const young = randomUUID()
    const begun = await platform.provision(young)
    const updating = await platform.update(instanceId, { storage: '20Gi' })
    t.is(updating.status, 202, updating.text)

    let met = 0
    lane.interfere({
      before(call: Call) {
        if (!/^GET postgreses/.test(shapeOf(call))) return undefined
        met += 1
        return fault
      },
    })
    const answers = [
      await platform.poll(young, begun),
      await platform.poll(instanceId, updating),
      await platform.poll(instanceId),
      await platform.update(instanceId, { storage: '30Gi' }),
      await platform.bind(instanceId, randomUUID()),
      await platform.deprovision(young),
      await platform.fetch(instanceId),
    ]
    for (const { status, body, text } of answers) {
      t.false([404, 410].includes(status), text)
      t.not(body.state, 'failed', text)
      t.not(body.state, 'succeeded', text)
    }
    t.true(met >= 5, `${met} reads`)
    lane.calm()

    const end = await platform.settle(instanceId, updating)
    t.is(end.body.state, 'succeeded', end.text)
    for (const id of [young, instanceId]) {
      t.is((await platform.settle(id, await platform.deprovision(id))).status, 410)
      t.true(isEmpty(await inventoryOf(cluster, id)))
    }
  })
}
