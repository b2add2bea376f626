/** The proxy that other tests let faults come from does to a call what it says, and nothing else. */
import test, { type ExecutionContext } from 'ava'
import * as v from 'valibot'
import { type Answer, ask, mintToken } from '../../sandbox/control-plane/request.ts'
import { useCluster } from '../support/cluster.ts'
import { shapeOf } from '../support/fault-call.ts'
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts'

const cluster = useCluster(test)

interface Through {
  proxy: FaultProxy
  ask(method: string, path: string, body?: unknown): Promise<Answer>
}

async function through(t: ExecutionContext, adminToken = cluster.adminToken): Promise<Through> {
  const proxy = await startFaultProxy({
    upstream: cluster.url,
    caFile: cluster.caFile,
    certificateFile: cluster.caFile,
    keyFile: cluster.caFile.replace(/\.crt$/, '.key'),
  })
  t.teardown(() => proxy.stop())
  const endpoint = { url: `https://127.0.0.1:${proxy.port}`, caFile: cluster.caFile, adminToken }
  return { proxy, ask: (method, path, body) => ask(endpoint, method, path, body) }
}

const configMap = (name: string) => ({ metadata: { name }, data: { a: 'b' } })

const exists = async (name: string): Promise<boolean> =>
  (await cluster.admin('GET', `${cluster.databasesPath('configmaps')}/${name}`)).status === 200

test('calls are passed on as they are, with the token of their function, and recorded', async (t) => {
  const token = await mintToken(cluster, cluster.namespaces.broker, 'osb-bind', 3600)
  const { proxy, ask } = await through(t, token)
  t.is((await ask('GET', cluster.recordsPath())).status, 200)
  t.is((await ask('GET', cluster.databasesPath('pods'))).status, 403)
  t.deepEqual(
    proxy.calls.map((call) => [call.account, call.status, shapeOf(call)]),
    [
      ['osb-bind', 200, 'GET appbindings'],
      ['osb-bind', 403, 'GET pods'],
    ],
  )
})

const Status = v.object({ kind: v.literal('Status'), code: v.number(), reason: v.string() })

test('a refusal is a Status and the call never arrives', async (t) => {
  const { proxy, ask } = await through(t)
  for (const code of [409, 429, 500, 503] as const) {
    proxy.interference = { before: () => ({ answer: code }) }
    const name = `refused-${code}`
    const answer = await ask('POST', cluster.databasesPath('configmaps'), configMap(name))
    t.is(answer.status, code)
    t.is(v.parse(Status, JSON.parse(answer.body)).code, code)
    t.false(await exists(name))
  }
})

test('a connection breaks before the call arrives, or after it was carried out', async (t) => {
  const { proxy, ask } = await through(t)
  proxy.interference = { before: () => 'reset' }
  await t.throwsAsync(ask('POST', cluster.databasesPath('configmaps'), configMap('never-sent')))
  t.false(await exists('never-sent'))
  proxy.interference = { after: () => 'reset' }
  await t.throwsAsync(ask('POST', cluster.databasesPath('configmaps'), configMap('lost-answer')))
  t.true(await exists('lost-answer'))
  proxy.interference = {}
  t.is((await ask('GET', cluster.databasesPath('configmaps'))).status, 200)
})

test('a call waits for as long as the hook takes', async (t) => {
  const { proxy, ask } = await through(t)
  const { promise: released, resolve: release } = Promise.withResolvers<undefined>()
  proxy.interference = { before: () => released }
  const answer = ask('POST', cluster.databasesPath('configmaps'), configMap('held'))
  t.false(await exists('held'))
  release(undefined)
  t.is((await answer).status, 201)
  t.true(await exists('held'))
})
