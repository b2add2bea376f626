/**
 * What is measured on: a control plane, the operator, one instance of each engine with one binding, and a namespace in
 * which databases are objects only, for operations that would otherwise start a server each.
 */
import { randomUUID } from 'node:crypto'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import * as v from 'valibot'
import { builtFunctions } from '../sandbox/broker/built-functions.ts'
import { applyDashboardRoles, applyRoles, mountServiceAccounts } from '../sandbox/broker/service-accounts.ts'
import { switchesName } from '../sandbox/operator/cluster/switches.ts'
import { kinds } from '../shared/kubedb/databases/kinds.ts'
import type { FunctionName, ProgramName } from '../shared/routes.ts'
import { type OsbAnswer, type Running, startTestBroker } from '../test/support/broker.ts'
import { newCluster, type SharedCluster, type TestCluster, textAt } from '../test/support/cluster.ts'
import { platformOf } from '../test/support/platform.ts'
import type { Engine } from './engines/engine.ts'
import { startSandbox } from './sandbox.ts'
import type { Program, Wish } from './server-process.ts'
import { wishesOf } from './wishes.ts'

/** milliseconds for one operation */
const patience = 30_000

/** A service instance that is ready. */
export interface Instance {
  engine: Engine
  id: string
  /** the token of its provision */
  operation: string
  /** one of its bindings */
  bindingId: string
}

export interface Site {
  cluster: TestCluster
  /** one of each engine, in the order in which they were asked for */
  instances: readonly Instance[]
  /** @returns the loopback address of a Service */
  addressOf(host: string): string
  /** namespace in which databases never get a server */
  stillNamespace: string
  /** what every request of a platform carries */
  headers: Readonly<Record<string, string>>
  /** Asks functions that are not measured, for what has to be there before. */
  ask(wish: Wish): Promise<OsbAnswer>
  /** Waits until nothing is under way for a binding of the instance. */
  settle(instance: Instance, bindingId: string): Promise<void>
  /** @returns the function as it is deployed, under its own ServiceAccount */
  program(name: ProgramName, environment?: Readonly<Record<string, string>>): Program
  /** @returns folder with `token` and `ca.crt` of the function */
  serviceAccountDirectory(name: FunctionName): string
  /** for files of the benchmark */
  directory: string
  stop(): Promise<void>
}

/**
 * @param engines of which there is to be an instance
 * @param progress takes a line for people
 * @throws when something does not start; then nothing of it runs any more
 */
export async function openSite(engines: readonly Engine[], progress: (line: string) => void): Promise<Site> {
  const undo: (() => Promise<unknown>)[] = []
  const stop = async () => {
    for (const one of undo.splice(0).toReversed()) await one()
  }
  try {
    return { ...(await open(engines, progress, undo)), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function open(
  engines: readonly Engine[],
  progress: (line: string) => void,
  undo: (() => Promise<unknown>)[],
): Promise<Omit<Site, 'stop'>> {
  const directory = await mkdtemp(join(tmpdir(), 'kubedb-service-broker-bench-'))
  undo.push(() => rm(directory, { recursive: true, force: true, maxRetries: 5 }))
  // PostgreSQL runs as another user when root runs the benchmark.
  await chmod(directory, 0o755)
  const functionsDirectory = join(directory, 'functions')
  await builtFunctions(functionsDirectory)
  const sandbox = await startSandbox(directory, progress)
  undo.push(() => sandbox.stop())
  const { names } = sandbox
  const shared: SharedCluster = { ...sandbox.plane, names, functionsDirectory, crds: 'own' }
  process.env.TEST_CLUSTER = join(directory, 'cluster.json')
  await writeFile(process.env.TEST_CLUSTER, JSON.stringify(shared), { mode: 0o600 })
  const cluster = newCluster()
  const settings = { NAMESPACE_POLICY: 'context', LOG_LEVEL: 'warn' }
  const broker = await startTestBroker(cluster, { environment: settings })
  undo.push(() => broker.stop())
  await applyDashboardRoles(cluster.administrator, cluster.namespaces, [...kinds.values()])
  const mounts = await mountServiceAccounts({
    administrator: cluster.administrator,
    namespace: cluster.namespaces.broker,
    ca: cluster.ca,
    directory: join(directory, 'tokens'),
    dashboard: true,
    log: progress,
  })
  undo.push(async () => mounts.stop())

  const ask = ({ method, path, body }: Wish) => broker.request(method, path, body)
  const settle = async ({ engine, id }: Pick<Instance, 'engine' | 'id'>, bindingId: string) => {
    if (!engine.asynchronous) return
    const { path } = wishesOf(engine).lastBindingOperation(id, bindingId)
    const last = await settled(ask, path)
    if (last === 'failed') throw new Error(`${path}: the operation has failed`)
  }
  progress(`An instance of ${engines.map(({ name }) => name).join(', ')}`)
  const instances = await Promise.all(
    engines.map(async (engine) => {
      const { id, operation } = await instance(broker, engine, cluster.namespaces.databases)
      const bindingId = randomUUID()
      const bound = await ask(wishesOf(engine).bind(id, bindingId))
      if (bound.status >= 300) throw new Error(`no binding of ${engine.name}: ${bound.status} ${bound.text}`)
      await settle({ engine, id }, bindingId)
      return { engine, id, operation, bindingId }
    }),
  )

  const server = new URL(cluster.url)
  const common = {
    ...settings,
    CATALOG_FILE: broker.catalogFile,
    USERS_FILE: broker.usersFile,
    KEYS_DIRECTORY: broker.keysDirectory,
    KUBERNETES_SERVICE_HOST: server.hostname,
    KUBERNETES_SERVICE_PORT: server.port,
  }
  const resolver = join(directory, 'names.cjs')
  const known = v.parse(Names, JSON.parse(await readFile(names, 'utf8')))
  await writeFile(resolver, resolving(known))
  const { username, password } = broker.user
  return {
    cluster,
    instances,
    addressOf(host) {
      const address = known[host]
      if (address === undefined) throw new Error(`the operator has no address for ${host}`)
      return address
    },
    stillNamespace: await openStillNamespace(cluster),
    headers: {
      Authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`,
      'X-Broker-API-Version': '2.17',
    },
    ask,
    settle,
    program: (name, environment = {}) => ({
      name,
      file: join(functionsDirectory, name, 'index.js'),
      environment: {
        ...common,
        SERVICE_ACCOUNT_DIRECTORY: mounts.directory(name),
        ...(reachEngine.has(name) && { NODE_OPTIONS: `--require=${resolver}` }),
        ...environment,
      },
    }),
    serviceAccountDirectory: (name) => mounts.directory(name),
    directory,
  }
}

async function instance(
  broker: Running,
  engine: Engine,
  namespace: string,
): Promise<{ id: string; operation: string }> {
  const id = randomUUID()
  const { method, path, body } = wishesOf(engine).provision(id, namespace)
  const begun = await broker.request(method, path, body)
  const end = await platformOf(broker, engine.offer).settle(id, begun)
  if (end.body.state !== 'succeeded') throw new Error(`no ${engine.name}: ${end.status} ${end.text}`)
  return { id, operation: textAt(begun.body, 'operation') }
}

/** Polls until nothing is under way. */
async function settled(ask: Site['ask'], path: string): Promise<'succeeded' | 'failed' | 'gone'> {
  for (const end = Date.now() + patience; ; await delay(20)) {
    const { status, body, text } = await ask({ method: 'GET', path })
    if (status === 404 || status === 410) return 'gone'
    if (status !== 200) throw new Error(`${path}: ${status} ${text}`)
    if (body.state === 'succeeded' || body.state === 'failed') return body.state
    if (Date.now() > end) throw new Error(`${path}: not over after ${patience / 1000} seconds: ${text}`)
  }
}

const Names = v.record(v.string(), v.string())

async function openStillNamespace({ administrator, namespaces }: TestCluster): Promise<string> {
  const still = `${namespaces.databases}-still`
  await applyRoles(administrator, { broker: namespaces.broker, databases: still }, [...kinds.values()])
  const answer = await administrator('POST', `/api/v1/namespaces/${still}/configmaps`, {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: switchesName },
    data: { 'never-ready': 'databases here are for benchmarks' },
  })
  if (answer.status !== 201) throw new Error(`ConfigMap ${switchesName} is refused: ${answer.body}`)
  return still
}

const reachEngine: ReadonlySet<ProgramName> = new Set(['bind', 'unbind', 'last-binding-operation'])

/** @returns a script in the place of the cluster's DNS, to be loaded before a function */
export function resolving(names: Readonly<Record<string, string>>): string {
  return `const dns = require('node:dns'), known = ${JSON.stringify(names)}, { lookup } = dns
dns.lookup = (name, options, done) =>
  known[name] === undefined ? lookup(name, options, done)
  : process.nextTick(() => options.all ? done(null, [{ address: known[name], family: 4 }]) : done(null, known[name], 4))
`
}
