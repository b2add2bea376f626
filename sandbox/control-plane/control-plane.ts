/** A Kubernetes control plane on this machine, and all that is set up in it: users, CRDs, kubeconfigs. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Daemon, guarded, startDaemon } from '../machine/daemon.ts'
import { freePort } from '../machine/free-port.ts'
import { type Identity, identityIn, writeKubeconfig } from './identity.ts'
import { controlPlaneProgram } from './program.ts'
import { ask, type Endpoint } from './request.ts'

/** A running API server with its storage; everything of it listens on loopback alone. */
export interface ControlPlane extends Endpoint {
  /** `https://127.0.0.1:<port>` */
  url: string
  /** Certificates in PEM that make `url` trusted. */
  caFile: string
  /** A bearer token of group `system:masters`. */
  adminToken: string
  kubeconfigFile: string
  /** The API server's certificate, valid for 127.0.0.1: the sandbox's webhooks serve with it too. */
  certificateFile: string
  keyFile: string
  /** Whether owned objects vanish with their owner, and namespaces with their content. */
  collectsGarbage: boolean
  /** Resolves when a process of it has ended, with a sentence saying how; never rejects. */
  exited: Promise<string>
  /** Ends it; all its data stays in its folder. */
  stop(): Promise<void>
}

export interface ControlPlaneOptions {
  /** Holds data, keys and logs. Made if it is not there; what it holds is used again. */
  directory: string
  /** Takes a line for people whenever something takes more than a second. */
  progress: (line: string) => void
  /** The port of the API server; a free one if left out. */
  apiPort?: number
  /** A file that gets one line of JSON for every request of a ServiceAccount (audit.k8s.io/v1, level Metadata). */
  auditLog?: string
}

/** How long an earlier control plane on the same folder may take to end, in milliseconds. */
const endsWithin = 4_000

/** How long the API server may take to be ready, in milliseconds. */
const readyWithin = 120_000

const progressEvery = 1_000

/**
 * Starts kube-apiserver and etcd with RBAC on loopback and waits until they are ready.
 *
 * If KUBEBUILDER_ASSETS names a folder with `etcd` and `kube-apiserver`, these are run (and
 * `kube-controller-manager`, if it is there too); else the program in sandbox/control-plane, built on first
 * use. All of it ends with this process, however this process ends.
 *
 * @throws if there is nothing to run and no Go to build it, if the folder or the port is in use, or if a
 *   process ends before it is ready: then with the last lines of its log
 */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const { progress } = options
  const folder = resolve(options.directory)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const assets = process.env.KUBEBUILDER_ASSETS
  const program = assets ? undefined : await controlPlaneProgram(progress)
  const identity = identityIn(folder)
  await untilAlone(folder, identity, progress)

  const port = options.apiPort ?? (await freePort())
  const url = `https://127.0.0.1:${port}`
  const plane: Endpoint = { url, caFile: identity.certificateFile, adminToken: identity.adminToken }
  const kubeconfigFile = join(folder, 'kubeconfig')
  const flags = apiServerFlags(folder, port, identity, options.auditLog)
  const daemons: Daemon[] = []
  const stop = async (): Promise<void> => {
    // The last to be started depends on the others.
    for (const daemon of daemons.toReversed()) await daemon.stop()
    rmSync(join(folder, 'pids'), { force: true })
  }
  const start = (name: string, command: [string, ...string[]]): void => {
    daemons.push(startDaemon(command, folder, join(folder, `${name}.log`)))
    writeFileSync(join(folder, 'pids'), daemons.map((daemon) => daemon.pid).join(' '))
  }

  let collectsGarbage = true
  try {
    if (program !== undefined) {
      start('control-plane', [program, `--data-dir=${join(folder, 'etcd')}`, ...flags])
    } else if (assets) {
      const asset = (name: string): string => join(resolve(assets), name)
      requireAssets(asset('etcd'), asset('kube-apiserver'))
      start('etcd', guarded(asset('etcd'), etcdFlags(folder)))
      start('kube-apiserver', guarded(asset('kube-apiserver'), ['--etcd-servers=unix://etcd.sock', ...flags]))
      collectsGarbage = existsSync(asset('kube-controller-manager'))
    }
    writeFileSync(join(folder, 'url'), url)
    await untilReady(plane, daemons, progress)
    writeKubeconfig(kubeconfigFile, url, identity)
    if (assets && collectsGarbage) {
      const manager = join(resolve(assets), 'kube-controller-manager')
      start('kube-controller-manager', guarded(manager, controllerManagerFlags(kubeconfigFile)))
    }
  } catch (error) {
    await stop()
    throw error
  }
  return {
    ...plane,
    kubeconfigFile,
    certificateFile: identity.certificateFile,
    keyFile: identity.keyFile,
    collectsGarbage,
    exited: Promise.race(
      daemons.map(async (daemon) => `${(await daemon.exited).reason}:\n${daemon.lastLines()}`),
    ),
    stop,
  }
}

function apiServerFlags(folder: string, port: number, identity: Identity, auditLog?: string): string[] {
  return [
    `--secure-port=${port}`,
    '--bind-address=127.0.0.1',
    '--advertise-address=127.0.0.1',
    // The Service `kubernetes` would need a pod network to be reachable; and a loopback address is refused there.
    '--endpoint-reconciler-type=none',
    `--cert-dir=${identity.certificateFolder}`,
    `--token-auth-file=${identity.tokensFile}`,
    '--authorization-mode=RBAC',
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${identity.serviceAccountKeyFile}`,
    `--service-account-signing-key-file=${identity.serviceAccountKeyFile}`,
    '--service-cluster-ip-range=10.96.0.0/16',
    // Its finalizer on volume claims is removed by a controller that is not run here.
    '--disable-admission-plugins=StorageObjectInUseProtection',
    '--enable-priority-and-fairness=false',
    '--profiling=false',
    ...(auditLog === undefined ? [] : auditFlags(folder, resolve(auditLog))),
  ]
}

function auditFlags(folder: string, auditLog: string): string[] {
  const policyFile = join(folder, 'audit-policy.json')
  const policy = {
    apiVersion: 'audit.k8s.io/v1',
    kind: 'Policy',
    omitStages: ['RequestReceived'],
    rules: [{ level: 'Metadata', userGroups: ['system:serviceaccounts'] }, { level: 'None' }],
  }
  writeFileSync(policyFile, JSON.stringify(policy))
  return [`--audit-policy-file=${policyFile}`, `--audit-log-path=${auditLog}`]
}

function etcdFlags(folder: string): string[] {
  return [
    `--data-dir=${join(folder, 'etcd')}`,
    // Sockets in the working directory: nobody else on the machine can reach them.
    '--listen-client-urls=unix://etcd.sock',
    '--advertise-client-urls=http://localhost:2379',
    '--listen-peer-urls=unix://etcd-peer.sock:0',
    '--initial-advertise-peer-urls=unix://etcd-peer.sock:0',
    '--initial-cluster=default=unix://etcd-peer.sock:0',
    '--unsafe-no-fsync',
    '--log-level=error',
  ]
}

function controllerManagerFlags(kubeconfigFile: string): string[] {
  return [
    `--kubeconfig=${kubeconfigFile}`,
    '--controllers=garbage-collector-controller,namespace-controller,serviceaccount-controller',
    '--leader-elect=false',
    '--secure-port=0',
  ]
}

function requireAssets(...files: string[]): void {
  const missing = files.find((file) => !existsSync(file))
  if (missing !== undefined) {
    throw new Error(
      `KUBEBUILDER_ASSETS names a folder without ${missing}: it needs etcd and kube-apiserver; ` +
        'unset it to have the control plane built with Go instead.',
    )
  }
}

/**
 * Waits for the end of an earlier control plane on the same folder: one whose sandbox was killed takes a
 * moment to end, and two at once would take each other's sockets and data.
 */
async function untilAlone(
  folder: string,
  identity: Identity,
  progress: (line: string) => void,
): Promise<void> {
  const file = join(folder, 'pids')
  const pids = existsSync(file) ? readFileSync(file, 'utf8').trim().split(' ').map(Number) : []
  const deadline = Date.now() + endsWithin
  while (pids.some((pid) => pid > 0 && isAlive(pid))) {
    if (Date.now() < deadline) {
      await sleep(100)
      continue
    }
    progress(`A process with the id of an earlier control plane on ${folder} is still there.`)
    if (await answers(folder, identity)) {
      throw new Error(`A control plane is already running on ${folder}: stop it, or use another folder.`)
    }
    return // the id belongs to some other process by now
  }
}

/** Whether the API server last started on this folder is up: none but that one accepts the folder's token. */
async function answers(folder: string, identity: Identity): Promise<boolean> {
  const file = join(folder, 'url')
  if (!existsSync(file) || !existsSync(identity.certificateFile)) return false
  const url = readFileSync(file, 'utf8')
  const plane = { url, caFile: identity.certificateFile, adminToken: identity.adminToken }
  return await ask(plane, 'GET', '/api').then(
    (answer) => answer.status === 200,
    () => false,
  )
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

async function untilReady(
  plane: Endpoint,
  daemons: readonly Daemon[],
  progress: (line: string) => void,
): Promise<void> {
  const started = Date.now()
  let said = started
  let failure: string | undefined
  const ended = Promise.race(
    daemons.map(async (daemon) => {
      const { reason } = await daemon.exited
      failure = diagnosis(plane, reason, daemon.lastLines())
      return false
    }),
  )
  // Whoever else has the port may leave a request without an answer.
  while (!(await Promise.race([isReady(plane), ended]))) {
    if (failure !== undefined) throw new Error(failure)
    const now = Date.now()
    if (now - started > readyWithin) {
      const logs = daemons.map((daemon) => daemon.lastLines()).join('\n')
      throw new Error(`The API server was not ready after ${readyWithin / 1000} s; its last lines:\n${logs}`)
    }
    if (now - said >= progressEvery) {
      progress(`Waiting for the API server: ${Math.round((now - started) / 1000)} s`)
      said = now
    }
    await sleep(50)
  }
}

async function isReady(plane: Endpoint): Promise<boolean> {
  if (!existsSync(plane.caFile)) return false
  try {
    return (await ask(plane, 'GET', '/readyz')).status === 200
  } catch {
    return false // not listening yet
  }
}

function diagnosis(plane: Endpoint, reason: string, log: string): string {
  if (log.includes('address already in use')) {
    return `The API server cannot listen on ${plane.url}: another program uses this port.\n${log}`
  }
  return `The control plane ended before it was ready (${reason}); its last lines:\n${log}`
}
