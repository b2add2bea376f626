/** A plan with the template of a URL: every answer about an instance carries the address made from it. */
import { randomUUID } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import test from 'ava'
import { databaseName } from '../../shared/kubedb/records/names.ts'
import { openBroker, type TestBroker } from '../support/broker.ts'
import { useCluster } from '../support/cluster.ts'
import { brief, planId, platformOf } from '../support/platform.ts'

const cluster = useCluster(test)

/** Gives the plan a template, or takes it away. */
async function offer(broker: TestBroker, template: string | undefined): Promise<void> {
  const text = await readFile(broker.catalogFile, 'utf8')
  const without = text.replace(/^ +dashboardUrl: .*\n/gm, '')
  const line = template === undefined ? '' : `        dashboardUrl: ${JSON.stringify(template)}\n`
  const changed = without.replace(new RegExp(`^ +- id: ${planId}\\n`, 'm'), (id) => `${id}${line}`)
  await writeFile(broker.catalogFile, changed)
}

test('an instance has the address of its plan in every answer, and keeps it until it is updated', async (t) => {
  const broker = await openBroker(t, { cluster })
  const platform = platformOf(broker)
  const bare = await platform.instance()
  t.false('dashboard_url' in (await platform.fetch(bare)).body)

  await offer(broker, 'https://grafana.example/d/x?var-ns={namespace}&var-name={name}#{instance}')
  const instanceId = randomUUID()
  const url = `https://grafana.example/d/x?var-ns=${cluster.namespaces.databases}&var-name=${databaseName(instanceId, 63)}#${instanceId}`
  const begun = await platform.provision(instanceId)
  t.like(begun, { status: 202, body: { dashboard_url: url } }, brief(begun))
  const again = await platform.provision(instanceId)
  t.is(again.body.dashboard_url, url, brief(again))
  const end = await platform.settle(instanceId, begun)
  t.is(end.body.state, 'succeeded', brief(end))
  const same = await platform.provision(instanceId)
  t.like(same, { status: 200, body: { dashboard_url: url } }, brief(same))
  t.is((await platform.fetch(instanceId)).body.dashboard_url, url)

  // The template changes: what platforms were told stays true until they change the instance.
  await offer(broker, 'https://other.example/{name}')
  t.is((await platform.fetch(instanceId)).body.dashboard_url, url)
  const moved = `https://other.example/${databaseName(instanceId, 63)}`
  const update = await platform.update(instanceId, { cpu: '600m' })
  t.like(update, { status: 202, body: { dashboard_url: moved } }, brief(update))
  const resent = await platform.update(instanceId, { cpu: '600m' })
  t.is(resent.body.dashboard_url, moved, brief(resent))
  t.is((await platform.settle(instanceId, update)).body.state, 'succeeded')
  t.is((await platform.fetch(instanceId)).body.dashboard_url, moved)

  // One made before there was a template gets it with its next update, be it one that changes nothing else.
  const late = await platform.update(bare, {})
  t.like(late, { status: 200, body: { dashboard_url: `https://other.example/${databaseName(bare, 63)}` } })
  await offer(broker, undefined)
  t.like(await platform.update(bare, {}), { status: 200, body: {} })
  t.false('dashboard_url' in (await platform.fetch(bare)).body)
})
