/** All of the sandbox, started in order: control plane, operator, functions and the gateway before them. */
import { createWriteStream } from 'node:fs'
import { copyFile, mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { finished } from 'node:stream/promises'
import { defaultNamespaces } from '../generate/rbac.ts'
import { platformRole, reviewRoles } from '../generate/reviews.ts'
import type { Namespaces } from '../generate/roles.ts'
import { variables } from '../shared/environment/config.ts'
import { kinds } from '../shared/kubedb/databases/kinds.ts'
import { startBroker, takesTokens } from './broker/broker.ts'
import { builtFunctions } from './broker/built-functions.ts'
import { applyDashboardRoles, applyRoles } from './broker/service-accounts.ts'
import { startCluster } from './cluster.ts'
import { type Administrator, administratorOf, apply } from './control-plane/administrator.ts'
import { clusterOfKubeconfig } from './control-plane/kubeconfig.ts'
import type { SandboxFiles } from './files.ts'
import { writePrivateFile } from './machine/atomic-file.ts'
import { startDashboard } from './sign-in/dashboard.ts'

export interface SandboxOptions {
  files: SandboxFiles
  /** on 127.0.0.1 */
  port: number
  username: string
  password: string
  /** run the functions against the cluster of the kubeconfig instead of one of the sandbox's own */
  foreign: boolean
  /** of the functions, and DATABASE_NAMESPACE and BROKER_NAMESPACE */
  environment: NodeJS.ProcessEnv
  /** takes a line for people whenever something takes more than a second */
  progress: (line: string) => void
  /** takes a sentence when something of the sandbox ends by itself */
  broken: (reason: string) => void
  /** ends the start at the next step */
  signal: AbortSignal
}

export interface Sandbox {
  url: string
  username: string
  password: string
  /** path of a kubeconfig for its cluster */
  kubeconfig: string
  stop(): Promise<void>
}

/** What the functions run against. */
interface Base {
  administrator: Administrator
  apiServer: { host: string; port: number; ca: string }
  kubeconfig: string
  /** names.json of the operator, where there are no real Services */
  names: string | undefined
  /** defaults of the functions' variables here */
  environment: Readonly<Record<string, string>>
}

/**
 * Starts cluster, operator and functions, and writes `sandbox.json` once all is ready.
 *
 * @throws with a sentence for people; then nothing of it runs any more
 */
export async function startSandbox(options: SandboxOptions): Promise<Sandbox> {
  const { files, port, username, password, environment, progress, signal } = options
  const closers: (() => Promise<unknown>)[] = []
  const stop = async () => {
    for (let close = closers.pop(); close; close = closers.pop()) await close()
  }
  try {
    await mkdir(files.directory, { recursive: true, mode: 0o700 })
    const log = createWriteStream(files.log, { mode: 0o600 })
    closers.push(() => finished(log.end()))
    const write = (from: string, line: string) => log.write(`${from}: ${line}\n`)

    const base = options.foreign ? await foreignBase(progress) : await ownBase(options, write, closers)
    signal.throwIfAborted()
    const namespaces: Namespaces = {
      broker: environment.BROKER_NAMESPACE || defaultNamespaces.broker,
      databases: environment.DATABASE_NAMESPACE || defaultNamespaces.databases,
    }
    await applyRoles(base.administrator, namespaces, [...kinds.values()])
    await applyDashboardRoles(base.administrator, namespaces, [...kinds.values()])
    if (takesTokens(environment)) {
      await apply(base.administrator, [...reviewRoles(namespaces), platformRole()])
    }
    progress('Building the functions')
    await builtFunctions(files.functions)
    signal.throwIfAborted()
    // Who says where the dashboard is has a provider of their own.
    const dashboard = environment.DASHBOARD_URL
      ? undefined
      : await startDashboard(`http://127.0.0.1:${port}`, join(files.broker, 'dashboard'), {
          username,
          password,
        })
    if (dashboard) closers.push(() => dashboard.stop())
    const broker = await startBroker({
      administrator: base.administrator,
      apiServer: base.apiServer,
      namespaces,
      directory: files.broker,
      functionsDirectory: files.functions,
      users: [{ username, password }],
      port,
      ...(base.names !== undefined && { names: base.names }),
      environment: { ...base.environment, ...passedOn(environment), ...dashboard?.environment },
      log: (name, line) => {
        write(name, line)
        if (name === 'gateway') progress(line)
      },
    })
    closers.push(() => broker.stop())
    signal.throwIfAborted()
    const sandbox = { url: broker.gateway.url, username, password, kubeconfig: base.kubeconfig }
    await writePrivateFile(files.sandbox, `${JSON.stringify(sandbox, null, 2)}\n`)
    closers.push(() => rm(files.sandbox, { force: true }))
    return { ...sandbox, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** A control plane and an operator of the sandbox's own. */
async function ownBase(
  { files, progress, broken }: SandboxOptions,
  write: (from: string, line: string) => void,
  closers: (() => Promise<unknown>)[],
): Promise<Base> {
  progress('Starting the Kubernetes API and the operator')
  const cluster = await startCluster({
    directory: files.directory,
    engineHome: files.engines,
    progress,
    log: (line) => write('operator', line),
  })
  let stopping = false
  closers.push(() => {
    stopping = true
    return cluster.stop()
  })
  const { plane } = cluster
  plane.exited.then((reason) => {
    if (!stopping) broken(reason)
  })
  await copyFile(plane.kubeconfigFile, files.kubeconfig)
  const server = new URL(plane.url)
  return {
    administrator: administratorOf(plane),
    apiServer: {
      host: server.hostname,
      port: Number(server.port),
      ca: await readFile(plane.caFile, 'utf8'),
    },
    kubeconfig: files.kubeconfig,
    names: cluster.names,
    // People connect from their shell, where names of Services mean nothing.
    environment: { ADDRESSES: 'external', RETRY_AFTER: '1' },
  }
}

async function foreignBase(progress: (line: string) => void): Promise<Base> {
  const { administrator, apiServer, url } = await clusterOfKubeconfig()
  progress(`Setting up ServiceAccounts and Roles in ${url}`)
  const served = await administrator('GET', '/apis/kubedb.com/v1')
  if (served.status !== 200) {
    throw new Error(`KubeDB cannot be found in ${url} (status ${served.status}): install it there first.`)
  }
  const kubeconfig = process.env.KUBECONFIG ?? '~/.kube/config'
  return { administrator, apiServer, kubeconfig, names: undefined, environment: {} }
}

/** Set by the sandbox, whatever the shell says. */
const own = new Set([
  'PORT',
  'BROKER_NAMESPACE',
  'DATABASE_NAMESPACE',
  'USERS_FILE',
  'KEYS_DIRECTORY',
  'KUBERNETES_SERVICE_HOST',
  'KUBERNETES_SERVICE_PORT',
  'SERVICE_ACCOUNT_DIRECTORY',
])

/** @returns what the shell says about the functions: their own variables and OpenTelemetry's */
function passedOn(environment: NodeJS.ProcessEnv): Record<string, string> {
  const names = new Set(variables().map(({ name }) => name))
  return Object.fromEntries(
    Object.entries(environment).flatMap(([name, value]) => {
      const ours = (names.has(name) && !own.has(name)) || name.startsWith('OTEL_')
      return ours && value !== undefined ? [[name, value]] : []
    }),
  )
}
