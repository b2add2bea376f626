/** Elasticsearch and OpenSearch from catalog to credentials and back, as a platform and an application see it. */
import { randomUUID } from 'node:crypto'
import { Client as ElasticsearchClient } from '@elastic/elasticsearch'
import { Client as OpenSearchClient } from '@opensearch-project/opensearch'
import test, { type ExecutionContext } from 'ava'
import { opensearchEngine } from '../../sandbox/engines/opensearch.ts'
import type { JsonObject } from '../../shared/values/json.ts'
import { bindingPath, instancePath, useBroker } from '../support/broker.ts'
import { textAt } from '../support/cluster.ts'
import { addressOf } from '../support/inventory.ts'
import { offerOf } from '../support/offers.ts'
import { brief, credentialsIn } from '../support/platform.ts'
import { runPrograms } from '../support/programs.ts'

const broker = useBroker(test)

/** one node whose data is gone with it */
const { serviceId, planId } = offerOf('elasticsearch', 'demo-elasticsearch')
const ids = `service_id=${serviceId}&plan_id=${planId}&accepts_incomplete=true`

async function provisioned(t: ExecutionContext, version: string): Promise<string> {
  const id = randomUUID()
  const wish = {
    service_id: serviceId,
    plan_id: planId,
    organization_guid: 'o',
    space_guid: 's',
    parameters: { version },
  }
  const begun = await broker.put(instancePath(id), wish, { query: 'accepts_incomplete=true' })
  t.is(begun.status, 202, brief(begun))
  const end = await broker.poll(instancePath(id), textAt(begun.body, 'operation'), { query: ids })
  t.is(end.body.state, 'succeeded', brief(end))
  return id
}

async function bound(
  t: ExecutionContext,
  instance: string,
  binding: string,
  role: string,
): Promise<JsonObject> {
  const wish = { service_id: serviceId, plan_id: planId, parameters: { role } }
  const answer = await broker.put(bindingPath(instance, binding), wish, { query: 'accepts_incomplete=true' })
  t.is(answer.status, 201, brief(answer))
  return credentialsIn(answer)
}

/** Names of the cluster mean nothing to this process; its certificate holds the address too. */
function reachable(credentials: JsonObject): { node: string; tls: { ca: string } } {
  const uri = new URL(textAt(credentials, 'uri'))
  const host = addressOf(broker.cluster, uri.hostname)
  if (host === undefined) throw new Error(`${uri.hostname} is no name of the cluster`)
  uri.hostname = host
  return { node: uri.href, tls: { ca: textAt(credentials, 'rootCert') } }
}

async function unbound(t: ExecutionContext, instance: string, binding: string): Promise<void> {
  const answer = await broker.delete(bindingPath(instance, binding), { query: ids })
  t.is(answer.status, 200, brief(answer))
}

async function deprovisioned(t: ExecutionContext, instance: string): Promise<void> {
  const begun = await broker.delete(instancePath(instance), { query: ids })
  t.is(begun.status, 202, brief(begun))
  const end = await broker.poll(instancePath(instance), textAt(begun.body, 'operation'), { query: ids })
  t.is(end.status, 410, brief(end))
}

/** Says why a test cannot run on this machine. */
async function lacks(t: ExecutionContext): Promise<boolean> {
  const available = await opensearchEngine('/nowhere').available()
  if (available === true) return false
  console.error(`skipped: ${available}`)
  t.pass()
  return true
}

test('an application writes and searches in OpenSearch with what its binding gave it, until it is unbound', async (t) => {
  if (await lacks(t)) return
  const instance = await provisioned(t, 'opensearch-2.19.2')
  const [first, second] = [randomUUID(), randomUUID()]
  const credentials = await bound(t, instance, first, 'owner')
  t.like(credentials, { type: 'opensearch', provider: 'kubedb', protocol: 'https', port: 9200 })
  const connection = reachable(credentials)
  const owner = new OpenSearchClient({ node: connection.node, ssl: connection.tls })
  await owner.index({ index: 'books', id: '1', body: { title: 'one' }, refresh: true })
  const other = reachable(await bound(t, instance, second, 'readOnly'))
  const reader = new OpenSearchClient({ node: other.node, ssl: other.tls })
  const found = await reader.search({ index: 'books', body: { query: { match: { title: 'one' } } } })
  t.is(found.body.hits.hits.length, 1)
  t.like(await t.throwsAsync(reader.index({ index: 'books', body: {} })), { statusCode: 403 })
  const drivers = { js: '@opensearch-project/opensearch', python: 'urllib.request' }
  await runPrograms(t, broker.cluster, credentials, 'elasticsearch', drivers)
  await unbound(t, instance, first)
  t.like(await t.throwsAsync(owner.info()), { statusCode: 401 })
  t.is((await reader.count({ index: 'books' })).body.count, 1)
  await Promise.all([owner.close(), reader.close()])
  await deprovisioned(t, instance)
})

test('an application writes and searches in Elasticsearch with what its binding gave it, until it is unbound', async (t) => {
  if (await lacks(t)) return
  const instance = await provisioned(t, 'xpack-9.2.3')
  const binding = randomUUID()
  const credentials = await bound(t, instance, binding, 'readWrite')
  t.like(credentials, { type: 'elasticsearch', provider: 'kubedb', protocol: 'https', port: 9200 })
  const again = await broker.get(bindingPath(instance, binding))
  t.deepEqual(credentialsIn(again), credentials)
  const client = new ElasticsearchClient(reachable(credentials))
  await client.index({ index: 'books', id: '1', document: { title: 'one' }, refresh: true })
  t.is((await client.search({ index: 'books', query: { match: { title: 'one' } } })).hits.hits.length, 1)
  const drivers = { js: '@elastic/elasticsearch', python: 'urllib.request' }
  await runPrograms(t, broker.cluster, credentials, 'elasticsearch', drivers)
  await t.throwsAsync(client.indices.delete({ index: 'books' }), { message: /unauthorized/ })
  await unbound(t, instance, binding)
  await t.throwsAsync(client.info(), { message: /unable to authenticate/ })
  await client.close()
  await deprovisioned(t, instance)
})
