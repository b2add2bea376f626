/**
 * Runs the tests: starts one cluster for all of them, builds the functions, runs AVA, ends everything, and closes with
 * the line `N passed, N failed`.
 *
 * Usage: `npm test` for all; `npm test -- unit` (or `cluster`, `functions`), `npm test -- test/unit/gateway.test.ts`;
 * options go to AVA: `npm test -- functions --match='*bind*'`. KUBEDB_CRDS=<folder> has other CRDs installed than the
 * sandbox's own.
 */
import { spawn } from 'node:child_process'
import { chmod, glob, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { buildFunctions } from '../build.ts'
import { type Cluster, startCluster } from '../sandbox/cluster.ts'
import type { SharedCluster } from './support/cluster.ts'
import { type Counts, summary, tapReader } from './tap.ts'

const root = join(import.meta.dirname, '..')
const suites = ['unit', 'cluster', 'functions', 'image']

/** Two cores: more test files at a time than this only make each other's deadlines fail. */
const concurrency = 2

/** Runs everything that was asked for; the result is in the exit code and in the last line. */
async function run(wishes: readonly string[]): Promise<Counts> {
  const options = wishes.filter((wish) => wish.startsWith('-'))
  const files = await testFiles(wishes.filter((wish) => !wish.startsWith('-')))
  if (files.length === 0) throw new Error(`no test file is named by: ${wishes.join(' ')}`)
  // Servers run as another user when root runs the tests: the folder is open, what is secret in it is not.
  const directory = await mkdtemp(join(tmpdir(), 'kubedb-service-broker-test-'))
  await chmod(directory, 0o755)
  let cluster: Cluster | undefined
  try {
    const environment = { ...process.env }
    if (files.some((file) => !file.startsWith('test/unit/'))) {
      cluster = await startCluster({
        directory,
        engineHome: join(directory, 'engines'),
        progress: (line) => console.log(`# ${line}`),
        log: (line) => console.log(`# operator: ${line}`),
      })
      environment.TEST_CLUSTER = await share(cluster, directory)
    }
    return await runAva([...options, ...files], environment)
  } finally {
    await cluster?.stop()
    await rm(directory, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** @returns paths from the root of the checkout: of everything, of a suite, of files */
async function testFiles(names: readonly string[]): Promise<string[]> {
  const patterns = (names.length > 0 ? names : suites).map((name) =>
    suites.includes(name) ? `test/${name}/**/*.test.ts` : name,
  )
  const found: string[] = []
  for await (const file of glob(patterns, { cwd: root })) found.push(file)
  return found.sort()
}

/** @returns the file that tells the tests where everything is */
async function share({ plane, names }: Cluster, directory: string): Promise<string> {
  const functionsDirectory = join(directory, 'functions')
  await buildFunctions(functionsDirectory)
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

async function runAva(args: readonly string[], env: NodeJS.ProcessEnv): Promise<Counts> {
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
  for await (const line of createInterface({ input: child.stdout })) {
    const shown = reader.read(line)
    if (shown !== undefined) console.log(shown)
  }
  const exitCode = await ended
  process.off('SIGINT', interrupt).off('SIGTERM', interrupt)
  return reader.counts(exitCode)
}

let counts: Counts
try {
  counts = await run(process.argv.slice(2))
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  counts = { passed: 0, failed: 1, skipped: 0 }
}
console.log(`\n${summary(counts)}`)
process.exit(counts.failed > 0 ? 1 : 0)
