/**
 * The ten functions behind a gateway, for one test file:
 *
 *     const broker = useBroker(test)
 *
 *     test('…', async (t) => {
 *       const { status, body } = await broker.put(instancePath('an-id'), wish, { query: 'accepts_incomplete=true' })
 *       const last = await broker.poll(instancePath('an-id'), textAt(body, 'operation'))
 *
 * A test that needs one of its own, with other settings: `const other = await openBroker(t, { cluster: broker.cluster,
 * environment: { FINISHED_DELETE: '200' } })`.
 *
 * Requests carry Basic authentication and the API version unless `headers` say otherwise. What the functions print is
 * in `broker.lines`. Catalog, users and keys are files of this broker alone: a test may change them.
 */
import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import type { ExecutionContext, TestFn } from 'ava'
import { type Broker, startBroker, type User } from '../../sandbox/broker/broker.ts'
import { type JsonAnswer, objectIn, type TestCluster, useCluster } from './cluster.ts'

const root = join(import.meta.dirname, '../..')

export interface TestBrokerOptions {
  users?: readonly User[]
  /** environment variables of the functions, e.g. `{ FINISHED_DELETE: '200' }` */
  environment?: Readonly<Record<string, string>>
  /** where the functions find the API server; a fault proxy may stand there. PEM */
  apiServer?: { host: string; port: number; ca: string }
  /** seconds until an idle function ends; never by default */
  idleSeconds?: number
  /** of the gateway; any free one by default */
  port?: number
}

export interface OsbAnswer extends JsonAnswer {
  headers: Readonly<Record<string, string | string[] | undefined>>
}

export interface RequestOptions {
  /** without the question mark */
  query?: string
  /** these win; `undefined` takes a header away */
  headers?: Readonly<Record<string, string | undefined>>
  signal?: AbortSignal
}

type Send = (path: string, body?: unknown, options?: RequestOptions) => Promise<OsbAnswer>
type Ask = (path: string, options?: RequestOptions) => Promise<OsbAnswer>

export interface TestBroker extends Omit<Broker, 'stop'> {
  cluster: TestCluster
  url: string
  user: User
  /** every line the functions printed, as `<function>: <line>` */
  lines: string[]
  /** every start of a function's process */
  starts: string[]
  catalogFile: string
  /** a string is sent as it is, anything else as JSON */
  put: Send
  patch: Send
  get: Ask
  delete: Ask
  request(method: string, path: string, body?: unknown, options?: RequestOptions): Promise<OsbAnswer>
  /**
   * Polls `<path>/last_operation` until it is over.
   *
   * @param operation the token of the answer 202
   * @param options.seconds 180 unless given
   * @returns the last answer: its state is not `in progress`, or its status not 200
   */
  poll(path: string, operation?: string, options?: RequestOptions & { seconds?: number }): Promise<OsbAnswer>
}

export function instancePath(instanceId: string): string {
  return `/v2/service_instances/${instanceId}`
}

export function bindingPath(instanceId: string, bindingId: string): string {
  return `${instancePath(instanceId)}/service_bindings/${bindingId}`
}

/**
 * To be called at the top of a test file, for AVA's hooks.
 *
 * @param options.cluster what `useCluster` gave; a broker without one opens it
 * @returns a broker that runs when the tests run; until then only `cluster` can be used
 */
export function useBroker(
  test: TestFn,
  { cluster = useCluster(test), ...options }: TestBrokerOptions & { cluster?: TestCluster } = {},
): TestBroker {
  let running: Running | undefined
  const broker = (): Running => {
    if (!running) throw new Error('the broker starts with the tests: use it inside them')
    return running
  }
  test.before('start the broker', async () => {
    running = await startTestBroker(cluster, options)
  })
  // What the functions call unexpected is told in their logs alone.
  test.afterEach.always('what went wrong in the functions', (t) => {
    if (t.passed) return
    const errors = running?.lines.filter((line) => line.includes('"level":"error"')) ?? []
    t.log(errors.slice(-10).join('\n'))
  })
  test.after.always('stop the broker', () => running?.stop())
  return {
    cluster,
    get gateway() {
      return broker().gateway
    },
    get usersFile() {
      return broker().usersFile
    },
    get keysDirectory() {
      return broker().keysDirectory
    },
    get catalogFile() {
      return broker().catalogFile
    },
    get url() {
      return broker().url
    },
    get user() {
      return broker().user
    },
    get lines() {
      return broker().lines
    },
    get starts() {
      return broker().starts
    },
    request: (...args) => broker().request(...args),
    put: (...args) => broker().put(...args),
    patch: (...args) => broker().patch(...args),
    get: (...args) => broker().get(...args),
    delete: (...args) => broker().delete(...args),
    poll: (...args) => broker().poll(...args),
  }
}

/** @returns one more broker, for one test: it ends with the test */
export async function openBroker(
  t: ExecutionContext,
  { cluster, ...options }: TestBrokerOptions & { cluster: TestCluster },
): Promise<TestBroker> {
  const running = await startTestBroker(cluster, options)
  t.teardown(() => running.stop())
  return running
}

export interface Running extends TestBroker {
  stop(): Promise<void>
}

/** For hooks of one's own: has to be stopped at the end. */
export async function startTestBroker(cluster: TestCluster, options: TestBrokerOptions): Promise<Running> {
  await cluster.ready()
  const directory = await mkdtemp(join(tmpdir(), 'test-broker-'))
  const catalogFile = join(directory, 'catalog.yaml')
  for (const name of ['catalog.yaml', 'catalog.json']) {
    await copyFile(join(root, 'knative/base', name), join(directory, name))
  }
  const user = { username: 'tester', password: 'a password: of ünïcode' }
  const users = options.users ?? [user]
  const server = new URL(cluster.url)
  const lines: string[] = []
  const starts: string[] = []
  const broker = await startBroker({
    administrator: cluster.administrator,
    apiServer: options.apiServer ?? { host: server.hostname, port: Number(server.port), ca: cluster.ca },
    namespaces: cluster.namespaces,
    directory,
    functionsDirectory: cluster.functionsDirectory,
    users,
    catalogFile,
    names: cluster.names,
    port: options.port ?? 0,
    idleSeconds: options.idleSeconds ?? Number.POSITIVE_INFINITY,
    environment: { RETRY_AFTER: '1', ...options.environment },
    log: (name, line) => lines.push(`${name}: ${line}`),
    onStart: (name) => starts.push(name),
  })
  const send = (method: string, path: string, body?: unknown, requestOptions: RequestOptions = {}) =>
    sendOsb(broker.gateway.port, users[0] ?? user, method, path, body, requestOptions)

  return {
    ...broker,
    async stop() {
      await broker.stop()
      await rm(directory, { recursive: true, force: true })
    },
    cluster,
    url: broker.gateway.url,
    user: users[0] ?? user,
    lines,
    starts,
    catalogFile,
    request: send,
    put: (path, body, requestOptions) => send('PUT', path, body, requestOptions),
    patch: (path, body, requestOptions) => send('PATCH', path, body, requestOptions),
    get: (path, requestOptions) => send('GET', path, undefined, requestOptions),
    delete: (path, requestOptions) => send('DELETE', path, undefined, requestOptions),
    async poll(path, operation, { seconds = 180, ...requestOptions } = {}) {
      const query = [operation && `operation=${encodeURIComponent(operation)}`, requestOptions.query]
      const all = { ...requestOptions, query: query.filter(Boolean).join('&') }
      // What takes long is asked for less and less often: others wait for the processor.
      for (let pause = 100, end = Date.now() + seconds * 1000; ; pause = Math.min(1.3 * pause, 1000)) {
        const answer = await send('GET', `${path}/last_operation`, undefined, all)
        if (answer.status !== 200 || answer.body.state !== 'in progress') return answer
        if (Date.now() > end) throw new Error(`not over after ${seconds} seconds: ${path}: ${answer.text}`)
        await delay(pause)
      }
    },
  }
}

/** One request of a platform. */
async function sendOsb(
  port: number,
  user: User,
  method: string,
  path: string,
  body: unknown,
  { query, headers = {}, signal }: RequestOptions,
): Promise<OsbAnswer> {
  const content = body === undefined || typeof body === 'string' ? body : JSON.stringify(body)
  const credentials = Buffer.from(`${user.username}:${user.password}`).toString('base64')
  const all = {
    Authorization: `Basic ${credentials}`,
    'X-Broker-API-Version': '2.17',
    ...(content !== undefined && {
      'Content-Type': 'application/json',
      'Content-Length': String(Buffer.byteLength(content)),
    }),
    ...headers,
  }
  const kept = Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]))
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        host: '127.0.0.1',
        port,
        method,
        path: query ? `${path}?${query}` : path,
        headers: Object.fromEntries(kept),
        ...(signal && { signal }),
      },
      (response) => {
        text(response).then((received) => {
          const { statusCode = 0, headers } = response
          resolve({ status: statusCode, headers, text: received, body: objectIn(received) })
        }, reject)
      },
    )
    outgoing.on('error', reject)
    outgoing.end(content)
  })
}
