/**
 * What is measured on: a control plane, the operator, one PostgreSQL instance with one binding, and a namespace in
 * which databases are objects only, for operations that would otherwise start a server each.
 */
import { randomUUID } from 'node:crypto'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as v from 'valibot'
import { buildFunctions } from '../build.ts'
import { switchesName } from '../sandbox/operator/switches.ts'
import { applyRoles, mountServiceAccounts } from '../sandbox/service-accounts.ts'
import { kinds } from '../shared/kubedb/databases/kinds.ts'
import { postgres } from '../shared/kubedb/databases/postgres.ts'
import { databaseName } from '../shared/kubedb/names.ts'
import type { FunctionName } from '../shared/routes.ts'
import { type OsbAnswer, type Running, startTestBroker } from '../test/support/broker.ts'
import { newCluster, type SharedCluster, type TestCluster, textAt } from '../test/support/cluster.ts'
import { platformOf } from '../test/support/platform.ts'
import { startSandbox } from './sandbox.ts'
import type { Program, Wish } from './server-process.ts'
import { wishes } from './wishes.ts'

export interface Site {
  cluster: TestCluster
  /** an instance that is ready */
  instanceId: string
  /** the token of its provision */
  operation: string
  /** one of its bindings */
  bindingId: string
  /** its PostgreSQL server, and who may do everything there */
  engine: { host: string; address: string; username: string; password: string }
  /** namespace in which databases never get a server */
  stillNamespace: string
  /** what every request of a platform carries */
  headers: Readonly<Record<string, string>>
  /** Asks functions that are not measured, for what has to be there before. */
  ask(wish: Wish): Promise<OsbAnswer>
  /** @returns the function as it is deployed, under its own ServiceAccount */
  program(name: FunctionName, environment?: Readonly<Record<string, string>>): Program
  /** @returns folder with `token` and `ca.crt` of the function */
  serviceAccountDirectory(name: FunctionName): string
  /** for files of the benchmark */
  directory: string
  stop(): Promise<void>
}

/**
 * @param progress takes a line for people
 * @throws when something does not start; then nothing of it runs any more
 */
export async function openSite(progress: (line: string) => void): Promise<Site> {
  const undo: (() => Promise<unknown>)[] = []
  const stop = async () => {
    for (const one of undo.splice(0).toReversed()) await one()
  }
  try {
    return { ...(await open(progress, undo)), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function open(
  progress: (line: string) => void,
  undo: (() => Promise<unknown>)[],
): Promise<Omit<Site, 'stop'>> {
  const directory = await mkdtemp(join(tmpdir(), 'kubedb-service-broker-bench-'))
  undo.push(() => rm(directory, { recursive: true, force: true, maxRetries: 5 }))
  // PostgreSQL runs as another user when root runs the benchmark.
  await chmod(directory, 0o755)
  const functionsDirectory = join(directory, 'functions')
  await buildFunctions(functionsDirectory)
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
  const mounts = await mountServiceAccounts({
    administrator: cluster.administrator,
    namespace: cluster.namespaces.broker,
    ca: cluster.ca,
    directory: join(directory, 'tokens'),
    log: progress,
  })
  undo.push(async () => mounts.stop())

  const ask = ({ method, path, body }: Wish) => broker.request(method, path, body)
  progress('Making an instance and a binding')
  const { instanceId, operation } = await instance(broker, cluster.namespaces.databases)
  const bindingId = randomUUID()
  const bound = await ask(wishes.bind(instanceId, bindingId))
  if (bound.status !== 201) throw new Error(`no binding: ${bound.status} ${bound.text}`)

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
  const known = await readFile(names, 'utf8')
  await writeFile(resolver, resolving(known))
  const { username, password } = broker.user
  return {
    cluster,
    instanceId,
    operation,
    bindingId,
    engine: await engineOf(cluster, instanceId, known),
    stillNamespace: await openStillNamespace(cluster),
    headers: {
      Authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`,
      'X-Broker-API-Version': '2.17',
    },
    ask,
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
  namespace: string,
): Promise<{ instanceId: string; operation: string }> {
  const instanceId = randomUUID()
  const { method, path, body } = wishes.provision(instanceId, namespace)
  const begun = await broker.request(method, path, body)
  const end = await platformOf(broker).settle(instanceId, begun)
  if (end.body.state !== 'succeeded') throw new Error(`no instance: ${end.status} ${end.text}`)
  return { instanceId, operation: textAt(begun.body, 'operation') }
}

const Names = v.record(v.string(), v.string())

/** @param names names.json of the operator */
async function engineOf(cluster: TestCluster, instanceId: string, names: string): Promise<Site['engine']> {
  const name = databaseName(instanceId, postgres.maxNameLength)
  const host = `${name}.${cluster.namespaces.databases}.svc`
  const address = v.parse(Names, JSON.parse(names))[host]
  if (address === undefined) throw new Error(`the operator has no address for ${host}`)
  const { body } = await cluster.admin('GET', `${cluster.databasesPath('secrets')}/${name}-auth`)
  const plain = (key: string) => Buffer.from(textAt(body, 'data', key), 'base64').toString('utf8')
  return { host, address, username: plain('username'), password: plain('password') }
}

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

const reachEngine: ReadonlySet<FunctionName> = new Set(['bind', 'unbind', 'last-binding-operation'])

/** @returns a script in the place of the cluster's DNS, to be loaded before a function */
export function resolving(names: string): string {
  const known = JSON.stringify(v.parse(Names, JSON.parse(names)))
  return `const dns = require('node:dns'), known = ${known}, { lookup } = dns
dns.lookup = (name, options, done) =>
  known[name] === undefined ? lookup(name, options, done)
  : process.nextTick(() => options.all ? done(null, [{ address: known[name], family: 4 }]) : done(null, known[name], 4))
`
}
