/**
 * Is every permission of the route map needed? Takes away one after the other, and runs the test files that used it,
 * those first that soonest did, until one fails: a permission that no test misses is one too many. Takes half an hour;
 * `npm test` itself checks only that each was used.
 *
 * Usage: `npm run test:permissions`, or with the permissions to look at, the test files to look in, or both:
 * `npm run test:permissions -- 'bind: get secrets' test/functions/lifecycle.test.ts`
 */
import { readFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import * as v from 'valibot'
import { turns } from '../sandbox/machine/turns.ts'
import { runAva, testFiles, withCluster } from './suite.ts'
import { NamespaceNote } from './support/cluster.ts'
import { allPermissions, type Use, usesIn, wordsOf } from './support/used-permissions.ts'

const root = join(import.meta.dirname, '..')

/** Permissions looked at side by side. */
const busy = turns(2)

const wishes = process.argv.slice(2)
const wanted = wishes.filter((wish) => !wish.endsWith('.test.ts'))
const places = wishes.filter((wish) => wish.endsWith('.test.ts'))
const permissions = allPermissions()
  .map(wordsOf)
  .filter((words) => wanted.length === 0 || wanted.includes(words))

/** @returns for each permission the test files that use it, those first that soonest come to it */
async function usersOf(uses: readonly Use[], notes: string): Promise<Map<string, string[]>> {
  const files = new Map(
    notes
      .trim()
      .split('\n')
      .map((line) => v.parse(NamespaceNote, JSON.parse(line)))
      .map(({ namespace, file }) => [namespace, relative(root, file)]),
  )
  const begun = new Map<string, number>()
  const soonest = new Map<string, Map<string, number>>()
  for (const { permission, namespace, at } of uses) {
    const file = files.get(namespace)
    if (file === undefined) continue
    begun.set(file, Math.min(begun.get(file) ?? at, at))
    const times = soonest.get(wordsOf(permission)) ?? new Map<string, number>()
    times.set(file, Math.min(times.get(file) ?? at, at))
    soonest.set(wordsOf(permission), times)
  }
  const delayOf = ([file, at]: [string, number]) => at - (begun.get(file) ?? at)
  return new Map(
    [...soonest].map(([words, times]) => [
      words,
      [...times].sort((one, other) => delayOf(one) - delayOf(other)).map(([file]) => file),
    ]),
  )
}

process.exitCode = await withCluster(async ({ environment, auditLog }) => {
  const silent = () => undefined
  await runAva(await testFiles(places.length > 0 ? places : ['functions']), environment)
  const notes = await readFile(join(dirname(environment.TEST_CLUSTER ?? ''), 'namespaces.jsonl'), 'utf8')
  const users = await usersOf(await usesIn(auditLog), notes)
  let needless = 0
  /** @returns the first test file that fails without the permission */
  const missing = async (words: string): Promise<string | undefined> => {
    const withheld = { ...environment, WITHHELD_PERMISSION: words }
    for (const file of users.get(words) ?? []) {
      const { failed } = await runAva(['--fail-fast', file], withheld, silent)
      if (failed > 0) return file
    }
    return undefined
  }
  await Promise.all(
    permissions.map((words) =>
      busy(async () => {
        const file = await missing(words)
        console.log(`${file === undefined ? '✘' : '✔'} ${words}: ${file ?? 'no test misses it'}`)
        if (file === undefined) needless += 1
      }),
    ),
  )
  console.log(`\n${permissions.length - needless} of ${permissions.length} permissions are needed`)
  return needless === 0 ? 0 : 1
})
