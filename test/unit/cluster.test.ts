/** The API server as one request sees it, against a scripted one: what is repeated, what is settled by reading. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import test, { type ExecutionContext } from 'ava'
import { ApiError } from '../../shared/kubedb/cluster/api-error.ts'
import { type Cluster, type Collection, cluster, type Draft } from '../../shared/kubedb/cluster/cluster.ts'
import { connect } from '../../shared/kubedb/cluster/connection.ts'
import { Anything } from '../../shared/kubedb/cluster/object.ts'

const directory = mkdtempSync(join(tmpdir(), 'api-server-'))
execFileSync(
  'openssl',
  [
    ...'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost'.split(' '),
    ...'-addext subjectAltName=IP:127.0.0.1 -keyout tls.key -out ca.crt'.split(' '),
  ],
  { cwd: directory, stdio: 'ignore' },
)
writeFileSync(join(directory, 'token'), 'a-token\n')
test.after.always(() => rmSync(directory, { recursive: true }))

/** One answer of the script; `cut` ends the connection without any. */
type Step = 'cut' | { status: number; body?: object | string; headers?: { [name: string]: string } }

interface Scripted {
  cluster: Cluster
  /** `METHOD path body`, as they came */
  calls: string[]
  abort: () => void
}

/** A server that gives the answers of the script in their order, and 500 after its end. */
async function scripted(t: ExecutionContext, ...script: Step[]): Promise<Scripted> {
  const calls: string[] = []
  const tls = {
    key: readFileSync(join(directory, 'tls.key')),
    cert: readFileSync(join(directory, 'ca.crt')),
  }
  const server = createServer(tls, async (incoming, outgoing) => {
    const body = await text(incoming)
    calls.push(`${incoming.method} ${incoming.url} ${body}`.trim())
    t.is(incoming.headers.authorization, 'Bearer a-token')
    const step = script.shift() ?? { status: 500, body: failure(500, 'EndOfScript') }
    if (step === 'cut') return void incoming.socket.destroy()
    outgoing.writeHead(step.status, { 'content-type': 'application/json', ...step.headers })
    outgoing.end(typeof step.body === 'string' ? step.body : JSON.stringify(step.body ?? {}))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  const connection = connect({
    host: '127.0.0.1',
    port: address.port,
    serviceAccountDirectory: directory,
  })
  const controller = new AbortController()
  const limits = { signal: controller.signal, deadline: Date.now() + 10_000 }
  return { cluster: cluster(connection, limits), calls, abort: () => controller.abort() }
}

const collection: Collection = { api: '/apis/kubedb.com/v1', namespace: 'databases', plural: 'postgreses' }
const path = '/apis/kubedb.com/v1/namespaces/databases/postgreses'
const draft: Draft = { metadata: { name: 'one', annotations: { 'a/b': 'mine' } }, spec: {} }

const object = (annotation: string, resourceVersion = '1') => ({
  metadata: { name: 'one', uid: 'u', resourceVersion, annotations: { 'a/b': annotation, 'other/one': 'x' } },
})
const failure = (code: number, reason: string, message = reason) => ({
  kind: 'Status',
  code,
  reason,
  message,
})
const absent: Step = { status: 404, body: failure(404, 'NotFound', 'postgreses "one" not found') }

const methods = (calls: readonly string[]) => calls.map((call) => call.split(' ')[0])

test('a read is tried again until there is an answer', async (t) => {
  const { cluster, calls } = await scripted(
    t,
    'cut',
    { status: 503, body: failure(503, 'x') },
    { status: 200, body: object('mine') },
  )
  t.is((await cluster.get(Anything, collection, 'one'))?.metadata.uid, 'u')
  t.is(calls.length, 3)
})

test('what is not there is undefined; a kind that is not there, or a refusal, is an error', async (t) => {
  const { cluster } = await scripted(
    t,
    absent,
    { status: 404, body: '404 page not found\n', headers: { 'content-type': 'text/plain' } },
    { status: 403, body: failure(403, 'Forbidden') },
  )
  t.is(await cluster.get(Anything, collection, 'one'), undefined)
  await t.throwsAsync(cluster.get(Anything, collection, 'one'), { message: '404 page not found' })
  await t.throwsAsync(cluster.get(Anything, collection, 'one'), {
    instanceOf: ApiError,
    message: 'Forbidden',
  })
})

test('an API server that does not answer is an error, never absence', async (t) => {
  const { cluster, calls } = await scripted(t, 'cut', 'cut', 'cut', 'cut', 'cut')
  const error = await t.throwsAsync(cluster.get(Anything, collection, 'one'), { instanceOf: ApiError })
  t.like(error, { status: 0, reason: 'NoAnswer' })
  t.is(calls.length, 4)
})

test('a created object that was answered with a cut connection is found by reading, not made twice', async (t) => {
  const { cluster, calls } = await scripted(t, 'cut', { status: 200, body: object('mine') })
  t.is((await cluster.create(Anything, collection, draft)).metadata.uid, 'u')
  t.deepEqual(methods(calls), ['POST', 'GET'])
})

test('a create that did not happen is repeated', async (t) => {
  const { cluster, calls } = await scripted(t, { status: 504, body: failure(504, 'Timeout') }, absent, {
    status: 201,
    body: object('mine'),
  })
  t.is((await cluster.create(Anything, collection, draft)).metadata.uid, 'u')
  t.deepEqual(methods(calls), ['POST', 'GET', 'POST'])
})

test('a create that came through late, while it was repeated, is ours all the same', async (t) => {
  const { cluster, calls } = await scripted(
    t,
    'cut',
    absent,
    { status: 409, body: failure(409, 'AlreadyExists') },
    { status: 200, body: object('mine') },
  )
  t.is((await cluster.create(Anything, collection, draft)).metadata.uid, 'u')
  t.deepEqual(methods(calls), ['POST', 'GET', 'POST', 'GET'])
})

test("somebody else's object of that name is a conflict, also after a doubtful answer", async (t) => {
  const { cluster, calls } = await scripted(t, { status: 409, body: failure(409, 'AlreadyExists') }, 'cut', {
    status: 200,
    body: object('theirs'),
  })
  t.like(await t.throwsAsync(cluster.create(Anything, collection, draft)), { status: 409 })
  t.is(calls.length, 1)
  t.like(await t.throwsAsync(cluster.create(Anything, collection, draft)), { status: 409 })
})

test('a create in doubt to the end says so', async (t) => {
  const { cluster } = await scripted(t, 'cut', absent, 'cut', absent, 'cut', absent, 'cut', absent)
  const error = await t.throwsAsync(cluster.create(Anything, collection, draft), { instanceOf: ApiError })
  t.true(error?.inDoubt)
})

test('a replace that was answered with a cut connection is settled by reading', async (t) => {
  const done = await scripted(t, 'cut', { status: 200, body: object('mine', '2') })
  t.is((await done.cluster.replace(Anything, collection, draft, '1')).metadata.resourceVersion, '2')

  const undone = await scripted(
    t,
    'cut',
    { status: 200, body: object('before', '1') },
    { status: 200, body: object('mine', '2') },
  )
  t.is((await undone.cluster.replace(Anything, collection, draft, '1')).metadata.resourceVersion, '2')
  t.deepEqual(methods(undone.calls), ['PUT', 'GET', 'PUT'])

  const lost = await scripted(t, 'cut', { status: 200, body: object('theirs', '5') })
  t.like(await t.throwsAsync(lost.cluster.replace(Anything, collection, draft, '1')), { status: 409 })
  const gone = await scripted(t, 'cut', absent)
  t.like(await t.throwsAsync(gone.cluster.replace(Anything, collection, draft, '1')), { status: 409 })
})

test('a replace goes out under the resourceVersion that was read', async (t) => {
  const { cluster, calls } = await scripted(t, { status: 409, body: failure(409, 'Conflict') })
  t.like(await t.throwsAsync(cluster.replace(Anything, collection, draft, '7')), { status: 409 })
  t.regex(String(calls[0]), /"resourceVersion":"7"/)
  t.is(calls.length, 1)
})

test('a patch and a delete do no harm when they happen twice', async (t) => {
  const { cluster, calls } = await scripted(t, 'cut', { status: 200, body: object('mine') }, 'cut', absent)
  await cluster.patch(Anything, collection, 'one', { metadata: { uid: 'u' } })
  t.is(await cluster.remove(collection, 'one', { uid: 'u' }), 'gone')
  t.deepEqual(methods(calls), ['PATCH', 'PATCH', 'DELETE', 'DELETE'])
  t.regex(String(calls[2]), /"preconditions":\{"uid":"u"\}/)
})

test('a delete whose precondition does not hold is a conflict', async (t) => {
  const { cluster } = await scripted(t, { status: 409, body: failure(409, 'Conflict') }, { status: 200 })
  t.like(await t.throwsAsync(cluster.remove(collection, 'one', { uid: 'u' })), { status: 409 })
  t.is(await cluster.remove(collection, 'one'), 'deleted')
})

test('429 is asked again when the server wants it', async (t) => {
  const busy: Step = { status: 429, body: 'Too many requests', headers: { 'retry-after': '1' } }
  const { cluster, calls } = await scripted(t, busy, { status: 201, body: object('mine') })
  const begun = Date.now()
  await cluster.create(Anything, collection, draft)
  t.true(Date.now() - begun >= 990)
  t.deepEqual(methods(calls), ['POST', 'POST'])
})

test('a wait beyond the time of the request is not begun', async (t) => {
  const busy: Step = { status: 429, body: 'Too many requests', headers: { 'retry-after': '60' } }
  const { cluster } = await scripted(t, busy)
  const begun = Date.now()
  t.like(await t.throwsAsync(cluster.create(Anything, collection, draft)), { status: 429 })
  t.true(Date.now() - begun < 5000)
})

test('nothing is written once the caller has gone away', async (t) => {
  const { cluster, calls, abort } = await scripted(t, { status: 200, body: object('mine') })
  abort()
  const gone = { message: 'the caller has gone away' }
  await t.throwsAsync(cluster.create(Anything, collection, draft), gone)
  await t.throwsAsync(cluster.replace(Anything, collection, draft, '1'), gone)
  await t.throwsAsync(cluster.patch(Anything, collection, 'one', {}), gone)
  await t.throwsAsync(cluster.remove(collection, 'one'), gone)
  t.deepEqual(calls, [])
})

test('a create is checked strictly, and a trial leaves nothing to be read', async (t) => {
  const { cluster, calls } = await scripted(t, { status: 201, body: object('mine') }, 'cut')
  await cluster.create(Anything, collection, draft, { dryRun: true })
  t.true(
    calls[0]?.startsWith(
      `POST ${path}?fieldManager=kubedb-service-broker&fieldValidation=Strict&dryRun=All `,
    ),
  )
  await t.throwsAsync(cluster.create(Anything, collection, draft, { dryRun: true }), { instanceOf: ApiError })
  t.is(calls.length, 2)
})

test('names cannot lead out of their collection', async (t) => {
  const { cluster, calls } = await scripted(t, absent, absent)
  await cluster.get(Anything, collection, '../secrets/x')
  await cluster.get(Anything, { ...collection, namespace: 'a/b?c' }, 'one')
  t.deepEqual(calls, [
    `GET ${path}/..%2Fsecrets%2Fx`,
    'GET /apis/kubedb.com/v1/namespaces/a%2Fb%3Fc/postgreses/one',
  ])
})

test('which fields were wrong is kept of a refusal', async (t) => {
  const causes = [{ field: 'spec.version', message: 'unknown' }]
  const { cluster } = await scripted(t, {
    status: 422,
    body: { ...failure(422, 'Invalid'), details: { causes } },
  })
  t.like(await t.throwsAsync(cluster.create(Anything, collection, draft)), { status: 422, causes })
})

test('an answer that is no JSON is in doubt', async (t) => {
  const { cluster } = await scripted(
    t,
    { status: 200, body: '<html>' },
    { status: 200, body: object('mine') },
  )
  t.is((await cluster.get(Anything, collection, 'one'))?.metadata.uid, 'u')
})
