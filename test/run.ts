/**
 * Runs the tests: starts one cluster for all of them, builds the functions, runs AVA, ends everything, and closes with
 * the line `N passed, N failed`.
 *
 * Usage: `npm test` for all; `npm test -- unit` (or `cluster`, `functions`), `npm test -- test/unit/gateway.test.ts`;
 * options go to AVA: `npm test -- functions --match='*bind*'`. KUBEDB_CRDS=<folder> has other CRDs installed than the
 * sandbox's own.
 */
import { runAva, testFiles, withCluster } from './suite.ts'
import { allPermissions, usesIn, wordsOf } from './support/used-permissions.ts'
import { type Counts, summary } from './tap.ts'

/** Runs everything that was asked for; the result is in the exit code and in the last line. */
async function run(wishes: readonly string[]): Promise<Counts> {
  const options = wishes.filter((wish) => wish.startsWith('-'))
  const files = await testFiles(wishes.filter((wish) => !wish.startsWith('-')))
  if (files.length === 0) throw new Error(`no test file is named by: ${wishes.join(' ')}`)
  const args = [...options, ...files]
  if (files.every((file) => file.startsWith('test/unit/'))) return runAva(args, process.env)
  return withCluster(async ({ environment, auditLog, stop }) => {
    const counts = await runAva(args, environment)
    const functions = await testFiles(['functions'])
    if (options.length > 0 || !functions.every((file) => files.includes(file))) return counts
    await stop()
    return add(counts, await checkPermissions(auditLog))
  })
}

/** A permission that no test of the functions needs is one too many, or lacks a test. */
async function checkPermissions(auditLog: string): Promise<Counts> {
  const unused = new Set(allPermissions().map(wordsOf))
  for (const { permission } of await usesIn(auditLog)) unused.delete(wordsOf(permission))
  const missing = [...unused].map((words) => `    ${words}\n`).join('')
  console.log(`${missing === '' ? '✔' : '✘'} every permission of the route map was used\n${missing}`)
  return { passed: missing === '' ? 1 : 0, failed: missing === '' ? 0 : 1, skipped: 0 }
}

function add(one: Counts, other: Counts): Counts {
  return {
    passed: one.passed + other.passed,
    failed: one.failed + other.failed,
    skipped: one.skipped + other.skipped,
  }
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
