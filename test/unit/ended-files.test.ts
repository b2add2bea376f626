import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import test from 'ava'
import { followEndedFiles, longestFirst, readSeconds, writeSeconds } from '../ended-files.ts'
import { progressOf } from '../suite.ts'

const files = [
  'test/unit/a.test.ts',
  'test/cluster/b.test.ts',
  'test/functions/c.test.ts',
  'test/unit/d.test.ts',
]

test('what took longest the last time runs first; of what never ran the folder tells', (t) => {
  const known = { 'test/unit/d.test.ts': 25 }
  t.deepEqual(longestFirst(files, known), [
    'test/functions/c.test.ts',
    'test/unit/d.test.ts',
    'test/cluster/b.test.ts',
    'test/unit/a.test.ts',
  ])
})

test('progress tells how many files have ended and how long the others may take', (t) => {
  const known = { 'test/functions/c.test.ts': 300, 'test/unit/d.test.ts': 1 }
  t.is(progressOf(files, {}, known, 2), '[0/4 files, about 3 min left]')
  const most = { 'test/functions/c.test.ts': 280, 'test/unit/a.test.ts': 2, 'test/cluster/b.test.ts': 9 }
  t.is(progressOf(files, most, known, 2), '[3/4 files, about 1 s left]')
  t.is(progressOf(files, { ...most, 'test/unit/d.test.ts': 1 }, known), '[4/4 files]')
})

test('every file that ended is told once, also one that ended last', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'ends-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const told: string[] = []
  const path = join(folder, 'ends.jsonl')
  const following = await followEndedFiles(path, ({ file }) => told.push(file))
  const line = (file: string) => `${JSON.stringify({ file, seconds: 1 })}\n`
  await appendFile(path, line('one').slice(0, 5))
  await appendFile(path, line('one').slice(5))
  for (let tries = 0; told.length === 0 && tries < 100; tries++) await delay(50)
  t.deepEqual(told, ['one'])
  await appendFile(path, line('two') + line('three'))
  following.stop()
  t.deepEqual(told, ['one', 'two', 'three'])
})

test('the seconds of earlier runs are kept; a file that cannot be read is none', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'seconds-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const path = join(folder, 'new/seconds.json')
  t.deepEqual(await readSeconds(path), {})
  await writeSeconds(path, { a: 1.5 })
  t.deepEqual(await readSeconds(path), { a: 1.5 })
  await writeFile(path, '{')
  t.deepEqual(await readSeconds(path), {})
})
