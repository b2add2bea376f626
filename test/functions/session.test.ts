/** A newcomer's session: everything in order, over HTTP, with a real PostgreSQL at the end of the URI. */
import test from 'ava'
import { bindingPath, instancePath, useBroker } from '../support/broker.ts'
import { textAt } from '../support/cluster.ts'
import { credentialsIn } from '../support/platform.ts'
import { rowsOf } from '../support/postgres.ts'
import { runPrograms } from '../support/programs.ts'

const broker = useBroker(test, { environment: { ADDRESSES: 'external' } })

const serviceId = '2010d83f-d908-4d9f-879c-ce8f5f527f2a'
/** plan `small` */
const planId = '252027a9-3bde-4afa-a251-4457ef08594e'
const ids = `service_id=${serviceId}&plan_id=${planId}`
const incomplete = 'accepts_incomplete=true'

test.afterEach.always('show what the functions logged', (t) => {
  if (!t.passed) t.log(broker.lines.join('\n'))
})

const query = (uri: string, statement: string): Promise<unknown[]> =>
  rowsOf({ connectionString: uri, connectionTimeoutMillis: 5000 }, statement)

test('catalog, provision, bind, work, update, unbind, deprovision', async (t) => {
  const catalog = await broker.get('/v2/catalog')
  t.is(catalog.status, 200)

  const id = 'e7b8d1d0-0000-4000-8000-00000000aaaa'
  const wish = { service_id: serviceId, plan_id: planId, organization_guid: 'org', space_guid: 'space' }
  const made = await broker.put(instancePath(id), wish, { query: incomplete })
  t.is(made.status, 202, JSON.stringify(made.body))
  const provisioned = await broker.poll(instancePath(id), textAt(made.body, 'operation'))
  t.is(textAt(provisioned.body, 'state'), 'succeeded', JSON.stringify(provisioned.body))

  const fetched = await broker.get(instancePath(id))
  t.is(fetched.status, 200)
  t.is(textAt(fetched.body, 'plan_id'), planId)

  const binding = { service_id: serviceId, plan_id: planId }
  const first = await broker.put(bindingPath(id, 'first'), binding)
  t.is(first.status, 201, JSON.stringify(first.body))
  const uri = textAt(first.body, 'credentials', 'uri')
  await query(uri, 'CREATE TABLE notes (line text)')
  await query(uri, "INSERT INTO notes VALUES ('hello')")

  const second = await broker.put(bindingPath(id, 'second'), { ...binding, parameters: { role: 'readOnly' } })
  t.is(second.status, 201, JSON.stringify(second.body))
  t.deepEqual(await query(textAt(second.body, 'credentials', 'uri'), 'SELECT line FROM notes'), [
    { line: 'hello' },
  ])

  const again = await broker.put(bindingPath(id, 'first'), binding)
  t.is(again.status, 200)
  t.deepEqual(again.body.credentials, first.body.credentials)
  const shown = await broker.get(bindingPath(id, 'first'))
  t.deepEqual(shown.body.credentials, first.body.credentials)

  await runPrograms(t, broker.cluster, credentialsIn(first), 'postgresql', { js: 'pg', python: 'psycopg' })

  const grown = await broker.patch(
    instancePath(id),
    { service_id: serviceId, parameters: { storage: '20Gi' } },
    { query: incomplete },
  )
  t.is(grown.status, 202, JSON.stringify(grown.body))
  const updated = await broker.poll(instancePath(id), textAt(grown.body, 'operation'))
  t.is(textAt(updated.body, 'state'), 'succeeded', JSON.stringify(updated.body))

  const unbound = await broker.delete(bindingPath(id, 'first'), { query: ids })
  t.is(unbound.status, 200, JSON.stringify(unbound.body))
  await t.throwsAsync(query(uri, 'SELECT 1'), {
    message: /authentication failed|does not exist|not permitted/,
  })
  t.is((await broker.delete(bindingPath(id, 'first'), { query: ids })).status, 410)

  const removed = await broker.delete(instancePath(id), { query: `${ids}&${incomplete}` })
  t.is(removed.status, 202, JSON.stringify(removed.body))
  t.is((await broker.poll(instancePath(id), textAt(removed.body, 'operation'))).status, 410)
  t.is((await broker.get(instancePath(id))).status, 404)
  t.is((await broker.delete(instancePath(id), { query: `${ids}&${incomplete}` })).status, 410)
})
