/** The parts of a test run: which files, the cluster that they share, AVA. */
import { spawn } from 'node:child_process'
import { chmod, glob, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { builtFunctions } from '../sandbox/broker/built-functions.ts'
import type { Cluster } from '../sandbox/cluster.ts'
import { userCache } from '../sandbox/machine/user-cache.ts'
import {
  expectedSeconds,
  followEndedFiles,
  longestFirst,
  readSeconds,
  type Seconds,
  writeSeconds,
} from './ended-files.ts'
import { endRunningFiles } from './running-files.ts'
import type { SharedCluster } from './support/cluster.ts'
import { type Counts, tapReader } from './tap.ts'

const root = join(import.meta.dirname, '..')
const suites = ['unit', 'cluster', 'functions', 'image']

/** Test files at a time: more than there are processors only make each other's deadlines fail. */
const concurrency = availableParallelism()

/** Milliseconds in which a test has to end: more than the longest has asked for with t.timeout(). */
const patience = 25 * 60_000

/** @returns paths from the root of the checkout: of everything, of a suite, of files */
export async function testFiles(names: readonly string[]): Promise<string[]> {
  const patterns = (names.length > 0 ? names : suites).map((name) =>
    suites.includes(name) ? `test/${name}/**/*.test.ts` : name,
  )
  const found: string[] = []
  for await (const file of glob(patterns, { cwd: root })) found.push(file)
  return found.sort()
}

/** What runs while the tests do. */
export interface Surroundings {
  /** for the processes of the tests */
  environment: NodeJS.ProcessEnv
  /** a line for every request of a ServiceAccount, once the cluster has ended */
  auditLog: string
  /** Ends the cluster. */
  stop(): Promise<void>
}

/**
 * Starts the cluster that all test files share, for as long as `act` runs.
 *
 * @returns what `act` does
 */
export async function withCluster<T>(act: (surroundings: Surroundings) => Promise<T>): Promise<T> {
  // Servers run as another user when root runs the tests: the folder is open, what is secret in it is not.
  const directory = await mkdtemp(join(tmpdir(), 'kubedb-service-broker-test-'))
  await chmod(directory, 0o755)
  const auditLog = join(directory, 'audit.jsonl')
  let cluster: Cluster | undefined
  const stop = async () => {
    await cluster?.stop()
    cluster = undefined
  }
  try {
    // Unit tests do without all of that.
    const { startCluster } = await import('../sandbox/cluster.ts')
    cluster = await startCluster({
      directory,
      auditLog,
      engineHome: join(directory, 'engines'),
      progress: (line) => console.log(`# ${line}`),
      log: (line) => console.log(`# operator: ${line}`),
    })
    await applyKindPolicies(cluster)
    const environment = { ...process.env, TEST_CLUSTER: await share(cluster, directory) }
    return await act({ environment, auditLog, stop })
  } finally {
    await stop()
    await rm(directory, { recursive: true, force: true, maxRetries: 5 })
  }
}

/**
 * The admission policies of the kinds, once for all test files: each has a broker of its own in the cluster, and an API
 * server needs half a second to compile one.
 */
async function applyKindPolicies({ plane }: Cluster): Promise<void> {
  const { administratorOf, apply } = await import('../sandbox/control-plane/administrator.ts')
  const { issuersPolicy, kindPolicies } = await import('../generate/admission-policy.ts')
  const { writtenKinds } = await import('../generate/admission/written-kinds.ts')
  const anyBroker = 'request.userInfo.username.matches("^system:serviceaccount:[a-z0-9-]+:osb-[a-z-]+$")'
  await apply(administratorOf(plane), [
    ...kindPolicies(anyBroker, writtenKinds(), '.tests'),
    // About nobody: with the last policy of this sort that a test takes away, the API server would hear of no new ConfigMap.
    ...issuersPolicy('default', 'false', writtenKinds(), '.tests'),
  ])
}

/** @returns the file that tells the tests where everything is */
async function share({ plane, names }: Cluster, directory: string): Promise<string> {
  const functionsDirectory = join(directory, 'functions')
  await builtFunctions(functionsDirectory)
  const shared: SharedCluster = {
    url: plane.url,
    caFile: plane.caFile,
    adminToken: plane.adminToken,
    kubeconfigFile: plane.kubeconfigFile,
    names,
    functionsDirectory,
    collectsGarbage: plane.collectsGarbage,
    crds: process.env.KUBEDB_CRDS ? 'upstream' : 'own',
  }
  const file = join(directory, 'cluster.json')
  await writeFile(file, JSON.stringify(shared), { mode: 0o600 })
  return file
}

/** What files took when they last ran, all of them. */
const secondsFile = join(userCache(), 'test-seconds.json')

/**
 * Runs AVA, and prints what it tells as people read it, and after each file what is left.
 *
 * @param args test files, and options of AVA
 * @param print takes a line
 */
export async function runAva(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  print: (line: string) => void = console.log,
): Promise<Counts> {
  const directory = await mkdtemp(join(tmpdir(), 'test-files-'))
  try {
    const seconds = await readSeconds(secondsFile)
    const files = args.filter((arg) => !arg.startsWith('-'))
    const ends = join(directory, 'ends.jsonl')
    const environment = {
      ...env,
      TEST_ENDS: ends,
      // What V8 has compiled once, without its types, the processes of later files read.
      NODE_COMPILE_CACHE: join(userCache(), 'compile-cache'),
    }
    const ran: Seconds = {}
    const following = await followEndedFiles(ends, ({ file, seconds: took }) => {
      ran[file] = took
      print(`# ${progressOf(files, ran, seconds)} ${file} took ${took} s`)
    })
    const options = args.filter((arg) => arg.startsWith('-'))
    const counts = await runTap([...options, ...longestFirst(files, seconds)], environment, print)
    following.stop()
    // Of some of its tests a file's time says nothing.
    if (options.length === 0) await writeSeconds(secondsFile, { ...seconds, ...ran })
    return counts
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** @returns `[12/126 files, about 9 min left]` */
export function progressOf(
  files: readonly string[],
  ran: Seconds,
  seconds: Seconds,
  atOnce = concurrency,
): string {
  const left = files.filter((file) => ran[file] === undefined)
  const ended = files.length - left.length
  const expected = left.reduce((sum, file) => sum + expectedSeconds(file, seconds), 0) / atOnce
  const time = expected > 90 ? `${Math.round(expected / 60)} min` : `${Math.ceil(expected)} s`
  return `[${ended}/${files.length} files${left.length > 0 ? `, about ${time} left` : ''}]`
}

async function runTap(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  print: (line: string) => void,
): Promise<Counts> {
  const ava = join(root, 'node_modules/ava/entrypoints/cli.js')
  const child = spawn(process.execPath, [ava, '--tap', `--concurrency=${concurrency}`, ...args], {
    cwd: root,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const interrupt = () => child.kill('SIGTERM')
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt)
  const ended = new Promise<number>((resolve) => child.once('close', (code) => resolve(code ?? 1)))
  const reader = tapReader()
  const { pid = 0 } = child
  const stuck = setInterval(() => {
    print(`No test has ended for ${patience / 60_000} minutes: what runs is ended.`)
    endRunningFiles(pid).catch((error) => print(`It cannot be ended: ${error}`))
  }, patience)
  for await (const line of createInterface({ input: child.stdout })) {
    stuck.refresh()
    const shown = reader.read(line)
    if (shown !== undefined) print(shown)
  }
  const exitCode = await ended
  clearInterval(stuck)
  process.off('SIGINT', interrupt).off('SIGTERM', interrupt)
  return reader.counts(exitCode)
}
